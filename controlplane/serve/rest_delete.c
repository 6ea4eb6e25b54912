/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DELETE of one object or of a collection, and pods/eviction. What is left after a graceful delete is
 * the core's business; here are the options (body, then query) and the answer: Kubernetes gives
 * the object where it is still there or the kind does so, a Status otherwise.
 */
#include "api/list.h"
#include "api/meta.h"
#include "controlplane/serve/rest_read.h"
#include "controlplane/serve/rest_write.h"
#include "proto/k8s/meta_v1.pb-c.h"
#include "proto/k8s/policy_v1.pb-c.h"

enum { ITEMS_MAX = 8 << 20 };

struct deletion {
    struct str uid, propagation;
    int64_t grace_s;   /* -1: the object's own. */
    uint64_t revision; /* Precondition; 0: none. */
    bool dry_run, is_eviction;
    struct str name; /* Of the one being deleted. */
    /* A collection. */
    struct past past;
    struct past_cursor cursor;
    struct select select;
    bool is_collection;
    int64_t limit, deleted;
    struct buf items; /* As they were; at most ITEMS_MAX. */
    bool is_long;     /* There were more: the answer shows none. */
    struct str next;  /* metadata.continue of what the limit left over. */
};

/* ------------------------------------------------------------------ options */

static bool propagation_check(struct call *c, struct deletion *d)
{
    static const char *const known[] = {"Foreground", "Background", "Orphan"};
    bool fits = d->propagation.len == 0;
    for (size_t i = 0; i < COUNT_OF(known); i++)
        fits = fits || str_is(d->propagation, known[i]);
    return fits || options_unsupported(c, "DeleteOptions", "propagationPolicy",
                                       status_quote(&c->r->arena, d->propagation),
                                       "\"Foreground\", \"Background\", \"Orphan\", \"nil\"");
}

static bool both_policies(struct call *c, const struct deletion *d)
{
    struct causes causes;
    struct field f = field_name(NULL, "propagationPolicy");
    causes_init(&causes, &c->r->arena);
    causes_invalid(&causes, &f, d->propagation,
                   "orphanDependents and deletionPropagation cannot be both set");
    return status_invalid(&c->status, STR("meta.k8s.io"), STR("DeleteOptions"), STR(""), &causes);
}

static bool options_take(struct call *c, struct deletion *d, const Meta__DeleteOptions *o)
{
    if (o->has_grace_period_seconds)
        d->grace_s = o->grace_period_seconds < 0 ? 1 : o->grace_period_seconds;
    if (o->preconditions != NULL) {
        d->uid = kind_str(o->preconditions->uid);
        struct str version = kind_str(o->preconditions->resource_version);
        if (version.len > 0 && str_parse_u64(version, &d->revision) != ERR_OK)
            return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST,
                              "preconditions.resourceVersion: Invalid value");
    }
    d->propagation = kind_str(o->propagation_policy);
    if (o->has_orphan_dependents && d->propagation.len > 0)
        return both_policies(c, d);
    if (o->has_orphan_dependents)
        d->propagation = o->orphan_dependents ? STR("Orphan") : STR("Background");
    for (size_t i = 0; i < o->n_dry_run; i++) {
        struct str value = kind_str(o->dry_run[i]);
        d->dry_run = str_is(value, "All");
        struct str quoted = status_quote(&c->r->arena, value);
        if (!d->dry_run)
            return options_unsupported(
                c, "DeleteOptions", "dryRun",
                arena_printf(&c->r->arena, "[]string{" STR_FMT "}", STR_ARG(quoted)), "\"All\"");
    }
    return true;
}

