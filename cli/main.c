/* SPDX-License-Identifier: Apache-2.0 */
/*
 * baton -- the administrator's command.
 *
 * Options that every command takes stand before or behind its name. What a command does is in its
 * own file, cmd_NAME.c; this one finds it.
 */
#include "cli/client.h"
#include "cli/cmd.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLI_MEMORY_MAX = 1 << 30 }; /* A list of 100,000 pods as a tree is about 700 MB. */

static const struct cmd *cmd_find(const char *name)
{
    for (const struct cmd *const *at = cmd_table; *at != NULL; at++)
        if (strcmp((*at)->name, name) == 0)
            return *at;
    return NULL;
}

static bool take_namespace(struct cli *c, const char *value)
{
    c->namespace = value;
    if (strpbrk(value, "/%") == NULL)
        return true;
    fprintf(stderr, "baton: -n %s is not a namespace: it may not hold / or %%\n", value);
    return false;
}

static bool take_format(struct cli *c, const char *value)
{
    c->format = value[0] == 'j' ? CLI_JSON : CLI_YAML;
    if (strcmp(value, "json") == 0 || strcmp(value, "yaml") == 0)
        return true;
    fprintf(stderr, "baton: -o %s: say json or yaml\n", value);
    return false;
}

/* Takes the options of every command out of argv; what is left is the command's. */
static int take_common(struct cli *c, int argc, char **argv)
{
    int kept = 1;
    for (int at = 1; at < argc;) {
        const char *value;
        if (strcmp(argv[at], "--") == 0) {
            while (at < argc)
                argv[kept++] = argv[at++];
        } else if ((value = cmd_option(argc, argv, &at, "kubeconfig", 0)) != NULL) {
            c->kubeconfig = value;
        } else if ((value = cmd_option(argc, argv, &at, "namespace", 'n')) != NULL) {
            if (!take_namespace(c, value))
                return -1;
        } else if ((value = cmd_option(argc, argv, &at, "output", 'o')) != NULL) {
            if (!take_format(c, value))
                return -1;
        } else {
            argv[kept++] = argv[at++];
        }
    }
    argv[kept] = NULL;
    return kept;
}

/* What was said may wait in a buffer still; a script must not take a full disk for success. Who stopped reading knows. */
static int say_all(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    if (errno != EPIPE)
        fprintf(stderr, "baton: standard output: %s\n", strerror(errno));
    return status == CLI_OK ? CLI_FAILED : status;
}

int main(int argc, char **argv)
{
    struct cli c = {.kubeconfig = getenv("KUBECONFIG"), .namespace = "", .commands = cmd_table};
    int status = CLI_USAGE;

    signal(SIGPIPE, SIG_IGN);
    arena_init(&c.arena, CLI_MEMORY_MAX);
    c.is_terminal = isatty(STDOUT_FILENO);
    argc = take_common(&c, argc, argv);
    if (c.kubeconfig == NULL || c.kubeconfig[0] == '\0')
        c.kubeconfig = "/var/lib/baton/kubeconfig";

    const char *name = argc < 0 ? NULL : argc < 2 ? "help" : argv[1];
    if (name != NULL && (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0))
        name = "help";
    const struct cmd *cmd = name == NULL ? NULL : cmd_find(name);
    if (cmd != NULL && argc > 2 && strcmp(argv[2], "--help") == 0)
        status = cmd_find("help")->run(&c, 2, (char *[]){argv[0], argv[1], NULL});
    else if (cmd != NULL)
        status = cmd->run(&c, argc < 2 ? 1 : argc - 1, argc < 2 ? argv : argv + 1);
    else if (name != NULL)
        fprintf(stderr, "baton: there is no %s %s; baton help lists them\n",
                name[0] == '-' ? "option" : "command", name);

    client_close(c.client);
    arena_free(&c.arena);
    return say_all(status);
}
