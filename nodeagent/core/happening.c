/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/mem.h"
#include "nodeagent/core/agent_priv.h"

#include <stdarg.h>
#include <stdio.h>

static void forget_first(struct workload *w)
{
    mem_free(w->happenings[0].message);
    w->happenings_count--;
    memmove(w->happenings, w->happenings + 1, w->happenings_count * sizeof *w->happenings);
}

void workload_happened(struct agent_turn *t, struct workload *w, uint32_t n, const char *reason,
                       bool warning, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (w->happenings_count == WORKLOAD_HAPPENINGS_MAX)
        forget_first(w);
    size_t len = strlen(text);
    char *message = mem_zalloc(1, len + 1);
    memcpy(message, text, len);
    w->happened_ns = t->wall.ns > w->happened_ns ? t->wall.ns : w->happened_ns + 1;
    w->happenings[w->happenings_count++] = (struct happening){.at_ns = w->happened_ns,
                                                              .reason = reason,
                                                              .message = message,
                                                              .instance = n,
                                                              .warning = warning};
}

void workload_tell_happenings(struct agent_turn *t, struct workload *w, Agent__WorkloadStatus *s)
{
    s->happenings = arena_zalloc(&t->arena, w->happenings_count + 1, sizeof *s->happenings);
    CHECK(s->happenings != NULL);
    for (uint32_t i = 0; i < w->happenings_count; i++) {
        const struct happening *from = &w->happenings[i];
        Agent__Happening *to = arena_alloc(&t->arena, sizeof *to);
        CHECK(to != NULL);
        agent__happening__init(to);
        to->has_at_ns = to->has_warning = true;
        to->at_ns = from->at_ns;
        to->warning = from->warning;
        to->reason = (char *)from->reason;
        to->message = from->message;
        if (from->instance < w->instances_count && w->pod != NULL) {
            to->container = w->instances[from->instance].name;
            to->has_init = true;
            to->init = w->instances[from->instance].init;
        }
        s->happenings[s->n_happenings++] = to;
    }
    w->told_ns = w->happened_ns;
}

void workload_forget_happenings(struct workload *w, int64_t up_to_ns)
{
    while (w->happenings_count > 0 && w->happenings[0].at_ns <= up_to_ns)
        forget_first(w);
}
