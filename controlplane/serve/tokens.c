/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/tokens.h"

#include "api/meta.h"
#include "base/wire.h"

/* Field numbers of k8s.io/api/core/v1 Secret and its map entries, ObjectMeta and runtime.Unknown. */
enum { SECRET_META = 1, SECRET_DATA = 2, SECRET_TYPE = 3, ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { META_NAME = 1, META_NAMESPACE = 3, UNKNOWN_TYPE = 1, UNKNOWN_RAW = 2 };
enum { TYPE_API_VERSION = 1, TYPE_KIND = 2, SECRET_SIZE_MAX = 16 << 10 };

static struct str data_of(struct str secret, const char *name)
{
    struct wire_reader r = wire_read(secret);
    struct wire_field f;
    while (wire_next(&r, &f))
        if (f.number == SECRET_DATA && f.type == WIRE_BYTES &&
            str_is(wire_find_bytes(f.bytes, ENTRY_KEY), name))
            return wire_find_bytes(f.bytes, ENTRY_VALUE);
    return (struct str){NULL, 0};
}

static struct cow_entry *find(const struct index_snapshot *objects, struct str id)
{
    char name[TOKEN_ID_LEN + 8], key[INDEX_KEY_MAX + 1];
    memcpy(name, "token-", 6);
    memcpy(name + 6, id.at, id.len);
    size_t len = index_key_print(&(struct index_key){.group = STR(""),
                                                     .plural = STR("secrets"),
                                                     .namespace = STR(TOKENS_NAMESPACE),
                                                     .name = str_from(name, 6 + id.len)},
                                 key);
    return index_find(objects, str_from(key, len));
}

static bool is_good(const struct seal *seal, struct str secret, struct str token, struct wall now,
                    struct token_record *out)
{
    unsigned char hash[SEAL_HASH_SIZE];
    struct str stored = data_of(secret, "hash"), use = data_of(secret, "use");
    uint64_t expires;

    token_hash(seal, token, hash);
    bool same = stored.len == sizeof hash && seal_equal(stored.at, hash, sizeof hash);
    bool typed = str_is(wire_find_bytes(secret, SECRET_TYPE), TOKENS_TYPE);
    if (!same || !typed || str_parse_u64(data_of(secret, "expires"), &expires) != ERR_OK ||
        expires > INT64_MAX / 1000000000)
        return false;
    out->expires.ns = (int64_t)expires * 1000000000;
    out->join = str_is(use, "join");
    out->user = data_of(secret, "user");
    out->groups = data_of(secret, "groups");
    return out->expires.ns > now.ns && (out->join || str_is(use, "user"));
}

enum err_code token_check(const struct index_snapshot *objects, const struct seal *seal,
                          struct str text, struct wall now, struct arena *a,
                          struct token_record *out, struct err *e)
{
    struct token_record record = {0};
    struct meta_type type;
    struct meta meta;
    struct err inner;

    struct str token = str_slice(text, 0, TOKEN_LEN), id = token_id(token);
    struct cow_entry *entry = id.at == NULL ? NULL : find(objects, id);
    if (entry == NULL || meta_type(blob_str(entry->value), &type, &inner) != ERR_OK ||
        meta_read(blob_str(entry->value), &meta, &inner) != ERR_OK ||
        !is_good(seal, type.raw, token, now, &record))
        return err_set(e, ERR_DENIED, "the token is not known, used up or expired");
    record.key = arena_str(a, cow_entry_key(entry));
    record.uid = arena_str(a, meta.uid);
    record.user = arena_str(a, record.user);
    record.groups = arena_str(a, record.groups);
    if (arena_status(a, e) != ERR_OK)
        return ERR_LIMIT;
    *out = record;
    return ERR_OK;
}

static void put_data(struct buf *out, const char *name, struct str value)
{
    size_t entry = wire_begin(out, SECRET_DATA);
    wire_put_bytes(out, ENTRY_KEY, str_of(name));
    wire_put_bytes(out, ENTRY_VALUE, value);
    wire_end(out, entry);
}

/* Map entries in the order of their keys, as every encoder writes them. */
static void put_secret(struct buf *out, const struct token_record *wanted, struct str name,
                       const unsigned char hash[SEAL_HASH_SIZE], struct arena *a)
{
    size_t meta = wire_begin(out, SECRET_META);
    wire_put_bytes(out, META_NAME, name);
    wire_put_bytes(out, META_NAMESPACE, STR(TOKENS_NAMESPACE));
    wire_end(out, meta);
    put_data(out, "expires", arena_printf(a, "%lld", (long long)wall_seconds(wanted->expires)));
    if (wanted->groups.len > 0)
        put_data(out, "groups", wanted->groups);
    put_data(out, "hash", str_from(hash, SEAL_HASH_SIZE));
    put_data(out, "use", wanted->join ? STR("join") : STR("user"));
    if (wanted->user.len > 0)
        put_data(out, "user", wanted->user);
    wire_put_bytes(out, SECRET_TYPE, STR(TOKENS_TYPE));
}

void token_new(const struct seal *seal, const struct token_record *wanted, struct arena *a,
               struct token_made *out)
{
    unsigned char hash[SEAL_HASH_SIZE];
    struct buf b;

    token_make(out->text);
    struct str text = str_of(out->text);
    token_hash(seal, text, hash);
    out->name = arena_printf(a, "token-" STR_FMT, STR_ARG(token_id(text)));

    buf_init(&b, SECRET_SIZE_MAX);
    buf_add(&b, str_from("k8s\0", 4));
    size_t type = wire_begin(&b, UNKNOWN_TYPE);
    wire_put_bytes(&b, TYPE_API_VERSION, STR("v1"));
    wire_put_bytes(&b, TYPE_KIND, STR("Secret"));
    wire_end(&b, type);
    size_t raw = wire_begin(&b, UNKNOWN_RAW);
    put_secret(&b, wanted, out->name, hash, a);
    wire_end(&b, raw);
    out->object = buf_blob(&b);
    seal_wipe(hash, sizeof hash);
}
