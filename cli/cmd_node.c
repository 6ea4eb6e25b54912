/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"
#include "cli/resource.h"

/* The name may be taken by another machine's key from now on; what the node holds stays until it is deleted. */
static int forget(struct cli *c, const char *node)
{
    const struct json *answer;
    struct err e;

    if (!resource_name_ok(str_of(node), &e) || cli_client(c, &e) == NULL)
        return cli_fail(&e);
    struct resource secrets = {STR("v1"), STR("secrets"), STR("Secret"), true};
    struct str key = arena_printf(&c->arena, "node-key-%s", node);
    struct client_request ask = {.method = "DELETE",
                                 .path = resource_path(c, &secrets, STR("kube-system"), key)};
    enum err_code code = client_json(c->client, &c->arena, &ask, &answer, &e);
    if (code == ERR_NOT_FOUND)
        err_set(&e, code, "the name %s is bound to no key", node);
    if (code != ERR_OK)
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

    if (one && (argv[1][0] == '-' || strcmp(argv[1], "forget") == 0))
        return cmd_usage(
            &cmd_node, argv[1][0] == '-' ? "there is no option %s" : "%s: say which node", argv[1]);
    if (argc > 2)
        return cmd_usage(&cmd_node, "takes one NODE at most");
    if ((one && !resource_name_ok(str_of(argv[1]), &e)) || cli_client(c, &e) == NULL)
        return cli_fail(&e);
    struct resource nodes = {STR("v1"), STR("nodes"), STR("Node"), false};
    struct client_request request = {
        .path = resource_path(c, &nodes, STR(""), str_of(one ? argv[1] : ""))};
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
