/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A workload gets its rows inside the call that creates it, or waits with a reason and is looked at
 * again whenever rows may have become free. Object and Placement are one transaction; the ledger's
 * hold is tentative until that is durable.
 */
#include "base/check.h"
#include "controlplane/core/budgets.h"
#include "controlplane/core/images.h"
#include "controlplane/core/placing_priv.h"
#include "api/specs.h"
#include "proto/k8s/scheduling_v1.pb-c.h"

#include <stdio.h>

bool placing__is_kind(const struct index_key *at)
{
    return (at->group.len == 0 && str_is(at->plural, "pods")) ||
           (str_is(at->group, "kubevirt.io") && str_is(at->plural, "virtualmachineinstances"));
}

bool placing__open(struct core *c, struct candidate *w, struct str key, const struct index_key *at,
                   struct str object)
{
    *w = (struct candidate){
        .key = key, .namespace = at->namespace, .name = at->name, .reason = "Unschedulable"};
    if (at->group.len == 0) {
        w->pod = specs_open(c->specs, &c->turn, object);
        return w->pod != NULL && w->pod->spec != NULL && w->pod->metadata != NULL;
    }
    w->machine = typed_open(&c->turn, &kubevirt__virtual_machine_instance__descriptor, object);
    return w->machine != NULL && w->machine->spec != NULL && w->machine->spec->domain != NULL &&
           w->machine->metadata != NULL;
}

struct str placing__close(struct core *c, const struct candidate *w)
{
    return w->pod != NULL ? typed_wrap(&c->turn, "v1", "Pod", &w->pod->base)
                          : typed_wrap(&c->turn, "kubevirt.io/v1", "VirtualMachineInstance",
                                       &w->machine->base);
}

/* Somebody else's scheduler is to place it, or nobody yet. */
static bool is_foreign(const struct candidate *w)
{
    struct str name =
        str_of(w->pod != NULL ? w->pod->spec->scheduler_name : w->machine->spec->scheduler_name);
    return name.len > 0 && !str_is(name, "default-scheduler") && !str_is(name, "baton");
}

/* ---- deciding ---- */

static enum err_code translate(struct core *c, struct candidate *w, struct err *e)
{
    struct names *n = ledger_names(c->cluster->ledger);
    if (w->pod != NULL) {
        enum err_code done =
            sched_view_pod(n, &c->turn, &c->cluster->classes, w->pod, &w->request, e);
        images_wanted(c, w->pod->spec, &w->request);
        return done;
    }
    enum err_code code =
        sched_view_machine(n, &c->turn, w->machine, &c->cluster->overhead, &w->request, e);
    w->request.priority = placing__priority(c, w);
    return code;
}

/* The object itself stays as it is: it will be stored again. */
enum err_code placing__translate(struct core *c, struct candidate *w, struct err *e)
{
    Core__Affinity **at = w->pod != NULL ? &w->pod->spec->affinity : &w->machine->spec->affinity;
    Core__Affinity *said = *at;
    struct words_affinity meant;
    w->by_spaces = false;
    if (said == NULL)
        return translate(c, w, e);
    enum err_code code = words__affinity(c, said, &meant, &w->by_spaces, e);
    if (code != ERR_OK)
        return code;
    *at = w->by_spaces ? &meant.all : said;
    code = translate(c, w, e);
    *at = said;
    return code;
}

static bool is_gated(const struct candidate *w)
{
    return w->pod != NULL && w->pod->spec->n_scheduling_gates > 0;
}

/* In words for people, and as what could help. */
void placing__explain(struct core *c, struct candidate *w, enum err_code code, const struct err *e)
{
    struct ledger *l = c->cluster->ledger;
    struct explanation *x = arena_alloc(&c->turn, sizeof *x);
    if (code != ERR_BUSY || x == NULL) {
        snprintf(w->why, sizeof w->why, "%s", e->text);
        c->cluster->is_short |= code == ERR_LIMIT;
        w->needs = code == ERR_LIMIT ? QUEUE_ANY : 0;
        return;
    }
    ledger_explain(l, &w->request, x);
    if (x->nodes_count == 0)
        snprintf(w->why, sizeof w->why, "0 of 0 nodes fit: no node has joined yet");
    else
        explain_print(l, x, w->why, sizeof w->why);
    w->needs = placing__needs(x);
    w->is_short = true;
}