static enum err_code options_decode(struct call *c, struct str body, struct buf *raw, struct err *e)
{
    const struct schema_message *m =
        schema_message(STR("k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions"));
    struct transcode_envelope env;
    struct transcode_head head = {0};
    if (m == NULL)
        return err_set(e, ERR_INVALID, "DeleteOptions are not known");
    if (!body_is_protobuf(c->r->content_type)) {
        enum err_code rc = transcode_from_json(m, body, &c->r->arena, NULL, &head, raw, e);
        if (rc == ERR_OK && head.kind.len > 0 && !str_is(head.kind, "DeleteOptions"))
            rc = err_set(e, ERR_INVALID, "no kind \"" STR_FMT "\" is DeleteOptions",
                         STR_ARG(head.kind));
        return rc;
    }
    enum err_code rc = transcode_open(body, &env, e);
    return rc == ERR_OK ? transcode_from_protobuf(m, env.raw, &c->r->arena, raw, e) : rc;
}

static bool options_body(struct call *c, struct deletion *d)
{
    const struct schema_message *m =
        schema_message(STR("k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions"));
    ProtobufCMessage *o = NULL;
    struct buf raw;
    struct err e;
    if (c->r->body.len == 0)
        return true;
    if (!body_type_known(c))
        return false;
    buf_init(&raw, 1 << 16);
    enum err_code rc = options_decode(c, c->r->body, &raw, &e);
    struct str bytes =
        rc == ERR_OK && raw.len > 0 ? arena_str(&c->r->arena, buf_str(&raw)) : STR("");
    if (rc == ERR_OK)
        rc = transcode_unpack(m, bytes, &c->r->arena, &o, &e);
    buf_free(&raw);
    if (rc != ERR_OK)
        return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST, "%s", e.text);
    return options_take(c, d, (const Meta__DeleteOptions *)o);
}

/* With a body its options win; the query is for clients that send none. */
static bool options_query(struct call *c, struct deletion *d)
{
    struct str policy = rest_query(c->r, "propagationPolicy");
    struct str orphan = rest_query(c->r, "orphanDependents");
    int64_t grace = -1;
    bool dry = false;
    if (!query_i64(c, "gracePeriodSeconds", &grace) || !dry_run_parse(c, "DeleteOptions", &dry))
        return false;
    if (rest_query(c->r, "gracePeriodSeconds").len > 0 && c->r->body.len == 0)
        d->grace_s = grace < 0 ? 1 : grace;
    if (policy.len > 0 && c->r->body.len == 0)
        d->propagation = policy;
    else if (orphan.at != NULL && c->r->body.len == 0)
        d->propagation = query_flag(c->r, "orphanDependents") ? STR("Orphan") : STR("Background");
    d->dry_run = d->dry_run || dry;
    return true;
}

/* ------------------------------------------------------------------ one */

static bool precondition(struct call *c, struct deletion *d, const struct rest_written *w)
{
    struct str kind = c->schema->kind, name = d->name;
    struct cow_entry *e = call_find(c, name);
    struct str uid = e == NULL ? STR("") : meta_of(entry_raw(e)).uid;
    if (w->result == WRITE_OTHER_UID)
        status_set(&c->status, &c->r->arena, STATUS_CONFLICT,
                   "Operation cannot be fulfilled on " STR_FMT " \"" STR_FMT
                   "\": the UID in the precondition (" STR_FMT
                   ") does not match the UID in record (" STR_FMT
                   "). The object might have been deleted and then recreated",
                   STR_ARG(kind), STR_ARG(name), STR_ARG(d->uid), STR_ARG(uid));
    else
        status_set(&c->status, &c->r->arena, STATUS_CONFLICT,
                   "Operation cannot be fulfilled on " STR_FMT " \"" STR_FMT
                   "\": the ResourceVersion in the precondition (%llu) does not match the "
                   "ResourceVersion in record (%llu). The object might have been modified",
                   STR_ARG(kind), STR_ARG(name), (unsigned long long)d->revision,
                   (unsigned long long)(e == NULL ? 0 : e->stamp));
    status_details(&c->status, c->schema->group, kind, name);
    return false;
}

