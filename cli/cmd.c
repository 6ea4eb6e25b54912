/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

#include "cli/client.h"
#include "cli/print.h"

#include <stdarg.h>
#include <stdlib.h>

int cmd_usage(const struct cmd *cmd, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "baton %s: ", cmd->name);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\nusage: baton %s%s%s\n", cmd->name, cmd->args[0] == '\0' ? "" : " ",
            cmd->args);
    return CLI_USAGE;
}

int cli_fail(const struct err *e)
{
    fputs("baton: ", stderr);
    print_complaint(str_of(e->text));
    putc('\n', stderr);
    return CLI_FAILED;
}

static const char *needed(const char *value, const char *name)
{
    if (value[0] != '\0')
        return value;
    fprintf(stderr, "baton: --%s needs a value\n", name);
    exit(CLI_USAGE);
}

const char *cmd_option(int argc, char **argv, int *at, const char *name, char shorthand)
{
    const char *arg = argv[*at];
    size_t len = strlen(name);
    bool is_long = strncmp(arg, "--", 2) == 0 && strncmp(arg + 2, name, len) == 0;

    if (is_long && arg[2 + len] == '=') {
        ++*at;
        return needed(arg + 3 + len, name);
    }
    bool is_short = shorthand != 0 && arg[0] == '-' && arg[1] == shorthand && arg[2] == '\0';
    if (!(is_long && arg[2 + len] == '\0') && !is_short)
        return NULL;
    *at += 1;
    return needed(*at < argc ? argv[(*at)++] : "", name);
}

bool cmd_flag(char **argv, int *at, const char *name, char shorthand)
{
    const char *arg = argv[*at];
    bool hit = (strncmp(arg, "--", 2) == 0 && strcmp(arg + 2, name) == 0) ||
               (shorthand != 0 && arg[0] == '-' && arg[1] == shorthand && arg[2] == '\0');
    *at += hit;
    return hit;
}

bool cmd_seconds(const char *text, uint64_t *out_s)
{
    static const struct {
        char name;
        uint64_t seconds;
    } units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    struct str rest = str_of(text);
    uint64_t all = 0, number;

    if (str_parse_u64(rest, out_s) == ERR_OK)
        return true;
    for (size_t i = 0; i < COUNT_OF(units) && rest.len > 0; i++) {
        size_t end = str_find(rest, units[i].name, 0);
        if (end == rest.len)
            continue;
        if (str_parse_u64(str_slice(rest, 0, end), &number) != ERR_OK || number > UINT32_MAX)
            return false;
        all += number * units[i].seconds;
        rest = str_slice(rest, end + 1, rest.len);
    }
    if (rest.len > 0 || text[0] == '\0')
        return false;
    *out_s = all;
    return true;
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
