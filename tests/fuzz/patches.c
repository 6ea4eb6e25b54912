/* SPDX-License-Identifier: Apache-2.0 */
/* Patches of all three kinds: the input is a document, a newline, a patch. What comes out must print; of a Pod it is the same
 * whether all of it is patched or what the patch reaches. */
#include "tests/testlib/patch_ways.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(struct str document, struct str text, int type)
{
    struct arena a;
    struct json *target, *patch;
    struct buf out;
    struct err e;
    arena_init(&a, 4 << 20);
    buf_init(&out, 4 << 20);
    const struct schema_message *pod = schema_message(STR("k8s.io.api.core.v1.Pod"));
    if (json_parse(&a, document, &target, &e) == ERR_OK &&
        json_parse(&a, text, &patch, &e) == ERR_OK) {
        enum err_code rc = type == 0   ? patch_json(&a, &target, patch, &e)
                           : type == 1 ? patch_merge(&a, &target, patch, &e)
                                       : patch_strategic(&a, pod, &target, patch, &e);
        if (rc == ERR_OK)
            json_print(&out, target);
    }
    buf_free(&out);
    arena_free(&a);
}

static void run_ways(struct str document, struct str text, int type)
{
    static const enum patch_form forms[] = {PATCH_JSON, PATCH_MERGE, PATCH_STRATEGIC};
    const struct schema_message *pod = schema_message(STR("k8s.io.api.core.v1.Pod"));
    struct arena a;
    struct buf raw;
    arena_init(&a, 16 << 20);
    buf_init(&raw, 1 << 20);
    if (transcode_from_json(pod, document, &a, NULL, NULL, &raw, NULL) == ERR_OK)
        (void)patch_both_ways(pod, forms[type], buf_str(&raw), text, &a);
    buf_free(&raw);
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = str_from(data, size);
    size_t line = str_find(all, '\n', 0);
    for (int type = 0; type < 3; type++) {
        run(str_slice(all, 0, line), str_slice(all, line + 1, all.len), type);
        run_ways(str_slice(all, 0, line), str_slice(all, line + 1, all.len), type);
    }
    return 0;
}