static bool delete_ask(struct call *c, struct deletion *d)
{
    struct write_request request = {
        .verb = WRITE_DELETE,
        .key = call_key(c, d->name),
        .if_revision = d->revision,
        .if_uid = d->uid,
        .grace_seconds = d->grace_s,
        .propagation = d->propagation,
        .dry_run = d->dry_run,
        .evicts = d->is_eviction,
    };
    if (request.key.at == NULL)
        return not_found(c, d->name);
    return rest_write(c->r, &request) ||
           status_set(&c->status, &c->r->arena, STATUS_TOO_MANY,
                      "too many writes are waiting, please try again later");
}

static bool delete_refused(struct call *c, struct deletion *d, const struct rest_written *w)
{
    bool is_precondition = w->result == WRITE_OTHER_UID || w->result == WRITE_STALE;
    return is_precondition ? precondition(c, d, w) : write_refused(c, d->name, w);
}

/* What is deleted because it does not decode cannot be shown. */
static bool decodes(struct call *c, struct str raw)
{
    struct buf json;
    buf_init(&json, REST_REPLY_MAX);
    bool ok = transcode_to_json(c->schema->message, raw, NULL, &json, NULL) == ERR_OK;
    buf_free(&json);
    return ok;
}

static void delete_written(struct call *c, const struct rest_written *w)
{
    struct deletion *d = c->own;
    struct transcode_envelope env = {0};
    struct err e;
    if (w->result != WRITE_OK) {
        delete_refused(c, d, w);
        reply_status(c);
        return;
    }
    bool has_object = w->object != NULL && transcode_open(blob_str(w->object), &env, &e) == ERR_OK;
    bool is_leaving = !w->gone || (c->kind->flags & KIND_DELETED_BODY) != 0;
    if (has_object && is_leaving && !d->is_eviction && (!w->gone || decodes(c, env.raw))) {
        reply_object(c, 200, blob_str(w->object));
        return;
    }
    struct str uid = has_object ? meta_of(env.raw).uid : STR("");
    status_set(&c->status, &c->r->arena, STATUS_SUCCESS, "%s", "");
    if (d->is_eviction) {
        c->status.code = 201;
    } else {
        status_details(&c->status, c->schema->group, c->schema->plural, d->name);
        c->status.uid = arena_str(&c->r->arena, uid);
    }
    reply_status(c);
}

static void deletion_end(struct call *c)
{
    struct deletion *d = c->own;
    if (d->is_collection)
        past_close(&d->past);
    buf_free(&d->items);
}

static struct deletion *deletion_new(struct call *c)
{
    struct deletion *d = arena_zalloc(&c->r->arena, 1, sizeof *d);
    if (d == NULL) {
        rest_cut(c->r);
        return NULL;
    }
    d->grace_s = -1;
    d->name = c->r->at.name;
    buf_init(&d->items, REST_REPLY_MAX);
    c->own = d;
    c->end = deletion_end;
    return d;
}

void delete_begin(struct call *c)
{
    struct deletion *d = deletion_new(c);
    if (d == NULL)
        return;
    c->written = delete_written;
    if (!options_body(c, d) || !options_query(c, d) || !propagation_check(c, d) ||
        !delete_ask(c, d))
        reply_status(c);
}

/* ------------------------------------------------------------------ pods/eviction */

/* The body is a policy/v1 Eviction, or v1beta1's, which says the same: a delete that the disruption budgets must allow,
 * answered with 201. No body: with the pod's own grace. */
static bool eviction_take(struct call *c, struct deletion *d)
{
    ProtobufCMessage *object = NULL;
    struct err e;
    bool dry = false;
    if (c->r->body.len > 0 &&
        body_message(c, STR("k8s.io.api.policy.v1.Eviction"), &object, &e) != ERR_OK)
        return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST, "%s", e.text);
    const Policy__Eviction *v = (const Policy__Eviction *)object;
    struct str name = kind_str(v == NULL || v->metadata == NULL ? NULL : v->metadata->name);
    if (name.len > 0 && !str_eq(name, d->name))
        return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST,
                          "name in URL does not match name in Eviction object");
    if (v != NULL && v->delete_options != NULL && !options_take(c, d, v->delete_options))
        return false;
    if (!propagation_check(c, d) || !dry_run_parse(c, "CreateOptions", &dry))
        return false;
    d->dry_run = d->dry_run || dry;
    return true;
}

