/* SPDX-License-Identifier: Apache-2.0 */
/* A Placement written from its facts has the bytes that it has by way of its struct. */
#include "api/placed.h"

#include "api/meta.h"
#include "api/typed.h"
#include "base/rng.h"
#include "proto/baton/v1.pb-c.h"
#include "tests/testlib/test.h"

enum { BYTES_MAX = 1 << 20, ARENA_MAX = 16 << 20, ROUNDS = 3000, NUMA = 4, CPUS = 200 };

static struct str any(struct rng *r, const char *a, const char *b)
{
    return str_of(rng_below(r, 2) == 0 ? a : b);
}

static char *text(struct arena *a, struct str s)
{
    return s.len == 0 ? NULL : arena_dup(a, s);
}

static uint64_t size(struct rng *r)
{
    return rng_below(r, 3) == 0 ? 0 : rng_u64(r) >> rng_below(r, 64);
}

static void facts(struct rng *r, uint16_t cpus[CPUS], struct placed_numa numa[NUMA],
                  struct placed *p)
{
    *p = (struct placed){.name = any(r, "pods.p", "pods.a-name-that-is-far-longer-than-others"),
                         .namespace = STR("default"),
                         .uid = STR("7d1e3c9a-0000-4000-8000-000000000001"),
                         .revision = rng_below(r, 4) == 0 ? 0 : size(r) + 1,
                         .now = {(int64_t)(rng_u64(r) >> 2)},
                         .node = any(r, "n", "node-1.example"),
                         .cpus = cpus,
                         .cores = cpus + 3,
                         .cpus_count = (uint32_t)(rng_below(r, 2) * rng_below(r, CPUS - 3)),
                         .cores_count = (uint32_t)rng_below(r, CPUS - 3),
                         .shared_milli = (uint32_t)size(r),
                         .emulator_in_pool = rng_below(r, 2) == 0,
                         .host_network = rng_below(r, 2) == 0,
                         .memory_bytes = size(r),
                         .overhead_bytes = size(r),
                         .numa = numa,
                         .numa_count = (uint32_t)rng_below(r, NUMA + 1),
                         .address = (uint32_t)size(r),
                         .prefix = 1 + (uint32_t)rng_below(r, 30),
                         .gateway = any(r, "", "10.0.0.1"),
                         .gateway_address = (uint32_t)rng_u64(r),
                         .mac = size(r) >> 16,
                         .reason = any(r, "", "n: the node with least left over"),
                         .nodes_considered = (uint32_t)size(r)};
    p->workload.api_version = any(r, "v1", "kubevirt.io/v1");
    p->workload.kind = any(r, "Pod", "VirtualMachineInstance");
    p->workload.name = any(r, "p", "a-name-that-is-far-longer-than-others");
    p->workload.uid = STR("7d1e3c9a-0000-4000-8000-000000000002");
    for (uint32_t i = 0; i < CPUS; i++)
        cpus[i] = (uint16_t)rng_below(r, 1000);
    for (uint32_t i = 0; i < NUMA; i++)
        numa[i] = (struct placed_numa){(uint32_t)rng_below(r, 3), size(r),
                                       (uint32_t)rng_below(r, 2) * 77, (uint32_t)rng_below(r, 2)};
}

/* ---- the same as a struct ---- */

static void *made(struct arena *a, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *m = arena_alloc(a, type->sizeof_message);
    protobuf_c_message_init(type, m);
    return m;
}

static Meta__ObjectMeta *metadata(struct arena *a, const struct placed *p)
{
    Meta__ObjectMeta *m = made(a, &meta__object_meta__descriptor);
    Meta__OwnerReference *owner = made(a, &meta__owner_reference__descriptor);
    m->name = text(a, p->name);
    m->namespace_ = text(a, p->namespace);
    m->uid = text(a, p->uid);
    m->creation_timestamp = made(a, &meta__time__descriptor);
    m->creation_timestamp->has_seconds = true;
    m->creation_timestamp->seconds = wall_seconds(p->now);
    owner->api_version = text(a, p->workload.api_version);
    owner->kind = text(a, p->workload.kind);
    owner->name = text(a, p->workload.name);
    owner->uid = text(a, p->workload.uid);
    owner->has_controller = owner->controller = true;
    m->owner_references = arena_zalloc(a, 1, sizeof *m->owner_references);
    m->owner_references[0] = owner;
    m->n_owner_references = 1;
    return m;
}

static Baton__Decision *decision(struct arena *a, const struct placed *p)
{
    Baton__Decision *d = made(a, &baton__decision__descriptor);
    d->reason = text(a, p->reason);
    d->has_nodes_considered = true;
    d->nodes_considered = p->nodes_considered;
    d->decided_at = made(a, &meta__micro_time__descriptor);
    d->decided_at->has_seconds = d->decided_at->has_nanos = true;
    d->decided_at->seconds = wall_seconds(p->now);
    d->decided_at->nanos = (int32_t)(p->now.ns % 1000000000 / 1000 * 1000);
    return d;
}

