/* SPDX-License-Identifier: Apache-2.0 */
/* Names as in etcd's rpc.proto; the gateway prints and takes them in snake_case. */
#include "controlplane/store/store_etcd_wire.h"

#include "base/base64.h"
#include "base/jsonread.h"

#include <stdio.h>

/* ---- Requests ---- */

static void put_text(struct buf *out, const char *text)
{
    buf_add(out, str_of(text));
}

static void put_bytes(struct buf *out, const char *name, struct str bytes)
{
    buf_printf(out, "\"%s\":\"", name);
    buf_add_base64(out, bytes);
    buf_add_char(out, '"');
}

static void put_range_of(struct buf *out, struct str key, struct str end)
{
    put_bytes(out, "key", key);
    if (end.len > 0) {
        buf_add_char(out, ',');
        put_bytes(out, "range_end", end);
    }
}

static void next(struct etcd_txn *t)
{
    if (t->comma)
        buf_add_char(t->out, ',');
    t->comma = true;
}

void etcd_txn_begin(struct etcd_txn *t, struct buf *out)
{
    *t = (struct etcd_txn){.out = out};
    put_text(out, "{\"compare\":[");
}

void etcd_txn_value_is(struct etcd_txn *t, struct str key, struct str value)
{
    next(t);
    put_text(t->out, "{\"result\":\"EQUAL\",\"target\":\"VALUE\",");
    put_bytes(t->out, "key", key);
    buf_add_char(t->out, ',');
    put_bytes(t->out, "value", value);
    buf_add_char(t->out, '}');
}

void etcd_txn_modified_is(struct etcd_txn *t, struct str key, uint64_t revision)
{
    next(t);
    put_text(t->out, "{\"result\":\"EQUAL\",\"target\":\"MOD\",");
    put_bytes(t->out, "key", key);
    buf_printf(t->out, ",\"mod_revision\":\"%llu\"}", (unsigned long long)revision);
}

void etcd_txn_exists(struct etcd_txn *t, struct str key, bool exists)
{
    next(t);
    buf_printf(t->out, "{\"result\":\"%s\",\"target\":\"CREATE\",", exists ? "GREATER" : "EQUAL");
    put_bytes(t->out, "key", key);
    put_text(t->out, ",\"create_revision\":\"0\"}");
}

void etcd_txn_then(struct etcd_txn *t)
{
    put_text(t->out, "],\"success\":[");
    t->comma = false;
}

void etcd_txn_otherwise(struct etcd_txn *t)
{
    put_text(t->out, "],\"failure\":[");
    t->comma = false;
}

void etcd_txn_put(struct etcd_txn *t, struct str key, struct str value, uint64_t lease)
{
    next(t);
    put_text(t->out, "{\"request_put\":{");
    put_bytes(t->out, "key", key);
    buf_add_char(t->out, ',');
    put_bytes(t->out, "value", value);
    if (lease != 0)
        buf_printf(t->out, ",\"lease\":\"%llu\"", (unsigned long long)lease);
    put_text(t->out, "}}");
}

void etcd_txn_delete(struct etcd_txn *t, struct str key, struct str end)
{
    next(t);
    put_text(t->out, "{\"request_delete_range\":{");
    put_range_of(t->out, key, end);
    put_text(t->out, "}}");
}

void etcd_txn_get(struct etcd_txn *t, struct str key, struct str end, bool keys_only)
{
    next(t);
    put_text(t->out, "{\"request_range\":{");
    put_range_of(t->out, key, end);
    if (keys_only)
        put_text(t->out, ",\"keys_only\":true");
    put_text(t->out, "}}");
}

void etcd_txn_end(struct etcd_txn *t)
{
    put_text(t->out, "]}");
}

void etcd_range_print(struct buf *out, const struct etcd_range *r)
{
    buf_add_char(out, '{');
    put_range_of(out, r->key, r->end);
    if (r->limit > 0)
        buf_printf(out, ",\"limit\":\"%llu\"", (unsigned long long)r->limit);
    if (r->revision > 0)
        buf_printf(out, ",\"revision\":\"%llu\"", (unsigned long long)r->revision);
    buf_add_char(out, '}');
}

