/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Plan answered (proto/baton/plan_v1.proto): the same translation, search and words as for a create, on the
 * ledger itself and taken back before the step ends. Nothing is staged: the client gets the draft.
 *
 * The core decides nothing else meanwhile, so a plan is bounded: copies of one that found no place are not
 * tried, and only the first PLAN_EXPLAINED_MAX refusals look for victims and are explained node by node.
 */
#include "controlplane/core/budgets.h"
#include "controlplane/core/quotas.h"
#include "controlplane/core/plan_priv.h"

#include <stdio.h>
#include <stdlib.h>

enum { STEPS_MAX = 2048, ANSWER_BYTES_MAX = 1 << 20 };

static bool close_node(struct question *q, struct stage *s, const char *name, const char *field,
                       const char *verb);
static void ask_all(struct question *q, const Baton__PlanSpec *spec);
static bool ask_why(struct question *q, struct stage *s, const Baton__WorkloadRef *ref);
static void summarise(struct question *q);

static void *message(struct question *q, size_t size, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *m = arena_alloc(&q->c->turn, size);
    if (m != NULL)
        protobuf_c_message_init(type, m);
    return m;
}

static bool begin(struct question *q, struct core *c)
{
    const struct preempt_budget *budgets;
    uint32_t budgets_count;
    *q = (struct question){.c = c};
    q->status = message(q, sizeof *q->status, &baton__plan_status__descriptor);
    q->holds = arena_zalloc(&c->turn, STEPS_MAX, sizeof *q->holds);
    if (q->status == NULL || q->holds == NULL)
        return false;
    q->status->steps = arena_zalloc(&c->turn, STEPS_MAX, sizeof *q->status->steps);
    if (q->status->steps == NULL)
        return false;
    if (!budgets_all(c, &budgets, &budgets_count))
        return false;
    q->plan = plan_begin(c->cluster->ledger, budgets, budgets_count);
    return true;
}

void plan_create(struct core *c, struct stage *s, struct draft *d)
{
    struct question q;
    Baton__Plan *p = typed_open(&c->turn, &baton__plan__descriptor, d->object);
    stage_keep_nothing(s);
    if (p == NULL || p->spec == NULL) {
        stage_refuse(s, WRITE_INVALID, "the plan does not decode");
        return;
    }
    if (!cluster_has_room(c) || !begin(&q, c)) {
        stage_refuse(s, WRITE_BUSY, "too much at once");
        return;
    }
    bool ok = close_node(&q, s, p->spec->drain, "spec.drain", "leaves") &&
              close_node(&q, s, p->spec->dead, "spec.dead", "is lost");
    if (ok)
        ask_all(&q, p->spec);
    ok = ok && (p->spec->why == NULL || ask_why(&q, s, p->spec->why));
    plan_end(q.plan);
    quotas_plan_end(c);
    if (!ok)
        return;
    summarise(&q);
    p->status = q.status;
    struct str bytes = typed_wrap(&c->turn, "baton.dev/v1", "Plan", &p->base);
    if (bytes.at != NULL)
        d->object = bytes;
    else
        stage_refuse(s, WRITE_BUSY, "the answer is too large: ask for less at once");
}

/* ---- one step ---- */

static Baton__WorkloadRef *ref_of(struct question *q, bool is_machine, struct str namespace,
                                  struct str name, struct str uid)
{
    Baton__WorkloadRef *ref = message(q, sizeof *ref, &baton__workload_ref__descriptor);
    if (ref == NULL)
        return NULL;
    ref->api_version = is_machine ? (char *)"kubevirt.io/v1" : (char *)"v1";
    ref->kind = is_machine ? (char *)"VirtualMachineInstance" : (char *)"Pod";
    ref->namespace_ = objects_text(&q->c->turn, namespace);
    ref->name = objects_text(&q->c->turn, name);
    if (uid.len > 0)
        ref->uid = objects_text(&q->c->turn, uid);
    return ref;
}

/* A step of this plan, too, may have to leave for a later one. */
static Baton__WorkloadRef *victim(struct question *q, uint64_t hold)
{
    struct index_key at;
    const struct held *h = cluster_held_hold(q->c, hold);
    if (h != NULL && index_key_parse(str_of(h->workload_key), &at))
        return ref_of(q, h->is_machine, at.namespace, at.name, str_of(h->workload_uid));
    for (size_t i = 0; i < q->status->n_steps; i++)
        if (q->holds[i] == hold)
            return q->status->steps[i]->workload;
    return NULL; /* It has left already; its rows are kept for somebody lower. */
}

