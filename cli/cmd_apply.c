/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manifest.h"
#include "cli/resource.h"

struct target {
    struct resource resource;
    struct str name, namespace;
    struct str body;
};

static enum err_code find_target(struct cli *c, struct json *object, struct target *out,
                                 struct err *e)
{
    struct buf body;
    struct str kind = json_text(json_find(object, STR("kind")));
    struct str given = json_text(json_path(object, "metadata.namespace"));

    enum err_code code = resource_of_kind(c, json_text(json_find(object, STR("apiVersion"))), kind,
                                          &out->resource, e);
    if (code != ERR_OK)
        return code;
    out->name = json_text(json_path(object, "metadata.name"));
    if (out->name.len == 0)
        return err_set(e, ERR_INVALID, STR_FMT ": metadata.name is missing", STR_ARG(kind));
    out->namespace = given.len > 0 ? given : str_of(cli_namespace(c));
    buf_init(&body, MANIFEST_MAX);
    json_print(&body, object);
    out->body = arena_str(&c->arena, buf_str(&body));
    buf_free(&body);
    return arena_status(&c->arena, e);
}

/* Create it; where it exists, merge what the manifest says into it: lists of named things by their names. */
static enum err_code apply_one(struct cli *c, struct json *object, struct err *e)
{
    struct target t;
    const struct json *was, *now;
    const char *verb = "created";

    enum err_code code = find_target(c, object, &t, e);
    if (code != ERR_OK)
        return code;
    const char *one = resource_path(c, &t.resource, t.namespace, t.name);
    code = client_json(c->client, &c->arena, &(struct client_request){.path = one}, &was, e);
    if (code == ERR_NOT_FOUND) {
        const char *all = resource_path(c, &t.resource, t.namespace, STR(""));
        code = client_json(c->client, &c->arena,
                           &(struct client_request){.method = "POST", .path = all, .body = t.body},
                           &now, e);
    } else if (code == ERR_OK) {
        struct client_request patch = {.method = "PATCH",
                                       .path = one,
                                       .content_type = "application/strategic-merge-patch+json",
                                       .body = t.body};
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
    const char *path = NULL, *value;
    struct json **documents;
    struct err e;
    uint32_t count;

    for (int at = 1; at < argc;) {
        if ((value = cmd_option(argc, argv, &at, "filename", 'f')) == NULL)
            return cmd_usage(&cmd_apply, "%s is not an option", argv[at]);
        path = value;
    }
    if (path == NULL || path[0] == '\0')
        return cmd_usage(&cmd_apply, "-f FILE is missing");
    if (manifest_read(c, path, &documents, &count, &e) != ERR_OK)
        return cli_fail(&e);
    if (count == 0)
        return cmd_usage(&cmd_apply, "%s holds no object", path);
    int status = CLI_OK;
    for (uint32_t i = 0; i < count; i++)
        if (apply_one(c, documents[i], &e) != ERR_OK)
            status = cli_fail(&e); /* The others may still be good. */
    return status;
}

const struct cmd cmd_apply = {
    .name = "apply",
    .args = "-f FILE",
    .summary = "Create or update what a manifest says",
    .help =
        "  -f FILE   YAML or JSON, several documents; - reads standard input\n\n"
        "What exists is merged with the manifest (a strategic merge patch). kubectl apply keeps a\n"
        "three-way history and so can also remove; this does not.\n",
    .run = run,
};
