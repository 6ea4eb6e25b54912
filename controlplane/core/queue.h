/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h -- workloads that wait for a place: who is tried next, and when it is worth trying.
 *
 * WHAT   A workload is ready, resting, or blocked. A ready one is handed out by queue_next(). After an
 *        attempt in vain it is blocked until an event that could help it, and even then rests out its
 *        back-off. `needs` and events are the same bits: what was short, and what came.
 * WHY    Apart from placing, because whether somebody starves is a property of these few rules, and
 *        they are tested as a table.
 * ORDER  The highest priority first; among equals the namespace that was served least lately, and in it
 *        who waits longest. Every QUEUE_TURN-th turn goes to whoever has been ready longest, whatever
 *        its priority: a stream of urgent work delays the rest and cannot starve it of attempts.
 * OWNS   Keys are copied.
 * FAILS  queue_put(): false with QUEUE_MAX waiting; the workload says so and is tried when it changes.
 * LIMITS What is promised is an attempt, not a place: a large workload can wait as long as small ones
 *        fill every gap. Priority (it preempts), or a gang, is the means against that.
 */
#ifndef CONTROLPLANE_CORE_QUEUE_H
#define CONTROLPLANE_CORE_QUEUE_H

#include "base/str.h"
#include "base/time.h"

enum {
    QUEUE_MAX = 1000000,
    QUEUE_TURN = 8,
    QUEUE_REST_MS = 100, /* After the first attempt; doubles with each. */
    QUEUE_REST_MAX_MS = 10000,
    QUEUE_BLOCKED_MAX_S = 300, /* Tried again even without an event. */
};

#define QUEUE_ANY UINT64_MAX /* As an event: it may help everybody. */

struct queue;

struct queue *queue_new(void);
void queue_free(struct queue *q);

/* Ready at once when it is new, or when version is another than before: the workload itself was changed,
 * and what was short may not be any more. */
MUST_USE bool queue_put(struct queue *q, struct str key, struct str namespace, int32_t priority,
                        uint64_t version, struct instant now);
void queue_drop(struct queue *q, struct str key);
bool queue_has(const struct queue *q, struct str key);

/* What was tried in vain lacks this. */
void queue_failed(struct queue *q, struct str key, uint64_t needs, struct instant now);

/* Something happened that may help those who need it; one event may wake many, and is applied once for
 * all that came since the last queue_next(). */
void queue_event(struct queue *q, uint64_t event);

/* Worth trying now, whatever its back-off: what it waited for is there. */
void queue_wake(struct queue *q, struct str key, struct instant now);

/* The next to try, taken out of those that are ready; {NULL, 0}: nobody is. It is to be answered by
 * queue_drop(), queue_failed() or queue_wake(). The key is valid until it is dropped. */
struct str queue_next(struct queue *q, struct instant now);

/* Handed out and not answered yet. */
bool queue_is_trying(const struct queue *q, struct str key);

uint32_t queue_count(const struct queue *q);
struct instant queue_deadline(const struct queue *q, struct instant now); /* ns 0: never. */

#endif /* CONTROLPLANE_CORE_QUEUE_H */
