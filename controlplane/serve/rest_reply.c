/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: an object in the form the client wants, or a Status that says why not. */
#include "api/list.h"
#include "api/meta.h"
#include "api/table.h"
#include "api/yaml.h"
#include "controlplane/serve/rest_priv.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    ROW_ARENA_MAX = 32 << 20, /* One object as tree and as struct. */
    JSON_TIMES = 3,           /* What JSON takes of protobuf's bytes, about. */
};

static const struct schema_message *meta_message(const char *name)
{
    char full[96];
    snprintf(full, sizeof full, "k8s.io.apimachinery.pkg.apis.meta.v1.%s", name);
    return schema_message(str_of(full));
}

/* ------------------------------------------------------------------ bodies */

void reply_text(struct call *c, uint32_t code, const char *content_type, struct str text)
{
    rest_reply(c->r, code, content_type, blob_new(text));
}

static void retry_header(struct call *c)
{
    char text[16];
    if (c->status.retry_after == 0)
        return;
    snprintf(text, sizeof text, "%u", c->status.retry_after);
    rest_set_header(c->r, "retry-after", arena_str(&c->r->arena, str_of(text)));
}

/* Last resort: the answer itself cannot be made. */
static void reply_broken(struct call *c)
{
    reply_text(c, 500, "text/plain; charset=utf-8", STR("the answer is over a limit\n"));
}

static int by_key(const void *a, const void *b)
{
    return str_cmp((*(struct json *const *)a)->key, (*(struct json *const *)b)->key);
}

/* Members by name, as Kubernetes prints YAML. */
void members_sort(struct json *value, struct arena *a, bool deep)
{
    for (struct json *i = value->first; deep && i != NULL; i = i->next)
        members_sort(i, a, deep);
    uint32_t count = value->count, at = 0;
    struct json **members = arena_zalloc(a, count, sizeof *members);
    if (value->type != JSON_OBJECT || members == NULL)
        return;
    while (value->first != NULL) {
        members[at++] = value->first;
        json_remove(value->first);
    }
    qsort(members, count, sizeof *members, by_key);
    for (uint32_t i = 0; i < count; i++)
        json_set(a, value, members[i]->key, members[i]);
}

static void yaml_from_json(struct call *c, struct str json, struct buf *out)
{
    struct json *tree;
    struct err e;
    if (json_parse(&c->r->arena, json, &tree, &e) != ERR_OK)
        return;
    members_sort(tree, &c->r->arena, true);
    yaml_print(out, tree);
}

void yaml_split(struct json *tree, struct str list, bool is_empty, struct arena *a,
                struct buf *before, struct buf *after)
{
    struct json *behind = json_new(a, JSON_OBJECT), *i, *next;
    members_sort(tree, a, true);
    struct json *at = json_find(tree, list);
    if (at == NULL || behind == NULL)
        return; /* The arena is full, and says so. */
    for (i = at->next; i != NULL; i = next) {
        next = i->next;
        json_remove(i);
        json_set(a, behind, i->key, i);
    }
    json_remove(at);
    yaml_print(before, tree);
    buf_printf(before, STR_FMT ":%s\n", STR_ARG(list), is_empty ? " []" : "");
    if (behind->first != NULL)
        yaml_print(after, behind);
}

void reply_json(struct call *c, uint32_t code, struct buf *json)
{
    struct buf other;
    struct err e;
    buf_init(&other, REST_REPLY_MAX);
    if (c->form.type == FORM_YAML)
        yaml_from_json(c, buf_str(json), &other);
    else if (c->form.pretty && c->form.type == FORM_JSON) {
        json_indent(&other, str_trim(buf_str(json)));
    }
    struct buf *out = other.len > 0 ? &other : json;
    if (buf_status(out, &e) == ERR_OK)
        rest_reply(c->r, code, form_content_type(&c->form, false), buf_blob(out));
    else
        reply_broken(c);
    buf_free(&other);
    buf_free(json);
}

static bool status_protobuf(struct call *c, struct str json, struct buf *out)
{
    const struct schema_message *m = meta_message("Status");
    struct buf raw;
    struct err e;
    buf_init(&raw, REST_REPLY_MAX);
    bool made =
        m != NULL && transcode_from_json(m, json, &c->r->arena, NULL, NULL, &raw, &e) == ERR_OK;
    struct transcode_envelope env = {{STR("v1"), STR("Status")}, buf_str(&raw)};
    if (made)
        transcode_wrap(&env, out);
    buf_free(&raw);
    return made;
}

