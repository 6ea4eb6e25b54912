/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lives in memory alone (Events): an index and a history like the store's, in numbers of their own. A
 * stage of it is settled where it ends, because there is nothing to wait for.
 *
 * Revisions begin at the wall clock's microseconds: higher than any before a restart, so whoever follows from
 * an earlier one is told 410 and lists again. A clock that was set back makes them "too large" instead,
 * which clients answer in the same way.
 */
#include "controlplane/core/writes_priv.h"

#include "base/mem.h"

enum { MEMORY_HISTORY_BYTES = 2 << 20 };

struct core_memory *memory_new(void)
{
    struct core_memory *m = mem_zalloc(1, sizeof *m);
    m->index = index_new();
    m->history = history_new(MEMORY_HISTORY_BYTES);
    return m;
}

void memory_free(struct core_memory *m)
{
    history_free(m->history);
    index_free(m->index);
    mem_free(m);
}

void memory_start(struct core *c)
{
    struct core_memory *m = c->memory;
    m->head = c->wall.ns > 1000 ? (uint64_t)c->wall.ns / 1000 : 1;
    m->next_revision = m->head + 1;
    m->moved = true;
    history_forget(m->history, m->head);
}

void memory_settle(struct core *c, struct stage *s)
{
    struct core_memory *m = c->memory;
    for (uint32_t i = 0; i < s->count; i++)
        commit_apply(c, index_tree(m->index), m->history, &s->at[i]);
    m->head = s->at[s->count - 1].now->stamp;
    m->moved = true;
    stage_settle(s, true);
    stage_answer(s, WRITE_OK, (struct str){NULL, 0});
    stage_free(s);
}

void memory_flush(struct core *c)
{
    struct core_memory *m = c->memory;
    if (!m->moved) {
        index_reap(m->index);
        return;
    }
    index_publish(m->index, m->head);
    history_publish(m->history, m->head, c->now);
    core_emit(c, &(struct core_effect){.type = FX_PUBLISHED, .revision = c->writes->head});
    m->moved = false;
}

struct index *core_memory_index(struct core *c)
{
    return c->memory->index;
}

struct history *core_memory_history(struct core *c)
{
    return c->memory->history;
}
