/* SPDX-License-Identifier: Apache-2.0 */
#include "api/meta.h"
#include "api/typed.h"

/* ObjectMeta (k8s.io/apimachinery/pkg/apis/meta/v1). */
enum {
    META_NAME = 1,
    META_GENERATE_NAME = 2,
    META_NAMESPACE = 3,
    META_UID = 5,
    META_RESOURCE_VERSION = 6,
    META_GENERATION = 7,
    META_CREATED = 8,
    META_DELETED = 9,
    META_GRACE = 10,
    META_LABELS = 11,
    META_OWNERS = 13,
    META_FINALIZERS = 14,
};

enum { UNKNOWN_TYPE = 1, UNKNOWN_RAW = 2 }; /* runtime.Unknown */
enum { TYPE_API_VERSION = 1, TYPE_KIND = 2 };
enum { OBJECT_METADATA = 1 };
enum { TIME_SECONDS = 1 };
enum {
    OWNER_KIND = 1,
    OWNER_NAME = 3,
    OWNER_UID = 4,
    OWNER_API_VERSION = 5,
    OWNER_CONTROLLER = 6,
    OWNER_BLOCKS = 7
};

static const struct str MAGIC = {"k8s\0", 4};

static enum err_code broken(struct err *e)
{
    return err_set(e, ERR_CORRUPT, "the object's encoding is broken");
}

/* ---- Reading ---- */

/* out_type: the TypeMeta message. */
static enum err_code open_envelope(struct str envelope, struct str *out_type, struct str *out_raw,
                                   struct err *e)
{
    struct str type = {NULL, 0}, raw = {NULL, 0};
    struct wire_field f;
    if (!str_starts(envelope, MAGIC))
        return err_set(e, ERR_CORRUPT, "the object has no envelope");
    struct wire_reader r = wire_read(str_slice(envelope, MAGIC.len, envelope.len));
    while (wire_next(&r, &f)) {
        if (f.number == UNKNOWN_RAW && f.type == WIRE_BYTES && raw.at != NULL)
            return broken(e); /* Two objects in one envelope: others might see the other one. */
        if (f.number == UNKNOWN_RAW && f.type == WIRE_BYTES)
            raw = f.bytes;
        if (f.number == UNKNOWN_TYPE && f.type == WIRE_BYTES)
            type = f.bytes;
    }
    if (r.broken)
        return broken(e);
    *out_type = type;
    *out_raw = raw;
    return ERR_OK;
}

enum err_code meta_type(struct str envelope, struct meta_type *out, struct err *e)
{
    struct str type, raw;
    enum err_code code = open_envelope(envelope, &type, &raw, e);
    if (code == ERR_OK)
        *out = (struct meta_type){.api_version = wire_find_bytes(type, TYPE_API_VERSION),
                                  .kind = wire_find_bytes(type, TYPE_KIND),
                                  .raw = raw};
    return code;
}

static int64_t time_seconds(struct str time)
{
    struct wire_reader r = wire_read(time);
    struct wire_field f;
    while (wire_next(&r, &f))
        if (f.number == TIME_SECONDS && f.type == WIRE_VARINT)
            return (int64_t)f.value;
    return 0;
}

static void meta_bytes(struct meta *m, const struct wire_field *f)
{
    uint64_t revision;
    switch (f->number) {
    case META_NAME:
        m->name = f->bytes;
        break;
    case META_GENERATE_NAME:
        m->generate_name = f->bytes;
        break;
    case META_NAMESPACE:
        m->namespace = f->bytes;
        break;
    case META_UID:
        m->uid = f->bytes;
        break;
    case META_RESOURCE_VERSION:
        m->revision = str_parse_u64(f->bytes, &revision) == ERR_OK ? revision : 0;
        break;
    case META_CREATED:
        m->is_created = true;
        m->created_s = time_seconds(f->bytes);
        break;
    case META_DELETED:
        m->is_deleting = true;
        m->deleted_s = time_seconds(f->bytes);
        break;
    case META_LABELS:
        m->labels_count++;
        break;
    case META_OWNERS:
        m->owners_count++;
        break;
    case META_FINALIZERS:
        m->finalizers_count++;
        break;
    }
}

/* False: the encoding is broken. */
static bool meta_scan(struct str object, struct meta *m)
{
    struct wire_field f;
    m->raw = wire_find_bytes(object, OBJECT_METADATA);
    struct wire_reader r = wire_read(m->raw);
    while (wire_next(&r, &f)) {
        if (f.type == WIRE_BYTES) {
            meta_bytes(m, &f);
        } else if (f.type == WIRE_VARINT && f.number == META_GENERATION) {
            m->generation = (int64_t)f.value;
        } else if (f.type == WIRE_VARINT && f.number == META_GRACE) {
            m->has_grace = true;
            m->grace_s = (int64_t)f.value;
        }
    }
    return !r.broken;
}

