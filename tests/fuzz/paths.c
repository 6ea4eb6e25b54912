/* SPDX-License-Identifier: Apache-2.0 */
/* URLs: a path, then behind the first '?' a query. */
#include "api/paths.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct path p;
    struct query q;
    struct err e;
    struct str url = str_from(data, size);
    size_t at = str_find(url, '?', 0);
    arena_init(&a, 1 << 20);
    (void)!path_parse(str_slice(url, 0, at), &a, &p, &e);
    (void)!query_parse(str_slice(url, at + 1, url.len), &a, &q, &e);
    arena_free(&a);
    return 0;
}