static void numa_parts(struct arena *a, const struct placed *p, Baton__PlacementSpec *s)
{
    s->memory = arena_zalloc(a, NUMA, sizeof *s->memory);
    s->hugepages = arena_zalloc(a, 2 * NUMA, sizeof *s->hugepages);
    for (uint32_t i = 0; i < p->numa_count; i++) {
        const struct placed_numa *n = &p->numa[i];
        if (n->bytes > 0) {
            Baton__NumaMemory *m = made(a, &baton__numa_memory__descriptor);
            m->has_numa_node = m->has_bytes = true;
            m->numa_node = n->id;
            m->bytes = n->bytes;
            s->memory[s->n_memory++] = m;
        }
        for (int k = 0; k < 2; k++) {
            Baton__HugepageGrant *g = made(a, &baton__hugepage_grant__descriptor);
            g->has_numa_node = g->has_page_bytes = g->has_pages = true;
            g->numa_node = n->id;
            g->page_bytes = k == 0 ? 2 << 20 : 1 << 30;
            g->pages = k == 0 ? n->hugepages_2m : n->hugepages_1g;
            if (g->pages > 0)
                s->hugepages[s->n_hugepages++] = g;
        }
    }
}

static char *ip(struct arena *a, uint32_t at)
{
    return (char *)(uintptr_t)arena_printf(a, "%u.%u.%u.%u", at >> 24, at >> 16 & 255,
                                           at >> 8 & 255, at & 255)
        .at;
}

static void address(struct arena *a, const struct placed *p, Baton__PlacementSpec *s)
{
    Baton__Address *to = made(a, &baton__address__descriptor);
    if (p->address == 0)
        return;
    to->ip = ip(a, p->address);
    to->has_prefix = true;
    to->prefix = p->prefix;
    to->gateway = p->gateway.len > 0 ? text(a, p->gateway) : ip(a, p->gateway_address);
    if (p->mac != 0)
        to->mac = (char *)(uintptr_t)arena_printf(
                      a, "%02x:%02x:%02x:%02x:%02x:%02x", (unsigned)(p->mac >> 40 & 255),
                      (unsigned)(p->mac >> 32 & 255), (unsigned)(p->mac >> 24 & 255),
                      (unsigned)(p->mac >> 16 & 255), (unsigned)(p->mac >> 8 & 255),
                      (unsigned)(p->mac & 255))
                      .at;
    s->addresses = arena_zalloc(a, 1, sizeof *s->addresses);
    s->addresses[0] = to;
    s->n_addresses = 1;
}

static void exclusive(struct arena *a, const struct placed *p, Baton__PlacementSpec *s)
{
    if (p->cpus_count == 0)
        return;
    Baton__ExclusiveCpus *x = s->exclusive = made(a, &baton__exclusive_cpus__descriptor);
    x->cpus = arena_zalloc(a, CPUS, sizeof *x->cpus);
    x->cores = arena_zalloc(a, CPUS, sizeof *x->cores);
    for (uint32_t i = 0; i < p->cpus_count; i++)
        x->cpus[x->n_cpus++] = p->cpus[i];
    for (uint32_t i = 0; i < p->cores_count; i++)
        x->cores[x->n_cores++] = p->cores[i];
}

static Baton__PlacementSpec *spec_of(struct arena *a, const struct placed *p)
{
    Baton__PlacementSpec *s = made(a, &baton__placement_spec__descriptor);
    s->workload = made(a, &baton__workload_ref__descriptor);
    s->workload->api_version = text(a, p->workload.api_version);
    s->workload->kind = text(a, p->workload.kind);
    s->workload->namespace_ = text(a, p->namespace);
    s->workload->name = text(a, p->workload.name);
    s->workload->uid = text(a, p->workload.uid);
    s->node = text(a, p->node);
    s->has_shared_millis = s->has_memory_bytes = s->has_overhead_bytes = true;
    s->shared_millis = p->shared_milli;
    s->memory_bytes = p->memory_bytes;
    s->overhead_bytes = p->overhead_bytes;
    s->has_emulator_in_pool = s->emulator_in_pool = p->emulator_in_pool;
    s->has_host_network = s->host_network = p->host_network;
    s->has_generation = true;
    s->generation = 1;
    s->decision = decision(a, p);
    exclusive(a, p, s);
    numa_parts(a, p, s);
    address(a, p, s);
    return s;
}

static struct str by_struct(struct arena *a, const struct placed *p, struct buf *stamped)
{
    Baton__Placement *all = made(a, &baton__placement__descriptor);
    all->metadata = metadata(a, p);
    all->spec = spec_of(a, p);
    all->status = made(a, &baton__placement_status__descriptor);
    all->status->phase = (char *)(uintptr_t) "Held";
    struct str bytes = typed_wrap(a, "baton.dev/v1", "Placement", all);
    struct err e = {0};
    buf_clear(stamped);
    cr_assert_eq(meta_write(bytes, &(struct meta_edit){.revision = p->revision}, stamped, &e),
                 ERR_OK, "%s", e.text);
    return buf_str(stamped);
}

TEST(placed, facts_and_a_struct_give_the_same_bytes)
{
    struct rng r;
    struct buf quick, slow;
    uint16_t cpus[CPUS];
    struct placed_numa numa[NUMA];
    struct placed p;
    rng_seed(&r, 3);
    buf_init(&quick, BYTES_MAX);
    buf_init(&slow, BYTES_MAX);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct arena a;
        arena_init(&a, ARENA_MAX);
        facts(&r, cpus, numa, &p);
        buf_clear(&quick);
        placed_write(&p, &quick);
        cr_assert(str_eq(buf_str(&quick), by_struct(&a, &p, &slow)), "round %u", i);
        arena_free(&a);
    }
    buf_free(&quick);
    buf_free(&slow);
}

TEST(placed, what_is_over_the_limit_is_said_by_the_buffer)
{
    struct buf out;
    struct placed p = {.name = STR("pods.p"), .namespace = STR("default")};
    buf_init(&out, 40);
    placed_write(&p, &out);
    cr_assert_eq(buf_status(&out, NULL), ERR_LIMIT);
    buf_free(&out);
}
