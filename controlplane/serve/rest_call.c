/* SPDX-License-Identifier: Apache-2.0 */
/* What every verb asks of its request: keys, the object a path names, query parameters. */
#include "controlplane/serve/rest_priv.h"

static struct str key_print(struct call *c, struct str namespace, struct str name)
{
    char text[INDEX_KEY_MAX + 1];
    struct index_key key = {c->schema->group, c->schema->plural, namespace, name};
    size_t len = index_key_print(&key, text);
    return len == 0 ? (struct str){NULL, 0} : arena_str(&c->r->arena, str_from(text, len));
}

struct str call_key(struct call *c, struct str name)
{
    return key_print(c, c->schema->namespaced ? c->r->at.namespace : STR(""), name);
}

struct str call_prefix(struct call *c)
{
    char text[INDEX_KEY_MAX + 1];
    if (c->schema->namespaced && c->r->at.namespace.len > 0)
        return key_print(c, c->r->at.namespace, STR(""));
    size_t len = index_prefix_all(c->schema->group, c->schema->plural, text);
    return arena_str(&c->r->arena, str_from(text, len));
}

struct cow_entry *call_find(struct call *c, struct str name)
{
    struct str key = call_key(c, name);
    index_snapshot_free(&c->snapshot);
    c->snapshot = index_snapshot(rest_index(c->r));
    return key.at == NULL ? NULL : index_find(&c->snapshot, key);
}

struct str entry_raw(const struct cow_entry *e)
{
    struct transcode_envelope env;
    struct err err;
    struct str raw = transcode_raw(blob_str(e->value));
    if (raw.at != NULL)
        return raw;
    return transcode_open(blob_str(e->value), &env, &err) == ERR_OK ? env.raw
                                                                    : (struct str){NULL, 0};
}

bool query_flag(const struct rest_request *r, const char *name)
{
    struct str value = rest_query(r, name);
    return value.at != NULL && !str_is(value, "false") && !str_is(value, "0");
}

bool query_i64(struct call *c, const char *name, int64_t *out)
{
    struct str text = rest_query(c->r, name);
    if (text.at == NULL || text.len == 0 || str_parse_i64(text, out) == ERR_OK)
        return true;
    bool is_number = text.len > 0;
    for (size_t i = text.at[0] == '-'; i < text.len; i++)
        is_number = is_number && text.at[i] >= '0' && text.at[i] <= '9';
    return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST,
                      "strconv.ParseInt: parsing \"" STR_FMT "\": %s", STR_ARG(text),
                      is_number ? "value out of range" : "invalid syntax");
}
