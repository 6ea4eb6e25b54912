/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workloads that start together or not at all (PodGroup of scheduling.x-k8s.io). A member is never placed
 * by itself: when one has its turn, all that wait are placed in one decision and become durable in one
 * transaction, or none is and all wait. A group that waits holds nothing, so two of them cannot keep each
 * other from starting. A group that asked others to leave is promised their rows (placing_preempt.c).
 */
#include "controlplane/core/controllers_priv.h"
#include "controlplane/core/placing_priv.h"
#include "proto/k8s/podgroup_v1alpha1.pb-c.h"
#include "scheduler/preempt.h"

#include <stdio.h>

static const struct str LABEL = {"scheduling.x-k8s.io/pod-group", 29};

struct str gang__name(const struct candidate *w)
{
    const Meta__ObjectMeta *m = w->pod != NULL ? w->pod->metadata : w->machine->metadata;
    for (size_t i = 0; i < m->n_labels; i++)
        if (str_eq(str_of(m->labels[i]->key), LABEL))
            return str_of(m->labels[i]->value);
    return STR("");
}

static struct str group_key(struct core *c, const struct gang *g)
{
    return core_key(c, "scheduling.x-k8s.io", "podgroups", g->namespace, g->name);
}

/* ---- who belongs to it ---- */

enum { MEMBER_MAX = INDEX_KEY_MAX + 512 };

/* at NULL: too long to be anybody's. */
static struct str member_key(char text[MEMBER_MAX], struct str namespace, struct str group,
                             struct str key)
{
    int len = snprintf(text, MEMBER_MAX, STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(namespace),
                       STR_ARG(group), STR_ARG(key));
    return len < 0 || len >= MEMBER_MAX ? (struct str){NULL, 0} : str_from(text, (size_t)len);
}

static void index_member(struct core *c, const struct core_change *change, struct str group,
                         bool add)
{
    char text[MEMBER_MAX];
    struct str entry = member_key(text, change->at.namespace, group, cow_entry_key(change->is.now));
    if (group.len == 0 || entry.at == NULL)
        return;
    struct cowtree *t = &c->controls->members;
    cow_entry_unref(add ? cowtree_put(t, cow_entry_new(entry, 0, NULL)) : cowtree_remove(t, entry));
}

void gang__index(struct core *c, const struct core_change *change)
{
    struct str was = meta_label(&change->before, LABEL), is = meta_label(&change->now, LABEL);
    if (change->is.deleted)
        is = STR("");
    if (str_eq(was, is))
        return;
    index_member(c, change, was, false);
    index_member(c, change, is, true);
    struct gang g = {.namespace = change->at.namespace, .name = was};
    struct str key = was.len == 0 ? STR("") : group_key(c, &g);
    if (key.len > 0 && preempt__node(c, key) != NULL)
        core_mark(c, CONTROL_PLACING, key); /* Was it the last of those that rows are kept for? */
}

void gang__forget(struct core *c)
{
    cowtree_fini(&c->controls->members);
    cowtree_init(&c->controls->members);
}

/* Placed, waiting, or neither: over, leaving, behind a gate, in flight. False: come back. */
static bool add_member(struct core *c, struct gang *g, struct cow_entry *e)
{
    struct index_key at;
    struct meta m;
    struct str key = cow_entry_key(e);
    if (!index_key_parse(key, &at) || meta_read(blob_str(e->value), &m, NULL) != ERR_OK ||
        !str_eq(meta_label(&m, LABEL), g->name) || m.is_deleting)
        return true;
    struct held *h = cluster_held(c, cluster_placement_key(c, key));
    if (h != NULL && str_is(m.uid, h->workload_uid)) {
        g->placed++;
        return true;
    }
    if (core_is_busy(c, key))
        return false;
    if (g->count == REQUEST_GANG_MAX || h != NULL)
        return true;
    struct candidate *w = &g->at[g->count];
    if (placing__open(c, w, key, &at, blob_str(e->value)) && placing__have_status(c, w) &&
        placing__may_wait(w)) {
        w->uid = arena_str(&c->turn, m.uid);
        g->count++;
    }
    return true;
}