void etcd_number_print(struct buf *out, const char *name, uint64_t value)
{
    buf_printf(out, "{\"%s\":\"%llu\"}", name, (unsigned long long)value);
}

/* ---- Answers ---- */

struct reading {
    struct json_reader json;
    struct arena *arena;
    struct etcd_answer *out;
    uint64_t code;      /* gRPC's (google.golang.org/grpc/codes); 0: fine. */
    struct str message; /* Of an error. */
};

static bool read_message(struct reading *r);

/* A 64-bit number, as a string or bare. etcd's ids use all 64 bits and come as signed ones. */
static bool read_number(struct reading *r, uint64_t *out)
{
    enum json_type type;
    struct str text;
    int64_t negative;
    if (!json_read_type(&r->json, &type))
        return false;
    if (type == JSON_STRING ? !json_read_string(&r->json, &text)
                            : !json_read_number(&r->json, &text))
        return false;
    if (str_parse_u64(text, out) == ERR_OK)
        return true;
    if (str_parse_i64(text, &negative) != ERR_OK)
        return false;
    *out = (uint64_t)negative;
    return true;
}

static bool read_bytes(struct reading *r, struct str *out)
{
    struct str text;
    size_t len;
    if (!json_read_string(&r->json, &text))
        return false;
    char *room = arena_alloc(r->arena, base64_decoded_max(text.len));
    if (room == NULL || base64_decode(text, room, &len) != ERR_OK)
        return false;
    *out = str_from(room, len);
    return true;
}

static bool read_header(struct reading *r)
{
    struct str name;
    bool ok = json_read_open(&r->json, JSON_OBJECT);
    while (ok && json_read_key(&r->json, &name)) {
        if (str_is(name, "cluster_id"))
            ok = read_number(r, &r->out->cluster);
        else if (str_is(name, "revision"))
            ok = read_number(r, &r->out->revision);
        else
            ok = json_read_skip(&r->json);
    }
    return ok && !r->json.failed;
}

static bool read_kv(struct reading *r, struct etcd_kv *kv)
{
    struct str name;
    bool ok = json_read_open(&r->json, JSON_OBJECT);
    *kv = (struct etcd_kv){.value = STR("")}; /* Zero values are left out. */
    while (ok && json_read_key(&r->json, &name)) {
        if (str_is(name, "key"))
            ok = read_bytes(r, &kv->key);
        else if (str_is(name, "value"))
            ok = read_bytes(r, &kv->value);
        else if (str_is(name, "create_revision"))
            ok = read_number(r, &kv->created);
        else if (str_is(name, "mod_revision"))
            ok = read_number(r, &kv->modified);
        else if (str_is(name, "lease"))
            ok = read_number(r, &kv->lease);
        else
            ok = json_read_skip(&r->json);
    }
    return ok && !r->json.failed;
}

static bool read_kvs(struct reading *r, struct etcd_kvs *kvs)
{
    if (!json_read_open(&r->json, JSON_ARRAY))
        return false;
    while (json_read_element(&r->json)) {
        if (kvs->count == kvs->size) {
            uint32_t size = kvs->size == 0 ? 4 : kvs->size * 2;
            struct etcd_kv *at = arena_zalloc(r->arena, size, sizeof *at);
            if (at == NULL)
                return false;
            if (kvs->count > 0)
                memcpy(at, kvs->at, kvs->count * sizeof *at);
            kvs->at = at;
            kvs->size = size;
        }
        if (!read_kv(r, &kvs->at[kvs->count]))
            return false;
        kvs->count++;
    }
    return !r->json.failed;
}

static bool read_range(struct reading *r, struct etcd_kvs *kvs)
{
    struct str name;
    bool ok = json_read_open(&r->json, JSON_OBJECT);
    while (ok && json_read_key(&r->json, &name)) {
        if (str_is(name, "kvs"))
            ok = read_kvs(r, kvs);
        else if (str_is(name, "more"))
            ok = json_read_bool(&r->json, &kvs->more);
        else
            ok = json_read_skip(&r->json);
    }
    return ok && !r->json.failed;
}

