/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine must satisfy to be handed out, and regular machines for tests. */
#include "scheduler/topology.h"

static enum err_code check_sizes(const struct topology *t, struct err *e);
static enum err_code check_numa(const struct topology *t, struct err *e);
static enum err_code check_cores(const struct topology *t, struct err *e);
static enum err_code check_devices(const struct topology *t, struct err *e);
static enum err_code check_facts(const struct topology *t, struct err *e);

enum err_code topology_check(const struct topology *t, struct err *e)
{
    static enum err_code (*const checks[])(const struct topology *, struct err *) = {
        check_sizes, check_numa, check_cores, check_devices, check_facts};
    for (size_t i = 0; i < COUNT_OF(checks); i++) {
        enum err_code rc = checks[i](t, e);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

static enum err_code check_sizes(const struct topology *t, struct err *e)
{
    const struct {
        const char *what;
        uint32_t count, max;
    } sizes[] = {
        {"sockets", t->sockets_count, TOPOLOGY_SOCKETS_MAX},
        {"NUMA nodes", t->numa_count, TOPOLOGY_NUMA_MAX},
        {"cache domains", t->llcs_count, TOPOLOGY_LLCS_MAX},
        {"cores", t->cores_count, TOPOLOGY_CORES_MAX},
        {"devices", t->devices_count, TOPOLOGY_DEVICES_MAX},
        {"extended resources", t->scalars_count, TOPOLOGY_SCALARS_MAX},
        {"labels", t->labels_count, TOPOLOGY_LABELS_MAX},
        {"taints", t->taints_count, TOPOLOGY_TAINTS_MAX},
        {"images", t->images_count, TOPOLOGY_IMAGES_MAX},
        {"capabilities", t->capabilities_count, TOPOLOGY_CAPABILITIES_MAX},
        {"pod addresses", t->addresses_count, TOPOLOGY_ADDRESSES_MAX},
    };
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        if (sizes[i].count > sizes[i].max)
            return err_set(e, ERR_LIMIT, "%u %s, at most %u are supported", sizes[i].count,
                           sizes[i].what, sizes[i].max);
    if (t->name == 0)
        return err_set(e, ERR_INVALID, "a node needs a name");
    if (t->sockets_count == 0 || t->numa_count == 0 || t->llcs_count == 0 || t->cores_count == 0)
        return err_set(e, ERR_INVALID,
                       "a node has at least one socket, NUMA node, cache domain and core");
    if (t->shared_cores == 0 || t->shared_cores > t->cores_count)
        return err_set(e, ERR_INVALID, "shared cores: %u, must be 1 to %u", t->shared_cores,
                       t->cores_count);
    return ERR_OK;
}

static enum err_code check_numa(const struct topology *t, struct err *e)
{
    for (uint32_t i = 0; i < t->numa_count; i++) {
        if (t->numa[i].socket >= t->sockets_count)
            return err_set(e, ERR_INVALID, "NUMA node %u is in no socket", i);
        if (t->numa[i].memory_bytes > TOPOLOGY_MEMORY_MAX)
            return err_set(e, ERR_LIMIT, "NUMA node %u has more than 1 PiB of memory", i);
        if (t->numa[i].hugepages_2m > INT32_MAX || t->numa[i].hugepages_1g > INT32_MAX)
            return err_set(e, ERR_LIMIT, "NUMA node %u has more than 2^31 hugepages", i);
    }
    for (uint32_t i = 0; i < t->llcs_count; i++)
        if (t->llcs[i].numa >= t->numa_count)
            return err_set(e, ERR_INVALID, "cache domain %u is in no NUMA node", i);
        else if (t->llcs[i].ways > TOPOLOGY_WAYS_MAX)
            return err_set(e, ERR_LIMIT, "cache domain %u has %u ways, at most %d are supported", i,
                           t->llcs[i].ways, TOPOLOGY_WAYS_MAX);
    return ERR_OK;
}

static enum err_code check_cores(const struct topology *t, struct err *e)
{
    uint64_t seen[TOPOLOGY_OS_CPU_MAX / 64] = {0};
    uint32_t threads = 0;

    for (uint32_t i = 0; i < t->cores_count; i++) {
        const struct topology_core *c = &t->cores[i];
        if (c->llc >= t->llcs_count)
            return err_set(e, ERR_INVALID, "core %u is in no cache domain or NUMA node", i);
        if (c->threads_count == 0 || c->threads_count > TOPOLOGY_CORE_THREADS_MAX)
            return err_set(e, ERR_INVALID, "core %u has %u threads", i, c->threads_count);
        threads += c->threads_count;
        for (uint32_t k = 0; k < c->threads_count; k++) {
            uint32_t cpu = c->os_cpu[k];
            if (cpu >= TOPOLOGY_OS_CPU_MAX)
                return err_set(e, ERR_LIMIT, "CPU number %u, at most %u are supported", cpu,
                               TOPOLOGY_OS_CPU_MAX - 1);
            if (seen[cpu / 64] >> cpu % 64 & 1)
                return err_set(e, ERR_INVALID, "CPU %u is in two places", cpu);
            seen[cpu / 64] |= 1ull << cpu % 64;
        }
    }
    if (threads > TOPOLOGY_THREADS_MAX)
        return err_set(e, ERR_LIMIT, "%u threads, at most %u are supported", threads,
                       TOPOLOGY_THREADS_MAX);
    return ERR_OK;
}

static enum err_code check_functions(const struct topology *t, uint32_t parent, struct err *e)
{
    uint32_t functions = 0;
    for (uint32_t i = 0; i < t->devices_count; i++)
        functions += t->devices[i].parent == parent;
    if (functions > t->devices[parent].functions_max)
        return err_set(e, ERR_INVALID, "device %u has %u virtual functions, %u are possible",
                       parent, functions, t->devices[parent].functions_max);
    return ERR_OK;
}

static enum err_code check_devices(const struct topology *t, struct err *e)
{
    for (uint32_t i = 0; i < t->devices_count; i++) {
        const struct topology_device *d = &t->devices[i];
        if (d->class_name == 0 || d->id_name == 0)
            return err_set(e, ERR_INVALID, "device %u has no class or no name", i);
        if (d->numa != TOPOLOGY_NUMA_NONE && d->numa >= t->numa_count)
            return err_set(e, ERR_INVALID, "device %u is in no NUMA node", i);
        if (d->units != 1 && d->units != TOPOLOGY_DEVICE_UNITS)
            return err_set(e, ERR_INVALID, "device %u has %u units, must be 1 or %u", i, d->units,
                           TOPOLOGY_DEVICE_UNITS);
        if (d->parent != TOPOLOGY_DEVICE_NONE && (d->parent >= t->devices_count || d->parent == i))
            return err_set(e, ERR_INVALID, "device %u hangs on a device that is not there", i);
        for (uint32_t k = 0; k < i; k++)
            if (t->devices[k].id_name == d->id_name)
                return err_set(e, ERR_INVALID, "devices %u and %u have the same name", k, i);
        enum err_code rc = check_functions(t, i, e);
        if (rc != ERR_OK)
            return rc;
    }
    for (uint32_t i = 0; i < t->scalars_count; i++)
        if (t->scalars[i].name == 0 || t->scalars[i].amount > INT64_MAX)
            return err_set(e, ERR_INVALID, "extended resource %u has no name or is too large", i);
    return ERR_OK;
}

static enum err_code check_facts(const struct topology *t, struct err *e)
{
    for (uint32_t i = 0; i < t->labels_count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (t->labels[k].key == t->labels[i].key)
                return err_set(e, ERR_INVALID, "a label key stands twice");
    if ((uint64_t)t->address_first + t->addresses_count > UINT32_MAX)
        return err_set(e, ERR_INVALID, "pod addresses run over the end of IPv4");
    if (t->mac_first > (1ull << 48) - t->addresses_count)
        return err_set(e, ERR_INVALID, "MAC addresses run over 48 bits");
    return ERR_OK;
}

enum err_code topology_uniform(const struct topology_spec *s, struct topology_storage *storage,
                               struct topology *out_t, struct err *e)
{
    uint64_t numa_count = (uint64_t)s->sockets * s->numa_per_socket;
    uint64_t llcs_count = numa_count * s->llcs_per_numa;
    uint64_t cores_count = llcs_count * s->cores_per_llc;
    if (s->sockets > TOPOLOGY_SOCKETS_MAX || numa_count > TOPOLOGY_NUMA_MAX ||
        llcs_count > TOPOLOGY_LLCS_MAX || cores_count > TOPOLOGY_CORES_MAX ||
        s->threads_per_core > TOPOLOGY_CORE_THREADS_MAX)
        return err_set(e, ERR_LIMIT, "machine is over a limit of topology.h");

    for (uint32_t i = 0; i < numa_count; i++) {
        storage->numa[i] = (struct topology_numa){.socket = i / s->numa_per_socket,
                                                  .memory_bytes = s->memory_bytes,
                                                  .hugepages_2m = s->hugepages_2m,
                                                  .hugepages_1g = s->hugepages_1g};
        for (uint32_t k = 0; k < numa_count; k++)
            storage->numa[i].distance[k] = i == k                                             ? 10
                                           : i / s->numa_per_socket == k / s->numa_per_socket ? 12
                                                                                              : 32;
    }
    for (uint32_t i = 0; i < llcs_count; i++)
        storage->llcs[i] = (struct topology_llc){
            .numa = i / s->llcs_per_numa, .ways = s->ways, .bandwidth_mbps = s->bandwidth_mbps};
    for (uint32_t i = 0; i < cores_count; i++) {
        storage->cores[i] = (struct topology_core){.llc = i / s->cores_per_llc,
                                                   .threads_count = s->threads_per_core};
        for (uint32_t k = 0; k < s->threads_per_core; k++)
            storage->cores[i].os_cpu[k] = k * (uint32_t)cores_count + i;
    }
    *out_t = (struct topology){.sockets_count = s->sockets,
                               .numa_count = (uint32_t)numa_count,
                               .llcs_count = (uint32_t)llcs_count,
                               .cores_count = (uint32_t)cores_count,
                               .numa = storage->numa,
                               .llcs = storage->llcs,
                               .cores = storage->cores,
                               .shared_cores = 1,
                               .pods_max = 110,
                               .ready = true};
    return ERR_OK;
}
