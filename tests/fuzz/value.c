/* SPDX-License-Identifier: Apache-2.0 */
/* Values from a damaged disk are refused; what we encode ourselves always comes back. */
#include "base/check.h"
#include "controlplane/store/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct seal *seal, struct str bytes, bool sealed)
{
    struct buf b;
    struct blob *back;
    bool was_sealed;
    buf_init(&b, 1 << 20);
    value_encode(seal, STR("/secrets/a/b"), 9, bytes, sealed, &b);
    CHECK(value_decode(seal, STR("/secrets/a/b"), 9, buf_str(&b), &back, &was_sealed, NULL) ==
          ERR_OK);
    CHECK(str_eq(blob_str(back), bytes) && was_sealed == sealed);
    blob_unref(back);
    CHECK(value_decode(seal, STR("/secrets/a/b"), 8, buf_str(&b), &back, &was_sealed, NULL) !=
          ERR_OK);
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char key[SEAL_KEY_SIZE] = {3};
    struct seal *seal = seal_from_key(key);
    struct blob *bytes;
    bool sealed;
    if (value_decode(seal, STR("/secrets/a/b"), 9, str_from(data, size), &bytes, &sealed, NULL) ==
        ERR_OK)
        blob_unref(bytes);
    round_trip(seal, str_from(data, size), false);
    round_trip(seal, str_from(data, size), true);
    seal_free(seal);
    return 0;
}