static void add_victims(struct question *q, Baton__PlanStep *step, const struct preempt_result *x)
{
    step->victims = arena_zalloc(&q->c->turn, x->victims_count + 1, sizeof *step->victims);
    for (uint32_t i = 0; step->victims != NULL && i < x->victims_count; i++) {
        Baton__WorkloadRef *ref = victim(q, x->victims[i]);
        if (ref != NULL)
            step->victims[step->n_victims++] = ref;
    }
}

/* Counted in every case; listed while the answer has room. */
static void add_step(struct question *q, const struct candidate *w, Baton__PlanStep *step,
                     const char *result, const char *text, uint64_t hold)
{
    Baton__PlanStatus *st = q->status;
    step->workload = ref_of(q, w->machine != NULL, w->namespace, w->name, w->uid);
    step->result = (char *)result;
    step->message = objects_text(&q->c->turn, str_of(text));
    st->placed += hold != 0;
    st->refused += str_is(str_of(result), "DoesNotFit");
    st->preempting += str_is(str_of(result), "Preempts");
    st->victims += (uint32_t)step->n_victims;
    q->bytes += protobuf_c_message_get_packed_size(&step->base);
    if (step->workload == NULL || st->n_steps == STEPS_MAX || q->bytes > ANSWER_BYTES_MAX ||
        !cluster_has_room(q->c)) {
        st->steps_left_out++;
        return;
    }
    q->holds[st->n_steps] = hold;
    st->steps[st->n_steps++] = step;
}

static Baton__PlanStep *new_step(struct question *q, const char *from)
{
    Baton__PlanStep *step = message(q, sizeof *step, &baton__plan_step__descriptor);
    if (step == NULL)
        q->status->steps_left_out++;
    else
        step->from = (char *)from;
    return step;
}

void plan__explain(struct question *q, struct candidate *w, enum err_code code, const struct err *e,
                   char text[PLAN_TEXT_MAX])
{
    struct ledger *l = q->c->cluster->ledger;
    struct explanation x;
    char nearest[256];
    if (q->explained++ >= PLAN_EXPLAINED_MAX) {
        snprintf(text, PLAN_TEXT_MAX, "no node fits; a plan explains its first %d refusals",
                 PLAN_EXPLAINED_MAX);
        return;
    }
    placing__explain(q->c, w, code, e);
    snprintf(text, PLAN_TEXT_MAX, "%s", w->why);
    if (code != ERR_BUSY)
        return;
    ledger_explain(l, &w->request, &x);
    explain_print_nearest(l, &w->request, &x, nearest, sizeof nearest);
    if (nearest[0] != '\0' && x.nodes_count > 1)
        snprintf(text, PLAN_TEXT_MAX, "%s; %s", w->why, nearest);
}

void plan__placed(struct question *q, struct candidate *w, const char *from,
                  const struct plan_step *answer)
{
    char text[PLAN_TEXT_MAX];
    Baton__PlanStep *step = new_step(q, from);
    w->rows = arena_alloc(&q->c->turn, sizeof *w->rows);
    if (step == NULL || w->rows == NULL ||
        ledger_hold_rows(q->c->cluster->ledger, answer->hold, w->rows, NULL) != ERR_OK)
        return;
    ledger_explain_hold(q->c->cluster->ledger, answer->hold, NULL, text, sizeof text);
    add_victims(q, step, &answer->victims);
    step->placement = placing__spec(q->c, w);
    add_step(q, w, step, answer->victims.victims_count > 0 ? "Preempts" : "Fits", text,
             answer->hold);
}

void plan__refused(struct question *q, const struct candidate *w, const char *from,
                   const char *text)
{
    Baton__PlanStep *step = new_step(q, from);
    if (step != NULL)
        add_step(q, w, step, "DoesNotFit", text, 0);
}

/* False: it found no place, and neither would another like it. from: the node it leaves, or NULL. */
static bool ask(struct question *q, struct candidate *w, const char *from)
{
    struct err e = {0};
    struct plan_step answer;
    char text[PLAN_TEXT_MAX];
    enum err_code code = placing__translate(q->c, w, &e);
    w->request.never_preempts |= q->explained >= PLAN_EXPLAINED_MAX;
    if (code == ERR_OK)
        code = plan_place(q->plan, &w->request, &answer, &e);
    if (code == ERR_OK) {
        plan__placed(q, w, from, &answer);
        return true;
    }
    plan__explain(q, w, code, &e, text);
    plan__refused(q, w, from, text);
    return false;
}

static void leave_alone(struct question *q, const struct candidate *w, const char *from,
                        const char *text)
{
    Baton__PlanStep *step = new_step(q, from);
    if (step != NULL)
        add_step(q, w, step, "NotWaiting", text, 0);
}