void evict_begin(struct call *c)
{
    struct deletion *d = deletion_new(c);
    if (d == NULL)
        return;
    d->is_eviction = true;
    c->written = delete_written;
    if (!eviction_take(c, d) || !delete_ask(c, d))
        reply_status(c);
}

/* ------------------------------------------------------------------ a collection */

static void collection_reply(struct call *c)
{
    struct deletion *d = c->own;
    struct buf out;
    struct str kind = c->schema->kind;
    struct list_head head = {.api_version = c->schema->api_version,
                             .kind = arena_printf(&c->r->arena, STR_FMT "List", STR_ARG(kind)),
                             .revision = d->past.revision,
                             .next = d->next};
    buf_init(&out, 2 * (size_t)REST_REPLY_MAX);
    list_json_begin(&out, &head);
    if (d->items.len > 0)
        buf_add(&out, buf_str(&d->items));
    list_json_end(&out);
    buf_add_char(&out, '\n');
    c->form = (struct form){.type = FORM_JSON, .pretty = c->form.pretty};
    reply_json(c, 200, &out);
}

static struct cow_entry *collection_next(struct deletion *d)
{
    struct cow_entry *e;
    while ((e = past_next(&d->cursor, &d->past)) != NULL)
        if (select_is_all(&d->select) || select_matches(&d->select, entry_raw(e)))
            return e;
    return NULL;
}

static void collection_step(struct call *c)
{
    struct deletion *d = c->own;
    struct cow_entry *e = collection_next(d);
    struct index_key key;
    bool has_more = e != NULL && d->limit > 0 && d->deleted >= d->limit;
    if (has_more)
        d->next = page_token(&c->r->arena, d->past.prefix, cow_entry_key(e), d->past.revision);
    if (e == NULL || has_more || !index_key_parse(cow_entry_key(e), &key)) {
        collection_reply(c);
        return;
    }
    if (c->schema->namespaced)
        c->r->at.namespace = key.namespace;
    d->name = key.name;
    if (!delete_ask(c, d))
        reply_status(c);
}

/* For the answer. What does not decode, or would be too long, is deleted all the same: half a collection is no answer. */
static void collection_keep(struct call *c, const struct blob *object)
{
    struct deletion *d = c->own;
    struct transcode_envelope env;
    struct err e;
    size_t len = d->items.len;
    if (d->is_long || object == NULL || transcode_open(blob_str(object), &env, &e) != ERR_OK)
        return;
    if (len > 0)
        buf_add_char(&d->items, ',');
    if (transcode_to_json(c->schema->message, env.raw, NULL, &d->items, &e) != ERR_OK &&
        !d->items.overflow)
        d->items.len = len;
    d->is_long = d->items.overflow || d->items.len > ITEMS_MAX;
    if (d->is_long)
        buf_free(&d->items);
}

static void collection_written(struct call *c, const struct rest_written *w)
{
    struct deletion *d = c->own;
    if (w->result != WRITE_OK && w->result != WRITE_NOT_FOUND) {
        delete_refused(c, d, w);
        reply_status(c);
        return;
    }
    collection_keep(c, w->object);
    d->deleted++;
    collection_step(c);
}

void delete_collection_begin(struct call *c)
{
    struct deletion *d = deletion_new(c);
    struct err e;
    if (d == NULL)
        return;
    c->written = collection_written;
    if (!options_body(c, d) || !options_query(c, d) || !propagation_check(c, d) ||
        !query_i64(c, "limit", &d->limit) || !select_parse(c, &d->select)) {
        reply_status(c);
        return;
    }
    enum err_code rc = past_open(&d->past, rest_index(c->r), rest_history(c->r), call_prefix(c), 0,
                                 &c->r->arena, &e);
    if (rc != ERR_OK) {
        reply_err(c, &e);
        return;
    }
    d->is_collection = true;
    past_seek(&d->cursor, &d->past, STR(""));
    collection_step(c);
}
