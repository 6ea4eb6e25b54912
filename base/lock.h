/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.h -- the only lock outside io/.
 *
 * WHAT   A mutex, held for a few instructions: to hand a counted reference from one thread to
 *        another (the current snapshot, a run of history). Nothing blocks while it is held.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <pthread.h>

struct lock {
    pthread_mutex_t mutex;
};

void lock_init(struct lock *l);
void lock_fini(struct lock *l);
void lock_take(struct lock *l);
void lock_give(struct lock *l);

#endif /* BASE_LOCK_H */
