/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/discover.h"

#include "base/cpuset.h"
#include "nodeagent/host/discover_system.h"

#include <hwloc.h>
#include <hwloc/distances.h>

enum { DISTANCE_LOCAL = 10, DISTANCE_REMOTE = 20 }; /* ACPI 6.5, 5.2.17: SLIT's scale. */

static enum err_code load(const char *topology, hwloc_topology_t *out, struct err *e)
{
    hwloc_topology_t t;
    int rc = 0;

    if (hwloc_topology_init(&t) != 0)
        return err_set(e, ERR_UNAVAILABLE, "hwloc does not start: %m");
    if (topology != NULL && str_ends(str_of(topology), STR(".xml")))
        rc = hwloc_topology_set_xml(t, topology);
    else if (topology != NULL)
        rc = hwloc_topology_set_synthetic(t, topology);
    if (rc == 0)
        rc = hwloc_topology_load(t);
    if (rc != 0) {
        hwloc_topology_destroy(t);
        return err_set(e, ERR_INVALID, "hwloc cannot read the topology%s%s",
                       topology == NULL ? "" : " ", topology == NULL ? "" : topology);
    }
    *out = t;
    return ERR_OK;
}

/* Package ids repeat nowhere, but a machine without packages has none: 0 then. */
static uint32_t socket_of(hwloc_topology_t t, hwloc_obj_t obj)
{
    hwloc_obj_t package = hwloc_get_ancestor_obj_by_type(t, HWLOC_OBJ_PACKAGE, obj);
    return package == NULL ? 0 : package->os_index;
}

static enum err_code read_sockets(hwloc_topology_t t, struct discover *d, struct err *e)
{
    hwloc_obj_t obj = NULL;
    while ((obj = hwloc_get_next_obj_by_type(t, HWLOC_OBJ_PACKAGE, obj)) != NULL) {
        if (d->sockets_count == DISCOVER_SOCKETS_MAX)
            return err_set(e, ERR_LIMIT, "over %d sockets", DISCOVER_SOCKETS_MAX);
        struct discover_socket *s = &d->sockets[d->sockets_count++];
        const char *model = hwloc_obj_get_info_by_name(obj, "CPUModel");
        s->id = obj->os_index;
        discover_text(s->model, str_of(model == NULL ? "" : model));
    }
    if (d->sockets_count == 0)
        d->sockets[d->sockets_count++] = (struct discover_socket){0};
    return ERR_OK;
}

static void read_pages(hwloc_obj_t obj, struct discover_numa *n)
{
    const struct hwloc_numanode_attr_s *attr = &obj->attr->numanode;
    n->memory_bytes = attr->local_memory;
    for (unsigned i = 0; i < attr->page_types_len; i++) {
        const struct hwloc_memory_page_type_s *p = &attr->page_types[i];
        if (p->size <= 65536 || p->count == 0 || n->hugepages_count == DISCOVER_PAGES_MAX)
            continue; /* The kernel's ordinary pages are no row. */
        n->hugepages[n->hugepages_count++] = (struct discover_pages){p->size, p->count};
    }
}

static enum err_code read_numas(hwloc_topology_t t, struct discover *d, struct err *e)
{
    hwloc_obj_t obj = NULL;
    while ((obj = hwloc_get_next_obj_by_type(t, HWLOC_OBJ_NUMANODE, obj)) != NULL) {
        if (d->numas_count == DISCOVER_NUMA_MAX)
            return err_set(e, ERR_LIMIT, "over %d NUMA nodes", DISCOVER_NUMA_MAX);
        struct discover_numa *n = &d->numas[d->numas_count++];
        n->id = obj->os_index;
        n->socket = socket_of(t, obj->parent);
        read_pages(obj, n);
    }
    return d->numas_count > 0 ? ERR_OK : err_set(e, ERR_INVALID, "the topology has no NUMA node");
}

static void default_distances(struct discover *d)
{
    for (uint32_t i = 0; i < d->numas_count; i++)
        for (uint32_t k = 0; k < d->numas_count; k++)
            d->numas[i].distances[k] = i == k ? DISTANCE_LOCAL : DISTANCE_REMOTE;
}

static void read_distances(hwloc_topology_t t, struct discover *d)
{
    struct hwloc_distances_s *matrix = NULL;
    unsigned count = 1;

    default_distances(d);
    if (hwloc_distances_get_by_name(t, "NUMALatency", &count, &matrix, 0) != 0 || count == 0)
        return;
    for (unsigned i = 0; i < matrix->nbobjs && matrix->nbobjs == d->numas_count; i++)
        for (unsigned k = 0; k < matrix->nbobjs; k++)
            d->numas[matrix->objs[i]->logical_index].distances[matrix->objs[k]->logical_index] =
                (uint32_t)matrix->values[i * matrix->nbobjs + k];
    hwloc_distances_release(t, matrix);
}

