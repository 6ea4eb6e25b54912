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
    if (!cmd_seconds(ttl, &seconds) || seconds < 60 || seconds > 86400 * 7)
        return cmd_usage(&cmd_token, "--ttl %s is not a span of time from 60s to 7d", ttl);
    if (cli_client(c, &e) == NULL)
        return cli_fail(&e);
    struct str body = arena_printf(&c->arena, "{\"ttlSeconds\":%llu}", (unsigned long long)seconds);
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
    .args = "create [--ttl SPAN]",
    .summary = "Make a token with which one machine may join",
    .help = "  --ttl SPAN   how long it is good for, 60s to 7d (default 1h)\n\n"
            "On the other machine: deploy/up --join HOST:PORT --token TOKEN\n"
            "The token is stored hashed, holds the CA's fingerprint, and is used up by one join.\n",
    .run = run,
};
