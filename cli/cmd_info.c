/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"
#include "cli/resource.h"
#include "io/fs.h"

static uint32_t ready_count(const struct json *nodes, uint32_t *out_all)
{
    const struct json *items = json_find(nodes, STR("items"));
    uint32_t ready = 0;
    *out_all = items == NULL ? 0 : items->count;
    for (const struct json *n = items == NULL ? NULL : items->first; n != NULL; n = n->next) {
        const struct json *conditions = json_path(n, "status.conditions");
        for (const struct json *one = conditions == NULL ? NULL : conditions->first; one != NULL;
             one = one->next)
            ready += str_is(json_text(json_find(one, STR("type"))), "Ready") &&
                     str_is(json_text(json_find(one, STR("status"))), "True");
    }
    return ready;
}

static void place(const char *what, const char *dir, const char *name)
{
    char path[FS_PATH_MAX];
    if (fs_join(path, dir, name) && fs_exists(path))
        printf("  %-11s %s\n", what, path);
}

/* What deploy/up lays out beside the kubeconfig, where it did. */
static void show_places(struct cli *c)
{
    const char *slash = strrchr(c->kubeconfig, '/');
    if (slash == NULL)
        return;
    const char *dir =
        arena_dup(&c->arena, str_from(c->kubeconfig, (size_t)(slash - c->kubeconfig)));
    printf("places\n");
    place("kubeconfig", dir, slash + 1);
    place("programs", dir, "bin");
    place("store", dir, "control/store.db");
    place("authority", dir, "control/pki");
    place("agent", dir, "agent");
    place("images", dir, "images");
    place("logs", dir, "log");
}

static void show_object(struct cli *c, const struct json *version, uint32_t ready, uint32_t all)
{
    struct arena *a = &c->arena;
    struct json *info = json_new(a, JSON_OBJECT), *count = json_new(a, JSON_OBJECT);

    json_set(a, info, STR("server"), json_new_string(a, str_of(client_server(c->client))));
    json_set(a, info, STR("version"), json_copy(a, version));
    json_set(a, count, STR("all"), json_new_i64(a, all));
    json_set(a, count, STR("ready"), json_new_i64(a, ready));
    json_set(a, info, STR("nodes"), count);
    json_set(a, info, STR("kubeconfig"), json_new_string(a, str_of(c->kubeconfig)));
    print_object(c, info);
}

static int run(struct cli *c, int argc, char **argv)
{
    const struct json *version, *nodes;
    struct err e;
    uint32_t all;

    if (argc > 1)
        return cmd_usage(&cmd_info, "takes nothing, but %s was given", argv[1]);
    if (cli_client(c, &e) == NULL ||
        client_json(c->client, &c->arena, &(struct client_request){.path = "/version"}, &version,
                    &e) != ERR_OK ||
        client_json(c->client, &c->arena, &(struct client_request){.path = "/api/v1/nodes"}, &nodes,
                    &e) != ERR_OK)
        return cli_fail(&e);
    uint32_t ready = ready_count(nodes, &all);
    if (c->format != CLI_TEXT) {
        show_object(c, version, ready, all);
        return CLI_OK;
    }
    printf("cluster\n  %-11s %s\n  %-11s " STR_FMT "\n  %-11s %u of %u Ready\n", "server",
           client_server(c->client), "version",
           STR_ARG(json_text(json_find(version, STR("gitVersion")))), "nodes", ready, all);
    show_places(c);
    return CLI_OK;
}

const struct cmd cmd_info = {
    .name = "info",
    .args = "",
    .summary = "Say where everything is and how it is",
    .run = run,
};
