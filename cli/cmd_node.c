/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"
#include "cli/resource.h"

/* The name may be taken by another machine's key from now on; what the node holds stays until it is deleted. */
static int forget(struct cli *c, const char *node)
{
    const struct json *answer;
    struct err e;

    if (cli_client(c, &e) == NULL)
        return cli_fail(&e);
    struct str path =
        arena_printf(&c->arena, "/api/v1/namespaces/kube-system/secrets/node-key-%s", node);
    if (client_json(c->client, &c->arena,
                    &(struct client_request){.method = "DELETE", .path = path.at}, &answer,
                    &e) != ERR_OK)
        return cli_fail(&e);
    printf("the name %s is bound to no key any more\n", node);
    return CLI_OK;
}

static int run(struct cli *c, int argc, char **argv)
{
    const struct json *answer;
    struct err e;
    bool one = argc > 1;

    if (argc == 3 && strcmp(argv[1], "forget") == 0)
        return forget(c, argv[2]);

    if (argc > 2)
        return cmd_usage(&cmd_node, "takes one NODE at most");
    if (cli_client(c, &e) == NULL)
        return cli_fail(&e);
    struct str path =
        arena_printf(&c->arena, "/api/v1/nodes%s%s", one ? "/" : "", one ? argv[1] : "");
    struct client_request request = {.path = path.at};
    if (c->format == CLI_TEXT)
        request.accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    if (client_json(c->client, &c->arena, &request, &answer, &e) != ERR_OK)
        return cli_fail(&e);
    if (c->format == CLI_TEXT)
        print_table(c, answer, true);
    else
        print_object(c, answer);
    return CLI_OK;
}

const struct cmd cmd_node = {
    .name = "node",
    .args = "[NODE] | forget NODE",
    .summary = "Show the nodes and how they are, or free a node's name",
    .help = "  forget NODE   the name is no longer bound to the key of its first join, so that "
            "another\n"
            "                machine, or this one with a new key, may join under it\n",
    .run = run,
};
