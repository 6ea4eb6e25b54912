/* SPDX-License-Identifier: Apache-2.0 */
/* The control plane: its core over the store that is memory. Requests come as JSON, as a client's. */
#include "api/patch.h"
#include "api/transcode.h"
#include "api/typed.h"
#include "base/check.h"
#include "base/json.h"
#include "base/mem.h"
#include "controlplane/core/cluster.h"
#include "controlplane/core/placing_priv.h"
#include "controlplane/store/store_mem.h"
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>

struct sim_control {
    struct core *core;
    struct store *store;
    struct store_mem_disk *disk;
    struct instant restart_at;
    bool dirty;   /* A turn was begun and not flushed. */
    bool checked; /* The ledger adds up as it is. */
    uint64_t ops, seen;
    uint64_t session_node[4096]; /* Session id modulo: node + 1. */
    struct arena scratch;
    struct blob *answer; /* Of the last write that was answered; NULL: a refusal. */
};

static void flush(struct sim *s);

static void on_store(void *state, const struct store_event *ev)
{
    struct sim *s = state;
    core_step(s->control->core,
              &(struct core_event){.type = ev->type == STORE_ROW ? EV_STORE_ROW : EV_STORE_DONE,
                                   .now = s->now,
                                   .wall = s->wall,
                                   .store = ev});
    s->control->dirty = true;
}

static void boot(struct sim *s)
{
    struct sim_control *k = s->control;
    struct store_sink sink = {on_store, s};
    uint64_t seed = rng_u64(&s->rng);
    k->restart_at = (struct instant){0};
    k->store = store_mem_open(k->disk, seed, &sink);
    k->core = core_new(&(struct core_config){
        .seed = seed, .cluster_id = STR("sim"), .names_max = s->options.names_max});
    k->seen = 0;
    core_step(k->core, &(struct core_event){.type = EV_STARTED, .now = s->now, .wall = s->wall});
    k->dirty = true;
    flush(s);
}

void sim_control_crash(struct sim *s)
{
    struct sim_control *k = s->control;
    if (k->core == NULL)
        return;
    sim_trace(s, "api killed");
    core_free(k->core);
    store_mem_crash(k->store);
    k->core = NULL;
    k->store = NULL;
    k->restart_at = instant_add(s->now, SPAN_MS(500));
    for (uint32_t i = 0; i < s->options.nodes; i++)
        sim_net_close(s, i, sim_node_session(s, i), true);
}

bool sim_control_is_up(const struct sim *s)
{
    return s->control->core != NULL && core_is_ready(s->control->core);
}

/* ---- effects ---- */

static void tell(struct sim *s, uint64_t session, bool close, struct str bytes)
{
    uint64_t node = s->control->session_node[session % COUNT_OF(s->control->session_node)];
    if (node == 0)
        return;
    if (close)
        sim_net_close(s, (uint32_t)node - 1, session, true);
    else
        sim_net_send(s, (uint32_t)node - 1, session, false, bytes);
}

static void show_pod(struct sim *s, const struct history_change *c, struct str name)
{
    Core__Pod *pod =
        typed_open(&s->control->core->turn, &core__pod__descriptor, blob_str(c->now->value));
    const char *phase = pod == NULL || pod->status == NULL ? "?" : pod->status->phase;
    struct str why = STR("");
    for (size_t i = 0; pod != NULL && pod->status != NULL && i < pod->status->n_conditions; i++)
        if (str_is(str_of(pod->status->conditions[i]->type), "PodScheduled"))
            why = str_of(pod->status->conditions[i]->message);
    bool leaving = pod != NULL && pod->metadata->deletion_timestamp != NULL;
    sim_trace(s, "api pod " STR_FMT " %s%s%s" STR_FMT, STR_ARG(name),
              c->deleted ? "deleted" : phase, leaving && !c->deleted ? " leaving" : "",
              why.len > 0 ? ": " : "", STR_ARG(why));
}