/* The outermost data cache around a core; NULL where the machine tells of none. */
static hwloc_obj_t last_cache(hwloc_obj_t core)
{
    hwloc_obj_t last = NULL;
    for (hwloc_obj_t at = core->parent; at != NULL; at = at->parent)
        if (hwloc_obj_type_is_dcache(at->type))
            last = at;
    return last;
}

/* Caches come in the order of the cores under them. Without one, a NUMA node counts as one. */
static enum err_code cache_of(hwloc_topology_t t, hwloc_obj_t core, hwloc_obj_t *known,
                              struct discover *d, uint32_t *out, struct err *e)
{
    hwloc_obj_t cache = last_cache(core);
    hwloc_obj_t owner =
        cache != NULL ? cache
                      : hwloc_get_obj_inside_cpuset_by_type(t, core->cpuset, HWLOC_OBJ_NUMANODE, 0);
    if (owner == NULL)
        owner = hwloc_get_root_obj(t);
    for (uint32_t i = d->caches_count; i-- > 0;)
        if (known[i] == owner) {
            *out = i;
            return ERR_OK;
        }
    if (d->caches_count == DISCOVER_CACHES_MAX)
        return err_set(e, ERR_LIMIT, "over %d last-level caches", DISCOVER_CACHES_MAX);
    known[d->caches_count] = owner;
    d->caches[d->caches_count] =
        (struct discover_cache){.level = cache == NULL ? 0 : cache->attr->cache.depth,
                                .size_bytes = cache == NULL ? 0 : cache->attr->cache.size,
                                .socket = socket_of(t, core)};
    *out = d->caches_count++;
    return ERR_OK;
}

static enum err_code numa_of(hwloc_topology_t t, hwloc_obj_t core, uint32_t *out, struct err *e)
{
    hwloc_obj_t obj = NULL;
    while ((obj = hwloc_get_next_obj_by_type(t, HWLOC_OBJ_NUMANODE, obj)) != NULL)
        if (hwloc_bitmap_isincluded(core->cpuset, obj->cpuset)) {
            *out = obj->os_index;
            return ERR_OK;
        }
    return err_set(e, ERR_INVALID, "core %u is in no NUMA node", core->logical_index);
}

static enum err_code read_threads(hwloc_topology_t t, hwloc_obj_t core, struct discover *d,
                                  struct err *e)
{
    hwloc_obj_t pu = NULL;
    while ((pu = hwloc_get_next_obj_inside_cpuset_by_type(t, core->cpuset, HWLOC_OBJ_PU, pu)) !=
           NULL) {
        if (pu->os_index >= RUNTIME_CPUS_MAX || d->threads_count == RUNTIME_CPUS_MAX)
            return err_set(e, ERR_LIMIT, "cpu %u: only cpus below %d can be used", pu->os_index,
                           RUNTIME_CPUS_MAX);
        d->threads[d->threads_count++] = (struct discover_thread){pu->os_index, d->cores_count};
        cpuset_add(&d->cpus, pu->os_index);
    }
    return ERR_OK;
}

static enum err_code read_cores(hwloc_topology_t t, struct discover *d, struct err *e)
{
    hwloc_obj_t known[DISCOVER_CACHES_MAX], core = NULL;
    /* Old kernels in small machines tell of threads without cores: each is one then. */
    hwloc_obj_type_t type =
        hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;

    while ((core = hwloc_get_next_obj_by_type(t, type, core)) != NULL) {
        if (d->cores_count == DISCOVER_CORES_MAX)
            return err_set(e, ERR_LIMIT, "over %d cores", DISCOVER_CORES_MAX);
        struct discover_core *c = &d->cores[d->cores_count];
        int kind = hwloc_cpukinds_get_by_cpuset(t, core->cpuset, 0);
        c->kind = kind < 0 ? 0 : (uint32_t)kind;
        c->socket = socket_of(t, core);
        enum err_code code = numa_of(t, core, &c->numa, e);
        if (code == ERR_OK)
            code = cache_of(t, core, known, d, &c->cache, e);
        if (code == ERR_OK)
            code = read_threads(t, core, d, e);
        if (code != ERR_OK)
            return code;
        d->cores_count++;
    }
    return d->cores_count > 0 ? ERR_OK : err_set(e, ERR_INVALID, "the topology has no core");
}

enum err_code discover(const char *topology, const char *state_dir, struct discover *out,
                       struct err *e)
{
    hwloc_topology_t t;
    enum err_code code = load(topology, &t, e);

    if (code != ERR_OK)
        return code;
    memset(out, 0, sizeof *out);
    code = read_sockets(t, out, e);
    if (code == ERR_OK)
        code = read_numas(t, out, e);
    if (code == ERR_OK)
        code = read_cores(t, out, e);
    if (code == ERR_OK)
        read_distances(t, out);
    hwloc_topology_destroy(t);
    if (code == ERR_OK)
        discover_system(state_dir, out);
    return code;
}
