/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread.h -- threads, and the only way they talk: mail.
 *
 * WHAT   A named thread; a bounded mailbox any thread may post to and one thread receives from,
 *        either through its loop (loop_attach()) or by waiting (mailbox_wait()).
 * WHY    Between threads go messages with owned bodies and immutable counted bytes, nothing else.
 * OWNS   A body belongs to the poster until mailbox_post() succeeds, then to the box, then to the
 *        receiver. Bodies still in a box at mailbox_fini() are dropped with mail.drop.
 * FAILS  ERR_BUSY from mailbox_post(): the box is full. The poster keeps the body and refuses whoever
 *        asked (429), so a slow receiver never costs memory without limit.
 */
#ifndef IO_THREAD_H
#define IO_THREAD_H

#include "base/err.h"
#include "base/time.h"
#include <pthread.h>
#include <stdint.h>

struct mail {
    uint32_t type;            /* The receiver's own numbering. */
    uint64_t op;              /* Whatever the poster wants back in the answer. */
    void *body;               /* Owned. */
    void (*drop)(void *body); /* Frees a body nobody received; NULL: nothing to free. */
};

struct mailbox {
    pthread_mutex_t mutex;
    pthread_cond_t arrived;
    struct mail *ring,
        *taken; /* Posted to; being read. They swap, so the lock is held for a copy. */
    uint32_t ring_count, ring_size, taken_count, taken_size, taken_next, limit;
    bool closed;
    int bell; /* An eventfd, rung for the loop that has it (loop_attach()); -1: none ever had. */
};

void mailbox_init(struct mailbox *box, uint32_t limit); /* limit: messages, at least 1. */
void mailbox_fini(struct mailbox *box); /* Every call that posts to it has returned. */

/* Any thread. On success the body is the box's. ERR_BUSY: full. ERR_UNAVAILABLE: closed. */
MUST_USE enum err_code mailbox_post(struct mailbox *box, const struct mail *m);

/* The receiving thread only. False: nothing there (any more). */
bool mailbox_take(struct mailbox *box, struct mail *out_mail);

/* The same, but waits for mail up to timeout; a negative one waits without end. False: time is over,
 * or the box is closed and empty. For threads without a loop. */
bool mailbox_wait(struct mailbox *box, struct span timeout, struct mail *out_mail);

/* Any thread. Posting fails from now on; what is inside can still be taken. */
void mailbox_close(struct mailbox *box);

uint32_t mailbox_count(struct mailbox *box); /* Messages waiting: for metrics. */

struct thread {
    pthread_t id;
    void (*run)(void *arg);
    void *arg;
    char name[16]; /* As ps -L and the logs show it; cut at 15 bytes. */
};

/* Starts with all signals blocked (they belong to the main thread's loop). CHECKs: a program that
 * cannot start its handful of threads cannot run. t stays put until thread_join(). */
void thread_start(struct thread *t, const char *name, void (*run)(void *arg), void *arg);
void thread_join(struct thread *t);

uint32_t thread_cpus(void); /* CPUs this process may run on, at least 1. */

#endif /* IO_THREAD_H */