static void show_machine(struct sim *s, const struct history_change *c, struct str name)
{
    Kubevirt__VirtualMachineInstance *vm =
        typed_open(&s->control->core->turn, &kubevirt__virtual_machine_instance__descriptor,
                   blob_str(c->now->value));
    sim_trace(s, "api vmi " STR_FMT " %s", STR_ARG(name),
              c->deleted   ? "deleted"
              : vm == NULL ? "?"
                           : vm->status->phase);
}

static void show_node(struct sim *s, const struct history_change *c, struct str name)
{
    Core__Node *node =
        typed_open(&s->control->core->turn, &core__node__descriptor, blob_str(c->now->value));
    for (size_t i = 0; node != NULL && node->status != NULL && i < node->status->n_conditions; i++)
        if (str_is(str_of(node->status->conditions[i]->type), "Ready"))
            sim_trace(s, "api node " STR_FMT " %s%s", STR_ARG(name),
                      c->deleted ? "deleted" : "Ready=",
                      c->deleted ? "" : node->status->conditions[i]->status);
}

/* What every watcher would see, once it is durable. */
static void show(struct sim *s)
{
    struct sim_control *k = s->control;
    struct history_batch b;
    struct history_filter all = {0};
    struct err e;
    if (k->seen == 0)
        k->seen = history_bounds(core_history(k->core)).oldest;
    do {
        if (history_read(core_history(k->core), k->seen, &all, &b, &e) != ERR_OK)
            return;
        for (uint32_t i = 0; i < b.count; i++) {
            struct index_key at;
            CHECK(b.at[i].revision > k->seen); /* Revisions rise. */
            k->seen = b.at[i].revision;
            if (!index_key_parse(cow_entry_key(b.at[i].now), &at))
                continue;
            if (str_is(at.plural, "pods"))
                show_pod(s, &b.at[i], at.name);
            else if (str_is(at.plural, "virtualmachineinstances"))
                show_machine(s, &b.at[i], at.name);
            else if (str_is(at.plural, "nodes"))
                show_node(s, &b.at[i], at.name);
        }
        k->seen = b.seen > k->seen ? b.seen : k->seen;
        bool more = b.more;
        history_batch_free(&b);
        if (!more)
            break;
    } while (true);
}

static void perform(struct sim *s, const struct core_effect *fx)
{
    struct sim_control *k = s->control;
    switch (fx->type) {
    case FX_REPLY:
        blob_unref(k->answer);
        k->answer = blob_ref(fx->object);
        if (fx->result != WRITE_OK)
            sim_trace(s, "api refused: %s", fx->text == NULL ? "" : fx->text);
        break;
    case FX_LOAD:
        k->store->ops->load(k->store, fx->op);
        break;
    case FX_COMMIT:
        k->store->ops->commit(k->store, fx->op, fx->fence, fx->writes, fx->writes_count);
        break;
    case FX_COMPACT:
        k->store->ops->compact(k->store, fx->op, fx->revision);
        break;
    case FX_POISONED: /* Nobody breaks what the simulated disk holds. */
        break;
    case FX_PUBLISHED:
        show(s);
        break;
    case FX_AGENT_SEND:
        tell(s, fx->session, false, fx->bytes);
        break;
    case FX_AGENT_CLOSE:
        tell(s, fx->session, true, STR(""));
        break;
    case FX_DEPOSED:
        CHECK(false); /* There is one writer here. */
        break;
    }
}

static void flush(struct sim *s)
{
    struct sim_control *k = s->control;
    k->dirty = k->checked = false;
    struct core_effects fx = core_flush(k->core, s->now, s->wall);
    bool crash = false;
    for (uint32_t i = 0; i < fx.count && !crash; i++) {
        crash = core_is_ready(k->core) && sim_fault(s, SIM_CONTROL_CRASHES);
        if (!crash)
            perform(s, &fx.at[i]);
    }
    if (crash)
        sim_control_crash(s);
}

