/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/rest_write.h"
#include "api/meta.h"
#include "proto/k8s/core_v1.pb-c.h"

enum { PACKED_LEAST = 2 << 10 }; /* Most objects fit: nothing grows on the way. */

/* ------------------------------------------------------------------ options */

bool dry_run_parse(struct call *c, const char *options, bool *out)
{
    struct str value = rest_query(c->r, "dryRun");
    if (value.at == NULL || str_is(value, "All")) {
        *out = value.at != NULL;
        return true;
    }
    struct str quoted = status_quote(&c->r->arena, value);
    return options_unsupported(c, options, "dryRun",
                               arena_printf(&c->r->arena, "[]string{" STR_FMT "}", STR_ARG(quoted)),
                               "\"All\"");
}

bool change_options(struct call *c, struct change *w, const char *options)
{
    struct str fields = rest_query(c->r, "fieldValidation");
    w->strictness = FIELDS_WARN;
    if (str_is(fields, "Ignore"))
        w->strictness = FIELDS_IGNORE;
    else if (str_is(fields, "Strict"))
        w->strictness = FIELDS_STRICT;
    else if (fields.len > 0 && !str_is(fields, "Warn"))
        return options_unsupported(c, options, "fieldValidation",
                                   status_quote(&c->r->arena, fields),
                                   "\"\", \"Ignore\", \"Strict\", \"Warn\"");
    return dry_run_parse(c, options, &w->dry_run);
}

static enum kind_write door_of(const struct call *c, bool is_create)
{
    struct str sub = c->r->at.subresource;
    if (is_create)
        return KIND_CREATE;
    if (str_is(sub, "status"))
        return KIND_STATUS;
    if (str_is(sub, "finalize"))
        return KIND_FINALIZE;
    if (str_is(sub, "ephemeralcontainers"))
        return KIND_EPHEMERAL;
    return KIND_UPDATE;
}

/* ------------------------------------------------------------------ metadata against the URL */

bool change_bad(struct call *c, const char *why)
{
    return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST, "%s", why);
}

static bool namespace_fits(struct call *c, Meta__ObjectMeta *m)
{
    struct str ns = c->schema->namespaced ? c->r->at.namespace : STR("");
    struct str given = kind_str(m->namespace_);
    if (given.len > 0 && !str_eq(given, ns) && c->schema->namespaced)
        return change_bad(c, "the namespace of the provided object does not match the namespace "
                             "sent on the request");
    m->namespace_ = ns.len == 0 ? NULL : arena_dup(&c->r->arena, ns);
    return true;
}

static bool name_fits(struct call *c, const Meta__ObjectMeta *m)
{
    struct str url = c->r->at.name, given = kind_str(m->name);
    if (str_eq(url, given))
        return true;
    if (given.len == 0)
        return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST,
                          "the name of the object (" STR_FMT
                          " based on URL) was undeterminable: name must be provided",
                          STR_ARG(url));
    return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST,
                      "the name of the object (" STR_FMT ") does not match the name on the URL "
                      "(" STR_FMT ")",
                      STR_ARG(given), STR_ARG(url));
}

static bool uid_fits(struct call *c, const Meta__ObjectMeta *m, const Meta__ObjectMeta *old)
{
    struct str given = kind_str(m->uid), is = kind_str(old->uid), name = c->r->at.name;
    struct str plural = c->schema->plural;
    if (given.len == 0 || str_eq(given, is))
        return true;
    status_set(&c->status, &c->r->arena, STATUS_CONFLICT,
               "Operation cannot be fulfilled on " STR_FMT " \"" STR_FMT
               "\": Precondition failed: UID in precondition: " STR_FMT
               ", UID in object meta: " STR_FMT,
               STR_ARG(plural), STR_ARG(name), STR_ARG(given), STR_ARG(is));
    status_details(&c->status, c->schema->group, plural, name);
    return false;
}

