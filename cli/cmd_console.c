/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/resource.h"

#include <termios.h>
#include <unistd.h>

enum { ESCAPE = 0x1d }; /* Ctrl-], as telnet and virsh have it. */

static bool to_stdout(void *owner, struct str bytes)
{
    (void)owner;
    return fwrite(bytes.at, 1, bytes.len, stdout) == bytes.len && fflush(stdout) == 0;
}

/* Every key goes to the guest, Ctrl-C too. False: stdin is no terminal. */
static bool raw_mode(struct termios *was)
{
    struct termios raw;
    if (tcgetattr(STDIN_FILENO, was) != 0)
        return false;
    raw = *was;
    cfmakeraw(&raw);
    return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static int run(struct cli *c, int argc, char **argv)
{
    struct termios was;
    struct err e;

    if (argc != 2)
        return cmd_usage(&cmd_console, "say which virtual machine");
    if (cli_client(c, &e) == NULL)
        return cli_fail(&e);
    const char *name = strncmp(argv[1], "vmi/", 4) == 0 ? argv[1] + 4 : argv[1];
    struct str path = arena_printf(&c->arena,
                                   "/apis/subresources.kubevirt.io/v1/namespaces/%s/"
                                   "virtualmachineinstances/%s/console",
                                   cli_namespace(c), name);
    struct client_duplex d = {
        .path = path.at, .input_fd = STDIN_FILENO, .escape = ESCAPE, .bytes = to_stdout};
    fprintf(stderr, "console of vmi/%s; leave with Ctrl-]\n", name);
    bool is_raw = raw_mode(&was);
    enum err_code code = client_duplex(c->client, &d, &e);
    if (is_raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &was);
    fputc('\n', stderr);
    return code == ERR_OK ? CLI_OK : cli_fail(&e);
}

const struct cmd cmd_console = {
    .name = "console",
    .args = "VMI",
    .summary = "Talk to a guest over its serial line; Ctrl-] leaves",
    .run = run,
};
