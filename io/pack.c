/* SPDX-License-Identifier: Apache-2.0 */
#include "io/pack.h"

#include <zlib.h>

bool pack_close(struct str plain, struct buf *out)
{
    uLongf packed = compressBound(plain.len);
    char *at = buf_reserve(out, packed);
    if (at == NULL ||
        compress2((Bytef *)at, &packed, (const Bytef *)plain.at, plain.len, Z_BEST_SPEED) != Z_OK ||
        packed >= plain.len)
        return false;
    buf_commit(out, packed);
    return true;
}

enum err_code pack_open(struct str packed, size_t plain_size, struct buf *out, struct err *e)
{
    uLongf plain = plain_size;
    char *at = buf_reserve(out, plain_size);
    if (at == NULL ||
        uncompress((Bytef *)at, &plain, (const Bytef *)packed.at, packed.len) != Z_OK ||
        plain != plain_size)
        return err_set(e, ERR_CORRUPT, "packed bytes do not open");
    buf_commit(out, plain);
    return ERR_OK;
}