void sim_control_turn(struct sim *s)
{
    struct sim_control *k = s->control;
    if (instant_due(k->restart_at, s->now))
        boot(s);
    if (k->core == NULL)
        return;
    store_mem_step(k->store, s->now);
    if (instant_due(core_deadline(k->core), s->now)) {
        core_step(k->core,
                  &(struct core_event){.type = EV_DEADLINE, .now = s->now, .wall = s->wall});
        k->dirty = true;
    }
    if (k->dirty)
        flush(s);
}

struct instant sim_control_deadline(const struct sim *s)
{
    const struct sim_control *k = s->control;
    if (k->core == NULL)
        return k->restart_at;
    struct instant at = instant_earlier(core_deadline(k->core), store_mem_deadline(k->store));
    return k->dirty ? s->now : at;
}

void sim_control_packet(struct sim *s, const struct sim_packet *p)
{
    static const enum core_event_type types[] = {
        [SIM_OPEN] = EV_AGENT_OPENED,
        [SIM_MESSAGE] = EV_AGENT_MESSAGE,
        [SIM_CLOSE] = EV_AGENT_CLOSED,
    };
    struct sim_control *k = s->control;
    char name[16];
    sim_node_name(p->node, name);
    k->session_node[p->session % COUNT_OF(k->session_node)] = p->node + 1;
    core_step(k->core, &(struct core_event){.type = types[p->type],
                                            .now = s->now,
                                            .wall = s->wall,
                                            .agent = {.session = p->session,
                                                      .node = str_of(name),
                                                      .bytes = blob_str(p->bytes)}});
    flush(s);
}

/* ---- what clients do ---- */

static const struct schema_kind *kind_of(const char *kind)
{
    for (uint32_t i = 0; i < schema_kinds_count; i++)
        if (str_is(schema_kinds[i].kind, kind))
            return &schema_kinds[i];
    CHECK(false);
}

static struct str key_of(struct sim *s, const char *kind, struct str name)
{
    const struct schema_kind *k = kind_of(kind);
    arena_free(&s->control->scratch);
    return arena_printf(&s->control->scratch, STR_FMT "/" STR_FMT "/%s/" STR_FMT, STR_ARG(k->group),
                        STR_ARG(k->plural), k->namespaced ? "default" : "", STR_ARG(name));
}

static void write(struct sim *s, const struct write_request *r)
{
    core_step(
        s->control->core,
        &(struct core_event){
            .type = EV_WRITE, .now = s->now, .wall = s->wall, .op = ++s->control->ops, .write = r});
    flush(s);
}

void sim_create(struct sim *s, const char *kind, const char *json)
{
    const struct schema_kind *k = kind_of(kind);
    struct buf raw, whole;
    struct arena a;
    struct err e = {0};
    arena_init(&a, 16 << 20);
    buf_init(&raw, 4 << 20);
    buf_init(&whole, 4 << 20);
    struct transcode_head head;
    enum err_code code = transcode_from_json(k->message, str_of(json), &a, NULL, &head, &raw, &e);
    if (code != ERR_OK)
        fprintf(stderr, "%s\n", e.text);
    CHECK(code == ERR_OK);
    transcode_wrap(
        &(struct transcode_envelope){.head = {k->api_version, k->kind}, .raw = buf_str(&raw)},
        &whole);
    struct blob *object = buf_blob(&whole);
    struct meta m;
    CHECK(meta_read(blob_str(object), &m, NULL) == ERR_OK);
    write(s, &(struct write_request){
                 .verb = WRITE_CREATE, .key = key_of(s, kind, m.name), .object = object});
    blob_unref(object);
    buf_free(&raw);
    buf_free(&whole);
    arena_free(&a);
}

