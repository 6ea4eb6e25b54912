/* SPDX-License-Identifier: Apache-2.0 */
#include "io/seal.h"

#include "base/check.h"
#include "base/mem.h"
#include "io/fs.h"

#include <sodium.h>

enum {
    FORMAT = 1,
    NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG_SIZE = crypto_aead_xchacha20poly1305_ietf_ABYTES,
};

_Static_assert(SEAL_OVERHEAD == 2 + NONCE_SIZE + TAG_SIZE, "the format's head and tag");
_Static_assert(SEAL_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "one key");

struct seal {
    unsigned char key[SEAL_KEY_SIZE];
    unsigned char token_key[SEAL_KEY_SIZE]; /* Derived: tokens and values share no key. */
};

struct seal *seal_from_key(const unsigned char key[SEAL_KEY_SIZE])
{
    CHECK(sodium_init() >= 0);
    struct seal *s = sodium_malloc(sizeof *s); /* Locked, guarded, wiped when freed. */
    CHECK(s != NULL);
    memcpy(s->key, key, sizeof s->key);
    CHECK(crypto_kdf_derive_from_key(s->token_key, sizeof s->token_key, 1, "tokenkey", key) == 0);
    return s;
}

void seal_free(struct seal *s)
{
    sodium_free(s);
}

enum err_code seal_open_file(const char *path, struct seal **out_seal, struct err *e)
{
    unsigned char key[SEAL_KEY_SIZE];
    struct buf bytes;
    enum err_code code;

    CHECK(sodium_init() >= 0);
    if (!fs_exists(path)) {
        randombytes_buf(key, sizeof key);
        code = fs_create(path, str_from(key, sizeof key), 0600, e);
        sodium_memzero(key, sizeof key);
        if (code != ERR_OK)
            return err_wrap(e, "sealing key"), code;
    }
    buf_init(&bytes, SEAL_KEY_SIZE);
    code = fs_read(path, &bytes, e);
    if (code == ERR_OK && bytes.len != SEAL_KEY_SIZE)
        code = err_set(e, ERR_CORRUPT, "%s does not hold %d bytes", path, SEAL_KEY_SIZE);
    if (code == ERR_OK)
        *out_seal = seal_from_key((const unsigned char *)bytes.at);
    if (bytes.at != NULL)
        sodium_memzero(bytes.at, bytes.size);
    buf_free(&bytes);
    return code;
}

void seal_close(const struct seal *s, struct str plain, struct str bound, struct buf *out)
{
    unsigned char *room = (unsigned char *)buf_reserve(out, plain.len + SEAL_OVERHEAD);
    unsigned long long sealed_len = 0;

    if (room == NULL)
        return; /* The buffer's overflow flag tells. */
    room[0] = FORMAT;
    room[1] = 0; /* Key number: one key until keys are rotated. */
    randombytes_buf(room + 2, NONCE_SIZE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        room + 2 + NONCE_SIZE, &sealed_len, (const unsigned char *)plain.at, plain.len,
        (const unsigned char *)bound.at, bound.len, NULL, room + 2, s->key);
    buf_commit(out, 2 + NONCE_SIZE + (size_t)sealed_len);
}

enum err_code seal_open(const struct seal *s, struct str sealed, struct str bound, struct buf *out,
                        struct err *e)
{
    const unsigned char *at = (const unsigned char *)sealed.at;
    unsigned long long plain_len = 0;

    if (sealed.len < SEAL_OVERHEAD || at[0] != FORMAT || at[1] != 0)
        return err_set(e, ERR_CORRUPT, "not a sealed value of a known format");
    unsigned char *room = (unsigned char *)buf_reserve(out, sealed.len - SEAL_OVERHEAD + 1);
    if (room == NULL)
        return buf_status(out, e);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            room, &plain_len, NULL, at + 2 + NONCE_SIZE, sealed.len - 2 - NONCE_SIZE,
            (const unsigned char *)bound.at, bound.len, at + 2, s->key) != 0)
        return err_set(e, ERR_CORRUPT, "sealed value was altered, or belongs elsewhere");
    buf_commit(out, (size_t)plain_len);
    return ERR_OK;
}

static void make_letters(char *out, size_t len)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (size_t i = 0; i < len; i++)
        out[i] = letters[randombytes_uniform(sizeof letters - 1)];
}

void token_make(char out[TOKEN_LEN + 1])
{
    CHECK(sodium_init() >= 0);
    make_letters(out, TOKEN_ID_LEN);
    out[TOKEN_ID_LEN] = '.';
    make_letters(out + TOKEN_ID_LEN + 1, TOKEN_SECRET_LEN);
    out[TOKEN_LEN] = '\0';
}

void token_hash(const struct seal *s, struct str token, unsigned char out[SEAL_HASH_SIZE])
{
    crypto_generichash(out, SEAL_HASH_SIZE, (const unsigned char *)token.at, token.len,
                       s->token_key, sizeof s->token_key);
}

static bool is_letters(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!(s.at[i] >= 'a' && s.at[i] <= 'z') && !(s.at[i] >= '0' && s.at[i] <= '9'))
            return false;
    return true;
}

struct str token_id(struct str text)
{
    struct str id = str_slice(text, 0, TOKEN_ID_LEN);
    bool ok = text.len == TOKEN_LEN && text.at[TOKEN_ID_LEN] == '.' && is_letters(id) &&
              is_letters(str_slice(text, TOKEN_ID_LEN + 1, text.len));
    return ok ? id : (struct str){NULL, 0};
}

bool seal_equal(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}

void seal_wipe(void *at, size_t len)
{
    sodium_memzero(at, len);
}
