/* SPDX-License-Identifier: Apache-2.0 */
#include "api/typed.h"
#include "base/map.h"
#include "base/mem.h"
#include "controlplane/core/core_priv.h"
#include "proto/baton/agent/v1.pb-c.h"
#include "proto/baton/v1.pb-c.h"
#include "tests/sim/replay_control.h"

#include <stdio.h>

enum {
    ROW_ARENA_MAX = 64 << 20,
    HELLO_ARENA_MAX = 16 << 20,
    SETTLE_ROUNDS = 1 << 16,
    PENDING_MAX = CORE_COMMITS_MAX,
    SESSIONS_MAX = 1 << 20,
    ANSWERS_MAX = 1 << 24,
    SHOWN_MAX = 20,
};

/* What a write was answered there and here; -1: not. */
struct answer {
    uint64_t op;
    int there, here;
};

struct session {
    uint64_t id;
};

/* What was stored after the revision that we began with. */
struct stored {
    uint64_t revision;
    struct blob *key, *value; /* value NULL: a deletion. */
};

struct resumed {
    struct core *core;
    struct map answers, sessions; /* By the 8 bytes of op and id. */
    struct map stored;            /* By revision's. */
    uint64_t same, other; /* Writes: what was stored under that revision, or something else. */
    uint64_t pending[PENDING_MAX]; /* Commits asked for and not answered, the oldest first. */
    uint32_t pending_count;
    uint64_t load_op; /* 0: none. */
    struct instant now;
    struct wall wall;
};

bool rows_next(struct str *rows, struct arena *a, uint64_t up_to, uint64_t op,
               struct recording_parts *parts, struct core_event *out)
{
    Flight__Frame *frame;
    struct str before = *rows;
    if (!recording_next(rows, a, &frame) || frame->frame_case != FLIGHT__FRAME__FRAME_TURN)
        return false;
    frame->turn->op = op;
    if (frame->turn->type != EV_STORE_ROW || !recording_event_of(frame->turn, parts, out))
        return false;
    if (parts->store.revision <= up_to)
        return true;
    recording_parts_free(parts);
    *rows = before;
    return false;
}

/* ---- the store's part ---- */

static void step(struct resumed *r, struct core_event ev)
{
    ev.now = r->now;
    ev.wall = r->wall;
    core_step(r->core, &ev);
}

static void answer_store(struct resumed *r, uint64_t op, const struct store_event *as)
{
    struct store_event done = *as;
    done.op = op;
    step(r, (struct core_event){.type = EV_STORE_DONE, .store = &done});
}

static void answer_oldest(struct resumed *r, const struct store_event *as)
{
    uint64_t op = r->pending[0];
    r->pending_count--;
    memmove(r->pending, r->pending + 1, r->pending_count * sizeof *r->pending);
    answer_store(r, op, as);
}

static struct answer *answer_of(struct resumed *r, uint64_t op)
{
    struct answer *a = map_find(&r->answers, str_from((const char *)&op, sizeof op));
    if (a != NULL)
        return a;
    a = mem_alloc(sizeof *a);
    *a = (struct answer){.op = op, .there = -1, .here = -1};
    if (map_put(&r->answers, str_from((const char *)&a->op, sizeof a->op), a) == ERR_OK)
        return a;
    mem_free(a);
    return NULL;
}

/* Times and uids are the recording's, so even those are the same if everything is. Secrets were blanked. */
static void compare_write(struct resumed *r, const struct store_write *w)
{
    const struct stored *s =
        map_find(&r->stored, str_from((const char *)&w->revision, sizeof w->revision));
    if (s == NULL || str_starts(blob_str(w->key), STR("/secrets/")))
        return;
    bool same = str_eq(blob_str(s->key), blob_str(w->key)) &&
                (s->value == NULL) == (w->value == NULL) &&
                (w->value == NULL || str_eq(blob_str(s->value), blob_str(w->value)));
    *(same ? &r->same : &r->other) += 1;
}

static void commit(struct resumed *r, const struct core_effect *fx)
{
    r->pending[r->pending_count++] = fx->op;
    for (uint32_t i = 0; i < fx->writes_count; i++)
        compare_write(r, &fx->writes[i]);
}

static void perform(struct resumed *r, const struct core_effect *fx)
{
    struct answer *a;
    if (fx->type == FX_COMMIT)
        commit(r, fx);
    else if (fx->type == FX_LOAD)
        r->load_op = fx->op;
    else if (fx->type == FX_REPLY && (a = answer_of(r, fx->op)) != NULL)
        a->here = (int)fx->result;
}

