/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"
#include "cli/resource.h"

static int get_raw(struct cli *c, const char *path)
{
    struct client_reply reply;
    struct err e;

    if (cli_client(c, &e) == NULL ||
        client_ask(c->client, &c->arena, &(struct client_request){.path = path, .accept = "*/*"},
                   &reply, &e) != ERR_OK)
        return cli_fail(&e);
    fwrite(reply.body.at, 1, reply.body.len, reply.status < 300 ? stdout : stderr);
    if (reply.body.len > 0 && reply.body.at[reply.body.len - 1] != '\n')
        putchar('\n');
    return reply.status < 300 ? CLI_OK : CLI_FAILED;
}

static int get_resource(struct cli *c, const char *kind, const char *name, bool all, bool wide)
{
    struct resource r;
    const struct json *answer;
    struct err e;

    if (!resource_name_ok(str_of(name), &e) || resource_find(c, str_of(kind), &r, &e) != ERR_OK)
        return cli_fail(&e);
    const char *path = resource_path(c, &r, all ? STR("") : str_of(cli_namespace(c)), str_of(name));
    struct client_request request = {.path = path};
    if (c->format == CLI_TEXT)
        request.accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    if (client_json(c->client, &c->arena, &request, &answer, &e) != ERR_OK)
        return cli_fail(&e);
    const struct json *rows = json_find(answer, STR("rows"));
    if (c->format != CLI_TEXT)
        print_object(c, answer);
    else if (rows != NULL && rows->count > 0)
        print_table(c, answer, wide);
    else if (all || !r.namespaced)
        fprintf(stderr, "there are no " STR_FMT "\n", STR_ARG(r.plural));
    else
        fprintf(stderr, "there are no " STR_FMT " in namespace %s\n", STR_ARG(r.plural),
                cli_namespace(c));
    return CLI_OK;
}

/* KIND NAME, or KIND/NAME as other commands have it. */
static const char *split_name(struct cli *c, const char **kind, const char *name)
{
    const char *slash = strchr(*kind, '/');
    if (slash == NULL || name[0] != '\0')
        return name;
    *kind = arena_dup(&c->arena, str_from(*kind, (size_t)(slash - *kind)));
    return slash + 1;
}

static int run(struct cli *c, int argc, char **argv)
{
    const char *kind = NULL, *name = "", *raw;
    bool all = false, wide = false;

    for (int at = 1; at < argc;) {
        if ((raw = cmd_option(argc, argv, &at, "raw", 0)) != NULL)
            return raw[0] == '/' ? get_raw(c, raw)
                                 : cmd_usage(&cmd_get, "--raw wants a path, as in /readyz");
        if (cmd_flag(argv, &at, "all-namespaces", 'A'))
            all = true;
        else if (cmd_flag(argv, &at, "wide", 'w'))
            wide = true;
        else if (argv[at][0] == '-')
            return cmd_usage(&cmd_get, "there is no option %s", argv[at]);
        else if (kind == NULL)
            kind = argv[at++];
        else if (name[0] == '\0')
            name = argv[at++];
        else
            return cmd_usage(&cmd_get, "%s: one NAME at most", argv[at]);
    }
    if (kind == NULL)
        return cmd_usage(&cmd_get, "say what: pods, vmi, nodes, placements, ...");
    name = split_name(c, &kind, name);
    if (all && name[0] != '\0')
        return cmd_usage(&cmd_get, "a NAME is of one namespace: -A does not go with it");
    return get_resource(c, kind, name, all, wide);
}

const struct cmd cmd_get = {
    .name = "get",
    .args = "KIND [NAME] [-A] [--wide] | KIND/NAME | --raw PATH",
    .summary = "Show objects as the server's table, or as they are with -o",
    .help = "  -A, --all-namespaces   of every namespace\n"
            "  -w, --wide             the columns of less interest, too\n"
            "  --raw PATH             what the server answers there, as it is: --raw /readyz\n\n"
            "A KIND is a name as discovery has it: pods, pod, po.\n"
            "  baton get placements -A\n",
    .run = run,
};