/* One answer per op of the branch taken, each an object of one member. */
static bool read_responses(struct reading *r)
{
    struct str name;
    if (!json_read_open(&r->json, JSON_ARRAY))
        return false;
    for (uint32_t i = 0; json_read_element(&r->json); i++) {
        bool ok = json_read_open(&r->json, JSON_OBJECT);
        while (ok && json_read_key(&r->json, &name))
            ok = i < ETCD_RANGES_MAX && str_is(name, "response_range")
                     ? read_range(r, &r->out->ranges[i])
                     : json_read_skip(&r->json);
        if (!ok || r->json.failed)
            return false;
    }
    return !r->json.failed;
}

/* A string beside "message", or on a stream an object with the same members. */
static bool read_error(struct reading *r)
{
    enum json_type type;
    if (!json_read_type(&r->json, &type))
        return false;
    if (type == JSON_OBJECT)
        return read_message(r);
    return type == JSON_STRING ? json_read_string(&r->json, &r->message) : json_read_skip(&r->json);
}

static bool read_member(struct reading *r, struct str name)
{
    struct etcd_answer *out = r->out;
    if (str_is(name, "header"))
        return read_header(r);
    if (str_is(name, "succeeded"))
        return json_read_bool(&r->json, &out->succeeded);
    if (str_is(name, "responses"))
        return read_responses(r);
    if (str_is(name, "kvs"))
        return read_kvs(r, &out->ranges[0]);
    if (str_is(name, "more"))
        return json_read_bool(&r->json, &out->ranges[0].more);
    if (str_is(name, "ID"))
        return read_number(r, &out->lease);
    if (str_is(name, "TTL"))
        return read_number(r, &out->ttl_s);
    if (str_is(name, "result"))
        return read_message(r);
    if (str_is(name, "error"))
        return read_error(r);
    if (str_is(name, "message"))
        return json_read_string(&r->json, &r->message);
    if (str_is(name, "code") || str_is(name, "grpc_code"))
        return read_number(r, &r->code);
    return json_read_skip(&r->json);
}

static bool read_message(struct reading *r)
{
    struct str name;
    bool ok = json_read_open(&r->json, JSON_OBJECT);
    while (ok && json_read_key(&r->json, &name))
        ok = read_member(r, name);
    return ok && !r->json.failed;
}

static bool says(struct str message, const char *words)
{
    return message.len > 0 && memmem(message.at, message.len, words, strlen(words)) != NULL;
}

/* gRPC's codes are coarse: 8 is both "no space" and "slow down". The words are those of etcd's rpctypes. */
static enum etcd_outcome outcome_of(const struct reading *r, uint32_t status)
{
    enum { INVALID = 3, PERMISSION = 7, RANGE = 11, UNAUTHENTICATED = 16 };
    if (says(r->message, "database space exceeded"))
        return ETCD_FULL;
    if (says(r->message, "request is too large") || says(r->message, "larger than max"))
        return ETCD_TOO_LARGE;
    if (r->code == RANGE && says(r->message, "compacted"))
        return ETCD_COMPACTED;
    if (r->code == PERMISSION || r->code == UNAUTHENTICATED || status == 401 || status == 403)
        return ETCD_DENIED;
    if (r->code == INVALID || status == 400 || status == 404)
        return ETCD_BROKEN;
    return ETCD_AGAIN;
}

void etcd_answer_read(struct arena *a, uint32_t status, struct str body, struct etcd_answer *out)
{
    struct reading r = {.arena = a, .out = out};
    *out = (struct etcd_answer){.outcome = ETCD_AGAIN};
    if (status == 0) {
        snprintf(out->text, sizeof out->text, STR_FMT, STR_ARG(body));
        return;
    }
    json_read_text(&r.json, a, body);
    bool ok = read_message(&r);
    if (ok && status == 200 && r.code == 0 && r.message.len == 0) {
        out->outcome = ETCD_FINE;
        return;
    }
    if (ok) {
        out->outcome = outcome_of(&r, status);
        snprintf(out->text, sizeof out->text, STR_FMT, STR_ARG(r.message));
        return;
    }
    out->outcome = status >= 500 ? ETCD_AGAIN : ETCD_BROKEN;
    snprintf(out->text, sizeof out->text, "HTTP %u, and no answer of etcd's", status);
}
