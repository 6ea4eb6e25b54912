/* SPDX-License-Identifier: Apache-2.0 */
/* What every file of the machine stands on: its states, the jobs that wait, the effects that leave it. */
#include "controlplane/store/store_etcd_priv.h"

#define TO(name) (1u << ETCD_LOG_##name)
const struct sm_state etcd_log_states[ETCD_LOG__COUNT] = {
#define S(name, to) [ETCD_LOG_##name] = {#name, to},
    ETCD_STATES(S, TO)
#undef S
};
#undef TO

/* ---- Effects ---- */

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

void etcd_rows_free(void *body)
{
    struct etcd_rows *rows = body;
    if (rows == NULL)
        return;
    for (uint32_t i = 0; i < rows->count; i++) {
        blob_unref(rows->at[i].key);
        blob_unref(rows->at[i].value);
        mem_free(rows->at[i].poison);
    }
    mem_free(rows->at);
    mem_free(rows);
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
