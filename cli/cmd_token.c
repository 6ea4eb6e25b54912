/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"
#include "cli/resource.h"

static int run(struct cli *c, int argc, char **argv)
{
    const struct json *answer;
    struct err e;
    const char *ttl = "3600", *value;
    uint64_t seconds;

    if (argc < 2 || strcmp(argv[1], "create") != 0)
        return cmd_usage(&cmd_token, "say create");
    for (int at = 2; at < argc;) {
        if ((value = cmd_option(argc, argv, &at, "ttl", 0)) == NULL)
            return cmd_usage(&cmd_token, "%s is not an option", argv[at]);
        ttl = value;
    }
    if (str_parse_u64(str_of(ttl), &seconds) != ERR_OK || seconds < 60 || seconds > 86400 * 7)
        return cmd_usage(&cmd_token, "--ttl %s is not 60 to 604800 seconds", ttl);
    if (cli_client(c, &e) == NULL)
        return cli_fail(&e);
    struct str body = arena_printf(&c->arena, "{\"ttlSeconds\":%s}", ttl);
    if (client_json(c->client, &c->arena,
                    &(struct client_request){
                        .method = "POST", .path = "/apis/baton.dev/v1/jointokens", .body = body},
                    &answer, &e) != ERR_OK)
        return cli_fail(&e);
    if (c->format != CLI_TEXT)
        print_object(c, answer);
    else
        printf(STR_FMT "\n", STR_ARG(json_text(json_find(answer, STR("token")))));
    return CLI_OK;
}

const struct cmd cmd_token = {
    .name = "token",
    .args = "create [--ttl SECONDS]",
    .summary = "Make a token with which one machine may join",
    .help = "  --ttl SECONDS   how long it is good for (default 3600)\n\n"
            "On the other machine: deploy/up --join HOST:PORT --token TOKEN\n"
            "The token is stored hashed, holds the CA's fingerprint, and is used up by one join.\n",
    .run = run,
};
