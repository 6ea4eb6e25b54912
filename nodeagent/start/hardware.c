/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/start/hardware.h"

#include "base/arena.h"
#include "base/check.h"
#include "proto/baton/v1.pb-c.h"

enum { HARDWARE_MEMORY_MAX = 16 << 20 };

/* An array of count pointers to count zeroed messages, which the caller initialises. */
static void **messages(struct arena *a, size_t count, size_t size)
{
    void **list = arena_zalloc(a, count + 1, sizeof *list);
    char *all = arena_zalloc(a, count + 1, size);
    CHECK(list != NULL && all != NULL); /* discover.h bounds them all. */
    for (size_t i = 0; i < count; i++)
        list[i] = all + i * size;
    return list;
}

#define MESSAGES(a, count, type) (type **)messages(a, count, sizeof(type))

static char *text(const char *s)
{
    return s == NULL || s[0] == '\0' ? NULL : (char *)s;
}

static void put_sockets(struct arena *a, const struct discover *d, Baton__NodeHardwareSpec *out)
{
    out->sockets = MESSAGES(a, d->sockets_count, Baton__Socket);
    out->n_sockets = d->sockets_count;
    for (uint32_t i = 0; i < d->sockets_count; i++) {
        baton__socket__init(out->sockets[i]);
        out->sockets[i]->has_id = true;
        out->sockets[i]->id = d->sockets[i].id;
        out->sockets[i]->model = text(d->sockets[i].model);
    }
}

static void put_pages(struct arena *a, const struct discover_numa *from, Baton__NumaNode *to)
{
    to->hugepages = MESSAGES(a, from->hugepages_count, Baton__HugepagePool);
    to->n_hugepages = from->hugepages_count;
    for (uint32_t i = 0; i < from->hugepages_count; i++) {
        Baton__HugepagePool *p = to->hugepages[i];
        baton__hugepage_pool__init(p);
        p->has_page_bytes = p->has_pages = true;
        p->page_bytes = from->hugepages[i].page_bytes;
        p->pages = from->hugepages[i].pages;
    }
}

static void put_numas(struct arena *a, const struct discover *d, Baton__NodeHardwareSpec *out)
{
    out->numa_nodes = MESSAGES(a, d->numas_count, Baton__NumaNode);
    out->n_numa_nodes = d->numas_count;
    for (uint32_t i = 0; i < d->numas_count; i++) {
        Baton__NumaNode *n = out->numa_nodes[i];
        baton__numa_node__init(n);
        n->has_id = n->has_socket = n->has_memory_bytes = true;
        n->id = d->numas[i].id;
        n->socket = d->numas[i].socket;
        n->memory_bytes = d->numas[i].memory_bytes;
        n->distances = (uint32_t *)d->numas[i].distances;
        n->n_distances = d->numas_count;
        put_pages(a, &d->numas[i], n);
    }
}

static void put_caches(struct arena *a, const struct discover *d, Baton__NodeHardwareSpec *out)
{
    out->cache_domains = MESSAGES(a, d->caches_count, Baton__CacheDomain);
    out->n_cache_domains = d->caches_count;
    out->has_cache_groups = d->cache_groups > 0;
    out->cache_groups = d->cache_groups;
    for (uint32_t i = 0; i < d->caches_count; i++) {
        Baton__CacheDomain *c = out->cache_domains[i];
        baton__cache_domain__init(c);
        c->has_id = c->has_level = c->has_size_bytes = c->has_socket = true;
        c->id = i;
        c->level = d->caches[i].level;
        c->size_bytes = d->caches[i].size_bytes;
        c->socket = d->caches[i].socket;
        c->has_ways = d->caches[i].ways > 0;
        c->ways = d->caches[i].ways;
        c->has_bandwidth_step_percent = d->caches[i].bandwidth_step > 0;
        c->bandwidth_step_percent = d->caches[i].bandwidth_step;
        c->has_resctrl_id = d->caches[i].resctrl_id > 0;
        c->resctrl_id = d->caches[i].resctrl_id;
    }
}

static void put_cores(struct arena *a, const struct discover *d, Baton__NodeHardwareSpec *out)
{
    out->cores = MESSAGES(a, d->cores_count, Baton__Core);
    out->n_cores = d->cores_count;
    for (uint32_t i = 0; i < d->cores_count; i++) {
        Baton__Core *c = out->cores[i];
        baton__core__init(c);
        c->has_id = c->has_socket = c->has_numa_node = c->has_cache_domain = c->has_kind = true;
        c->id = i;
        c->socket = d->cores[i].socket;
        c->numa_node = d->cores[i].numa;
        c->cache_domain = d->cores[i].cache;
        c->kind = d->cores[i].kind;
    }
}

static void put_threads(struct arena *a, const struct discover *d, Baton__NodeHardwareSpec *out)
{
    out->threads = MESSAGES(a, d->threads_count, Baton__Thread);
    out->n_threads = d->threads_count;
    for (uint32_t i = 0; i < d->threads_count; i++) {
        const struct discover_core *core = &d->cores[d->threads[i].core];
        Baton__Thread *t = out->threads[i];
        baton__thread__init(t);
        t->has_cpu = t->has_core = t->has_cache_domain = t->has_numa_node = t->has_socket = true;
        t->cpu = d->threads[i].cpu;
        t->core = d->threads[i].core;
        t->cache_domain = core->cache;
        t->numa_node = core->numa;
        t->socket = core->socket;
    }
}

static void put_addresses(struct arena *a, const struct discover *d, Baton__NodeHardwareSpec *out)
{
    out->host_addresses = arena_zalloc(a, d->addresses_count + 1, sizeof(char *));
    CHECK(out->host_addresses != NULL);
    out->n_host_addresses = d->addresses_count;
    for (uint32_t i = 0; i < d->addresses_count; i++)
        out->host_addresses[i] = (char *)d->addresses[i];
}

