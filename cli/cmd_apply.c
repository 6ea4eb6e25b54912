/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manifest.h"
#include "cli/resource.h"

static enum err_code print_body(struct cli *c, const struct json *object, struct str *out,
                                struct err *e)
{
    struct buf body;
    buf_init(&body, MANIFEST_MAX);
    json_print(&body, object);
    *out = arena_str(&c->arena, buf_str(&body));
    buf_free(&body);
    return arena_status(&c->arena, e);
}

/* Create it; where it exists, merge what the manifest says into it: lists of named things by their names. */
static enum err_code apply_one(struct cli *c, struct json *object, struct err *e)
{
    struct manifest_target t;
    struct str body;
    const struct json *was, *now;
    const char *verb = "created";

    enum err_code code = manifest_find(c, object, &t, e);
    if (code == ERR_OK)
        code = print_body(c, object, &body, e);
    if (code != ERR_OK)
        return code;
    const char *one = resource_path(c, &t.resource, t.namespace, t.name);
    code = client_json(c->client, &c->arena, &(struct client_request){.path = one}, &was, e);
    if (code == ERR_NOT_FOUND) {
        const char *all = resource_path(c, &t.resource, t.namespace, STR(""));
        code = client_json(c->client, &c->arena,
                           &(struct client_request){.method = "POST", .path = all, .body = body},
                           &now, e);
    } else if (code == ERR_OK) {
        struct client_request patch = {.method = "PATCH",
                                       .path = one,
                                       .content_type = "application/strategic-merge-patch+json",
                                       .body = body};
        code = client_json(c->client, &c->arena, &patch, &now, e);
        if (code == ERR_OK)
            verb = str_eq(json_text(json_path(was, "metadata.resourceVersion")),
                          json_text(json_path(now, "metadata.resourceVersion")))
                       ? "unchanged"
                       : "configured";
    }
    if (code == ERR_OK)
        printf(STR_FMT "/" STR_FMT " %s\n", STR_ARG(t.resource.plural), STR_ARG(t.name), verb);
    return code;
}

static int run(struct cli *c, int argc, char **argv)
{
    struct manifest m = {0};
    const char *path;
    struct err e;

    for (int at = 1; at < argc;) {
        if ((path = cmd_option(argc, argv, &at, "filename", 'f')) == NULL)
            return cmd_usage(&cmd_apply, "%s is not an option", argv[at]);
        if (manifest_read(c, path, &m, &e) != ERR_OK)
            return cli_fail(&e);
    }
    if (m.count == 0)
        return cmd_usage(&cmd_apply, "-f FILE is missing");
    int status = CLI_OK;
    for (uint32_t i = 0; i < m.count; i++)
        if (apply_one(c, m.documents[i], &e) != ERR_OK)
            status = cli_fail(&e); /* The others may still be good. */
    return status;
}

const struct cmd cmd_apply = {
    .name = "apply",
    .args = "-f FILE...",
    .summary = "Create or update what a manifest says",
    .help =
        "  -f FILE   YAML or JSON, several documents; - reads standard input; may be said again\n\n"
        "What exists is merged with the manifest (a strategic merge patch). kubectl apply keeps a\n"
        "three-way history and so can also remove; this does not.\n",
    .run = run,
};
