/* SPDX-License-Identifier: Apache-2.0 */
/* Label and field selectors: no text may crash, and what parses must match or not, in bounds. */
#include "api/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lookup(const void *object, struct str key, struct str *out)
{
    (void)object;
    *out = key;
    return key.len % 2 == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct selector s;
    struct err e;
    arena_init(&a, 1 << 20);
    if (selector_parse_labels(str_from(data, size), &a, &s, &e) == ERR_OK)
        (void)selector_matches(&s, lookup, NULL);
    if (selector_parse_fields(str_from(data, size), &a, &s, &e) == ERR_OK)
        (void)selector_matches(&s, lookup, NULL);
    arena_free(&a);
    return 0;
}
