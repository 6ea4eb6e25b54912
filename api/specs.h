/* SPDX-License-Identifier: Apache-2.0 */
/*
 * specs.h -- pods as structs, where pods that have the same spec share one that was opened once.
 *
 * WHAT   specs_open() is typed_open() of a Pod: the same struct, field by field, or NULL for the same bytes. Metadata
 *        and status are opened each time, and so is spec.nodeName, in which placed pods of one template differ; the
 *        rest of the spec is looked up by its bytes.
 * WHY    Pods come in series: a thousand of a Deployment have one template. Opening its spec was a sixth of the core's
 *        instructions for a create and the third of a start (docs/decisions/0190).
 * OWNS   The Pod, its metadata, its status and the PodSpec itself are the arena's and the caller's to change. What the
 *        PodSpec points to is everybody's: nobody writes there. It stands until specs_turn(), as what is in a turn's
 *        arena does.
 * LIMITS SPECS_MAX specs of SPECS_BYTES_MAX, opened in SPECS_ARENA_MAX each; a spec is kept when it is met the second time,
 *        in place of one of its set that this turn has not used. What does not get in is opened each time.
 * FAILS  As typed_open(): NULL for what does not decode, or when the arena is full.
 *
 * What it keeps follows from what it was asked, in that order, and from nothing else: no process' key is in its hash.
 */
#ifndef API_SPECS_H
#define API_SPECS_H

#include "base/arena.h"
#include "proto/k8s/core_v1.pb-c.h"

struct specs;

enum {
    SPECS_MAX = 128,
    SPECS_BYTES_MAX = 16 << 10,
    SPECS_ARENA_MAX = 48 << 10,
};

struct specs *specs_new(void);
void specs_free(struct specs *s);

Core__Pod *specs_open(struct specs *s, struct arena *a, struct str envelope);

/* What was opened is not looked at any more. */
void specs_turn(struct specs *s);

/* How many specs_open() calls found their spec. For tests. */
uint64_t specs_found(const struct specs *s);

#endif /* API_SPECS_H */
