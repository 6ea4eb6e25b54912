/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs wait in one queue. Commits become records, several of them on their way (store_etcd_append.c); every
 * other job waits until none is. Compaction goes on beside commits.
 */
#include "controlplane/store/store_etcd_priv.h"

static void pump(struct etcd_log *m);

/* ---- In ---- */

void etcd_log_ask(struct etcd_log *m, struct instant now, struct etcd_job *job)
{
    m->now = now;
    job->next = NULL;
    if (m->jobs_last == NULL)
        m->jobs_first = job;
    else
        m->jobs_last->next = job;
    m->jobs_last = job;
    pump(m);
}

/* The endpoints are one cluster, or a mistake in the command line that would split the log. */
static bool is_other_cluster(struct etcd_log *m, const struct etcd_answer *a)
{
    if (m->cluster == 0)
        m->cluster = a->cluster;
    return a->cluster != 0 && a->cluster != m->cluster;
}

static void step_answered(struct etcd_log *m, const struct etcd_answer *a)
{
    if (m->state == ETCD_LOG_CLOSING)
        etcd_log__done(m, m->close_op, ERR_OK, NULL); /* The lease ends by itself if it must. */
    else if (m->state == ETCD_LOG_MARKING)
        etcd_copy__answered(m, a);
    else
        etcd_load__answered(m, a);
}

static void answered(struct etcd_log *m, enum etcd_caller who, const struct etcd_answer *a)
{
    if (a->outcome == ETCD_AGAIN && etcd_log__try_again(m, who)) {
        if (who == ETCD_CALL_STEP && m->state == ETCD_LOG_READING)
            etcd_load__smaller(m);
        return;
    }
    bool in_doubt = etcd_log__end_call(m, who);
    switch (who) {
    case ETCD_CALL_APPEND:
        etcd_append__answered(m, in_doubt, a);
        break;
    case ETCD_CALL_STEP:
        step_answered(m, a);
        break;
    case ETCD_CALL_SWEEP:
        etcd_sweep__answered(m, a);
        break;
    case ETCD_CALL_LEASE:
        etcd_lease__answered(m, a);
        break;
    case ETCD_CALL__COUNT:
        CHECK(false);
    }
}

void etcd_log_answered(struct etcd_log *m, struct instant now, uint64_t request,
                       const struct etcd_answer *a)
{
    enum etcd_caller who;
    struct etcd_answer other = {.outcome = ETCD_AGAIN,
                                .text = "the endpoint belongs to another etcd cluster"};
    m->now = now;
    if (!etcd_log__caller(m, request, &who))
        return; /* Of a call that was hung up. */
    m->calls[who].request = 0;
    answered(m, who, is_other_cluster(m, a) ? &other : a);
    pump(m);
}

void etcd_log_delivered(struct etcd_log *m, struct instant now)
{
    m->now = now;
    etcd_load__delivered(m);
    pump(m);
}

void etcd_log_tick(struct etcd_log *m, struct instant now)
{
    m->now = now;
    etcd_log__calls_tick(m);
    etcd_lease__tick(m);
}

struct instant etcd_log_deadline(const struct etcd_log *m)
{
    struct instant first = m->lease_due;
    for (uint32_t i = 0; i < ETCD_CALL__COUNT; i++)
        first = instant_earlier(first, m->calls[i].again_at);
    return first;
}

/* ---- Out ---- */

bool etcd_log_next(struct etcd_log *m, struct etcd_effect *out)
{
    if (m->effects_at == m->effects_count)
        return false;
    *out = m->effects[m->effects_at++];
    return true;
}

/* ---- Jobs ---- */

static bool is_quiet(const struct etcd_log *m)
{
    return m->append.state == ETCD_APPEND_IDLE && !etcd_log__is_calling(m, ETCD_CALL_SWEEP) &&
           !etcd_log__is_calling(m, ETCD_CALL_STEP);
}

/* False: it has to wait. */
static bool job_next(struct etcd_log *m)
{
    struct etcd_job *j = m->jobs_first;
    switch (j->type) {
    case ETCD_JOB_COMMIT:
        return etcd_append__next(m);
    case ETCD_JOB_OPEN:
    case ETCD_JOB_LOAD:
    case ETCD_JOB_FOLLOW:
        if (!is_quiet(m))
            return false;
        etcd_load__begin(m, etcd_log__pop(m));
        return true;
    case ETCD_JOB_COMPACT:
        if (m->sweep.step != ETCD_SWEEP_NOT)
            return false; /* One at a time. */
        etcd_log__pop(m);
        etcd_sweep__begin(m, j->op, j->argument);
        etcd_job_free(j);
        return true;
    case ETCD_JOB_MARK:
        if (!is_quiet(m))
            return false;
        etcd_copy__begin(m, etcd_log__pop(m));
        return true;
    case ETCD_JOB_CLOSE:
        if (!is_quiet(m))
            return false;
        etcd_log__pop(m);
        etcd_sweep__stop(m, "the store is being closed");
        etcd_lease__give_back(m, j->op);
        etcd_job_free(j);
        return true;
    }
    return false;
}

/* Begin what can be begun. */
static void pump(struct etcd_log *m)
{
    while ((m->state == ETCD_LOG_LEADING || m->state == ETCD_LOG_AWAY) && m->jobs_first != NULL &&
           job_next(m))
        continue;
    if (m->state == ETCD_LOG_LEADING && !etcd_log__wants_quiet(m))
        etcd_sweep__resume(m, false);
}

/* ---- Beginning and end ---- */

struct etcd_log *etcd_log_new(const struct etcd_log_options *o)
{
    struct etcd_log *m = mem_zalloc(1, sizeof *m);
    m->options = *o;
    m->rotated_at = 1;
    return m;
}

static void effect_free(struct etcd_effect *fx)
{
    blob_unref(fx->body);
    etcd_rows_free(fx->rows);
}

void etcd_log_free(struct etcd_log *m)
{
    if (m == NULL)
        return;
    for (struct etcd_effect fx; etcd_log_next(m, &fx);)
        effect_free(&fx);
    for (struct etcd_job *j = m->jobs_first, *next; j != NULL; j = next) {
        next = j->next;
        etcd_job_free(j);
    }
    etcd_append__drop(m);
    for (uint32_t i = 0; i < ETCD_CALL__COUNT; i++)
        etcd_log__hang_up(m, i);
    for (struct etcd_effect fx; etcd_log_next(m, &fx);)
        effect_free(&fx);
    etcd_load__drop(m);
    etcd_job_free(m->marking);
    etcd_index_free(&m->index);
    mem_free(m->effects);
    mem_free(m);
}

struct etcd_log_counts etcd_log_counts(const struct etcd_log *m)
{
    return m->counts;
}

enum etcd_state etcd_log_state(const struct etcd_log *m)
{
    return m->state;
}
