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
        print_object(c, server);
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