enum err_code meta_read(struct str envelope, struct meta *out, struct err *e)
{
    struct str type, raw;
    struct meta m = {0};
    enum err_code code = open_envelope(envelope, &type, &raw, e);
    if (code != ERR_OK)
        return code;
    if (!meta_scan(raw, &m))
        return broken(e);
    *out = m;
    return ERR_OK;
}

struct meta meta_of(struct str object)
{
    struct meta m = {0};
    (void)meta_scan(object, &m);
    return m;
}

struct str meta_partial(struct str object)
{
    struct wire_reader r = wire_read(object);
    struct wire_field f;
    if (!wire_next(&r, &f) || f.number != OBJECT_METADATA || f.type != WIRE_BYTES)
        return STR("");
    return str_slice(object, 0, (size_t)((const char *)r.at - object.at));
}

bool meta_next_finalizer(struct wire_reader *at, struct str *out)
{
    return wire_next_bytes(at, META_FINALIZERS, out);
}

bool meta_next_owner(struct wire_reader *at, struct meta_owner *out)
{
    struct str bytes;
    struct wire_field f;
    if (!wire_next_bytes(at, META_OWNERS, &bytes))
        return false;
    *out = (struct meta_owner){.kind = wire_find_bytes(bytes, OWNER_KIND),
                               .name = wire_find_bytes(bytes, OWNER_NAME),
                               .uid = wire_find_bytes(bytes, OWNER_UID),
                               .api_version = wire_find_bytes(bytes, OWNER_API_VERSION)};
    struct wire_reader r = wire_read(bytes);
    while (wire_next(&r, &f)) {
        if (f.number == OWNER_CONTROLLER && f.type == WIRE_VARINT)
            out->controller = f.value != 0;
        if (f.number == OWNER_BLOCKS && f.type == WIRE_VARINT)
            out->blocks = f.value != 0;
    }
    return true;
}

bool meta_next_label(struct wire_reader *at, struct str *out_key, struct str *out_value)
{
    struct str bytes;
    if (!wire_next_bytes(at, META_LABELS, &bytes))
        return false;
    *out_key = wire_find_bytes(bytes, 1);
    *out_value = wire_find_bytes(bytes, 2);
    return true;
}

bool meta_has_finalizer(const struct meta *m, struct str finalizer)
{
    struct wire_reader r = wire_read(m->raw);
    struct str have;
    while (meta_next_finalizer(&r, &have))
        if (str_eq(have, finalizer))
            return true;
    return false;
}

struct str meta_label(const struct meta *m, struct str key)
{
    struct wire_reader r = wire_read(m->raw);
    struct str have, value;
    while (meta_next_label(&r, &have, &value))
        if (str_eq(have, key))
            return value.at == NULL ? STR("") : value;
    return (struct str){NULL, 0};
}

/* ---- Writing ---- */

/* Where the writing of one ObjectMeta stands. Fields come by rising number, and so must they go. */
struct editing {
    const struct meta_edit *edit;
    struct buf *out;
    uint32_t done; /* Fields up to this number are decided. */
    bool label_done, finalizer_done;
};

static void put_time(struct buf *out, uint32_t number, int64_t seconds)
{
    size_t begin = wire_begin(out, number);
    if (seconds != 0)
        wire_put_u64(out, TIME_SECONDS, (uint64_t)seconds);
    wire_end(out, begin);
}

static void put_revision(struct buf *out, uint64_t revision)
{
    size_t begin = wire_begin(out, META_RESOURCE_VERSION);
    buf_add_u64(out, revision);
    wire_end(out, begin);
}

static void put_label(struct editing *w)
{
    if (w->label_done || w->edit->label_key.at == NULL)
        return;
    w->label_done = true;
    size_t begin = wire_begin(w->out, META_LABELS);
    wire_put_bytes(w->out, 1, w->edit->label_key);
    wire_put_bytes(w->out, 2, w->edit->label_value);
    wire_end(w->out, begin);
}

/* The edit's own value of a field, if it has one. */
static void put_field(struct editing *w, uint32_t number)
{
    const struct meta_edit *edit = w->edit;
    if (number == META_NAME && edit->name.at != NULL)
        wire_put_bytes(w->out, number, edit->name);
    else if (number == META_NAMESPACE && edit->namespace.at != NULL)
        wire_put_bytes(w->out, number, edit->namespace);
    else if (number == META_UID && edit->uid.at != NULL)
        wire_put_bytes(w->out, number, edit->uid);
    else if (number == META_RESOURCE_VERSION && edit->revision != 0)
        put_revision(w->out, edit->revision);
    else if (number == META_GENERATION && edit->generation != 0)
        wire_put_u64(w->out, number, (uint64_t)edit->generation);
    else if (number == META_CREATED && edit->set_created)
        put_time(w->out, number, edit->created_s);
    else if (number == META_DELETED && edit->set_deleted)
        put_time(w->out, number, edit->deleted_s);
    else if (number == META_GRACE && edit->set_deleted)
        wire_put_u64(w->out, number, (uint64_t)edit->grace_s);
    else if (number == META_LABELS)
        put_label(w);
    else if (number == META_FINALIZERS && edit->add_finalizer.at != NULL && !w->finalizer_done) {
        w->finalizer_done = true;
        wire_put_bytes(w->out, number, edit->add_finalizer);
    }
}

