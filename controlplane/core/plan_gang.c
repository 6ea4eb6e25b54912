/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pod group in a Plan: its members are answered together, as they would be placed together. A group that is there says how
 * many it needs at least, and those of it that have their places or wait count; of one that is not, all that are listed.
 */
#include "controlplane/core/plan_priv.h"

#include <stdio.h>

struct group {
    struct gang gang;             /* at: those that are asked for. */
    uint32_t others;              /* Waiting members that are not. */
    const struct candidate *only; /* The one an answer is wanted for; NULL: all. */
};

static struct str label_of(const Meta__ObjectMeta *m)
{
    const struct candidate w = {.pod = &(Core__Pod){.metadata = (Meta__ObjectMeta *)(uintptr_t)m}};
    return gang__name(&w);
}

static const Meta__ObjectMeta *meta_of_workload(const Baton__PlanWorkload *from)
{
    return from->pod != NULL ? from->pod->metadata : from->machine->metadata;
}

struct str plan__group_of(const Baton__PlanWorkload *from)
{
    return label_of(meta_of_workload(from));
}

/* ---- the answer ---- */

static bool is_wanted(const struct group *g, const struct candidate *w)
{
    return g->only == NULL || str_eq(g->only->key, w->key);
}

static void refuse_all(struct question *q, const struct group *g, uint32_t from, const char *text)
{
    for (uint32_t i = from; i < g->gang.count; i++)
        if (is_wanted(g, &g->gang.at[i]))
            plan__refused(q, &g->gang.at[i], NULL, text);
}

/* The same again, one by one, until one finds no place: it says what it lacks while the others hold theirs. */
static void explain(struct question *q, const struct group *g, uint32_t count,
                    char text[PLAN_TEXT_MAX])
{
    struct plan_step answer;
    struct err e = {0};
    char why[PLAN_TEXT_MAX] = "";
    uint32_t held = 0, mark = plan_mark(q->plan);
    enum err_code code = ERR_OK;
    for (; code == ERR_OK && held < count; held += code == ERR_OK)
        code = plan_place(q->plan, &g->gang.at[held].request, &answer, &e);
    if (held < count)
        plan__explain(q, &g->gang.at[held], code, &e, why);
    plan_back(q->plan, mark);
    snprintf(text, PLAN_TEXT_MAX, "pod group " STR_FMT ": %u of %u members fit%s; the next: %.600s",
             STR_ARG(g->gang.name), held + g->gang.placed, count + g->gang.placed,
             gang__hope(q->c, g->gang.at, count), why);
}

static bool place(struct question *q, struct group *g, uint32_t count)
{
    struct request *requests = arena_alloc(&q->c->turn, count * sizeof *requests);
    struct plan_step *steps = arena_alloc(&q->c->turn, count * sizeof *steps);
    uint32_t failed;
    if (requests == NULL || steps == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        requests[i] = g->gang.at[i].request;
    if (plan_place_gang(q->plan, requests, count, steps, &failed, NULL) != ERR_OK)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (is_wanted(g, &g->gang.at[i]))
            plan__placed(q, &g->gang.at[i], NULL, &steps[i]);
    return true;
}

static bool translate(struct question *q, struct group *g)
{
    struct err e = {0};
    for (uint32_t i = 0; i < g->gang.count; i++)
        if (placing__translate(q->c, &g->gang.at[i], &e) != ERR_OK) {
            refuse_all(q, g, 0, e.text);
            return false;
        }
    return true;
}

static void answer(struct question *q, struct group *g)
{
    struct gang *of = &g->gang;
    char text[PLAN_TEXT_MAX];
    uint32_t there = of->placed + of->count + g->others;
    if (there < of->least) {
        snprintf(text, sizeof text, "pod group " STR_FMT ": %u of %u members are there",
                 STR_ARG(of->name), there, of->least);
        refuse_all(q, g, 0, text);
        return;
    }
    uint32_t few = of->least > of->placed ? min_u32(of->least - of->placed, of->count) : 1;
    if (of->count == 0 || !translate(q, g) || place(q, g, of->count))
        return;
    uint32_t count = few < of->count && place(q, g, few) ? few : 0;
    explain(q, g, of->count, text);
    refuse_all(q, g, count, text);
}

/* ---- who belongs to it ---- */

/* What is known of it: how many it needs, who has a place, who waits. False: it is not there. */
static bool look_up(struct question *q, struct gang *out)
{
    if (!gang__find_least(q->c, out))
        return false;
    if (!gang__collect(q->c, out))
        out->count = 0; /* In flight: whoever is placed by then is not counted. */
    return true;
}

void plan__ask_group(struct question *q, const Baton__PlanSpec *spec, size_t first, bool *out_asked)
{
    const Meta__ObjectMeta *m = meta_of_workload(spec->workloads[first]);
    struct group g = {.gang = {.namespace = str_of(m->namespace_), .name = label_of(m)}};
    bool is_there = look_up(q, &g.gang);
    g.others = g.gang.count;
    g.gang.count = 0;
    uint32_t wanted = 0;
    g.gang.at = arena_zalloc(&q->c->turn, REQUEST_GANG_MAX, sizeof *g.gang.at);
    for (size_t i = first; g.gang.at != NULL && i < spec->n_workloads; i++) {
        const Baton__PlanWorkload *from = spec->workloads[i];
        uint32_t copies = from->count == 0 ? 1 : from->count;
        if (!str_eq(plan__group_of(from), g.gang.name) ||
            !str_eq(str_of(meta_of_workload(from)->namespace_), g.gang.namespace))
            continue;
        out_asked[i] = true;
        wanted += copies;
        struct candidate w;
        if (!plan__open_new(q, from, &w))
            continue;
        for (uint32_t k = 0; k < copies && g.gang.count < REQUEST_GANG_MAX; k++) {
            if (copies > 1)
                plan__copy_name(q, &w, k);
            struct str why = plan__quota(q, &w);
            if (why.len > 0) { /* It would never be a member. */
                plan__refused(q, &w, NULL, why.at);
                continue;
            }
            g.gang.at[g.gang.count++] = w;
        }
    }
    if (!is_there)
        g.gang.least = wanted;
    answer(q, &g);
}

void plan__why_group(struct question *q, const struct candidate *w)
{
    struct group g = {.gang = {.namespace = w->namespace, .name = gang__name(w)}, .only = w};
    if (look_up(q, &g.gang)) {
        answer(q, &g);
        return;
    }
    struct str text =
        arena_printf(&q->c->turn, "its pod group " STR_FMT " is not there", STR_ARG(g.gang.name));
    plan__refused(q, w, NULL, text.at == NULL ? "" : text.at);
}