/* ---- workloads that are not there yet ---- */

/* By name, or the highest of those that are everybody's: what the admission of a create finds. */
static bool find_priority(struct question *q, struct candidate *w)
{
    int32_t value;
    const char *name =
        w->pod != NULL ? w->pod->spec->priority_class_name : w->machine->spec->priority_class_name;
    if (placing__class(q->c, name, &value) && w->pod != NULL) {
        w->pod->spec->has_priority = true;
        w->pod->spec->priority = value;
        return true;
    }
    snprintf(w->why, sizeof w->why, "no PriorityClass with name %s was found", name);
    return w->machine != NULL && placing__class(q->c, name, &value);
}

bool plan__open_new(struct question *q, const Baton__PlanWorkload *from, struct candidate *out)
{
    const Meta__ObjectMeta *m = from->pod != NULL ? from->pod->metadata : from->machine->metadata;
    *out = (struct candidate){.pod = from->pod,
                              .machine = from->machine,
                              .namespace = str_of(m->namespace_),
                              .name = str_of(m->name),
                              .key = STR("")};
    if (!find_priority(q, out)) {
        plan__refused(q, out, NULL, out->why);
        return false;
    }
    if (out->pod != NULL && out->pod->spec->n_scheduling_gates > 0) {
        leave_alone(q, out, NULL, "Scheduling is blocked due to non-empty scheduling gates");
        return false;
    }
    return true;
}

bool plan__copy_name(struct question *q, struct candidate *w, uint32_t copy)
{
    struct str name = str_of(w->pod != NULL ? w->pod->metadata->name : w->machine->metadata->name);
    w->name = arena_printf(&q->c->turn, STR_FMT "-%u", STR_ARG(name), copy);
    return w->name.at != NULL;
}

struct str plan__quota(struct question *q, const struct candidate *w)
{
    return quotas_plan(q->c, w->namespace, w->pod, w->machine);
}

static void ask_new(struct question *q, const Baton__PlanWorkload *from)
{
    uint32_t count = from->count == 0 ? 1 : from->count;
    struct candidate w;
    if (!plan__open_new(q, from, &w))
        return;
    for (uint32_t i = 0; i < count; i++) {
        if (count > 1)
            plan__copy_name(q, &w, i);
        struct str why = plan__quota(q, &w);
        if (why.len > 0)
            plan__refused(q, &w, NULL, why.at);
        else if (ask(q, &w, NULL))
            continue;
        q->status->refused += count - i - 1;
        q->status->steps_left_out += count - i - 1;
        return;
    }
}

/* In their order; a group where its first member stands. */
static void ask_all(struct question *q, const Baton__PlanSpec *spec)
{
    bool *asked = arena_zalloc(&q->c->turn, spec->n_workloads + 1, sizeof *asked);
    for (size_t i = 0; asked != NULL && i < spec->n_workloads; i++) {
        if (asked[i])
            continue;
        if (plan__group_of(spec->workloads[i]).len > 0)
            plan__ask_group(q, spec, i, asked);
        else
            ask_new(q, spec->workloads[i]);
    }
}

/* ---- a node that is drained, or dead ---- */

/* The more important first: higher priority, then the longer there, then by name. */
static int by_importance(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->request.priority != y->request.priority)
        return x->request.priority > y->request.priority ? -1 : 1;
    if (x->request.started != y->request.started)
        return x->request.started < y->request.started ? -1 : 1;
    return str_cmp(x->key, y->key);
}

/* Where it is now is no wish of its own. */
static bool open_held(struct core *c, struct candidate *w, struct held *h)
{
    struct index_key at;
    struct str key = str_of(h->workload_key);
    struct cow_entry *e = core_find(c, key);
    struct err err;
    if (h->hold == 0 || e == NULL || !index_key_parse(key, &at) ||
        !placing__open(c, w, key, &at, blob_str(e->value)) || !placing__have_status(c, w))
        return false;
    w->uid = str_of(h->workload_uid);
    if (w->pod != NULL)
        w->pod->spec->node_name = NULL;
    return placing__translate(c, w, &err) == ERR_OK;
}

static void ask_moved(struct question *q, struct candidate *at, uint32_t count, const char *node,
                      const char *verb)
{
    char text[64];
    qsort(at, count, sizeof *at, by_importance);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "it is over or leaving already, and %s", verb);
        if (placing__is_ending(&at[i]))
            leave_alone(q, &at[i], node, text);
        else
            ask(q, &at[i], node);
    }
}