bool placing__class(struct core *c, const char *name, int32_t *out)
{
    struct index_range r;
    struct cow_entry *e;
    bool found = name == NULL || name[0] == '\0', is_named = !found;
    *out = 0;
    core_range(c, &r, STR("scheduling.k8s.io/priorityclasses/"));
    for (bool first = true; (e = index_range_next(&r)) != NULL;) {
        Scheduling__PriorityClass *p =
            typed_open(&c->turn, &scheduling__priority_class__descriptor, blob_str(e->value));
        if (p == NULL || p->metadata == NULL)
            continue;
        bool is_meant = is_named ? str_is(str_of(p->metadata->name), name)
                                 : p->global_default && (first || p->value > *out);
        if (!is_meant)
            continue;
        *out = p->value;
        found = true;
        first = false;
    }
    return found;
}

/* A machine names its class alone; the value of one is fixed. */
static int32_t class_value(struct core *c, const char *name)
{
    if (name == NULL || name[0] == '\0')
        return 0;
    struct cow_entry *e =
        core_find(c, core_key(c, "scheduling.k8s.io", "priorityclasses", STR(""), str_of(name)));
    Scheduling__PriorityClass *p =
        e == NULL
            ? NULL
            : typed_open(&c->turn, &scheduling__priority_class__descriptor, blob_str(e->value));
    return p == NULL ? 0 : p->value;
}

int32_t placing__priority(struct core *c, const struct candidate *w)
{
    return w->pod != NULL ? w->pod->spec->priority
                          : class_value(c, w->machine->spec->priority_class_name);
}

bool placing__is_blocked(struct core *c, struct candidate *w)
{
    struct held *former = cluster_held(c, cluster_placement_key(c, w->key));
    if (former != NULL) {
        snprintf(w->why, sizeof w->why, "the former %s of that name is still on node %s",
                 w->pod != NULL ? "pod" : "machine",
                 former->node == NULL ? "?" : former->node->name);
        return true;
    }
    if (is_gated(w)) {
        w->reason = "SchedulingGated";
        snprintf(w->why, sizeof w->why, "Scheduling is blocked due to non-empty scheduling gates");
        return true;
    }
    return false;
}

/* Rows are held when this is true. */
static bool decide(struct core *c, struct candidate *w)
{
    struct ledger *l = c->cluster->ledger;
    struct err e = {0};
    if (placing__is_blocked(c, w))
        return false;
    if (gang__name(w).len > 0) {
        snprintf(w->why, sizeof w->why, "waits for its pod group " STR_FMT, STR_ARG(gang__name(w)));
        return false;
    }
    w->rows = arena_alloc(&c->turn, sizeof *w->rows);
    if (w->rows == NULL)
        return snprintf(w->why, sizeof w->why, "too much at once"), false;
    enum err_code code = placing__translate(c, w, &e);
    if (code == ERR_OK)
        code = ledger_place(l, &w->request, &w->hold, w->rows, &e);
    c->counts.decided += code == ERR_OK;
    if (code == ERR_OK)
        return true;
    placing__explain(c, w, code, &e);
    return false;
}

/* A new one that found no place. Who may ask others to leave, or waits for its group, is tried once more when
 * it is durable. */
static void waits(struct core *c, const struct candidate *w)
{
    placing__tell_waiting(c, w);
    if (is_gated(w))
        return;
    placing__wait(c, w);
    if (!preempt__may(c, w) && gang__name(w).len == 0)
        placing__failed(c, w);
}

/* What was decided goes into the client's bytes: nothing else of them has changed. The numbers are Kubernetes' (core/v1,
 * Pod and PodSpec). False: the turn's memory is full. */
