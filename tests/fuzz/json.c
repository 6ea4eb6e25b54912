/* SPDX-License-Identifier: Apache-2.0 */
/* Any text either is refused, or what it prints as reads back as the same document. */
#include "base/check.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct buf once, twice;
    struct json *tree = NULL, *again = NULL;
    struct err e;
    arena_init(&a, 64 << 20);
    buf_init(&once, 16 << 20);
    buf_init(&twice, 16 << 20);
    if (json_parse(&a, str_from(data, size), &tree, &e) == ERR_OK) {
        json_print(&once, tree);
        CHECK(json_parse(&a, buf_str(&once), &again, &e) == ERR_OK);
        json_print(&twice, again);
        CHECK(str_eq(buf_str(&once), buf_str(&twice)));
        CHECK(json_equal(again, json_copy(&a, again)));
        buf_clear(&twice);
        json_indent(&twice, buf_str(&once));
        CHECK(json_parse(&a, buf_str(&twice), &again, &e) == ERR_OK);
    } else {
        CHECK(e.text[0] != '\0');
    }
    buf_free(&once);
    buf_free(&twice);
    arena_free(&a);
    return 0;
}
