/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/store/value.h"

#include "controlplane/store/store.h"

enum { FORMAT = 1, FLAG_SEALED = 1 };

void value_encode(const struct seal *seal, struct str key, uint64_t revision, struct str bytes,
                  bool sealed, struct buf *out)
{
    unsigned char head[VALUE_HEAD] = {FORMAT, sealed ? FLAG_SEALED : 0};
    for (uint32_t i = 0; i < 8; i++)
        head[2 + i] = (unsigned char)(revision >> (8 * i));
    buf_add(out, str_from(head, sizeof head));
    if (sealed)
        seal_close(seal, bytes, key, out);
    else
        buf_add(out, bytes);
}

static enum err_code open_sealed(const struct seal *seal, struct str key, struct str sealed,
                                 struct blob **out_bytes, struct err *e)
{
    struct buf plain;
    struct err why;
    buf_init(&plain, STORE_VALUE_MAX);
    if (seal_open(seal, sealed, key, &plain, &why) != ERR_OK) {
        buf_free(&plain);
        return err_set(
            e, ERR_CORRUPT,
            "the secret at %.*s does not open; is this the sealing key it was stored with?",
            STR_ARG(key));
    }
    *out_bytes = blob_new(buf_str(&plain));
    seal_wipe(plain.at, plain.len);
    buf_free(&plain);
    return ERR_OK;
}

enum err_code value_decode(const struct seal *seal, struct str key, uint64_t revision,
                           struct str value, struct blob **out_bytes, bool *out_sealed,
                           struct err *e)
{
    const unsigned char *head = (const unsigned char *)value.at;
    uint64_t stored = 0;
    if (value.len < VALUE_HEAD || head[0] != FORMAT || (head[1] & ~FLAG_SEALED) != 0)
        return err_set(e, ERR_CORRUPT, "the value at %.*s, revision %llu, is of no form we know",
                       STR_ARG(key), (unsigned long long)revision);
    for (uint32_t i = 0; i < 8; i++)
        stored |= (uint64_t)head[2 + i] << (8 * i);
    if (stored != revision)
        return err_set(e, ERR_CORRUPT, "the value at %.*s is of revision %llu, its row says %llu",
                       STR_ARG(key), (unsigned long long)stored, (unsigned long long)revision);

    struct str bytes = str_slice(value, VALUE_HEAD, value.len);
    bool sealed = (head[1] & FLAG_SEALED) != 0;
    if (sealed) {
        enum err_code code = open_sealed(seal, key, bytes, out_bytes, e);
        if (code != ERR_OK)
            return code;
    } else {
        *out_bytes = blob_new(bytes);
    }
    *out_sealed = sealed;
    return ERR_OK;
}
