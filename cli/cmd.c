/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include "cli/client.h"

#include <stdarg.h>

extern const struct cmd cmd_apply, cmd_get, cmd_help, cmd_info, cmd_kubeconfig, cmd_logs, cmd_node,
    cmd_plan, cmd_run, cmd_store, cmd_token, cmd_topo, cmd_version, cmd_wait, cmd_why;

/* In the order help shows them: look, do, set up. */
const struct cmd *const cmd_table[] = {
    &cmd_info,  &cmd_node,       &cmd_topo,    &cmd_why,     &cmd_doctor, &cmd_plan,
    &cmd_get,   &cmd_logs,       &cmd_console, &cmd_run,     &cmd_apply,  &cmd_wait,
    &cmd_token, &cmd_kubeconfig, &cmd_store,   &cmd_version, &cmd_help,   NULL,
};

int cmd_usage(const struct cmd *cmd, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "baton %s: ", cmd->name);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\nusage: baton %s %s\n", cmd->name, cmd->args);
    return CLI_USAGE;
}

int cli_fail(const struct err *e)
{
    fprintf(stderr, "baton: %s\n", e->text);
    return CLI_FAILED;
}

const char *cmd_option(int argc, char **argv, int *at, const char *name, char shorthand)
{
    const char *arg = argv[*at];
    size_t len = strlen(name);
    bool is_long = strncmp(arg, "--", 2) == 0 && strncmp(arg + 2, name, len) == 0;

    if (is_long && arg[2 + len] == '=') {
        ++*at;
        return arg + 3 + len;
    }
    bool is_short = shorthand != 0 && arg[0] == '-' && arg[1] == shorthand && arg[2] == '\0';
    if (!(is_long && arg[2 + len] == '\0') && !is_short)
        return NULL;
    *at += 1;
    return *at < argc ? argv[(*at)++] : "";
}

bool cmd_flag(char **argv, int *at, const char *name, char shorthand)
{
    const char *arg = argv[*at];
    bool hit = (strncmp(arg, "--", 2) == 0 && strcmp(arg + 2, name) == 0) ||
               (shorthand != 0 && arg[0] == '-' && arg[1] == shorthand && arg[2] == '\0');
    *at += hit;
    return hit;
}

struct client *cli_client(struct cli *c, struct err *e)
{
    if (c->client == NULL && client_open(c->kubeconfig, &c->client, e) != ERR_OK)
        return NULL;
    return c->client;
}

const char *cli_namespace(struct cli *c)
{
    if (c->namespace[0] != '\0')
        return c->namespace;
    const char *given = c->client == NULL ? "" : client_namespace(c->client);
    return given[0] == '\0' ? "default" : given;
}
