/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/logs.h"

#include "cli/resource.h"

static bool to_stdout(void *owner, struct str bytes)
{
    (void)owner;
    return fwrite(bytes.at, 1, bytes.len, stdout) == bytes.len && fflush(stdout) == 0;
}

int logs_show(struct cli *c, const char *workload, const struct logs_options *o)
{
    struct resource r;
    const struct json *object;
    struct client_reply reply;
    struct err e;

    if (workload_get(c, workload, &r, &object, &e) != ERR_OK)
        return cli_fail(&e);
    struct str query =
        arena_printf(&c->arena, "follow=%s&previous=%s&timestamps=%s", o->follow ? "true" : "false",
                     o->previous ? "true" : "false", o->timestamps ? "true" : "false");
    if (o->container != NULL)
        query = arena_printf(&c->arena, STR_FMT "&container=" STR_FMT, STR_ARG(query),
                             STR_ARG(resource_escape(c, str_of(o->container))));
    if (o->tail != NULL)
        query = arena_printf(&c->arena, STR_FMT "&tailLines=%s", STR_ARG(query), o->tail);
    if (o->since_s != NULL)
        query = arena_printf(&c->arena, STR_FMT "&sinceSeconds=%s", STR_ARG(query), o->since_s);
    struct str path =
        arena_printf(&c->arena, "%s/log?" STR_FMT,
                     resource_path(c, &r, json_text(json_path(object, "metadata.namespace")),
                                   json_text(json_path(object, "metadata.name"))),
                     STR_ARG(query));
    struct client_request request = {.path = path.at, .accept = "*/*", .bytes = to_stdout};
    if (client_ask(c->client, &c->arena, &request, &reply, &e) != ERR_OK)
        return cli_fail(&e);
    if (reply.status < 300)
        return CLI_OK;
    struct json *status;
    struct str message =
        str_slice(reply.body, 0, 160); /* Of HTTP's own refusals, which are no Status. */
    if (json_parse(&c->arena, reply.body, &status, &e) == ERR_OK)
        message = json_text(json_find(status, STR("message")));
    err_set(&e, ERR_INVALID, STR_FMT, STR_ARG(str_trim(message)));
    return cli_fail(&e);
}

static int run(struct cli *c, int argc, char **argv)
{
    struct logs_options o = {0};
    const char *workload = NULL, *value;

    for (int at = 1; at < argc;) {
        if (cmd_flag(argv, &at, "follow", 'f'))
            o.follow = true;
        else if (cmd_flag(argv, &at, "previous", 'p'))
            o.previous = true;
        else if (cmd_flag(argv, &at, "timestamps", 0))
            o.timestamps = true;
        else if ((value = cmd_option(argc, argv, &at, "tail", 0)) != NULL)
            o.tail = value;
        else if ((value = cmd_option(argc, argv, &at, "since", 0)) != NULL)
            o.since_s = value;
        else if ((value = cmd_option(argc, argv, &at, "container", 'c')) != NULL)
            o.container = value;
        else if (argv[at][0] == '-' || workload != NULL)
            return cmd_usage(&cmd_logs, "%s is not an option", argv[at]);
        else
            workload = argv[at++];
    }
    uint64_t number;
    if (workload == NULL)
        return cmd_usage(&cmd_logs, "say of which workload");
    if (o.tail != NULL && str_parse_u64(str_of(o.tail), &number) != ERR_OK)
        return cmd_usage(&cmd_logs, "--tail %s is not a number of lines", o.tail);
    if (o.since_s != NULL && (!cmd_seconds(o.since_s, &number) || number == 0))
        return cmd_usage(&cmd_logs, "--since %s is not a span of time like 90s or 5m", o.since_s);
    if (o.since_s != NULL)
        o.since_s = arena_printf(&c->arena, "%llu", (unsigned long long)number).at;
    return logs_show(c, workload, &o);
}

const struct cmd cmd_logs = {
    .name = "logs",
    .args = "WORKLOAD [-f] [--tail N] [--since SPAN] [--previous] [--timestamps] [-c CONTAINER]",
    .summary = "Print what a container wrote, or what a guest wrote on its serial line",
    .help = "  -f, --follow           go on as it writes, until it ends\n"
            "  --tail N               the last N lines\n"
            "  --since SPAN           what was written in the last 90s, 5m, 1h30m\n"
            "  -p, --previous         of the life before this one, when it was started anew\n"
            "  --timestamps           each line's time before it\n"
            "  -c, --container NAME   of a pod with several\n",
    .run = run,
};