static bool say(struct core *c, const struct candidate *w, struct draft *d)
{
    enum { POD_SPEC = 2, POD_SPEC_NODE_NAME = 10, POD_STATUS = 3 };
    if (w->machine != NULL) {
        d->object = placing__close(c, w);
        return d->object.at != NULL;
    }
    struct typed_field *said = arena_zalloc(&c->turn, 2, sizeof *said);
    struct str node = str_of(w->pod->spec->node_name),
               status = typed_pack(&c->turn, w->pod->status);
    if (said == NULL || status.at == NULL)
        return false;
    if (node.len > 0)
        said[d->edit.put_count++] = (struct typed_field){POD_SPEC, POD_SPEC_NODE_NAME, node};
    said[d->edit.put_count++] = (struct typed_field){0, POD_STATUS, status};
    d->edit.put = said;
    return true;
}

void placing_create(struct core *c, struct stage *s, struct draft *d)
{
    struct candidate w;
    if (!cluster_has_room(c)) {
        stage_refuse(s, WRITE_BUSY, "too much at once");
        return;
    }
    if (!placing__open(c, &w, d->key, &d->at, d->object)) {
        stage_refuse(s, WRITE_INVALID, "the object does not decode");
        return;
    }
    w.uid = d->edit.uid;
    if (!placing__have_status(c, &w))
        return;
    if (!is_foreign(&w)) {
        if (!decide(c, &w)) {
            placing__say_waiting(c, &w);
            if (!d->request->dry_run)
                waits(c, &w);
        } else if (!placing__stage(c, s, &w)) {
            return;
        }
    }
    if (!say(c, &w, d))
        stage_refuse(s, WRITE_BUSY, "too much at once");
}

/* Of a pod's own or a client's wish: added to the time of day it must be a year that every client can read. */
static int64_t bounded_grace(int64_t seconds)
{
    return seconds > INT32_MAX ? INT32_MAX : seconds;
}

/* Graceful while an agent may have it; at once when nobody does, or when the client insists. */
void placing_remove(struct core *c, struct stage *s, struct draft *d)
{
    struct candidate w;
    struct held *h = cluster_held(c, cluster_placement_key(c, d->key));
    d->grace_s = 0;
    budgets_ask(c, s, d);
    if (stage_is_refused(s) || h == NULL || !placing__open(c, &w, d->key, &d->at, d->object))
        return;
    if (h->nomination != NULL || d->request->evicts)
        preempt__say(c, &w, h, d);
    d->grace_s = bounded_grace(d->request->grace_seconds);
    if (d->grace_s >= 0)
        return;
    d->grace_s = 30;
    if (w.pod != NULL && w.pod->spec->has_termination_grace_period_seconds)
        d->grace_s = bounded_grace(w.pod->spec->termination_grace_period_seconds);
    if (w.machine != NULL && w.machine->spec->has_termination_grace_period_seconds)
        d->grace_s = bounded_grace(w.machine->spec->termination_grace_period_seconds);
    /* Its own zero, or less, means "at once", but rows are given back by the agent: one second, as the
     * kubelet's shortest. A client's explicit 0 is a force delete. */
    if (d->grace_s <= 0)
        d->grace_s = 1;
}

/* Its rows are taken as long as it stands: only the agent's word ends it. */
void placing_keep(struct core *c, struct stage *s, struct draft *d)
{
    (void)s;
    d->grace_s = 0;
    d->hold = cluster_held(c, d->key) != NULL;
}

uint64_t placing_topic(struct core *c, const struct cow_entry *e)
{
    const struct held *h = cluster_held(c, cow_entry_key(e));
    return h == NULL || h->node == NULL ? 0 : str_hash(str_of(h->node->name));
}

/* ---- waiting ---- */

/* It has its place, whose own part it was to tell the agent (placing__landed()), and nothing that the agent is told
 * of it has changed: nearly all changes of workloads, and all of them at a start. */
static bool is_settled(struct core *c, const struct core_change *change)
{
    const struct meta *now = &change->now, *before = &change->before;
    const struct held *h =
        change->is.deleted
            ? NULL
            : cluster_held(c, cluster_placement_key(c, cow_entry_key(change->is.now)));
    return h != NULL && h->nomination == NULL && str_is(now->uid, h->workload_uid) &&
           (change->is.before == NULL ||
            (now->generation == before->generation && now->is_deleting == before->is_deleting &&
             now->grace_s == before->grace_s));
}