struct core_effects resumed_flush(struct resumed *r, struct instant now, struct wall wall)
{
    r->now = now;
    r->wall = wall;
    while (r->pending_count > PENDING_MAX / 2) /* It makes more of them than there were. */
        answer_oldest(r, &(struct store_event){.type = STORE_DONE});
    struct core_effects fx = core_flush(r->core, now, wall);
    for (uint32_t i = 0; i < fx.count;
         i++) /* A compaction is not answered: there is nothing to forget. */
        perform(r, &fx.at[i]);
    return fx;
}

/* ---- beginning ---- */

static void keep_stored(struct resumed *r, struct str rows, struct arena *a)
{
    struct recording_parts parts;
    struct core_event ev;
    while (rows_next(&rows, a, UINT64_MAX, 0, &parts, &ev)) {
        struct stored *s = mem_alloc(sizeof *s);
        *s = (struct stored){.revision = parts.store.revision,
                             .key = blob_ref(parts.store.key),
                             .value = blob_ref(parts.store.value)};
        if (map_put(&r->stored, str_from((const char *)&s->revision, sizeof s->revision), s) !=
            ERR_OK)
            mem_free(s);
        recording_parts_free(&parts);
        arena_free(a);
    }
}

static bool load(struct resumed *r, struct str rows, uint64_t up_to)
{
    struct recording_parts parts;
    struct core_event ev;
    struct arena a;
    uint64_t head = 0;
    step(r, (struct core_event){.type = EV_STARTED});
    resumed_flush(r, r->now, r->wall);
    if (r->load_op == 0)
        return false;
    arena_init(&a, ROW_ARENA_MAX);
    while (rows_next(&rows, &a, up_to, r->load_op, &parts, &ev)) {
        head = parts.store.revision;
        step(r, ev);
        recording_parts_free(&parts);
        arena_free(&a);
    }
    keep_stored(r, rows, &a);
    arena_free(&a);
    answer_store(
        r, r->load_op,
        &(struct store_event){.type = STORE_DONE, .revision = head, .oldest = head, .fence = 1});
    r->load_op = 0;
    return true;
}

/* What the controllers find to do in what was stored, done before the first event. */
static bool settle(struct resumed *r)
{
    for (uint32_t round = 0; round < SETTLE_ROUNDS; round++) {
        resumed_flush(r, r->now, r->wall);
        bool busy = r->pending_count > 0;
        while (r->pending_count > 0)
            answer_oldest(r, &(struct store_event){.type = STORE_DONE});
        struct instant next = core_deadline(r->core);
        if (!busy && !instant_due(next, r->now))
            return core_is_ready(r->core);
    }
    return false;
}

struct resumed *resumed_new(const struct core_config *config, struct str rows,
                            const Flight__Numbers *numbers, struct instant now, struct wall wall)
{
    struct resumed *r = mem_zalloc(1, sizeof *r);
    struct core_numbers n = {.head = numbers->head, .next_revision = numbers->next_revision};
    r->core = core_new(config);
    r->now = now;
    r->wall = wall;
    map_init(&r->answers, ANSWERS_MAX);
    map_init(&r->sessions, SESSIONS_MAX);
    map_init(&r->stored, ANSWERS_MAX);
    for (size_t i = 0; i < COUNT_OF(n.rng) && i < numbers->n_rng; i++)
        n.rng[i] = numbers->rng[i];
    bool good =
        numbers->next_revision > 0 && load(r, rows, numbers->next_revision - 1) && settle(r);
    if (!good) {
        resumed_free(r);
        return NULL;
    }
    core_resume(r->core, &n);
    r->same = r->other = 0; /* What it did to come to rest does not count. */
    return r;
}

/* ---- sessions that were open ---- */

static void say(struct resumed *r, const struct core_event *as, struct arena *a,
                Agent__AgentMessage *m)
{
    size_t len = agent__agent_message__get_packed_size(m);
    uint8_t *bytes = arena_alloc(a, len + 1);
    if (bytes == NULL)
        return;
    agent__agent_message__pack(m, bytes);
    step(r, (struct core_event){
                .type = EV_AGENT_MESSAGE,
                .agent = {as->agent.session, as->agent.node, str_from((const char *)bytes, len)}});
}