static char **texts(struct arena *a, const struct str *from, uint32_t count)
{
    char **at = arena_zalloc(a, count + 1, sizeof *at);
    CHECK(at != NULL);
    for (uint32_t i = 0; i < count; i++)
        at[i] = arena_dup(a, from[i]);
    return at;
}

static char *text_of(struct arena *a, struct str s)
{
    return s.len == 0 ? NULL : arena_dup(a, s);
}

static void put_device(struct arena *a, const struct device *d, uint32_t id, Baton__Device *to)
{
    baton__device__init(to);
    to->has_id = true;
    to->id = id;
    to->class_ = arena_dup(a, d->class);
    to->pci_address = text_of(a, d->address);
    to->has_vendor = to->has_device = d->address.len > 0;
    to->vendor = d->vendor;
    to->device = d->device;
    to->has_numa_node = d->numa != DEVICE_NONE;
    to->numa_node = (uint32_t)d->numa;
    to->has_iommu_group = d->iommu_group != DEVICE_NONE;
    to->iommu_group = (uint32_t)d->iommu_group;
    to->virtual_functions = texts(a, d->functions, d->functions_count);
    to->n_virtual_functions = d->functions_count;
    to->has_virtual_functions_max = d->functions_max > 0;
    to->virtual_functions_max = d->functions_max;
    to->resource = text_of(a, d->resource);
    to->paths = texts(a, d->paths, d->paths_count);
    to->n_paths = d->paths_count;
    to->has_parent = d->parent != DEVICE_NONE;
    to->parent = (uint32_t)d->parent;
    to->has_shares = d->shares > 1;
    to->shares = d->shares;
    to->has_milli = to->milli = d->milli;
    to->driver = d->vfio ? (char *)"vfio-pci" : NULL;
    to->companions = texts(a, d->companions, d->companions_count);
    to->n_companions = d->companions_count;
}

static void put_devices(struct arena *a, const struct devices *d, Baton__NodeHardwareSpec *out)
{
    if (d == NULL)
        return;
    out->devices = MESSAGES(a, d->count, Baton__Device);
    out->n_devices = d->count;
    for (uint32_t i = 0; i < d->count; i++)
        put_device(a, &d->at[i], i, out->devices[i]);
}

static void put_system(const struct discover *d, const struct hardware_settings *s,
                       Baton__SystemInfo *out)
{
    out->architecture = text(d->architecture);
    out->operating_system = (char *)"linux";
    out->kernel_version = text(d->kernel);
    out->os_image = text(d->os_image);
    out->machine_id = text(d->machine_id);
    out->system_uuid = text(d->system_uuid);
    out->boot_id = text(d->boot_id);
    out->agent_version = (char *)BATON_VERSION;
    out->container_runtime_version = text(s->runtime_version);
}

static void put_accelerator(const struct accel *a, Baton__Accelerator *out,
                            Baton__VmmOverhead *overhead)
{
    out->name = text(a->name);
    out->has_kvm_ns = out->has_tcg_ns = true;
    out->kvm_ns = a->kvm_ns;
    out->tcg_ns = a->tcg_ns;
    out->vmm_version = text(a->vmm_version);
    out->reason = text(a->reason);
    overhead->has_vm_bytes = overhead->has_device_bytes = overhead->has_vcpu_bytes = true;
    overhead->vm_bytes = a->vm_bytes;
    overhead->device_bytes = a->device_bytes;
    overhead->vcpu_bytes = a->vcpu_bytes;
}

static void put_settings(const struct hardware_settings *s, Baton__NodeHardwareSpec *out)
{
    out->has_shared_cores = out->has_system_cpu_millis = true;
    out->shared_cores = s->shared_cores;
    out->system_cpu_millis = s->system_cpu_millis;
    out->has_system_memory_bytes = out->has_workloads_max = true;
    out->system_memory_bytes = s->system_memory_bytes;
    out->workloads_max = s->workloads_max;
    out->has_reserved_storage_bytes = s->reserved_storage_bytes > 0;
    out->reserved_storage_bytes = s->reserved_storage_bytes;
}

void hardware_encode(const struct discover *d, const struct accel *a,
                     const struct hardware_settings *s, struct buf *out)
{
    Baton__NodeHardwareSpec spec = BATON__NODE_HARDWARE_SPEC__INIT;
    Baton__SystemInfo system = BATON__SYSTEM_INFO__INIT;
    Baton__Accelerator accelerator = BATON__ACCELERATOR__INIT;
    Baton__VmmOverhead overhead = BATON__VMM_OVERHEAD__INIT;
    struct arena arena;

    arena_init(&arena, HARDWARE_MEMORY_MAX);
    put_sockets(&arena, d, &spec);
    put_numas(&arena, d, &spec);
    put_caches(&arena, d, &spec);
    put_cores(&arena, d, &spec);
    put_threads(&arena, d, &spec);
    put_addresses(&arena, d, &spec);
    put_devices(&arena, s->devices, &spec);
    put_system(d, s, &system);
    put_accelerator(a, &accelerator, &overhead);
    put_settings(s, &spec);
    spec.system = &system;
    spec.accelerator = &accelerator;
    spec.vmm_overhead = &overhead;
    spec.hostname = text(d->hostname);
    spec.has_storage_bytes = true;
    spec.storage_bytes = d->storage_bytes;

    size_t size = baton__node_hardware_spec__get_packed_size(&spec);
    uint8_t *room = (uint8_t *)buf_reserve(out, size);
    if (room != NULL)
        buf_commit(out, baton__node_hardware_spec__pack(&spec, room));
    arena_free(&arena);
}