void placing_changed(struct core *c, const struct core_change *change)
{
    struct str key = cow_entry_key(change->is.now);
    if (placing__is_kind(&change->at)) {
        gang__index(c, change);
        if (!is_settled(c, change))
            core_mark(c, CONTROL_PLACING, key);
    } else if (str_is(change->at.plural, "placements") && str_is(change->at.group, "baton.dev")) {
        if (change->is.deleted || cluster_held(c, key) == NULL)
            core_mark(c, CONTROL_PLACING, key);
    } else if (str_is(change->at.plural, "podgroups") &&
               str_is(change->at.group, "scheduling.x-k8s.io")) {
        core_mark(c, CONTROL_PLACING, key);
    }
}

/* The workload of a Placement of which nothing is held, because it does not decode: the Placement's name tells. */
static struct str workload_named(struct core *c, struct str key)
{
    struct index_key at;
    struct str plural;
    if (!index_key_parse(key, &at) || !str_split(&at.name, '.', &plural))
        return (struct str){NULL, 0};
    const char *group = str_is(plural, "pods") ? "" : "kubevirt.io";
    return core_key(c, group, arena_dup(&c->turn, plural), at.namespace, at.name);
}

/* What cannot be believed goes with its workload, which nobody will start; see also placing__lost(). */
static enum reconcile unbelievable(struct core *c, struct str key)
{
    struct str workload = workload_named(c, key);
    bool is_needed = workload.at != NULL && core_find(c, workload) != NULL;
    return is_needed || core_delete(c, key, (struct str){NULL, 0}, -1, "Background")
               ? RECONCILE_DONE
               : RECONCILE_LATER;
}

/* A Placement that is gone, or of which nothing is held. */
static enum reconcile placement_seen(struct core *c, struct str key)
{
    struct cow_entry *e = core_find(c, key);
    struct held *h = cluster_held(c, key);
    if (h == NULL && e != NULL)
        return unbelievable(c, key);
    if (h != NULL && e == NULL && h->revision != 0) {
        struct str workload = arena_str(&c->turn, str_of(h->workload_key));
        agents_tell_removed(c, h);
        placing__unhold(c, h);
        placing__wake(c, workload); /* Somebody of that name may wait for its end. */
        core_mark(c, CONTROL_PLACING, workload);
    }
    return RECONCILE_DONE;
}

/* Leaving, or it ran somewhere once: nothing is run a second time by itself. */
static bool is_over(const struct candidate *w)
{
    const char *phase = w->pod != NULL ? w->pod->status->phase : w->machine->status->phase;
    const Meta__ObjectMeta *m = w->pod != NULL ? w->pod->metadata : w->machine->metadata;
    return (phase != NULL && !str_is(str_of(phase), "Pending")) || m->deletion_timestamp != NULL;
}

bool placing__is_ending(const struct candidate *w)
{
    const char *phase = w->pod != NULL ? w->pod->status->phase : w->machine->status->phase;
    const Meta__ObjectMeta *m = w->pod != NULL ? w->pod->metadata : w->machine->metadata;
    return str_is(str_of(phase), "Succeeded") || str_is(str_of(phase), "Failed") ||
           m->deletion_timestamp != NULL;
}

bool placing__may_wait(const struct candidate *w)
{
    return !is_over(w) && !is_gated(w) && !is_foreign(w);
}

/* One workload without a Placement: try again, and say what is short when that has changed. */
static enum reconcile retry(struct core *c, struct candidate *w)
{
    struct str before = placing__close(c, w);
    preempt__begin(c, w->key);
    bool placed = decide(c, w);
    bool again =
        !placed && preempt__may(c, w) && preempt__try(c, w->key, w, 1, w->why, sizeof w->why);
    struct stage *s = stage_begin(c);
    if (placed && !placing__stage(c, s, w)) {
        stage_end(s);
        return RECONCILE_LATER;
    }
    if (placed) {
        preempt__cancel(c, w->key);
        placing__wait_no_more(c, w->key);
    } else {
        placing__say_waiting(c, w);
        placing__tell_waiting(c, w);
        placing__failed(c, w);
    }
    if (again)
        placing__wake(c, w->key);
    struct str after = placing__close(c, w);
    if (after.at == NULL)
        stage_refuse(s, WRITE_BUSY, "too much at once");
    else if (placed || !str_eq(before, after))
        stage_put(s, w->key, after, NULL);
    else
        stage_refuse(s, WRITE_OK, "nothing has changed");
    stage_end(s);
    return RECONCILE_DONE;
}

