/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"
#include "cli/resource.h"

static int run(struct cli *c, int argc, char **argv)
{
    const struct json *answer;
    struct err e;
    bool one = argc > 1;

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
    .args = "[NODE]",
    .summary = "Show the nodes and how they are",
    .run = run,
};
