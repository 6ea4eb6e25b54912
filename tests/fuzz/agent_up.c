/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent sends up is input: messages against a whole core over the store in memory, between
 * them a pod is created, so that there is something to report about. First byte of each part: its
 * length / 8. The ledger must add up in the end, and the program must be there. */
#include "api/typed.h"
#include "base/check.h"
#include "controlplane/core/cluster.h"
#include "controlplane/store/store_mem.h"

struct world {
    struct core *core;
    struct store *store;
    struct instant now;
    struct wall wall;
};

static void on_store(void *state, const struct store_event *ev)
{
    struct world *w = state;
    core_step(w->core,
              &(struct core_event){.type = ev->type == STORE_ROW ? EV_STORE_ROW : EV_STORE_DONE,
                                   .now = w->now,
                                   .wall = w->wall,
                                   .store = ev});
}

static void turns(struct world *w, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        w->now.ns += 1000000;
        struct core_effects fx = core_flush(w->core, w->now, w->wall);
        for (uint32_t k = 0; k < fx.count; k++) {
            const struct core_effect *e = &fx.at[k];
            if (e->type == FX_LOAD)
                w->store->ops->load(w->store, e->op);
            else if (e->type == FX_COMMIT)
                w->store->ops->commit(w->store, e->op, e->fence, e->writes, e->writes_count);
            else if (e->type == FX_COMPACT)
                w->store->ops->compact(w->store, e->op, e->revision);
        }
        store_mem_step(w->store, w->now);
    }
}

static void agent(struct world *w, enum core_event_type type, struct str bytes)
{
    core_step(w->core,
              &(struct core_event){.type = type,
                                   .now = w->now,
                                   .wall = w->wall,
                                   .agent = {.session = 7, .node = STR("n0"), .bytes = bytes}});
    turns(w, 2);
}

static void create_pod(struct world *w)
{
    Core__Pod pod = CORE__POD__INIT;
    Core__PodSpec spec = CORE__POD_SPEC__INIT;
    Core__Container container = CORE__CONTAINER__INIT, *containers[] = {&container};
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    struct arena a;
    arena_init(&a, 1 << 20);
    meta.name = (char *)"p";
    meta.namespace_ = (char *)"default";
    container.name = (char *)"a";
    container.image = (char *)"x";
    spec.containers = containers;
    spec.n_containers = 1;
    pod.metadata = &meta;
    pod.spec = &spec;
    struct blob *object = blob_new(typed_wrap(&a, "v1", "Pod", &pod));
    core_step(w->core,
              &(struct core_event){.type = EV_WRITE,
                                   .now = w->now,
                                   .wall = w->wall,
                                   .op = 1,
                                   .write = &(struct write_request){.verb = WRITE_CREATE,
                                                                    .key = STR("/pods/default/p"),
                                                                    .object = object}});
    blob_unref(object);
    arena_free(&a);
    turns(w, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store_mem_disk *disk = store_mem_disk_new();
    struct world w = {.now = {1000}, .wall = {1700000000ll * 1000000000}};
    struct store_sink sink = {on_store, &w};
    struct err e = {0};
    w.store = store_mem_open(disk, 1, &sink);
    w.core = core_new(&(struct core_config){.seed = 1});
    core_step(w.core, &(struct core_event){.type = EV_STARTED, .now = w.now, .wall = w.wall});
    turns(&w, 6);
    agent(&w, EV_AGENT_OPENED, STR(""));
    uint32_t parts = 0;
    for (size_t at = 0; at < size && parts < 64; parts++) {
        size_t part = min_size((size_t)data[at] * 8, size - at - 1);
        agent(&w, EV_AGENT_MESSAGE, str_from(data + at + 1, part));
        if (parts == 2)
            create_pod(&w);
        at += part + 1;
    }
    turns(&w, 4);
    CHECK(ledger_verify(w.core->cluster->ledger, &e) == ERR_OK);
    core_free(w.core);
    store_mem_crash(w.store);
    store_mem_disk_free(disk);
    return 0;
}