/* The client's own version, where it gave one: the optimistic lock. */
static bool version_fits(struct call *c, struct change *w, const Meta__ObjectMeta *m)
{
    struct str text = kind_str(m->resource_version);
    uint64_t version = 0;
    if (text.len == 0)
        return true;
    if (str_parse_u64(text, &version) != ERR_OK)
        return status_set(&c->status, &c->r->arena, STATUS_BAD_REQUEST,
                          "metadata.resourceVersion: Invalid value: \"" STR_FMT
                          "\": must be a number that the server gave",
                          STR_ARG(text));
    w->is_exact = version != 0;
    return version == 0 || version == w->old->stamp || conflict(c, w->name);
}

/* ------------------------------------------------------------------ to the core */

static void change_answer(struct call *c, uint32_t code, struct str envelope)
{
    struct change *w = c->own;
    if (w->done != NULL)
        w->done(c);
    else
        reply_object(c, code, envelope);
}

/* What was tried and not written: the object still has the version it had. */
static void change_tried(struct call *c, struct str envelope)
{
    struct change *w = c->own;
    struct meta_edit edit = {.revision = w->old->stamp};
    struct buf out;
    struct err e;
    buf_init(&out, REST_REPLY_MAX);
    if (meta_write(envelope, &edit, &out, &e) == ERR_OK)
        change_answer(c, 200, buf_str(&out));
    else
        reply_err(c, &e);
    buf_free(&out);
}

static void change_written(struct call *c, const struct rest_written *written)
{
    struct change *w = c->own;
    bool is_stale = written->result == WRITE_STALE && w->old != NULL;
    if (is_stale && !w->is_exact && w->again != NULL && ++w->attempts < CHANGE_ATTEMPTS_MAX) {
        w->again(c);
        return;
    }
    if (written->result == WRITE_OK && w->dry_run && w->old != NULL) {
        change_tried(c, blob_str(written->object));
        return;
    }
    if (written->result == WRITE_OK) {
        change_answer(c, w->old == NULL && w->done == NULL ? 201 : 200, blob_str(written->object));
        return;
    }
    write_refused(c, w->name, written);
    reply_status(c);
}

static void change_warn(struct call *c)
{
    struct change *w = c->own;
    for (; w->warned < w->prepared.warnings_count && w->warned < 8; w->warned++)
        warn(c, w->prepared.warnings[w->warned]);
}

static struct blob *change_envelope(struct call *c, struct str raw)
{
    struct transcode_envelope env = {{c->schema->api_version, c->schema->kind}, raw};
    struct buf out;
    buf_init(&out, REST_REPLY_MAX);
    (void)buf_reserve(&out, transcode_wrap_len(&env.head, raw.len) + 1); /* It becomes the blob. */
    transcode_wrap(&env, &out);
    struct blob *blob = buf_blob(&out);
    buf_free(&out);
    return blob;
}

/* What the object was made of goes while it is still in the cache: the next request gets that memory, and hundreds of
 * creates that wait for the disk hold little. */
static void change_forget(struct call *c)
{
    struct change *w = c->own;
    char name[INDEX_KEY_MAX];
    size_t len = w->name.len;
    if (!w->forgets || c->r->reply_headers_count > 0 || len > sizeof name)
        return;
    if (len > 0)
        memcpy(name, w->name.at, len);
    arena_rewind(&c->r->arena, &w->mark);
    w->prepared = (struct kind_call){0};
    w->name = arena_str(&c->r->arena, str_from(name, len));
}

static void change_write(struct call *c, struct str raw, const Meta__ObjectMeta *m)
{
    struct change *w = c->own;
    bool is_create = w->old == NULL;
    struct blob *object = change_envelope(c, raw);
    struct write_request request = {
        .verb = is_create ? WRITE_CREATE : WRITE_REPLACE,
        .key = call_key(c, w->name),
        .generate = is_create && w->name.len == 0 ? kind_str(m->generate_name) : STR(""),
        .object = object,
        .if_revision = is_create ? 0 : w->old->stamp,
        .grace_seconds = -1,
        .dry_run = w->dry_run,
    };
    c->written = change_written;
    bool is_asked = object != NULL && request.key.at != NULL && rest_write(c->r, &request);
    blob_unref(object);
    if (is_asked) {
        change_forget(c);
        return;
    }
    if (object == NULL || request.key.at == NULL)
        status_set(&c->status, &c->r->arena, STATUS_TOO_LARGE,
                   "Request entity too large: the object or its name is over the limit");
    else
        status_set(&c->status, &c->r->arena, STATUS_TOO_MANY,
                   "too many writes are waiting, please try again later");
    reply_status(c);
}

