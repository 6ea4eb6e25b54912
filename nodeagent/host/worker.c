/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/worker.h"
#include "base/check.h"
#include "base/mem.h"

struct worker {
    struct thread thread;
    struct mailbox jobs, answers;
    struct loop_client *client;
};

static void drop(void *body)
{
    struct worker_job *job = body;
    if (job->drop != NULL)
        job->drop(job);
}

/* Until the box is closed and empty. An answer always has room: there are never more of them than
 * jobs that were let in. */
static void work(void *arg)
{
    struct worker *w = arg;
    struct mail m;
    while (mailbox_wait(&w->jobs, (struct span){-1}, &m)) {
        struct worker_job *job = m.body;
        job->run(job);
        struct mail answer = {.type = WORKER_DONE, .op = m.op, .body = job, .drop = drop};
        if (mailbox_post(&w->answers, &answer) != ERR_OK)
            drop(job);
    }
}

struct worker *worker_start(struct loop_client *c, uint64_t box_op, const char *name)
{
    struct worker *w = mem_zalloc(1, sizeof *w);
    w->client = c;
    mailbox_init(&w->jobs, WORKER_JOBS_MAX);
    mailbox_init(&w->answers, 2 * WORKER_JOBS_MAX);
    loop_attach(c, box_op, &w->answers);
    thread_start(&w->thread, name, work, w);
    return w;
}

void worker_stop(struct worker *w)
{
    if (w == NULL)
        return;
    mailbox_close(&w->jobs);
    thread_join(&w->thread);
    loop_detach(w->client, &w->answers);
    mailbox_fini(&w->answers);
    mailbox_fini(&w->jobs);
    mem_free(w);
}

enum err_code worker_run(struct worker *w, uint64_t op, struct worker_job *job)
{
    struct mail m = {.type = WORKER_DONE, .op = op, .body = job, .drop = drop};
    return mailbox_post(&w->jobs, &m);
}
