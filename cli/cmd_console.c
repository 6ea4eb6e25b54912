/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/resource.h"

#include <termios.h>
#include <unistd.h>

enum { ESCAPE = 0x1d, KILLED = 128 }; /* Ctrl-], as telnet and virsh have it. */

struct console {
    const char *name;
    struct termios was;
    bool is_raw;
};

/* Every key goes to the guest, Ctrl-C too; only then is it said how to leave. */
static void opened(void *owner)
{
    struct console *o = owner;
    struct termios raw = o->was;

    cfmakeraw(&raw);
    o->is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    fprintf(stderr, "console of vmi/%s; leave with Ctrl-]\r\n", o->name);
}

static bool to_stdout(void *owner, struct str bytes)
{
    (void)owner;
    return fwrite(bytes.at, 1, bytes.len, stdout) == bytes.len && fflush(stdout) == 0;
}

static int talk(struct cli *c, struct console *o)
{
    struct client_ending ending;
    struct err e;
    struct resource machines = {STR("subresources.kubevirt.io/v1"), STR("virtualmachineinstances"),
                                STR("VirtualMachineInstance"), true};
    const char *path = resource_path(c, &machines, str_of(cli_namespace(c)), str_of(o->name));
    struct client_duplex d = {.path = arena_printf(&c->arena, "%s/console", path).at,
                              .input_fd = STDIN_FILENO,
                              .escape = ESCAPE,
                              .opened = opened,
                              .bytes = to_stdout,
                              .owner = o};

    enum err_code code = client_duplex(c->client, &d, &ending, &e);
    if (o->is_raw) {
        tcsetattr(STDIN_FILENO, TCSANOW, &o->was);
        fputc('\n', stderr);
    }
    if (code != ERR_OK)
        return cli_fail(&e);
    if (ending.how == CLIENT_ENDED)
        fprintf(stderr, "baton: vmi/%s has ended\n", o->name);
    return ending.how == CLIENT_KILLED ? KILLED + ending.signo : CLI_OK;
}

static int run(struct cli *c, int argc, char **argv)
{
    struct console o = {0};
    struct err e;

    if (argc != 2 || argv[1][0] == '-')
        return cmd_usage(&cmd_console, "say which virtual machine");
    const char *slash = strchr(argv[1], '/');
    o.name = slash == NULL ? argv[1] : slash + 1;
    if (slash != NULL && strncmp(argv[1], "vmi/", 4) != 0)
        return cmd_usage(&cmd_console, "%s is not a virtual machine; for output: baton logs %s",
                         argv[1], argv[1]);
    if (tcgetattr(STDIN_FILENO, &o.was) != 0)
        return cmd_usage(&cmd_console,
                         "standard input is not a terminal; for the guest's output alone: "
                         "baton logs -f vmi/%s",
                         o.name);
    if (!resource_name_ok(str_of(o.name), &e) || cli_client(c, &e) == NULL)
        return cli_fail(&e);
    return talk(c, &o);
}

const struct cmd cmd_console = {
    .name = "console",
    .args = "VMI",
    .summary = "Talk to a guest over its serial line; Ctrl-] leaves",
    .help =
        "Every key goes to the guest, Ctrl-C too. A machine has one line: a later console takes "
        "it\nover, and the one before ends with status 1 and says so. What was printed before "
        "is in\nbaton logs vmi/NAME. The terminal is as before however it ends, except after "
        "kill -9 (reset).\n",
    .run = run,
};
