/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs wait in one queue. Commits become records, several of them on their way (store_etcd_append.c); every
 * other job waits until none is. Compaction goes on beside commits.
 */
#include "controlplane/store/store_etcd_priv.h"

#define TO(name) (1u << ETCD_LOG_##name)
const struct sm_state etcd_log_states[ETCD_LOG__COUNT] = {
#define S(name, to) [ETCD_LOG_##name] = {#name, to},
    ETCD_STATES(S, TO)
#undef S
};
#undef TO

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
    etcd_log__pump(m);
}

void etcd_log_delivered(struct etcd_log *m, struct instant now)
{
    m->now = now;
    etcd_load__delivered(m);
    etcd_log__pump(m);
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

struct etcd_effect *etcd_log__emit(struct etcd_log *m, enum etcd_effect_type type)
{
    if (m->effects_at > 0 && m->effects_at == m->effects_count)
        m->effects_at = m->effects_count = 0;
    if (m->effects_count == m->effects_size) {
        m->effects_size = m->effects_size == 0 ? 32 : m->effects_size * 2;
        m->effects = mem_resize(m->effects, m->effects_size * sizeof *m->effects);
    }
    struct etcd_effect *fx = &m->effects[m->effects_count++];
    *fx = (struct etcd_effect){.type = type};
    return fx;
}

bool etcd_log_next(struct etcd_log *m, struct etcd_effect *out)
{
    if (m->effects_at == m->effects_count)
        return false;
    *out = m->effects[m->effects_at++];
    return true;
}

void etcd_log__done(struct etcd_log *m, uint64_t op, enum err_code code, const struct err *e)
{
    struct etcd_effect *fx = etcd_log__emit(m, ETCD_FX_DONE);
    fx->done = (struct store_event){.type = STORE_DONE, .op = op, .code = code};
    if (code != ERR_OK)
        fx->done.err = *e;
}

void etcd_log__move(struct etcd_log *m, enum etcd_state next)
{
    if (m->state == next)
        return;
    sm_check(etcd_log_states, m->state, next);
    m->state = next;
}

/* ---- Jobs ---- */

struct etcd_job *etcd_log__pop(struct etcd_log *m)
{
    struct etcd_job *j = m->jobs_first;
    m->jobs_first = j->next;
    if (m->jobs_first == NULL)
        m->jobs_last = NULL;
    j->next = NULL;
    return j;
}

bool etcd_log__wants_quiet(const struct etcd_log *m)
{
    const struct etcd_job *j = m->jobs_first;
    return j != NULL && j->type != ETCD_JOB_COMMIT && j->type != ETCD_JOB_COMPACT;
}

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

void etcd_log__pump(struct etcd_log *m)
{
    while ((m->state == ETCD_LOG_LEADING || m->state == ETCD_LOG_AWAY) && m->jobs_first != NULL &&
           job_next(m))
        continue;
    if (m->state == ETCD_LOG_LEADING && !etcd_log__wants_quiet(m))
        etcd_sweep__resume(m, false);
}

struct etcd_job *etcd_job_new(enum etcd_job_type type, uint64_t op, uint64_t argument,
                              const struct store_write *writes, uint32_t writes_count)
{
    struct etcd_job *j = mem_alloc(sizeof *j + writes_count * sizeof *writes);
    *j = (struct etcd_job){
        .type = type, .op = op, .argument = argument, .writes_count = writes_count};
    for (uint32_t i = 0; i < writes_count; i++) {
        j->writes[i] = writes[i];
        blob_ref(writes[i].key);
        blob_ref(writes[i].value);
        j->cost += etcd_record_cost(&writes[i]);
    }
    return j;
}

void etcd_job_free(void *job)
{
    struct etcd_job *j = job;
    if (j == NULL)
        return;
    for (uint32_t i = 0; i < j->writes_count; i++) {
        blob_unref(j->writes[i].key);
        blob_unref(j->writes[i].value);
    }
    mem_free(j);
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
