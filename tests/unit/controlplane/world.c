/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/controlplane/world.h"

#include "base/check.h"
#include "proto/baton/agent/v1.pb-c.h"
#include <stdio.h>
#include <stdlib.h>

static const char *const result_names[] = {
#define X(name) #name,
    WRITE_RESULTS(X)
#undef X
};

static void on_store(void *state, const struct store_event *ev)
{
    struct world *w = state;
    struct core_event e = {.type = ev->type == STORE_ROW ? EV_STORE_ROW : EV_STORE_DONE,
                           .now = w->now,
                           .wall = w->wall,
                           .store = ev};
    core_step(w->core, &e);
}

static struct world *begin(struct store_mem_disk *disk, uint64_t seed, struct wall wall)
{
    struct world *w = calloc(1, sizeof *w);
    struct store_sink sink = {on_store, w};
    w->disk = disk;
    w->now = (struct instant){1000};
    w->wall = wall;
    w->store = store_mem_open(disk, seed, &sink);
    w->core = core_new(&(struct core_config){.seed = seed, .ca_bundle = STR("PEM")});
    buf_init(&w->story, 1 << 20);
    struct core_event started = {.type = EV_STARTED, .now = w->now, .wall = w->wall};
    core_step(w->core, &started);
    return w;
}

struct world *world_on(struct store_mem_disk *disk, uint64_t seed)
{
    return begin(disk, seed, (struct wall){1700000000LL * 1000000000});
}

struct world *world_new(void)
{
    struct world *w = world_on(store_mem_disk_new(), 1);
    CHECK(world_settle(w));
    return w;
}

static void stop(struct world *w)
{
    core_free(w->core);
    store_mem_crash(w->store);
    for (uint64_t i = 0; i < WORLD_OPS; i++)
        blob_unref(w->answers[i].object);
    buf_free(&w->story);
    free(w);
}

void world_free(struct world *w)
{
    struct store_mem_disk *disk = w->disk;
    stop(w);
    store_mem_disk_free(disk);
}

struct world *world_crash(struct world *w)
{
    struct store_mem_disk *disk = w->disk;
    struct wall wall = w->wall;
    stop(w);
    return begin(disk, store_mem_disk_head(disk) + 2, wall);
}

static void perform_reply(struct world *w, const struct core_effect *fx)
{
    struct world_answer *a = &w->answers[fx->op];
    CHECK(fx->op < WORLD_OPS && !a->is_there); /* Exactly one. */
    *a = (struct world_answer){.is_there = true,
                               .gone = fx->gone,
                               .result = fx->result,
                               .object = blob_ref(fx->object),
                               .revision = fx->revision};
    snprintf(a->text, sizeof a->text, "%s", fx->text == NULL ? "" : fx->text);
    if (w->told)
        buf_printf(&w->story, "reply %llu %s %llu%s\n", (unsigned long long)fx->op,
                   result_names[fx->result], (unsigned long long)fx->revision,
                   fx->gone ? " gone" : "");
}

static void perform_commit(struct world *w, const struct core_effect *fx)
{
    w->commits++;
    w->writes += fx->writes_count;
    if (w->told) {
        buf_printf(&w->story, "commit");
        for (uint32_t i = 0; i < fx->writes_count; i++)
            buf_printf(&w->story, " %llu%s%.*s", (unsigned long long)fx->writes[i].revision,
                       fx->writes[i].value == NULL ? "-" : "+",
                       STR_ARG(blob_str(fx->writes[i].key)));
        buf_printf(&w->story, "\n");
    }
    w->store->ops->commit(w->store, fx->op, fx->fence, fx->writes, fx->writes_count);
}

/* Some messages are written by hand: they are what protobuf-c would have packed. */
static void expect_canonical(struct str bytes)
{
    Agent__ServerMessage *m =
        agent__server_message__unpack(NULL, bytes.len, (const uint8_t *)bytes.at);
    CHECK(m != NULL && agent__server_message__get_packed_size(m) == bytes.len);
    struct blob *packed = blob_reserve((uint32_t)bytes.len);
    agent__server_message__pack(m, (uint8_t *)packed->at);
    CHECK(str_eq(blob_str(packed), bytes));
    blob_unref(packed);
    agent__server_message__free_unpacked(m, NULL);
}

