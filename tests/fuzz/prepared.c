/* SPDX-License-Identifier: Apache-2.0 */
/* A Pod's document, created four times with what was kept of the times before: each time it is
 * what preparing it anew gives. */
#include "tests/testlib/prepared.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct circumstances here = {0};
    struct str json = str_from(data, size);
    struct arena a;
    if (size > 65536)
        return 0;
    struct prepared *p = prepared_new();
    for (int i = 0; i < 4; i++) {
        arena_init(&a, 256 << 20);
        struct outcome plain = prepare_plainly(&a, json, &here, p, STR(""));
        struct outcome known = prepare_known(&a, json, &here, p);
        check_outcomes(&known, &plain);
        arena_free(&a);
    }
    prepared_free(p);
    return 0;
}