/* Whoever gives up for want of memory may have had none left to say so: that is not a success, and not somebody's fault. */
static void say_why(struct call *c)
{
    bool is_mute = c->status.message.len == 0 && c->r->arena.overflow;
    if (is_mute)
        c->status = (struct status){
            .row = STATUS_TOO_LARGE,
            .message = STR("Request entity too large: it needs more memory than a request may")};
}

void reply_status(struct call *c)
{
    struct buf json, bytes;
    struct err e;
    say_why(c);
    uint32_t code =
        c->status.row == STATUS_SUCCESS && c->status.code == 0 ? 200 : status_code(&c->status);
    buf_init(&json, REST_REPLY_MAX);
    status_json(&c->status, &json);
    retry_header(c);
    if (c->form.type != FORM_PROTOBUF) {
        reply_json(c, code, &json);
        return;
    }
    buf_init(&bytes, REST_REPLY_MAX);
    if (status_protobuf(c, buf_str(&json), &bytes) && buf_status(&bytes, &e) == ERR_OK)
        rest_reply(c->r, code, form_content_type(&c->form, false), buf_blob(&bytes));
    else
        reply_broken(c);
    buf_free(&bytes);
    buf_free(&json);
}

void reply_err(struct call *c, const struct err *e)
{
    status_err(&c->status, &c->r->arena, e);
    reply_status(c);
}

/* ------------------------------------------------------------------ an object */

static struct str meta_version(const struct call *c)
{
    return c->form.beta ? STR("meta.k8s.io/v1beta1") : STR("meta.k8s.io/v1");
}

static enum err_code partial_json(struct call *c, struct str raw, uint64_t revision,
                                  struct buf *out, struct err *e)
{
    struct transcode_json how = {meta_version(c), STR("PartialObjectMetadata"), revision, NULL};
    if (c->partial == NULL) /* Found by its name: not for each of many rows. */
        c->partial = meta_message("PartialObjectMetadata");
    return transcode_to_json(c->partial, meta_partial(raw), &how, out, e);
}

static enum err_code whole_json(struct call *c, struct str raw, uint64_t revision, struct buf *out,
                                struct err *e)
{
    struct transcode_json how = {c->schema->api_version, c->schema->kind, revision, rest_texts(c)};
    return transcode_to_json(c->schema->message, raw, &how, out, e);
}

/* A row of a Table, its ages left open. */
static enum err_code row_json(struct call *c, struct str raw, uint64_t revision, struct buf *out,
                              struct err *e)
{
    struct arena row; /* Not the request's: a list has many rows, and a watch never ends. */
    arena_init(&row, ROW_ARENA_MAX);
    enum err_code rc = table_row_begin(c->kind, raw, &row, out, e);
    arena_free(&row);
    if (rc != ERR_OK)
        return rc;
    if (c->form.include == INCLUDE_NONE)
        buf_add(out, STR("null"));
    else if (c->form.include == INCLUDE_OBJECT)
        rc = whole_json(c, raw, revision, out, e);
    else
        rc = partial_json(c, raw, revision, out, e);
    table_row_end(out);
    return rc;
}

MUST_USE enum err_code object_json(struct call *c, struct str raw, uint64_t revision,
                                   bool with_columns, struct buf *out, struct err *e)
{
    if (c->form.as == AS_OBJECT)
        return whole_json(c, raw, revision, out, e);
    if (c->form.as != AS_TABLE)
        return partial_json(c, raw, revision, out, e);
    struct list_head head = {.api_version = meta_version(c),
                             .kind = STR("Table"),
                             .revision = revision != 0 ? revision : meta_of(raw).revision,
                             .table = c->kind,
                             .no_columns = !with_columns};
    struct buf row;
    buf_init(&row, REST_REPLY_MAX);
    enum err_code rc = row_json(c, raw, revision, &row, e);
    list_json_begin(out, &head);
    table_tell(buf_str(&row), rest_wall(c->r), out);
    list_json_end(out);
    buf_free(&row);
    return rc;
}

enum err_code item_json(struct call *c, struct str raw, struct buf *out, struct err *e)
{
    if (c->form.as == AS_TABLE)
        return row_json(c, raw, 0, out, e);
    if (c->form.as != AS_OBJECT)
        return partial_json(c, raw, 0, out, e);
    struct transcode_json how = {.texts = rest_texts(c)};
    return transcode_to_json(c->schema->message, raw, &how, out, e);
}

void items_tell(struct call *c, struct str items, struct buf *out)
{
    if (c->form.as == AS_TABLE)
        table_tell(items, rest_wall(c->r), out);
    else
        buf_add(out, items);
}