static void greet(struct resumed *r, const struct core_event *ev)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hello h = AGENT__HELLO__INIT;
    Agent__Hardware hardware = AGENT__HARDWARE__INIT;
    struct arena a;
    arena_init(&a, HELLO_ARENA_MAX);
    step(r, (struct core_event){.type = EV_AGENT_OPENED,
                                .agent = {ev->agent.session, ev->agent.node, STR("")}});
    h.has_protocol_min = h.has_protocol_max = true;
    h.protocol_min = h.protocol_max = 1;
    h.node_name = arena_dup(&a, ev->agent.node);
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HELLO;
    m.hello = &h;
    say(r, ev, &a, &m);
    struct cow_entry *e =
        core_find(r->core, core_key(r->core, "baton.dev", "nodehardware", STR(""), ev->agent.node));
    Baton__NodeHardware *is =
        e == NULL ? NULL : typed_open(&a, &baton__node_hardware__descriptor, blob_str(e->value));
    if (is != NULL && is->spec != NULL) {
        hardware.spec = is->spec;
        m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HARDWARE;
        m.hardware = &hardware;
        say(r, ev, &a, &m);
    }
    arena_free(&a);
}

/* True: it was known. */
static bool know(struct resumed *r, uint64_t id)
{
    if (map_find(&r->sessions, str_from((const char *)&id, sizeof id)) != NULL)
        return true;
    struct session *s = mem_alloc(sizeof *s);
    s->id = id;
    if (map_put(&r->sessions, str_from((const char *)&s->id, sizeof s->id), s) != ERR_OK)
        mem_free(s);
    return false;
}

/* ---- events ---- */

static void store_told(struct resumed *r, const struct core_event *ev)
{
    const struct store_event *s = ev->store;
    if (s->fence != 0 && r->load_op != 0) {
        answer_store(r, r->load_op, s);
        r->load_op = 0;
    } else if (s->fence == 0 && r->pending_count > 0) {
        answer_oldest(r, s);
    }
}

void resumed_event(struct resumed *r, const struct core_event *ev)
{
    r->now = ev->now;
    r->wall = ev->wall;
    if (ev->type == EV_STORE_DONE) {
        store_told(r, ev);
    } else if (ev->type == EV_STORE_ROW) {
        struct store_event row = *ev->store;
        row.op = r->load_op;
        if (r->load_op != 0)
            step(r, (struct core_event){.type = EV_STORE_ROW, .store = &row});
    } else {
        bool of_agent = ev->type == EV_AGENT_OPENED || ev->type == EV_AGENT_MESSAGE ||
                        ev->type == EV_AGENT_CLOSED;
        if (of_agent && !know(r, ev->agent.session) && ev->type == EV_AGENT_MESSAGE)
            greet(r, ev);
        core_step(r->core, ev);
    }
}

/* ---- comparing ---- */

void resumed_done(struct resumed *r, const Flight__Done *done)
{
    for (size_t i = 0; i + 1 < done->n_answers; i += 2) {
        struct answer *a = answer_of(r, done->answers[i]);
        if (a != NULL)
            a->there = (int)done->answers[i + 1];
    }
}

static const char *result_name(int result)
{
    static const char *const names[] = {
#define X(name) #name,
        WRITE_RESULTS(X)
#undef X
    };
    return result >= 0 && (size_t)result < COUNT_OF(names) ? names[result] : "?";
}

void resumed_compare(struct resumed *r, struct replay_sum *sum)
{
    const struct map_entry *e;
    uint64_t different = 0;
    for (uint32_t at = 0; (e = map_next(&r->answers, &at)) != NULL;) {
        const struct answer *a = e->value;
        if (a->there < 0 || a->here < 0)
            continue; /* Asked before, or not answered by the end. */
        sum->compared++;
        if (a->there != a->here && different++ < SHOWN_MAX)
            printf("op %llu was answered %s there and %s here\n", (unsigned long long)a->op,
                   result_name(a->there), result_name(a->here));
    }
    sum->different += different;
    printf("%llu writes are to the byte what was stored under their revision, %llu are not\n",
           (unsigned long long)r->same, (unsigned long long)r->other);
}

static void map_free_all(struct map *m)
{
    const struct map_entry *e;
    for (uint32_t at = 0; (e = map_next(m, &at)) != NULL;)
        mem_free(e->value);
    map_fini(m);
}

void resumed_free(struct resumed *r)
{
    const struct map_entry *e;
    if (r == NULL)
        return;
    for (uint32_t at = 0; (e = map_next(&r->stored, &at)) != NULL;) {
        struct stored *s = e->value;
        blob_unref(s->key);
        blob_unref(s->value);
    }
    map_free_all(&r->stored);
    core_free(r->core);
    map_free_all(&r->answers);
    map_free_all(&r->sessions);
    mem_free(r);
}
