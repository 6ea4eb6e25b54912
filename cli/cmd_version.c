/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"
#include "cli/cmd.h"
#include "cli/print.h"

static int run(struct cli *c, int argc, char **argv)
{
    const struct json *server;
    struct err e;

    if (argc > 1)
        return cmd_usage(&cmd_version, "takes nothing, but %s was given", argv[1]);
    if (c->format == CLI_TEXT)
        printf("client  %s\n", BATON_VERSION);
    if (cli_client(c, &e) == NULL ||
        client_json(c->client, &c->arena, &(struct client_request){.path = "/version"}, &server,
                    &e) != ERR_OK)
        return cli_fail(&e);
    if (c->format != CLI_TEXT) {
        struct json *both = json_new(&c->arena, JSON_OBJECT),
                    *own = json_new(&c->arena, JSON_OBJECT);
        json_set(&c->arena, own, STR("gitVersion"), json_new_string(&c->arena, STR(BATON_VERSION)));
        json_set(&c->arena, both, STR("clientVersion"), own);
        json_set(&c->arena, both, STR("serverVersion"), json_copy(&c->arena, server));
        print_object(c, both);
        return CLI_OK;
    }
    printf("server  " STR_FMT "  at %s\n", STR_ARG(json_text(json_find(server, STR("gitVersion")))),
           client_server(c->client));
    return CLI_OK;
}

const struct cmd cmd_version = {
    .name = "version",
    .args = "",
    .summary = "Print the versions of this command and of the cluster",
    .run = run,
};
