/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/tokens.h"

#include "api/meta.h"
#include "api/typed.h"
#include "proto/k8s/core_v1.pb-c.h"

enum { SECRET_ARENA_MAX = 4 << 20 };

static struct str data_of(const Core__Secret *secret, const char *name)
{
    for (size_t i = 0; i < secret->n_data; i++)
        if (str_is(str_of(secret->data[i]->key), name))
            return str_from(secret->data[i]->value.data, secret->data[i]->value.len);
    return (struct str){NULL, 0};
}

static struct cow_entry *find(const struct index_snapshot *objects, struct str id)
{
    char name[TOKEN_ID_LEN + 8], key[INDEX_KEY_MAX + 1];
    memcpy(name, "token-", 6);
    str_put(name + 6, id);
    size_t len = index_key_print(&(struct index_key){.group = STR(""),
                                                     .plural = STR("secrets"),
                                                     .namespace = STR(TOKENS_NAMESPACE),
                                                     .name = str_from(name, 6 + id.len)},
                                 key);
    return index_find(objects, str_from(key, len));
}

static bool is_good(const struct seal *seal, const Core__Secret *secret, struct str token,
                    struct wall now, struct token_record *out)
{
    unsigned char hash[SEAL_HASH_SIZE];
    struct str stored = data_of(secret, "hash"), use = data_of(secret, "use");
    uint64_t expires;

    token_hash(seal, token, hash);
    bool same = stored.len == sizeof hash && seal_equal(stored.at, hash, sizeof hash);
    bool typed = str_is(str_of(secret->type), TOKENS_TYPE);
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
    const Core__Secret *secret = NULL;
    struct meta meta;
    struct err inner;

    struct str token = str_slice(text, 0, TOKEN_LEN), id = token_id(token);
    struct cow_entry *entry = id.at == NULL ? NULL : find(objects, id);
    if (entry != NULL && meta_read(blob_str(entry->value), &meta, &inner) == ERR_OK)
        secret = typed_open(a, &core__secret__descriptor, blob_str(entry->value));
    if (secret == NULL || !is_good(seal, secret, token, now, &record))
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

static bool is_over(const Core__Secret *secret, struct wall now)
{
    uint64_t expires;
    return str_is(str_of(secret->type), TOKENS_TYPE) &&
           str_parse_u64(data_of(secret, "expires"), &expires) == ERR_OK &&
           expires < (uint64_t)wall_seconds(now);
}

uint32_t tokens_expired(const struct index_snapshot *objects, struct wall now, struct arena *a,
                        struct token_record *out, uint32_t max)
{
    const struct str prefix = STR("/secrets/" TOKENS_NAMESPACE "/token-");
    struct cow_cursor cursor;
    struct cow_entry *entry;
    struct meta meta;
    uint32_t count = 0;

    cow_seek(&cursor, objects->root, prefix);
    while (count < max && (entry = cow_next(&cursor)) != NULL &&
           str_starts(cow_entry_key(entry), prefix)) {
        struct arena one;
        arena_init(&one, SECRET_ARENA_MAX);
        const Core__Secret *secret =
            typed_open(&one, &core__secret__descriptor, blob_str(entry->value));
        if (secret != NULL && is_over(secret, now) &&
            meta_read(blob_str(entry->value), &meta, NULL) == ERR_OK)
            out[count++] = (struct token_record){.key = arena_str(a, cow_entry_key(entry)),
                                                 .uid = arena_str(a, meta.uid)};
        arena_free(&one);
    }
    return count;
}

enum { ENTRIES_MAX = 5 };

struct draft {
    Core__Secret__DataEntry entries[ENTRIES_MAX], *list[ENTRIES_MAX];
    size_t count;
};

static void put(struct draft *d, const char *name, struct str value)
{
    Core__Secret__DataEntry *entry = &d->entries[d->count];
    core__secret__data_entry__init(entry);
    entry->key = (char *)name;
    entry->has_value = true;
    entry->value = (ProtobufCBinaryData){value.len, (uint8_t *)value.at};
    d->list[d->count++] = entry;
}

void token_new(const struct seal *seal, const struct token_record *wanted, struct arena *a,
               struct token_made *out)
{
    unsigned char hash[SEAL_HASH_SIZE];
    Core__Secret secret = CORE__SECRET__INIT;
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    struct draft d = {.count = 0};

    token_make(out->text);
    struct str text = str_of(out->text);
    token_hash(seal, text, hash);
    out->name = arena_printf(a, "token-" STR_FMT, STR_ARG(token_id(text)));

    /* In the order of the keys, as every encoder writes a map. */
    put(&d, "expires", arena_printf(a, "%lld", (long long)wall_seconds(wanted->expires)));
    if (wanted->groups.len > 0)
        put(&d, "groups", wanted->groups);
    put(&d, "hash", str_from(hash, sizeof hash));
    put(&d, "use", wanted->join ? STR("join") : STR("user"));
    if (wanted->user.len > 0)
        put(&d, "user", wanted->user);
    meta.name = arena_dup(a, out->name);
    meta.namespace_ = (char *)TOKENS_NAMESPACE;
    secret.metadata = &meta;
    secret.data = d.list;
    secret.n_data = d.count;
    secret.type = (char *)TOKENS_TYPE;
    out->object = blob_new(typed_wrap(a, "v1", "Secret", &secret));
    seal_wipe(hash, sizeof hash);
}