bool gang__collect(struct core *c, struct gang *g)
{
    struct cow_cursor cursor;
    char text[MEMBER_MAX];
    struct cow_entry *member;
    struct str prefix = member_key(text, g->namespace, g->name, STR(""));
    g->at = arena_zalloc(&c->turn, REQUEST_GANG_MAX, sizeof *g->at);
    if (g->at == NULL || prefix.at == NULL)
        return false;
    cow_seek(&cursor, c->controls->members.root, prefix);
    while ((member = cow_next(&cursor)) != NULL && str_starts(cow_entry_key(member), prefix)) {
        struct str key = str_slice(cow_entry_key(member), prefix.len, member->key_len);
        struct cow_entry *e = core_find(c, key);
        if (e != NULL && (!add_member(c, g, e) || !cluster_has_room(c)))
            return false;
    }
    return true;
}

bool gang__find_least(struct core *c, struct gang *g)
{
    struct cow_entry *e = core_find(c, group_key(c, g));
    Podgroup__PodGroup *object =
        e == NULL ? NULL
                  : typed_open(&c->turn, &podgroup__pod_group__descriptor, blob_str(e->value));
    g->least = object == NULL || object->spec == NULL ? 0 : (uint32_t)object->spec->min_member;
    return g->least > 0;
}

const char *gang__hope(struct core *c, const struct candidate *at, uint32_t count)
{
    struct request *members = arena_alloc(&c->turn, count * sizeof *members);
    for (uint32_t i = 0; members != NULL && i < count; i++)
        members[i] = at[i].request;
    return members != NULL && ledger_gang_is_hopeless(c->cluster->ledger, members, count)
               ? ", and all of them would not even if every node were empty"
               : "";
}

/* ---- the decision ---- */

/* Places the first count of them or none. The one that found no place says what it lacks while the others
 * hold theirs. */
static bool place(struct core *c, struct gang *g, uint32_t count, struct candidate **out_failed)
{
    struct ledger *l = c->cluster->ledger;
    struct request *requests = arena_zalloc(&c->turn, count + 1, sizeof *requests);
    uint64_t *holds = arena_zalloc(&c->turn, count + 1, sizeof *holds);
    uint32_t failed = 0;
    struct err e = {0};
    *out_failed = NULL;
    for (uint32_t i = 0; requests != NULL && holds != NULL && i < count; i++) {
        if (placing__translate(c, &g->at[i], &e) != ERR_OK) {
            snprintf(g->at[i].why, sizeof g->at[i].why, "%s", e.text);
            *out_failed = &g->at[i];
            return false;
        }
        requests[i] = g->at[i].request;
    }
    if (requests == NULL || holds == NULL)
        return false;
    enum err_code code = ledger_place_gang(l, requests, count, holds, &failed, &e);
    for (uint32_t i = 0; code == ERR_OK && i < count; i++)
        g->at[i].hold = holds[i];
    if (code == ERR_OK)
        return true;
    *out_failed = &g->at[failed];
    uint32_t held = 0; /* The same again, in the order of names, as far as it goes. */
    while (held < count && ledger_place(l, &requests[held], &holds[held], NULL, &e) == ERR_OK)
        held++;
    if (held < count)
        *out_failed = &g->at[held];
    placing__explain(c, *out_failed, code, &e);
    (*out_failed)->needs |= QUEUE_ANY; /* It is not the only one that needs something. */
    char why[sizeof g->at->why];
    snprintf(why, sizeof why, "pod group " STR_FMT ": %u of %u members fit%s; the next: %s",
             STR_ARG(g->name), held + g->placed, count + g->placed, gang__hope(c, g->at, count),
             (*out_failed)->why);
    memcpy((*out_failed)->why, why, sizeof why);
    while (held > 0)
        ledger_undo(l, holds[--held]);
    return false;
}

/* All of them, or as few as the group needs. Then failed is whom the others lack room for, for their words. */
static uint32_t place_most(struct core *c, struct gang *g, uint32_t few,
                           struct candidate **out_failed)
{
    if (place(c, g, g->count, out_failed))
        return g->count;
    struct candidate *of_all = *out_failed;
    if (few >= g->count || !place(c, g, few, out_failed))
        return 0;
    *out_failed = of_all;
    return few;
}

/* One member's part of it. False: refused, and nothing is held. */
static bool write_member(struct core *c, struct candidate *w)
{
    struct stage *s = stage_begin(c);
    w->rows = arena_alloc(&c->turn, sizeof *w->rows);
    if (w->rows == NULL || ledger_hold_rows(c->cluster->ledger, w->hold, w->rows, NULL) != ERR_OK) {
        ledger_undo(c->cluster->ledger, w->hold);
        stage_refuse(s, WRITE_BUSY, "too much at once");
    } else if (placing__stage(c, s, w)) {
        stage_put(s, w->key, placing__close(c, w), NULL);
    }
    return stage_end(s);
}