static void reply_protobuf(struct call *c, uint32_t code, struct str envelope, struct str raw)
{
    struct buf bytes;
    struct err e;
    buf_init(&bytes, REST_REPLY_MAX);
    if (c->form.as == AS_PARTIAL) {
        struct transcode_envelope env = {{meta_version(c), STR("PartialObjectMetadata")},
                                         meta_partial(raw)};
        transcode_wrap(&env, &bytes);
    } else {
        buf_add(&bytes, envelope);
    }
    if (buf_status(&bytes, &e) == ERR_OK)
        rest_reply(c->r, code, form_content_type(&c->form, false), buf_blob(&bytes));
    else
        reply_broken(c);
    buf_free(&bytes);
}

void reply_object(struct call *c, uint32_t code, struct str envelope)
{
    struct transcode_envelope env;
    struct buf json;
    struct err e;
    enum err_code rc = transcode_open(envelope, &env, &e);
    if (rc != ERR_OK) {
        e.code = ERR_CORRUPT; /* Stored bytes: whatever is wrong, it is not the client's fault. */
        err_wrap(&e, "the stored object does not decode");
        reply_err(c, &e);
        return;
    }
    if (c->form.as == AS_PARTIAL_LIST) {
        status_set(&c->status, &c->r->arena, STATUS_NOT_ACCEPTABLE,
                   "you requested PartialObjectMetadataList, but the requested object is not a "
                   "list (*core." STR_FMT ")",
                   STR_ARG(c->schema->kind));
        c->form = (struct form){.type = FORM_JSON};
        reply_status(c);
        return;
    }
    if (c->form.type == FORM_PROTOBUF) {
        reply_protobuf(c, code, envelope, env.raw);
        return;
    }
    buf_init(&json, REST_REPLY_MAX);
    (void)buf_reserve(&json, JSON_TIMES * env.raw.len);
    rc = object_json(c, env.raw, 0, true, &json, &e);
    buf_add_char(&json, '\n');
    if (rc == ERR_OK) {
        reply_json(c, code, &json);
        return;
    }
    buf_free(&json);
    if (rc == ERR_CORRUPT)
        err_wrap(&e, "the stored object does not decode");
    reply_err(c, &e);
}

/* ------------------------------------------------------------------ refusals */

/* "leases.coordination.k8s.io" */
static struct str resource_text(struct call *c)
{
    struct str group = c->schema->group, plural = c->schema->plural;
    return arena_printf(&c->r->arena, STR_FMT "%s" STR_FMT, STR_ARG(plural),
                        group.len == 0 ? "" : ".", STR_ARG(group));
}

bool not_found(struct call *c, struct str name)
{
    struct str what = resource_text(c);
    status_set(&c->status, &c->r->arena, STATUS_NOT_FOUND, STR_FMT " \"" STR_FMT "\" not found",
               STR_ARG(what), STR_ARG(name));
    status_details(&c->status, c->schema->group, c->schema->plural, name);
    return false;
}

bool conflict(struct call *c, struct str name)
{
    struct str what = resource_text(c);
    status_set(&c->status, &c->r->arena, STATUS_CONFLICT,
               "Operation cannot be fulfilled on " STR_FMT " \"" STR_FMT
               "\": the object has been modified; please apply your changes to the latest version "
               "and try again",
               STR_ARG(what), STR_ARG(name));
    status_details(&c->status, c->schema->group, c->schema->plural, name);
    return false;
}

static bool refused_exists(struct call *c, struct str name)
{
    struct str what = resource_text(c);
    struct cow_entry *e = call_find(c, name);
    bool leaving = e != NULL && meta_of(entry_raw(e)).is_deleting;
    status_set(&c->status, &c->r->arena, STATUS_EXISTS,
               "%s" STR_FMT " \"" STR_FMT "\" already exists",
               leaving ? "object is being deleted: " : "", STR_ARG(what), STR_ARG(name));
    status_details(&c->status, c->schema->group, c->schema->plural, name);
    return false;
}

static bool refused_terminating(struct call *c, struct str name)
{
    struct arena *a = &c->r->arena;
    struct str what = resource_text(c), ns = c->r->at.namespace;
    static const struct field metadata = {.name = "metadata"};
    struct field f = field_name(&metadata, "namespace");
    struct causes causes;
    causes_init(&causes, a);
    causes_add(&causes, CAUSE_TERMINATING, &f, "namespace " STR_FMT " is being terminated",
               STR_ARG(ns));
    status_set(&c->status, a, STATUS_FORBIDDEN,
               STR_FMT " \"" STR_FMT
                       "\" is forbidden: unable to create new content in namespace " STR_FMT
                       " because it is being terminated",
               STR_ARG(what), STR_ARG(name), STR_ARG(ns));
    status_details(&c->status, c->schema->group, c->schema->plural, name);
    c->status.causes = causes.first;
    return false;
}

