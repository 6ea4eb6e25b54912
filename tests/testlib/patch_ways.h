/* SPDX-License-Identifier: Apache-2.0 */
/* patch_ways.h -- an object patched in whole, and in the part that the patch reaches: what the second way makes, the first makes. */
#ifndef TESTLIB_PATCH_WAYS_H
#define TESTLIB_PATCH_WAYS_H

#include "api/patch.h"
#include "api/transcode.h"
#include "base/check.h"

enum patch_form { PATCH_JSON, PATCH_MERGE, PATCH_STRATEGIC };

/* False: the patch fails, or something is to be said of what it makes. */
static inline bool patch_bytes(const struct schema_message *m, enum patch_form form, struct str raw,
                               struct str text, struct arena *a, struct transcode_head *head,
                               struct buf *out)
{
    struct transcode_json how = {STR("v1"), STR("Any"), 0, NULL};
    struct transcode_notes *notes = arena_zalloc(a, 1, sizeof *notes);
    struct json *tree, *patch;
    if (notes == NULL || json_parse(a, text, &patch, NULL) != ERR_OK ||
        transcode_to_tree(m, raw, &how, a, &tree, NULL) != ERR_OK)
        return false;
    enum err_code rc = form == PATCH_JSON    ? patch_json(a, &tree, patch, NULL)
                       : form == PATCH_MERGE ? patch_merge(a, &tree, patch, NULL)
                                             : patch_strategic(a, m, &tree, patch, NULL);
    return rc == ERR_OK && transcode_from_tree(m, tree, a, notes, head, out, NULL) == ERR_OK &&
           notes->count == 0;
}

/* raw: canonical. True: both ways were gone, and gave the same. */
static inline bool patch_both_ways(const struct schema_message *m, enum patch_form form,
                                   struct str raw, struct str text, struct arena *a)
{
    struct transcode_head head, head_whole;
    struct buf part, fresh, joined, whole;
    struct json *patch;
    uint64_t fields;
    if (json_parse(a, text, &patch, NULL) != ERR_OK ||
        patch->type != (form == PATCH_JSON ? JSON_ARRAY : JSON_OBJECT) ||
        !patch_reach(m, patch, &fields))
        return false;
    buf_init(&part, 1 << 20);
    buf_init(&fresh, 1 << 20);
    buf_init(&joined, 1 << 20);
    buf_init(&whole, 1 << 20);
    CHECK(patch_part(m, raw, fields, &part));
    bool done = patch_bytes(m, form, buf_str(&part), text, a, &head, &fresh);
    if (done) {
        CHECK(patch_rejoin(m, raw, fields, buf_str(&fresh), &joined));
        CHECK(patch_bytes(m, form, raw, text, a, &head_whole, &whole));
        CHECK(str_eq(buf_str(&joined), buf_str(&whole)));
        CHECK(str_eq(head.kind, head_whole.kind) &&
              str_eq(head.api_version, head_whole.api_version));
    }
    buf_free(&part);
    buf_free(&fresh);
    buf_free(&joined);
    buf_free(&whole);
    return done;
}

#endif /* TESTLIB_PATCH_WAYS_H */
