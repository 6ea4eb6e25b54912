/* SPDX-License-Identifier: Apache-2.0 */
/* The top: events in, effects out. A turn is some core_step()s and one core_flush(). */
#include "controlplane/core/writes_priv.h"

#include "base/check.h"
#include "base/mem.h"
#include "controlplane/core/placing_priv.h"
#include "api/specs.h"

enum { TURN_BYTES_MAX = 256 << 20 }; /* A turn's arena: many objects of 1.4 MiB, decoded. */

struct core *core_new(const struct core_config *config)
{
    struct core *c = mem_zalloc(1, sizeof *c);
    c->config = *config;
    rng_seed(&c->rng, config->seed);
    rng_seed(&c->memory_rng, ~config->seed);
    arena_init(&c->turn, TURN_BYTES_MAX);
    c->specs = specs_new();
    c->index = index_new();
    c->history = history_new(config->history_bytes);
    c->memory = memory_new();
    c->writes = writes_new();
    c->marks = marks_new();
    controllers_new(c);
    c->above = &controllers_above;
    c->cluster = cluster_new(config);
    preempt__init(c->cluster);
    return c;
}

/* Forget the last turn's effects and what they point to, and the names that its requests brought. */
static void turn_clear(struct core *c)
{
    for (uint32_t i = 0; i < c->effects_count; i++)
        blob_unref(c->effects[i].object);
    c->effects_count = 0;
    c->sent_bytes = 0;
    specs_turn(c->specs);
    arena_free(&c->turn);
    ledger_sweep(c->cluster->ledger);
    c->flushed = false;
}

static void turn_at(struct core *c, struct instant now, struct wall wall)
{
    bool begins = c->flushed;
    if (begins)
        turn_clear(c);
    c->now = now;
    c->wall = wall;
    if (begins)
        placing_swept(c);
}

void core_step(struct core *c, const struct core_event *ev)
{
    turn_at(c, ev->now, ev->wall);
    switch (ev->type) {
    case EV_STARTED:
        memory_start(c);
        commit_start(c);
        break;
    case EV_WRITE:
        writes_event(c, ev->op, ev->write);
        break;
    case EV_STORE_ROW:
        commit_row(c, ev->store);
        break;
    case EV_STORE_DONE:
        commit_done(c, ev->store);
        break;
    case EV_AGENT_OPENED:
    case EV_AGENT_MESSAGE:
    case EV_AGENT_CLOSED:
        agents_event(c, ev);
        break;
    case EV_DEADLINE: /* Everything that waits for an instant is looked at in core_flush(). */
        break;
    }
}

struct core_effects core_flush(struct core *c, struct instant now, struct wall wall)
{
    turn_at(c, now, wall);
    writes_run_ready(c);
    marks_run(c);
    memory_flush(c);
    commit_flush(c);
    c->flushed = true;
    return (struct core_effects){c->effects, c->effects_count};
}

struct instant core_deadline(const struct core *c)
{
    return instant_earlier(marks_deadline(c), commit_deadline(c));
}

struct index *core_index(struct core *c)
{
    return c->index;
}

struct history *core_history(struct core *c)
{
    return c->history;
}

struct core_counts core_counts(const struct core *c)
{
    return c->counts;
}

struct core_numbers core_numbers(const struct core *c)
{
    struct core_numbers n = {.head = c->writes->head, .next_revision = c->writes->next_revision};
    memcpy(n.rng, c->rng.s, sizeof n.rng);
    return n;
}

void core_resume(struct core *c, const struct core_numbers *n)
{
    c->writes->next_revision = max_u64(c->writes->next_revision, n->next_revision);
    memcpy(c->rng.s, n->rng, sizeof n->rng);
}

bool core_is_ready(const struct core *c)
{
    return c->is_loaded && c->writes->load == LOAD_DONE;
}

void core_free(struct core *c)
{
    if (c == NULL)
        return;
    turn_clear(c);
    writes_free(c);
    marks_free(c->marks);
    controllers_free(c);
    preempt__free(c->cluster);
    cluster_free(c->cluster);
    memory_free(c->memory);
    history_free(c->history);
    index_free(c->index);
    specs_free(c->specs);
    arena_free(&c->turn);
    mem_free(c->effects);
    mem_free(c);
}