static void put_fields_before(struct editing *w, uint32_t number)
{
    while (w->done + 1 < number && w->done < META_FINALIZERS)
        put_field(w, ++w->done);
}

/* Is what the object had under that number not to be kept? */
static bool is_replaced(const struct meta_edit *edit, uint32_t number)
{
    switch (number) {
    case META_NAME:
        return edit->name.at != NULL;
    case META_NAMESPACE:
        return edit->namespace.at != NULL;
    case META_UID:
        return edit->uid.at != NULL;
    case META_RESOURCE_VERSION:
        return true;
    case META_GENERATION:
        return edit->generation != 0;
    case META_CREATED:
        return edit->set_created;
    case META_DELETED:
    case META_GRACE:
        return edit->set_deleted || edit->clear_deleted;
    }
    return false;
}

/* True: the element stays. Our own label goes to its place by key, our finalizer behind the others. */
static bool keep_element(struct editing *w, const struct wire_field *f)
{
    const struct meta_edit *edit = w->edit;
    if (f->type != WIRE_BYTES)
        return true;
    if (f->number == META_LABELS && edit->label_key.at != NULL) {
        int order = str_cmp(wire_find_bytes(f->bytes, 1), edit->label_key);
        if (order >= 0)
            put_label(w);
        return order != 0;
    }
    if (f->number == META_OWNERS && edit->drop_owner_uid.at != NULL)
        return !str_eq(wire_find_bytes(f->bytes, OWNER_UID), edit->drop_owner_uid);
    if (f->number == META_FINALIZERS) {
        if (edit->add_finalizer.at != NULL && str_eq(f->bytes, edit->add_finalizer))
            w->finalizer_done = true;
        return (edit->drop_finalizer.at == NULL || !str_eq(f->bytes, edit->drop_finalizer)) &&
               (edit->drop_finalizer_too.at == NULL || !str_eq(f->bytes, edit->drop_finalizer_too));
    }
    return true;
}

static bool put_meta(struct str old, const struct meta_edit *edit, struct buf *out)
{
    struct editing w = {.edit = edit, .out = out};
    struct wire_reader r = wire_read(old);
    struct wire_field f;
    const uint8_t *begin = r.at;
    for (; wire_next(&r, &f); begin = r.at) {
        put_fields_before(&w, f.number);
        if (is_replaced(edit, f.number) || !keep_element(&w, &f))
            continue;
        buf_add(out, str_from(begin, (size_t)(r.at - begin)));
    }
    put_fields_before(&w, UINT32_MAX);
    return !r.broken;
}

static bool put_object(struct str old, const struct meta_edit *edit, struct buf *out)
{
    struct wire_reader r = wire_read(old);
    struct wire_field f;
    size_t begin = wire_begin(out, OBJECT_METADATA);
    bool ok = put_meta(wire_find_bytes(old, OBJECT_METADATA), edit, out);
    wire_end(out, begin);
    struct str rest = STR("");
    const uint8_t *field = r.at;
    for (; wire_next(&r, &f); field = r.at)
        if (f.number !=
            OBJECT_METADATA) { /* Canonical bytes: everything else follows in one piece. */
            rest = str_from(field, (size_t)(r.end - field));
            break;
        }
    if (edit->put_count > 0)
        ok = ok && typed_put_fields(rest, edit->put, edit->put_count, out);
    else
        buf_add(out, rest);
    return ok && !r.broken;
}

enum err_code meta_write(struct str envelope, const struct meta_edit *edit, struct buf *out,
                         struct err *e)
{
    struct wire_field f;
    bool ok = true, raw_done = false;
    if (!str_starts(envelope, MAGIC))
        return err_set(e, ERR_CORRUPT, "the object has no envelope");
    buf_add(out, MAGIC);
    struct wire_reader r = wire_read(str_slice(envelope, MAGIC.len, envelope.len));
    const uint8_t *field = r.at;
    for (; wire_next(&r, &f); field = r.at) {
        if (f.number == UNKNOWN_RAW && f.type == WIRE_BYTES && raw_done)
            return broken(e);
        if (f.number == UNKNOWN_RAW && f.type == WIRE_BYTES) {
            size_t begin = wire_begin(out, UNKNOWN_RAW);
            ok = put_object(f.bytes, edit, out);
            wire_end(out, begin);
            raw_done = true;
        } else {
            buf_add(out, str_from(field, (size_t)(r.at - field)));
        }
    }
    if (!ok || r.broken || !raw_done)
        return broken(e);
    return ERR_OK;
}