void sim_patch(struct sim *s, const char *kind, const char *name, const char *json)
{
    const struct schema_kind *k = kind_of(kind);
    struct cow_entry *e = core_find(s->control->core, key_of(s, kind, str_of(name)));
    struct transcode_envelope open;
    struct json *tree, *patch;
    struct buf raw, whole;
    struct arena a;
    struct err err = {0};
    arena_init(&a, 16 << 20);
    buf_init(&raw, 4 << 20);
    buf_init(&whole, 4 << 20);
    CHECK(e != NULL && transcode_open(blob_str(e->value), &open, NULL) == ERR_OK);
    CHECK(transcode_to_tree(k->message, open.raw, NULL, &a, &tree, &err) == ERR_OK);
    CHECK(json_parse(&a, str_of(json), &patch, &err) == ERR_OK);
    CHECK(patch_merge(&a, &tree, patch, &err) == ERR_OK);
    CHECK(transcode_from_tree(k->message, tree, &a, NULL, NULL, &raw, &err) == ERR_OK);
    transcode_wrap(
        &(struct transcode_envelope){.head = {k->api_version, k->kind}, .raw = buf_str(&raw)},
        &whole);
    struct blob *object = buf_blob(&whole);
    write(s, &(struct write_request){
                 .verb = WRITE_REPLACE, .key = key_of(s, kind, str_of(name)), .object = object});
    blob_unref(object);
    buf_free(&raw);
    buf_free(&whole);
    arena_free(&a);
}

void sim_delete(struct sim *s, const char *kind, const char *name, int64_t grace_s)
{
    write(s, &(struct write_request){.verb = WRITE_DELETE,
                                     .key = key_of(s, kind, str_of(name)),
                                     .grace_seconds = grace_s,
                                     .propagation = STR("Background")});
}

void sim_evict(struct sim *s, const char *pod)
{
    write(s, &(struct write_request){.verb = WRITE_DELETE,
                                     .key = key_of(s, "Pod", str_of(pod)),
                                     .grace_seconds = -1,
                                     .evicts = true});
}

/* The JSON text at a path of names and indices joined by dots; empty: not there. */
void sim_rot(struct sim *s, const char *kind, const char *name,
             struct blob *(*decay)(struct str value))
{
    CHECK(s->control->core == NULL);
    CHECK(store_mem_disk_rot(s->control->disk, key_of(s, kind, str_of(name)), decay));
}

static struct str field_of(struct sim *s, const char *kind, struct blob *object, const char *path);

struct str sim_field(struct sim *s, const char *kind, const char *name, const char *path)
{
    struct str key = key_of(s, kind, str_of(name));
    struct cow_entry *e = s->control->core == NULL ? NULL : core_find(s->control->core, key);
    return e == NULL ? STR("") : field_of(s, kind, e->value, path);
}

struct str sim_answer(struct sim *s, const char *kind, const char *path)
{
    arena_free(&s->control->scratch);
    return s->control->answer == NULL ? STR("") : field_of(s, kind, s->control->answer, path);
}

/* The next name of a path; a dot behind a backslash is part of it ("status.capacity.vendor\\.com/gpu"). */
static bool next_name(const char **path, char out[128])
{
    size_t len = 0;
    const char *at = *path;
    if (*at == '\0')
        return false;
    for (; *at != '\0' && *at != '.' && len < 127; at++) {
        if (at[0] == '\\' && at[1] == '.')
            at++;
        out[len++] = *at;
    }
    out[len] = '\0';
    *path = *at == '.' ? at + 1 : at;
    return true;
}

