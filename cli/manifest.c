/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manifest.h"
#include "api/yaml.h"
#include "io/fs.h"

static enum err_code read_text(struct cli *c, const char *path, struct str *out, struct err *e)
{
    struct buf text;
    char chunk[65536];
    size_t got;
    enum err_code code = ERR_OK;

    buf_init(&text, MANIFEST_MAX);
    if (strcmp(path, "-") != 0)
        code = fs_read(path, &text, e);
    else
        while ((got = fread(chunk, 1, sizeof chunk, stdin)) > 0)
            buf_add(&text, str_from(chunk, got));
    if (code == ERR_OK)
        code = buf_status(&text, e);
    if (code == ERR_OK)
        *out = arena_str(&c->arena, buf_str(&text));
    buf_free(&text);
    return code;
}

enum err_code manifest_read(struct cli *c, const char *path, struct manifest *m, struct err *e)
{
    struct json **read = arena_zalloc(&c->arena, YAML_DOCUMENTS_MAX, sizeof(struct json *));
    struct str text;
    uint32_t count = 0;

    if (m->documents == NULL)
        m->documents = arena_zalloc(&c->arena, YAML_DOCUMENTS_MAX, sizeof(struct json *));
    enum err_code code = arena_status(&c->arena, e);
    if (code == ERR_OK)
        code = read_text(c, path, &text, e);
    if (code != ERR_OK)
        return code;
    code = yaml_parse(&c->arena, text, read, &count, e);
    if (code == ERR_OK && count == 0)
        code = err_set(e, ERR_INVALID, "it holds no object");
    if (code == ERR_OK && count > YAML_DOCUMENTS_MAX - m->count)
        code = err_set(e, ERR_LIMIT, "more than %d objects in all", YAML_DOCUMENTS_MAX);
    if (code != ERR_OK)
        return err_wrap(e, "%s", path);
    memcpy(m->documents + m->count, read, count * sizeof(struct json *));
    m->count += count;
    return ERR_OK;
}

enum err_code manifest_find(struct cli *c, const struct json *object, struct manifest_target *out,
                            struct err *e)
{
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
    return ERR_OK;
}