static void perform(struct world *w, const struct core_effect *fx)
{
    switch (fx->type) {
    case FX_REPLY:
        perform_reply(w, fx);
        break;
    case FX_LOAD:
        w->store->ops->load(w->store, fx->op);
        break;
    case FX_COMMIT:
        perform_commit(w, fx);
        break;
    case FX_COMPACT:
        w->store->ops->compact(w->store, fx->op, fx->revision);
        break;
    case FX_DEPOSED:
        w->deposed = true;
        break;
    case FX_POISONED:
        buf_printf(&w->story, "poisoned " STR_FMT ": %s\n", STR_ARG(fx->bytes), fx->text);
        break;
    case FX_PUBLISHED:
        CHECK(fx->revision >= w->published);
        w->published = fx->revision;
        if (w->told)
            buf_printf(&w->story, "published %llu\n", (unsigned long long)fx->revision);
        break;
    case FX_AGENT_SEND:
        expect_canonical(fx->bytes);
        if (w->sent != NULL)
            w->sent(w->sent_arg, fx->session, fx->bytes);
        break;
    case FX_AGENT_CLOSE:
        break;
    }
}

uint64_t world_write(struct world *w, const struct write_request *r)
{
    struct core_event ev = {
        .type = EV_WRITE, .now = w->now, .wall = w->wall, .op = ++w->op, .write = r};
    CHECK(w->op < WORLD_OPS);
    core_step(w->core, &ev);
    return w->op;
}

void world_turn(struct world *w)
{
    struct core_effects fx = core_flush(w->core, w->now, w->wall);
    for (uint32_t i = 0; i < fx.count; i++)
        perform(w, &fx.at[i]);
    store_mem_step(w->store, w->now);
}

void world_pass(struct world *w, struct span by)
{
    w->now = instant_add(w->now, by);
    w->wall.ns += by.ns;
}

bool world_settle(struct world *w)
{
    for (uint32_t i = 0; i < 100000; i++) {
        world_turn(w);
        struct instant next = instant_earlier(core_deadline(w->core), store_mem_deadline(w->store));
        if (next.ns == 0) {
            world_turn(w); /* What the last answers brought. */
            next = instant_earlier(core_deadline(w->core), store_mem_deadline(w->store));
            if (next.ns == 0)
                return true;
        }
        if (next.ns > w->now.ns)
            world_pass(w, instant_sub(next, w->now));
    }
    return false;
}

static struct world_answer *ask(struct world *w, const struct write_request *r)
{
    uint64_t op = world_write(w, r);
    blob_unref(r->object);
    CHECK(world_settle(w));
    CHECK(w->answers[op].is_there);
    return &w->answers[op];
}

struct world_answer *world_create(struct world *w, const char *key, struct blob *object)
{
    return ask(w,
               &(struct write_request){.verb = WRITE_CREATE, .key = str_of(key), .object = object});
}

struct world_answer *world_replace(struct world *w, const char *key, struct blob *object,
                                   uint64_t if_revision)
{
    return ask(w, &(struct write_request){.verb = WRITE_REPLACE,
                                          .key = str_of(key),
                                          .object = object,
                                          .if_revision = if_revision});
}

struct world_answer *world_delete(struct world *w, const char *key, const char *propagation)
{
    return ask(w, &(struct write_request){.verb = WRITE_DELETE,
                                          .key = str_of(key),
                                          .grace_seconds = -1,
                                          .propagation = str_of(propagation)});
}

struct world_answer *world_config(struct world *w, const char *name)
{
    char key[300];
    snprintf(key, sizeof key, "/configmaps/default/%s", name);
    return world_create(w, key,
                        object_make(&(struct object_parts){.name = name, .namespace = "default"}));
}

struct meta world_meta(struct world *w, const char *key)
{
    struct meta m = {0};
    struct index_snapshot s = index_snapshot(core_index(w->core));
    struct cow_entry *e = index_find(&s, str_of(key));
    if (e != NULL)
        CHECK(meta_read(blob_str(e->value), &m, NULL) == ERR_OK);
    index_snapshot_free(&s); /* The core's own tree still holds the entry. */
    return m;
}

bool world_has(struct world *w, const char *key)
{
    struct index_snapshot s = index_snapshot(core_index(w->core));
    bool has = index_find(&s, str_of(key)) != NULL;
    index_snapshot_free(&s);
    return has;
}