static bool refused_with(struct call *c, enum status_row row, struct str name, const char *what,
                         struct str text)
{
    struct str resource = resource_text(c);
    status_set(&c->status, &c->r->arena, row, STR_FMT " \"" STR_FMT "\" %s" STR_FMT,
               STR_ARG(resource), STR_ARG(name), what, STR_ARG(text));
    status_details(&c->status, c->schema->group,
                   row == STATUS_INVALID ? c->schema->kind : c->schema->plural, name);
    return false;
}

/* kubectl drain asks again every five seconds; a Retry-After would make its client library ask ten times first. */
static bool refused_disrupts(struct call *c, struct str text)
{
    struct causes causes;
    causes_init(&causes, &c->r->arena);
    causes_add(&causes, CAUSE_DISRUPTION, NULL, STR_FMT, STR_ARG(text));
    status_set(&c->status, &c->r->arena, STATUS_TOO_MANY,
               "Cannot evict pod as it would violate the pod's disruption budget.");
    c->status.retry_after = 0;
    c->status.has_details = true;
    c->status.causes = causes.first;
    return false;
}

bool write_refused(struct call *c, struct str name, const struct rest_written *w)
{
    struct arena *a = &c->r->arena;
    struct str ns = c->r->at.namespace;
    switch (w->result) {
    case WRITE_OK:
        break;
    case WRITE_EXISTS:
        return refused_exists(c, name);
    case WRITE_NOT_FOUND:
        return not_found(c, name);
    case WRITE_STALE:
        return conflict(c, name);
    case WRITE_OTHER_UID:
        return refused_with(c, STATUS_CONFLICT, name, "has another uid: ", w->text);
    case WRITE_NO_NAMESPACE:
        status_set(&c->status, a, STATUS_NOT_FOUND, "namespaces \"" STR_FMT "\" not found",
                   STR_ARG(ns));
        status_details(&c->status, STR(""), STR("namespaces"), ns);
        return false;
    case WRITE_TERMINATING:
        return refused_terminating(c, name);
    case WRITE_DENIED:
        return refused_with(c, STATUS_FORBIDDEN, name, "is forbidden: ", w->text);
    case WRITE_DISRUPTS:
        return refused_disrupts(c, w->text);
    case WRITE_INVALID:
        return refused_with(c, STATUS_INVALID, name, "is invalid: ", w->text);
    case WRITE_TOO_LARGE:
        return status_set(&c->status, a, STATUS_TOO_LARGE, "Request entity too large: " STR_FMT,
                          STR_ARG(w->text));
    case WRITE_BUSY:
        return status_set(&c->status, a, STATUS_TOO_MANY,
                          "too many writes are waiting, please try again later");
    case WRITE_STORE_FULL:
        return status_set(&c->status, a, STATUS_STORE_FULL,
                          "nothing can be written until the store has room again: " STR_FMT,
                          STR_ARG(w->text));
    case WRITE_UNAVAILABLE:
        return status_set(&c->status, a, STATUS_UNAVAILABLE, "the store is unavailable: " STR_FMT,
                          STR_ARG(w->text));
    }
    return status_set(&c->status, a, STATUS_INTERNAL, "the write ended in an unknown way");
}

bool options_forbidden(struct call *c, const char *field, const char *why)
{
    struct causes causes;
    struct field f = field_name(NULL, field);
    causes_init(&causes, &c->r->arena);
    causes_add(&causes, CAUSE_FORBIDDEN, &f, "%s", why);
    return status_invalid(&c->status, STR("meta.k8s.io"), STR("ListOptions"), STR(""), &causes);
}

bool options_unsupported(struct call *c, const char *options, const char *field, struct str value,
                         const char *values)
{
    struct causes causes;
    struct field f = field_name(NULL, field);
    causes_init(&causes, &c->r->arena);
    causes_add(&causes, CAUSE_NOT_SUPPORTED, &f, STR_FMT ": supported values: %s", STR_ARG(value),
               values);
    return status_invalid(&c->status, STR("meta.k8s.io"), str_of(options), STR(""), &causes);
}

void warn(struct call *c, struct str text)
{
    struct str quoted = status_quote(&c->r->arena, text);
    rest_set_header(c->r, "warning", arena_printf(&c->r->arena, "299 - " STR_FMT, STR_ARG(quoted)));
}
