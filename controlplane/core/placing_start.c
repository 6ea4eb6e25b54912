/* SPDX-License-Identifier: Apache-2.0 */
/* At start: every stored Placement takes its rows again. */
#include "base/check.h"
#include "controlplane/core/placing_priv.h"
#include "api/specs.h"

#include <stdio.h>

/* What the rows stand for: the workload's own words, for the rules between workloads; its amounts as they
 * were decided. A workload that is gone, or is another by now, leaves only the amounts. */
static void restored_request(struct core *c, struct held *h, const Baton__PlacementSpec *spec,
                             struct request *out, bool *out_leaves)
{
    struct candidate w;
    struct index_key at;
    struct meta m;
    struct cow_entry *e = core_find(c, str_of(h->workload_key));
    *out = (struct request){0};
    *out_leaves = true;
    if (e != NULL && meta_read(blob_str(e->value), &m, NULL) == ERR_OK &&
        str_is(m.uid, h->workload_uid) && index_key_parse(str_of(h->workload_key), &at) &&
        placing__open(c, &w, str_of(h->workload_key), &at, blob_str(e->value)) &&
        placing__translate(c, &w, NULL) == ERR_OK) {
        *out = w.request;
        out->node_name = 0; /* It says where it stands, not where it was pinned. */
        *out_leaves = m.is_deleting;
        h->by_spaces = w.by_spaces;
    }
    sched_devices_restored(ledger_names(c->cluster->ledger), spec, out);
    sched_caches_restored(ledger_names(c->cluster->ledger), &c->turn, spec, out);
    out->memory_bytes = spec->memory_bytes;
    out->overhead_bytes = spec->overhead_bytes;
    out->shared_milli = spec->shared_millis;
    out->exclusive_cpus = spec->exclusive == NULL ? 0 : (uint32_t)spec->exclusive->n_cpus;
    out->address_wanted = out->mac_wanted = spec->n_addresses > 0;
}

/* What the ledger cannot give is not taken from anybody: the workload goes on, its node is marked, and it is tried again
 * when that node's hardware is told or something on it ends. */
static void take_rows(struct core *c, struct held *h, const Baton__PlacementSpec *spec)
{
    struct cluster *k = c->cluster;
    struct err err = {0};
    struct node_state *n = h->node;
    struct placement *rows = arena_alloc(&c->turn, sizeof *rows);
    struct request r;
    char why[sizeof n->contradiction];
    uint64_t hold;
    bool leaves;
    if (!h->unrestored || n->spec == NULL || rows == NULL)
        return;
    restored_request(c, h, spec, &r, &leaves);
    k->by_spaces |= h->by_spaces;
    enum err_code code = sched_view_stored(ledger_names(k->ledger), spec, n->spec, rows, &err);
    r.ports = rows->ports;
    r.ports_count = rows->ports_count;
    if (code == ERR_OK)
        code = ledger_restore(k->ledger, &r, rows, &hold, &err);
    if (r.priority < k->priority_least)
        k->priority_least = r.priority;
    if (code == ERR_OK) {
        h->unrestored = false;
        n->unrestored--;
        cluster_set_hold(c, h, hold);
        if (leaves)
            (void)ledger_hold_leaves(k->ledger, hold);
        return;
    }
    snprintf(why, sizeof why, "%s: %s", h->key, err.text);
    if (strcmp(why, n->contradiction) != 0)
        core_poisoned(c, str_of(h->key), err.text);
    memcpy(n->contradiction, why, sizeof why);
}

void placing_restore(struct core *c, struct node_state *n)
{
    n->contradiction[0] = '\0';
    for (struct held *h = n->first; h != NULL && cluster_has_room(c); h = h->next) {
        struct cow_entry *e = h->unrestored ? core_find(c, str_of(h->key)) : NULL;
        Baton__Placement *p =
            e == NULL ? NULL
                      : typed_open(&c->turn, &baton__placement__descriptor, blob_str(e->value));
        if (p != NULL && p->spec != NULL)
            take_rows(c, h, p->spec);
    }
}

static void restore(struct core *c, struct cow_entry *e)
{
    struct cluster *k = c->cluster;
    Baton__Placement *p = typed_open(&c->turn, &baton__placement__descriptor, blob_str(e->value));
    if (p == NULL || p->spec == NULL || p->spec->workload == NULL || p->metadata == NULL)
        return;
    const Baton__WorkloadRef *ref = p->spec->workload;
    bool machine = str_is(str_of(ref->kind), "VirtualMachineInstance");
    struct str workload =
        core_key(c, machine ? "kubevirt.io" : "", machine ? "virtualmachineinstances" : "pods",
                 str_of(ref->namespace_), str_of(ref->name));
    struct node_state *n = cluster_node_make(c, str_of(p->spec->node));
    struct held *h = n == NULL ? NULL : cluster_hold(c, cow_entry_key(e), workload, n);
    if (h == NULL)
        return;
    snprintf(h->uid, sizeof h->uid, "%s", p->metadata->uid == NULL ? "" : p->metadata->uid);
    snprintf(h->workload_uid, sizeof h->workload_uid, "%s", ref->uid == NULL ? "" : ref->uid);
    h->is_machine = machine;
    h->revision = e->stamp;
    h->released = p->status != NULL && str_is(str_of(p->status->phase), "Released");
    h->acknowledged = true;
    CHECK(map_put(&k->by_uid, str_of(h->uid), h) == ERR_OK);
    h->unrestored = !h->released;
    n->unrestored += h->unrestored;
    take_rows(c, h, p->spec);
}

/* Each with memory of its own: together they may be more than a turn's. */
void placing_loaded(struct core *c)
{
    struct arena turn = c->turn;
    struct index_range r;
    struct cow_entry *e;
    gang__forget(c);
    core_range(c, &r, STR("baton.dev/placements/"));
    while ((e = index_range_next(&r)) != NULL) {
        arena_init(&c->turn, turn.limit);
        restore(c, e);
        specs_turn(c->specs);
        arena_free(&c->turn);
    }
    c->turn = turn;
}
