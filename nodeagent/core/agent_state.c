/* SPDX-License-Identifier: Apache-2.0 */
/* What every part of the agent's core stands on: ops, effects, the trace, and workloads by their names. */
#include "base/mem.h"
#include "nodeagent/core/agent_priv.h"

uint64_t agent_op(struct agent *a, uint32_t slot, uint32_t instance)
{
    return ++a->ops << 20 | (uint64_t)instance << 12 | slot;
}

struct span agent_jittered(struct agent *a, struct span wait)
{
    return (struct span){wait.ns / 2 + (int64_t)rng_below(&a->rng, (uint64_t)wait.ns / 2 + 1)};
}

struct agent_effect *agent_do(struct agent_turn *t, enum agent_effect_type type)
{
    if (t->effects_count == t->effects_size) {
        uint32_t size = t->effects_size == 0 ? 32 : 2 * t->effects_size;
        CHECK(size <= AGENT_EFFECTS_MAX);
        struct agent_effect *more = arena_alloc(&t->arena, size * sizeof *more);
        CHECK(more != NULL);
        if (t->effects_count > 0)
            memcpy(more, t->effects, t->effects_count * sizeof *more);
        t->effects = more;
        t->effects_size = size;
    }
    t->effects[t->effects_count] = (struct agent_effect){.type = type};
    return &t->effects[t->effects_count++];
}

void agent_send(struct agent_turn *t, Agent__AgentMessage *message)
{
    size_t len = agent__agent_message__get_packed_size(message);
    uint8_t *bytes = arena_alloc(&t->arena, len + 1);
    CHECK(bytes != NULL);
    agent__agent_message__pack(message, bytes);
    agent_do(t, FX_SEND)->bytes = str_from(bytes, len);
}

static void trace_name(struct agent_turn *t, const struct workload *w, const char *what)
{
    struct str name = workload_name(w);
    buf_add(&t->trace, name);
    if (what != NULL)
        buf_printf(&t->trace, "/%s", what);
    buf_add_char(&t->trace, ' ');
}

void agent_trace_move(struct agent_turn *t, const struct workload *w, const char *what,
                      const char *state)
{
    trace_name(t, w, what);
    buf_printf(&t->trace, "%s\n", state);
}

void agent_trace_trouble(struct agent_turn *t, const struct workload *w, const char *what,
                         const char *reason, const char *text)
{
    trace_name(t, w, what);
    buf_printf(&t->trace, "%s: ", reason);
    for (const char *c = text; *c != '\0'; c++)
        buf_add_char(&t->trace, (unsigned char)*c < ' ' ? ' ' : *c);
    buf_add_char(&t->trace, '\n');
}

struct str agent_trace(const struct agent *a)
{
    return buf_str(&a->turn.trace);
}

struct workload *agent_find(const struct agent *a, struct str placement_uid)
{
    for (uint32_t i = 0; i < a->workloads_end; i++)
        if (a->workloads[i] != NULL && str_is(placement_uid, a->workloads[i]->placement_uid))
            return a->workloads[i];
    return NULL;
}

struct workload *agent_find_uid(const struct agent *a, struct str workload_uid)
{
    for (uint32_t i = 0; i < a->workloads_end; i++)
        if (a->workloads[i] != NULL && str_is(workload_uid, a->workloads[i]->uid))
            return a->workloads[i];
    return NULL;
}

struct workload *agent_take(struct agent *a)
{
    struct slot_id id;
    if (!slots_take(&a->slots, &id))
        return NULL;
    struct workload *w = mem_zalloc(1, sizeof *w);
    w->slot = id;
    arena_init(&w->arena, 4 * AGENT_MESSAGE_MAX);
    a->workloads[id.slot] = w;
    a->workloads_end = max_u32(a->workloads_end, id.slot + 1);
    a->named[id.slot] = false;
    return w;
}

void agent_give(struct agent *a, struct workload *w)
{
    slots_give(&a->slots, w->slot);
    a->workloads[w->slot.slot] = NULL;
    workload_forget_happenings(w, INT64_MAX);
    arena_free(&w->arena);
    mem_free(w->instances);
    mem_free(w);
}
