/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node whose disk is short says so with its lease. Its Node carries Kubernetes' condition and taint, and the taint is what
 * keeps new workloads away: the scheduler knows nothing of disks but how many bytes were promised.
 */
#include "base/check.h"
#include "controlplane/core/cluster.h"
#include "controlplane/core/events.h"

static const char CONDITION[] = "DiskPressure", TAINT[] = "node.kubernetes.io/disk-pressure",
                  EFFECT[] = "NoSchedule";

void pressure_told(struct core *c, struct node_state *n, const Agent__LeaseRenew *r)
{
    for (size_t i = 0; i < r->n_facts; i++) {
        const Agent__NodeFact *f = r->facts[i];
        if (!str_is(str_of(f->type), CONDITION) || (n->disk.told && n->disk.holds == f->holds))
            continue;
        n->disk.told = true;
        n->disk.holds = f->holds;
        nodes_look(c, n);
    }
}

static bool was_told(const Core__Node *node)
{
    for (size_t i = 0; i < node->status->n_conditions; i++)
        if (str_is(str_of(node->status->conditions[i]->type), CONDITION))
            return str_is(str_of(node->status->conditions[i]->status), "True");
    return false;
}

static bool is_ours(const Core__Taint *t)
{
    return str_is(str_of(t->key), TAINT) && str_is(str_of(t->effect), EFFECT);
}

/* The taint is there when and only when the disk is short; others stay as they are. */
static void taint(struct core *c, Core__NodeSpec *spec, bool holds)
{
    Core__Taint **kept = arena_zalloc(&c->turn, spec->n_taints + 1, sizeof *kept);
    size_t count = 0;
    bool is_there = false;
    CHECK(kept != NULL);
    for (size_t i = 0; i < spec->n_taints; i++) {
        is_there |= is_ours(spec->taints[i]);
        if (holds || !is_ours(spec->taints[i]))
            kept[count++] = spec->taints[i];
    }
    if (holds == is_there)
        return;
    if (holds) {
        Core__Taint *t = kept[count++] = arena_alloc(&c->turn, sizeof *t);
        CHECK(t != NULL);
        core__taint__init(t);
        t->key = (char *)TAINT;
        t->effect = (char *)EFFECT;
        t->time_added = objects_time(&c->turn, c->wall);
    }
    spec->taints = kept;
    spec->n_taints = count;
}

/* A node that is silent, or has not told since our start, keeps what it told last. */
bool pressure_fill(struct core *c, const struct node_state *n, Core__Node *node)
{
    bool was = was_told(node), holds = n->ready && n->disk.told ? n->disk.holds : was;
    if (n->ready)
        taint(c, node->spec, holds);
    if (was != holds)
        events_tell(c, &(struct event_note){
                           .api_version = "v1",
                           .kind = "Node",
                           .name = str_of(node->metadata->name),
                           .uid = str_of(node->metadata->uid),
                           .reason = holds ? "NodeHasDiskPressure" : "NodeHasNoDiskPressure",
                           .warning = holds,
                           .message = holds ? STR("less than the reserve is free on its disk: it "
                                                  "takes nothing new, and the workloads that use "
                                                  "most beyond their request leave")
                                            : STR("its disk has room again")});
    return holds;
}