/* All stages of a turn are one transaction while it has room, and it was made sure that it has. When one is refused those
 * before it are taken back: all of them are written down, or none is. Who could not be; NULL: all could. */
static struct candidate *write_down(struct core *c, struct gang *g, uint32_t count)
{
    struct commit_mark before = commit_mark(c);
    uint32_t done = 0;
    while (done < count && write_member(c, &g->at[done]))
        done++;
    for (uint32_t i = done + 1; i < count; i++)
        ledger_undo(c->cluster->ledger, g->at[i].hold);
    if (done == count)
        return NULL;
    commit_take_back(c, &before);
    return &g->at[done];
}

/* They leave the queue when it is durable. False: nobody has a place, for want of something that is not a node's. */
static bool bind(struct core *c, struct gang *g, uint32_t count, struct candidate **out_failed)
{
    struct candidate *failed = write_down(c, g, count);
    if (failed == NULL)
        return true;
    snprintf(failed->why, sizeof failed->why,
             "pod group " STR_FMT ": there is no room to write down where %u members would be",
             STR_ARG(g->name), count);
    failed->needs = QUEUE_ANY;
    c->cluster->is_short = true; /* Nothing tells when a table has room again. */
    *out_failed = failed;
    return false;
}

/* None has a place: each of them says why, and waits for what the one lacks. */
static void say(struct core *c, struct gang *g, const struct candidate *failed, const char *why)
{
    for (uint32_t i = 0; i < g->count && commit_has_room(c); i++) {
        struct candidate *w = &g->at[i];
        struct str before = placing__close(c, w);
        if (w != failed)
            snprintf(w->why, sizeof w->why, "%s", why);
        w->needs = failed == NULL ? 0 : failed->needs;
        placing__say_waiting(c, w);
        placing__wait(c, w);
        placing__failed(c, w);
        struct str after = placing__close(c, w);
        if (after.at == NULL || str_eq(before, after))
            continue;
        placing__tell_waiting(c, w);
        struct stage *s = stage_begin(c);
        stage_put(s, w->key, after, NULL);
        stage_end(s);
    }
}

enum reconcile gang__try(struct core *c, struct str namespace, struct str name)
{
    struct gang g = {.namespace = namespace, .name = arena_str(&c->turn, name)};
    struct candidate *failed = NULL;
    char why[200] = "";
    struct str key = group_key(c, &g);
    bool again = false;
    if (key.at == NULL || !gang__collect(c, &g))
        return RECONCILE_LATER;
    preempt__begin(c, key);
    if (!gang__find_least(c, &g)) {
        snprintf(why, sizeof why, "its pod group " STR_FMT " is not there", STR_ARG(name));
    } else if (g.placed + g.count < g.least) {
        snprintf(why, sizeof why, "pod group " STR_FMT ": %u of %u members are there",
                 STR_ARG(name), g.placed + g.count, g.least);
    } else {
        if (!commit_has_room_for(c, 2 * g.count))
            return RECONCILE_LATER;
        uint32_t few = g.least > g.placed ? g.least - g.placed : 1;
        uint32_t count = place_most(c, &g, few, &failed);
        if (count == 0 && failed != NULL && failed->is_short)
            again = preempt__try(c, key, g.at, few, failed->why, sizeof failed->why);
        if (count > 0 && bind(c, &g, count, &failed)) {
            preempt__cancel(c, key);
            g.at += count; /* Who is left over says why. */
            g.count -= count;
        }
    }
    say(c, &g, failed, failed == NULL ? why : failed->why);
    if (again)
        core_mark(c, CONTROL_PLACING, key);
    return RECONCILE_DONE;
}

/* The group itself came, changed or went, or lost a member; or what it waited for is there. */
void gang__changed(struct core *c, const struct index_key *at)
{
    struct gang g = {.namespace = at->namespace, .name = at->name};
    struct str key = group_key(c, &g);
    if (!cluster_has_room(c) || key.at == NULL || !gang__collect(c, &g))
        return;
    if (g.count == 0 || !gang__find_least(c, &g))
        preempt__cancel(c, key); /* Nobody comes any more. */
    for (uint32_t i = 0; i < g.count; i++)
        placing__wake(c, g.at[i].key);
}