/* It is on a node by a Placement that does not decode: its rows cannot be known, and the node's agent, whom nobody tells
 * of it any more, ends it. */
static bool is_lost(struct core *c, const struct candidate *w)
{
    const char *phase = w->pod != NULL ? w->pod->status->phase : w->machine->status->phase;
    const char *node = w->pod != NULL ? w->pod->spec->node_name : w->machine->status->node_name;
    return node != NULL && node[0] != '\0' && !str_is(str_of(phase), "Succeeded") &&
           !str_is(str_of(phase), "Failed") &&
           core_find(c, cluster_placement_key(c, w->key)) != NULL;
}

/* It has a place, or wants none any more. */
static enum reconcile settles(struct core *c, struct str key)
{
    placing__wait_no_more(c, key);
    preempt__cancel(c, key);
    return RECONCILE_DONE;
}

/* Its Placement is durable, whose revision is the start's fencing token. */
void placing__landed(struct core *c, struct held *h)
{
    struct cow_entry *e = core_find(c, str_of(h->key));
    struct str workload = str_of(h->workload_key);
    h->revision = e == NULL ? 0 : e->stamp;
    settles(c, workload);
    if (cluster_has_room(c))
        agents_tell(c, h);
    else
        core_mark(c, CONTROL_PLACING, workload);
}

/* Nobody placed it, or who did does not know it any more. was_placed: its Placement is still there. */
static enum reconcile unplaced(struct core *c, struct candidate *w, bool was_placed)
{
    if (!was_placed && is_lost(c, w)) {
        settles(c, w->key);
        return placing__lost(c, w);
    }
    if (is_over(w) || is_foreign(w))
        return settles(c, w->key);
    w->uid = str_of(w->pod != NULL ? w->pod->metadata->uid : w->machine->metadata->uid);
    if (is_gated(w)) {
        settles(c, w->key);
        return retry(c, w);
    }
    placing__wait(c, w);
    if (!placing__is_tried(c, w->key))
        return RECONCILE_DONE;
    struct str gang = gang__name(w);
    return gang.len > 0 ? gang__try(c, w->namespace, gang) : retry(c, w);
}

static enum reconcile workload(struct core *c, struct str key, const struct index_key *at)
{
    struct candidate w;
    struct meta m = {0};
    struct cow_entry *e = core_find(c, key);
    struct held *h = cluster_held(c, cluster_placement_key(c, key));
    bool mine = h != NULL && e != NULL && meta_read(blob_str(e->value), &m, NULL) == ERR_OK &&
                str_is(m.uid, h->workload_uid);
    if (!cluster_has_room(c))
        return RECONCILE_LATER;
    if (h != NULL && h->revision != 0)
        agents_tell(c, h);
    if (mine) {
        settles(c, key);
        return preempt__evict(c, h, &m);
    }
    if (core_is_busy(c, key))
        return RECONCILE_LATER;
    if (e == NULL && h == NULL)
        core_mark(c, CONTROL_PLACING, cluster_placement_key(c, key));
    bool opens = e != NULL && placing__open(c, &w, key, at, blob_str(e->value)) &&
                 placing__have_status(c, &w);
    return opens ? unplaced(c, &w, h != NULL) : settles(c, key);
}

enum reconcile placing_reconcile(struct core *c, struct str key)
{
    struct index_key at;
    if (str_eq(key, placing__turn_key()))
        return placing__turn(c);
    if (!index_key_parse(key, &at))
        return RECONCILE_DONE;
    if (placing__is_kind(&at))
        return workload(c, key, &at);
    if (str_is(at.plural, "placements"))
        return placement_seen(c, key);
    gang__changed(c, &at);
    return RECONCILE_DONE;
}
