/* SPDX-License-Identifier: Apache-2.0 */
#include "io/thread.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { RING_FIRST = 16 };

void mailbox_init(struct mailbox *box, uint32_t limit)
{
    pthread_condattr_t monotonic;

    CHECK(limit > 0);
    *box = (struct mailbox){.limit = limit, .bell = -1};
    CHECK(pthread_mutex_init(&box->mutex, NULL) == 0);
    CHECK(pthread_condattr_init(&monotonic) == 0);
    CHECK(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&box->arrived, &monotonic) == 0);
    pthread_condattr_destroy(&monotonic);
}

static void drop_all(struct mail *at, uint32_t from, uint32_t count)
{
    for (uint32_t i = from; i < count; i++)
        if (at[i].drop != NULL)
            at[i].drop(at[i].body);
}

void mailbox_fini(struct mailbox *box)
{
    drop_all(box->taken, box->taken_next, box->taken_count);
    drop_all(box->ring, 0, box->ring_count);
    mem_free(box->taken);
    mem_free(box->ring);
    if (box->bell >= 0)
        close(box->bell);
    pthread_cond_destroy(&box->arrived);
    pthread_mutex_destroy(&box->mutex);
    *box = (struct mailbox){0};
}

/* Room for one more, with the mutex held. The ring grows to what was needed once and stays. */
static bool ring_has_room(struct mailbox *box)
{
    if (box->ring_count == box->limit)
        return false;
    if (box->ring_count == box->ring_size) {
        box->ring_size = box->ring_size == 0 ? RING_FIRST : box->ring_size * 2;
        box->ring = mem_resize(box->ring, box->ring_size * sizeof *box->ring);
    }
    return true;
}

/* Without the mutex held: whoever wakes wants it at once, and would only wait for us again. */
static void ring_bell(struct mailbox *box, int bell)
{
    if (bell < 0)
        pthread_cond_signal(&box->arrived);
    else /* It fails when it has been rung as often as it can count: then it is heard anyway. */
        (void)eventfd_write(bell, 1);
}

enum err_code mailbox_post(struct mailbox *box, const struct mail *m)
{
    enum err_code code = ERR_OK;
    bool is_first = false; /* Later ones are seen by the same look. */

    pthread_mutex_lock(&box->mutex);
    if (box->closed) {
        code = ERR_UNAVAILABLE;
    } else if (!ring_has_room(box)) {
        code = ERR_BUSY;
    } else {
        box->ring[box->ring_count++] = *m;
        is_first = box->ring_count == 1;
    }
    int bell = box->bell;
    pthread_mutex_unlock(&box->mutex);
    if (is_first)
        ring_bell(box, bell);
    return code;
}

/* With the mutex held: what was posted becomes what is read. */
static void swap_rings(struct mailbox *box)
{
    struct mail *empty = box->taken;
    uint32_t size = box->taken_size;

    box->taken = box->ring;
    box->taken_size = box->ring_size;
    box->taken_count = box->ring_count;
    box->taken_next = 0;
    box->ring = empty;
    box->ring_size = size;
    box->ring_count = 0;
}

static bool next_taken(struct mailbox *box, struct mail *out_mail)
{
    if (box->taken_next == box->taken_count)
        return false;
    *out_mail = box->taken[box->taken_next++];
    return true;
}

bool mailbox_take(struct mailbox *box, struct mail *out_mail)
{
    if (next_taken(box, out_mail))
        return true;
    pthread_mutex_lock(&box->mutex);
    swap_rings(box);
    pthread_mutex_unlock(&box->mutex);
    return next_taken(box, out_mail);
}

static struct timespec deadline_after(struct span timeout)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t ns = at.tv_nsec + timeout.ns % 1000000000;
    at.tv_sec += timeout.ns / 1000000000 + ns / 1000000000;
    at.tv_nsec = ns % 1000000000;
    return at;
}

bool mailbox_wait(struct mailbox *box, struct span timeout, struct mail *out_mail)
{
    if (next_taken(box, out_mail))
        return true;

    struct timespec until = deadline_after(timeout.ns < 0 ? (struct span){0} : timeout);
    int rc = 0;
    pthread_mutex_lock(&box->mutex);
    while (box->ring_count == 0 && !box->closed && rc == 0) {
        if (timeout.ns < 0)
            rc = pthread_cond_wait(&box->arrived, &box->mutex);
        else
            rc = pthread_cond_timedwait(&box->arrived, &box->mutex, &until);
    }
    swap_rings(box);
    pthread_mutex_unlock(&box->mutex);
    return next_taken(box, out_mail);
}

void mailbox_close(struct mailbox *box)
{
    pthread_mutex_lock(&box->mutex);
    box->closed = true;
    int bell = box->bell;
    pthread_mutex_unlock(&box->mutex);
    ring_bell(box, bell);
}

uint32_t mailbox_count(struct mailbox *box)
{
    pthread_mutex_lock(&box->mutex);
    uint32_t count = box->ring_count;
    pthread_mutex_unlock(&box->mutex);
    return count;
}

static void *thread_main(void *arg)
{
    struct thread *t = arg;
    pthread_setname_np(pthread_self(), t->name);
    t->run(t->arg);
    return NULL;
}

void thread_start(struct thread *t, const char *name, void (*run)(void *arg), void *arg)
{
    sigset_t all, before;

    *t = (struct thread){.run = run, .arg = arg};
    snprintf(t->name, sizeof t->name, "%s", name);
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    CHECK(pthread_create(&t->id, NULL, thread_main, t) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

void thread_join(struct thread *t)
{
    CHECK(pthread_join(t->id, NULL) == 0);
}

uint32_t thread_cpus(void)
{
    cpu_set_t *set = CPU_ALLOC(4096);
    size_t size = CPU_ALLOC_SIZE(4096);
    uint32_t count = 1;

    CHECK(set != NULL);
    if (sched_getaffinity(0, size, set) == 0)
        count = (uint32_t)CPU_COUNT_S(size, set);
    CPU_FREE(set);
    return count == 0 ? 1 : count;
}
