/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.h -- everything of one store into another, empty one, through the seam.
 *
 * WHAT   Loads the one, commits to the other under the same revisions, forgets there what was forgotten here, then
 *        loads the other and compares: head, oldest, and a digest of all changes that count.
 * WHY    A cluster can move between engines. Above the seam everything is plain: a secret is opened by the one and
 *        sealed by the other.
 * OWNS   The copy is the sink of both stores: they are opened with copy_sink() and each with a loop of its own,
 *        and are the copy's from copy_take() on. copy_free() closes what is open.
 * ASYNC  None: it waits, in the calling thread, by stepping the loops.
 * FAILS  ERR_DENIED: the target is not empty. ERR_BUSY: a control plane leads one of them. ERR_CORRUPT: values that do
 *        not open (by name), or the copies differ. ERR_LIMIT: no room in the target. What is in the target
 *        then is not to be used; whoever opened it marks it so.
 * MEMORY About 150 bytes a change and the keys. COPY_KEYS_MAX objects, then ERR_LIMIT.
 */
#ifndef CONTROLPLANE_STORE_COPY_H
#define CONTROLPLANE_STORE_COPY_H

#include "controlplane/store/store.h"
#include "io/digest.h"
#include "io/loop.h"

enum { COPY_KEYS_MAX = 1 << 25 };

enum copy_end { COPY_FROM, COPY_TO, COPY__COUNT };

/* What a store holds, as far as it counts: what compaction would have forgotten does not. */
struct copy_sum {
    uint64_t objects, secrets, changes, bytes; /* Live ones; of them sealed; all; of all values. */
    uint64_t head, oldest;
    char digest[DIGEST_TEXT_LEN + 1];
};

struct copy;

/* progress: about once a second, with the changes and bytes so far; NULL: not wanted. */
struct copy *copy_new(void (*progress)(void *state, uint64_t changes, uint64_t bytes), void *state);
void copy_free(struct copy *c);

struct store_sink copy_sink(struct copy *c, enum copy_end end);
void copy_take(struct copy *c, enum copy_end end, struct store *s, struct loop *l);

MUST_USE enum err_code copy_run(struct copy *c, struct copy_sum *out, struct err *e);

/* Gives the next op's number to ask(store, op), and waits for its end. */
MUST_USE enum err_code copy_op(struct copy *c, enum copy_end end,
                               void (*ask)(struct store *s, uint64_t op), struct err *e);
void copy_close(struct copy *c, enum copy_end end); /* The store; its loop is left. */

#endif /* CONTROLPLANE_STORE_COPY_H */