static struct str field_of(struct sim *s, const char *kind, struct blob *object, const char *path)
{
    const struct schema_kind *k = kind_of(kind);
    char name[128];
    struct transcode_envelope open;
    struct json *at = NULL;
    uint64_t number = 0;
    if (transcode_open(blob_str(object), &open, NULL) != ERR_OK ||
        transcode_to_tree(k->message, open.raw, NULL, &s->control->scratch, &at, NULL) != ERR_OK)
        return STR("");
    while (at != NULL && next_name(&path, name))
        at = at->type == JSON_ARRAY && str_parse_u64(str_of(name), &number) == ERR_OK
                 ? json_at(at, (uint32_t)number)
                 : json_find(at, str_of(name));
    if (at != NULL && at->type == JSON_BOOL)
        return at->truth ? STR("true") : STR("false");
    return at == NULL ? STR("") : at->text;
}

static int by_stamp(const void *a, const void *b)
{
    const struct cow_entry *const *x = a, *const *y = b;
    return ((*x)->stamp > (*y)->stamp) - ((*x)->stamp < (*y)->stamp);
}

const char *sim_events(struct sim *s, const char *name)
{
    struct sim_control *k = s->control;
    struct cow_entry *at[64], *e;
    struct index_range r;
    uint32_t count = 0;
    arena_free(&k->scratch);
    core_range(k->core, &r, arena_printf(&k->scratch, "/events/default/%s.", name));
    while ((e = index_range_next(&r)) != NULL && count < COUNT_OF(at))
        at[count++] = e;
    qsort(at, count, sizeof *at, by_stamp);
    struct str all = STR("");
    for (uint32_t i = 0; i < count; i++) {
        Core__Event *ev = typed_open(&k->scratch, &core__event__descriptor, blob_str(at[i]->value));
        CHECK(ev != NULL);
        const char *path = ev->involved_object->field_path;
        all = arena_printf(&k->scratch, STR_FMT "%s %s x%d%s%s: %s\n", STR_ARG(all), ev->type,
                           ev->reason, ev->count, path == NULL ? "" : " ", path == NULL ? "" : path,
                           ev->message);
    }
    return all.at;
}

bool sim_fits(struct sim *s, const char *kind, const char *name)
{
    struct core *c = s->control->core;
    struct str key = key_of(s, kind, str_of(name));
    struct cow_entry *e = c == NULL ? NULL : core_find(c, key);
    struct candidate w;
    struct index_key at;
    struct explanation x;
    if (e == NULL || !index_key_parse(key, &at) ||
        !placing__open(c, &w, key, &at, blob_str(e->value)) || gang__name(&w).len > 0 ||
        cluster_held(c, cluster_placement_key(c, key)) != NULL ||
        placing__translate(c, &w, NULL) != ERR_OK)
        return false;
    ledger_explain(c->cluster->ledger, &w.request, &x);
    return x.fits_count > 0;
}

uint32_t sim_holds(struct sim *s)
{
    return s->control->core == NULL ? 0 : ledger_holds_count(s->control->core->cluster->ledger);
}

bool sim_is_quiet(struct sim *s)
{
    return s->packets == NULL && sim_control_is_up(s) && !s->control->dirty;
}

/* ---- invariants and life ---- */

void sim_control_check(struct sim *s)
{
    struct err e = {0};
    if (s->control->core == NULL || s->control->checked)
        return;
    s->control->checked = true;
    if (ledger_verify(s->control->core->cluster->ledger, &e) != ERR_OK) {
        fprintf(stderr, "%.*s\nledger: %s (seed %llu)\n", STR_ARG(buf_str(&s->story)), e.text,
                (unsigned long long)s->options.seed);
        CHECK(false);
    }
}

struct sim_control *sim_control_new(struct sim *s)
{
    struct sim_control *k = mem_zalloc(1, sizeof *k);
    k->disk = store_mem_disk_new();
    arena_init(&k->scratch, 64 << 20);
    s->control = k;
    boot(s);
    return k;
}

void sim_control_free(struct sim_control *k)
{
    if (k->core != NULL) {
        core_free(k->core);
        store_mem_crash(k->store);
    }
    store_mem_disk_free(k->disk);
    blob_unref(k->answer);
    arena_free(&k->scratch);
    mem_free(k);
}
