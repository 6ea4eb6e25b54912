/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patch.h -- a document changed by a description of the change.
 *
 * WHAT   JSON patch (RFC 6902), merge patch (RFC 7396), and Kubernetes' strategic merge patch, which
 *        merges lists by their elements' keys (SIG API Machinery, "Strategic Merge Patch").
 * WHY    Pure functions on trees: the caller reads, patches, validates and writes with a precondition.
 * OWNS   The target is changed in place and the patch's parts move into it; all in one arena. After a
 *        failure the target is good for nothing.
 * FAILS  ERR_INVALID: the patch is malformed, or an operation of it fails on this document (a test
 *        that does not hold, a path that is not there). ERR_LIMIT: too many operations, deeper than
 *        JSON_DEPTH_MAX, or the arena.
 */
#ifndef API_PATCH_H
#define API_PATCH_H

#include "api/schema.h"
#include "base/buf.h"
#include "base/json.h"

enum {
    PATCH_OPERATIONS_MAX = 10000, /* Of one JSON patch, as Kubernetes. */
    PATCH_STEPS_MAX = 50000000,   /* Array elements that its indices walk past, and values that it
                                   * puts elsewhere, all together. */
    PATCH_ELEMENTS_MAX = 4096,    /* Of a list that is merged element by element, both sides. */
};

/* *target may become another node: a patch can replace the whole document. */
MUST_USE enum err_code patch_json(struct arena *a, struct json **target, struct json *patch,
                                  struct err *e);
MUST_USE enum err_code patch_merge(struct arena *a, struct json **target, struct json *patch,
                                   struct err *e);
/* m: what the document is; says which lists are merged, and by which key. */
MUST_USE enum err_code patch_strategic(struct arena *a, const struct schema_message *m,
                                       struct json **target, struct json *patch, struct err *e);

/*
 * Most patches speak of metadata alone, or of status alone. What they do not speak of stays as its bytes are: the part of an
 * object's canonical bytes that a patch reaches is made a tree, patched, and made bytes again, and these and the others are the
 * object that patching all of it gives.
 */

/* Which fields of m, by index, a patch of any kind speaks of. False: perhaps of all; then all of the object is patched. */
bool patch_reach(const struct schema_message *m, const struct json *patch, uint64_t *out_fields);

/* raw's fields of that set, appended to out. False: raw does not decode, or out is full. */
bool patch_part(const struct schema_message *m, struct str raw, uint64_t fields, struct buf *out);

/* Those of part and raw's others, by number. */
bool patch_rejoin(const struct schema_message *m, struct str raw, uint64_t fields, struct str part,
                  struct buf *out);

#endif /* API_PATCH_H */
