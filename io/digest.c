/* SPDX-License-Identifier: Apache-2.0 */
#include "io/digest.h"
#include "base/check.h"
#include <openssl/evp.h>
#include <stdio.h>

/* The type is OpenSSL's, under our name. */
static EVP_MD_CTX *ctx(struct digest *d)
{
    return (EVP_MD_CTX *)(void *)d;
}

struct digest *digest_begin(void)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    CHECK(c != NULL && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1);
    return (struct digest *)(void *)c;
}

void digest_add(struct digest *d, struct str bytes)
{
    CHECK(EVP_DigestUpdate(ctx(d), bytes.at, bytes.len) == 1);
}

void digest_end(struct digest *d, char out[DIGEST_TEXT_LEN + 1])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    CHECK(EVP_DigestFinal_ex(ctx(d), hash, &size) == 1 && size == 32);
    memcpy(out, "sha256:", 7);
    for (unsigned int i = 0; i < size; i++)
        snprintf(out + 7 + 2 * i, 3, "%02x", hash[i]);
    digest_drop(d);
}

void digest_drop(struct digest *d)
{
    EVP_MD_CTX_free(ctx(d));
}

void digest_of(struct str bytes, char out[DIGEST_TEXT_LEN + 1])
{
    struct digest *d = digest_begin();
    digest_add(d, bytes);
    digest_end(d, out);
}

bool digest_is_valid(struct str text)
{
    if (text.len != DIGEST_TEXT_LEN || !str_starts(text, STR("sha256:")))
        return false;
    for (size_t i = 7; i < text.len; i++)
        if (!((text.at[i] >= '0' && text.at[i] <= '9') || (text.at[i] >= 'a' && text.at[i] <= 'f')))
            return false;
    return true;
}