/* ------------------------------------------------------------------ preparing */

ProtobufCMessage *change_unpack(struct call *c, struct str raw)
{
    ProtobufCMessage *object;
    struct err e;
    enum err_code rc = transcode_unpack(c->schema->message, raw, &c->r->arena, &object, &e);
    if (rc == ERR_OK)
        return object;
    status_err(&c->status, &c->r->arena, &e);
    return NULL;
}

static bool pack(struct call *c, const ProtobufCMessage *object, struct str *out)
{
    const struct change *w = c->own;
    struct buf raw;
    struct err e;
    buf_init(&raw, REST_REPLY_MAX);
    (void)buf_reserve(&raw, PACKED_LEAST);
    enum err_code rc = transcode_pack(c->schema->message, object, &c->r->arena, &raw, &e);
    if (w->known != NULL)
        buf_add(&raw, w->known->behind);
    if (rc == ERR_OK)
        *out = arena_str(&c->r->arena, raw.len == 0 ? STR("") : buf_str(&raw));
    buf_free(&raw);
    return rc == ERR_OK || status_err(&c->status, &c->r->arena, &e);
}

/* Where a bad prefix was given, a message names the name that it would have become. */
static struct str shown_name(struct call *c, const Meta__ObjectMeta *m)
{
    struct change *w = c->own;
    if (w->name.len > 0 || is_empty_text(m->generate_name))
        return w->name;
    return arena_printf(&c->r->arena, "%s" STR_FMT, m->generate_name,
                        STR_ARG(kind_suffix(&w->prepared)));
}

static bool denied(struct call *c, const Meta__ObjectMeta *m, struct str why)
{
    struct str plural = c->schema->plural, name = kind_str(m == NULL ? NULL : m->name);
    status_set(&c->status, &c->r->arena, STATUS_FORBIDDEN,
               STR_FMT " \"" STR_FMT "\" is forbidden: " STR_FMT, STR_ARG(plural), STR_ARG(name),
               STR_ARG(why));
    status_details(&c->status, c->schema->group, plural, name);
    return false;
}

static struct str account_of(const struct call *c, const ProtobufCMessage *object)
{
    const struct change *w = c->own;
    return w->known != NULL ? w->known->account
                            : kind_str(((const Core__Pod *)object)->spec->service_account_name);
}

/* What other objects say of a new one, before it is judged, */
static void admit(struct call *c, const ProtobufCMessage *object)
{
    struct change *w = c->own;
    w->prepared.spec_is_prepared = w->known != NULL;
    if (w->known != NULL) /* They were asked. */
        return;
    if (admit_class_name(object, &w->class_name))
        admit_priority_class(c, w->class_name, &w->prepared.priority);
    admit_limits(c, &w->prepared);
}

/* and after it. */
static bool admitted(struct call *c, const ProtobufCMessage *object)
{
    struct str why;
    return object->descriptor != &core__pod__descriptor ||
           admit_account(c, account_of(c, object), &why) || denied(c, kind_meta_get(object), why);
}

static bool prepare(struct call *c, ProtobufCMessage *object, const ProtobufCMessage *old)
{
    struct change *w = c->own;
    kind_call_init(&w->prepared, &c->r->arena, w->door, rest_wall(c->r), rest_random(c->r));
    w->warned = 0;
    if (old == NULL)
        admit(c, object);
    if (kind_prepare(c->kind, &w->prepared, object, old))
        return old != NULL || admitted(c, object);
    if (w->prepared.denied.len > 0)
        return denied(c, kind_meta_get(object), w->prepared.denied);
    return status_invalid(&c->status, c->schema->group, c->schema->kind,
                          shown_name(c, kind_meta_get(object)), &w->prepared.causes);
}

/* True: the answer is the object as it is; nothing is written and nobody is told. */
static bool is_unchanged(const struct change *w, struct str raw)
{
    return w->old != NULL && str_eq(raw, entry_raw(w->old));
}