static bool close_node(struct question *q, struct stage *s, const char *name, const char *field,
                       const char *verb)
{
    struct core *c = q->c;
    struct err e = {0};
    if (name == NULL || name[0] == '\0')
        return true;
    struct node_state *n = cluster_node(c, str_of(name));
    if (n == NULL || n->index == LEDGER_NODE_NONE) {
        stage_refuse(s, WRITE_INVALID, "%s: Not found: \"%s\"", field, name);
        return false;
    }
    uint32_t count = 0, most = 0;
    for (const struct held *h = n->first; h != NULL && most < STEPS_MAX; h = h->next)
        most++;
    struct candidate *at = arena_alloc(&c->turn, (most + 1) * sizeof *at);
    enum err_code code = at == NULL ? ERR_LIMIT : plan_close(q->plan, n->index, &e);
    for (struct held *h = n->first; h != NULL && code == ERR_OK && count < most; h = h->next) {
        if (!cluster_has_room(c))
            code = ERR_LIMIT;
        else if (open_held(c, &at[count], h) && plan_lift(q->plan, h->hold, &e) == ERR_OK)
            count++;
    }
    if (code != ERR_OK) {
        stage_refuse(s, WRITE_BUSY, "%s: the node holds too much to plan at once", field);
        return false;
    }
    ask_moved(q, at, count, n->name, verb);
    return true;
}

/* ---- a workload that is there ---- */

static bool stands(struct question *q, struct candidate *w)
{
    struct str key = cluster_placement_key(q->c, w->key);
    struct held *h = cluster_held(q->c, key);
    struct cow_entry *e = core_find(q->c, key);
    Baton__Placement *p =
        e == NULL ? NULL
                  : typed_open(&q->c->turn, &baton__placement__descriptor, blob_str(e->value));
    char text[PLAN_TEXT_MAX] = "";
    if (h == NULL || !str_eq(w->uid, str_of(h->workload_uid)))
        return false;
    Baton__PlanStep *step = new_step(q, NULL);
    if (step == NULL)
        return true;
    step->placement = p == NULL ? NULL : p->spec;
    const char *said = p == NULL || p->spec == NULL || p->spec->decision == NULL
                           ? NULL
                           : p->spec->decision->reason; /* When it was decided. */
    ledger_explain_hold(q->c->cluster->ledger, h->hold, NULL, text, sizeof text);
    add_step(q, w, step, "Stands", said == NULL ? text : said, 0);
    return true;
}

static bool ask_why(struct question *q, struct stage *s, const Baton__WorkloadRef *ref)
{
    struct candidate w;
    struct index_key at;
    bool is_pod = str_is(str_of(ref->kind), "Pod");
    struct str namespace = ref->namespace_ == NULL ? STR("default") : str_of(ref->namespace_);
    struct str key =
        core_key(q->c, is_pod ? "" : "kubevirt.io", is_pod ? "pods" : "virtualmachineinstances",
                 namespace, str_of(ref->name));
    struct cow_entry *e = key.at == NULL ? NULL : core_find(q->c, key);
    if (e == NULL || !index_key_parse(key, &at) ||
        !placing__open(q->c, &w, key, &at, blob_str(e->value)) || !placing__have_status(q->c, &w)) {
        stage_refuse(s, WRITE_INVALID, "spec.why: Not found: \"%s/%s\"", ref->kind, ref->name);
        return false;
    }
    w.uid = str_of(w.pod != NULL ? w.pod->metadata->uid : w.machine->metadata->uid);
    if (stands(q, &w))
        return true;
    if (placing__is_blocked(q->c, &w))
        leave_alone(q, &w, NULL, w.why);
    else if (!placing__may_wait(&w))
        leave_alone(q, &w, NULL, "it is over, leaving, or waits for another scheduler");
    else if (gang__name(&w).len > 0)
        plan__why_group(q, &w);
    else
        ask(q, &w, NULL);
    return true;
}

/* ---- the whole ---- */

static void summarise(struct question *q)
{
    Baton__PlanStatus *st = q->status;
    char text[256];
    uint32_t asked = st->placed + st->refused;
    int len = snprintf(text, sizeof text, "%u of %u workloads fit", st->placed, asked);
    if (st->preempting > 0)
        len += snprintf(text + len, sizeof text - (size_t)len,
                        ", %u of them by driving away %u of lower priority", st->preempting,
                        st->victims);
    if (asked == 0)
        snprintf(text, sizeof text, "nothing is to be placed");
    st->summary = objects_text(&q->c->turn, str_of(text));
    st->has_placed = st->has_refused = true;
    st->has_preempting = st->preempting > 0;
    st->has_victims = st->victims > 0;
    st->has_steps_left_out = st->steps_left_out > 0;
}
