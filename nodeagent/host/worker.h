/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h -- a thread for what would hold up the loop.
 *
 * WHAT   Runs jobs one after another and answers each with one IO_MAIL of WORKER_DONE carrying the
 *        job's op. Pulling an image, unpacking a layer, making a network namespace.
 * OWNS   A job's body belongs to the worker until its answer, then to the receiver, who frees it.
 * ASYNC  Never answers from inside worker_run(). Jobs left at worker_stop() are run to their end.
 * FAILS  ERR_BUSY from worker_run(): WORKER_JOBS_MAX wait already; the body stays the caller's.
 */
#ifndef NODEAGENT_HOST_WORKER_H
#define NODEAGENT_HOST_WORKER_H

#include "io/loop.h"
#include "io/thread.h"

enum { WORKER_JOBS_MAX = 4096, WORKER_DONE = 1 };

struct worker_job {
    void (*run)(struct worker_job *self);  /* On the worker's thread; results go into the body. */
    void (*drop)(struct worker_job *self); /* Frees a body nobody received. */
};

struct worker;

/* Answers arrive at c as IO_MAIL: ev->op is box_op, ev->mail.op the job's, ev->mail.body the job. */
struct worker *worker_start(struct loop_client *c, uint64_t box_op, const char *name);
void worker_stop(struct worker *w);
MUST_USE enum err_code worker_run(struct worker *w, uint64_t op, struct worker_job *job);

#endif /* NODEAGENT_HOST_WORKER_H */