static bool change_make(struct call *c, ProtobufCMessage *object, struct str *out_raw)
{
    struct change *w = c->own;
    Meta__ObjectMeta *m = kind_meta(object, &c->r->arena);
    ProtobufCMessage *old = NULL;
    if (m == NULL || !namespace_fits(c, m))
        return m != NULL ? false : change_bad(c, "the object is too large");
    if (w->old != NULL) {
        old = change_unpack(c, entry_raw(w->old));
        if (old == NULL || !name_fits(c, m) || !uid_fits(c, m, kind_meta_get(old)) ||
            !version_fits(c, w, m) || !prepare(c, object, old))
            return false;
        kind_meta(object, &c->r->arena)->resource_version = kind_meta_get(old)->resource_version;
        return pack(c, object, out_raw);
    }
    if (!is_empty_text(m->resource_version))
        return change_bad(c, "resourceVersion should not be set on objects to be created");
    if (c->r->at.name.len > 0 && !name_fits(c, m))
        return false;
    w->name = kind_str(m->name);
    return prepare(c, object, NULL) && pack(c, object, out_raw);
}

void change_submit_message(struct call *c, ProtobufCMessage *object)
{
    struct change *w = c->own;
    struct str raw;
    struct err e;
    if (!change_make(c, object, &raw)) {
        change_warn(c);
        reply_status(c);
    } else if (arena_status(&c->r->arena, &e) != ERR_OK) {
        reply_err(c, &e);
    } else if (is_unchanged(w, raw)) {
        change_warn(c);
        change_answer(c, 200, blob_str(w->old->value));
    } else {
        if (w->known == NULL)
            kind_remark(c->kind, &w->prepared, raw, w->old == NULL ? STR("") : entry_raw(w->old));
        change_warn(c);
        known_keep(c, object, raw);
        change_write(c, raw, kind_meta_get(object));
    }
}

void change_submit(struct call *c, struct str raw)
{
    ProtobufCMessage *object = change_unpack(c, raw);
    if (object == NULL)
        reply_status(c);
    else
        change_submit_message(c, object);
}

bool change_find(struct call *c)
{
    struct change *w = c->own;
    w->name = c->r->at.name;
    w->old = call_find(c, w->name);
    return w->old != NULL || not_found(c, w->name);
}

/* ------------------------------------------------------------------ create, update */

struct change *change_new(struct call *c, bool is_create)
{
    struct change *w = arena_zalloc(&c->r->arena, 1, sizeof *w);
    if (w == NULL) {
        rest_cut(c->r);
        return NULL;
    }
    w->door = door_of(c, is_create);
    c->own = w;
    return w;
}

void create_begin(struct call *c)
{
    struct change *w = change_new(c, true);
    struct str raw;
    if (w == NULL)
        return;
    w->forgets = true;
    w->mark = arena_mark(&c->r->arena);
    if (change_options(c, w, "CreateOptions") &&
        (known_read(c, &raw) || body_read(c, w->strictness, &raw)))
        change_submit(c, raw);
    else
        reply_status(c);
}

/* Before anything is looked for: a body that is about another object is the client's mistake. */
static bool raw_name_fits(struct call *c, struct str raw)
{
    Meta__ObjectMeta m = META__OBJECT_META__INIT;
    m.name = arena_dup(&c->r->arena, meta_of(raw).name);
    return name_fits(c, &m);
}

static void update_again(struct call *c)
{
    struct change *w = c->own;
    struct str raw;
    enum strictness said = w->attempts > 0 ? FIELDS_IGNORE : w->strictness;
    if (!body_read(c, said, &raw)) {
        reply_status(c);
        return;
    }
    if (!raw_name_fits(c, raw)) {
        reply_status(c);
    } else if (change_find(c)) {
        change_submit(c, raw);
    } else if ((c->kind->flags & KIND_PUT_CREATES) && w->door == KIND_UPDATE) {
        w->door = KIND_CREATE;
        change_submit(c, raw);
    } else {
        reply_status(c);
    }
}

void update_begin(struct call *c)
{
    struct change *w = change_new(c, false);
    if (w == NULL)
        return;
    w->again = update_again;
    if (change_options(c, w, "UpdateOptions"))
        update_again(c);
    else
        reply_status(c);
}
