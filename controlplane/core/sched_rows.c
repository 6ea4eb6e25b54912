/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/sched_view.h"

#include <stdio.h>

enum err_code sched_view_subnet(struct str text, uint32_t *out_first, uint32_t *out_prefix)
{
    struct str rest = text, ip, octet;
    uint64_t prefix = 0, v;
    uint32_t first = 0, parts = 0;
    if (!str_split(&rest, '/', &ip) || rest.at == NULL || str_parse_u64(rest, &prefix) != ERR_OK ||
        prefix < 1 || prefix > 30)
        return ERR_INVALID;
    while (str_split(&ip, '.', &octet)) {
        if (str_parse_u64(octet, &v) != ERR_OK || v > 255)
            return ERR_INVALID;
        first = first << 8 | (uint32_t)v;
        parts++;
    }
    if (parts != 4)
        return ERR_INVALID;
    *out_first = first & ~(uint32_t)((1ull << (32 - prefix)) - 1);
    *out_prefix = (uint32_t)prefix;
    return ERR_OK;
}

/* ---- what a node has ---- */

MUST_USE static enum err_code numa_nodes(struct arena *a, const Baton__NodeHardwareSpec *hw,
                                         struct topology *out, struct err *e)
{
    struct topology_numa *at = arena_zalloc(a, hw->n_numa_nodes + 1, sizeof *at);
    if (at == NULL || hw->n_numa_nodes > TOPOLOGY_NUMA_MAX)
        return err_set(e, ERR_LIMIT, "more than %d NUMA nodes", TOPOLOGY_NUMA_MAX);
    for (size_t i = 0; i < hw->n_numa_nodes; i++) {
        const Baton__NumaNode *from = hw->numa_nodes[i];
        uint64_t huge = 0;
        at[i].socket = from->socket;
        for (size_t k = 0; k < from->n_hugepages; k++) {
            huge += from->hugepages[k]->page_bytes * from->hugepages[k]->pages;
            if (from->hugepages[k]->page_bytes == 2ull << 20)
                at[i].hugepages_2m = (uint32_t)from->hugepages[k]->pages;
            else if (from->hugepages[k]->page_bytes == 1ull << 30)
                at[i].hugepages_1g = (uint32_t)from->hugepages[k]->pages;
        }
        /* The system's share is taken off the first node, where the kernel itself lives. */
        uint64_t off = huge + (i == 0 ? hw->system_memory_bytes : 0);
        at[i].memory_bytes = from->memory_bytes > off ? from->memory_bytes - off : 0;
        for (size_t k = 0; k < from->n_distances && k < TOPOLOGY_NUMA_MAX; k++)
            at[i].distance[k] = (uint8_t)(from->distances[k] > 255 ? 255 : from->distances[k]);
    }
    out->numa = at;
    out->numa_count = (uint32_t)hw->n_numa_nodes;
    return ERR_OK;
}

static uint32_t numa_index(const Baton__NodeHardwareSpec *hw, uint32_t id)
{
    for (size_t i = 0; i < hw->n_numa_nodes; i++)
        if (hw->numa_nodes[i]->id == id)
            return (uint32_t)i;
    return 0;
}

static bool has_numa(const Baton__NodeHardwareSpec *hw, uint32_t id)
{
    for (size_t i = 0; i < hw->n_numa_nodes; i++)
        if (hw->numa_nodes[i]->id == id)
            return true;
    return false;
}

/* Caches and cores refer to each other; a cache's NUMA node is that of its first core. */
MUST_USE static enum err_code cores(struct arena *a, const Baton__NodeHardwareSpec *hw,
                                    struct topology *out, struct err *e)
{
    struct topology_llc *llcs = arena_zalloc(a, hw->n_cache_domains + 1, sizeof *llcs);
    struct topology_core *at = arena_zalloc(a, hw->n_cores + 1, sizeof *at);
    if (llcs == NULL || at == NULL || hw->n_cores > TOPOLOGY_CORES_MAX ||
        hw->n_cache_domains > TOPOLOGY_LLCS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d cores or %d caches", TOPOLOGY_CORES_MAX,
                       TOPOLOGY_LLCS_MAX);
    for (size_t i = 0; i < hw->n_cache_domains; i++) {
        uint32_t step = hw->cache_domains[i]->bandwidth_step_percent;
        llcs[i].ways = hw->cache_domains[i]->ways;
        llcs[i].bandwidth_mbps = step > 0 && step < 100 ? 100 - step : 0; /* In percent here. */
    }
    for (size_t i = hw->n_cores; i-- > 0;) {
        const Baton__Core *c = hw->cores[i];
        if (c->id >= hw->n_cores || c->cache_domain >= hw->n_cache_domains)
            return err_set(e, ERR_INVALID, "core %u is not in its own list", c->id);
        if (!has_numa(hw, c->numa_node))
            return err_set(e, ERR_INVALID, "core %u is in NUMA node %u, which is not there", c->id,
                           c->numa_node);
        at[c->id].llc = c->cache_domain;
        llcs[c->cache_domain].numa = numa_index(hw, c->numa_node);
    }
    for (size_t i = 0; i < hw->n_threads; i++) {
        const Baton__Thread *t = hw->threads[i];
        if (t->core >= hw->n_cores || at[t->core].threads_count == TOPOLOGY_CORE_THREADS_MAX)
            return err_set(e, ERR_INVALID, "cpu %u is in no core", t->cpu);
        at[t->core].os_cpu[at[t->core].threads_count++] = t->cpu;
    }
    out->llcs = llcs;
    out->llcs_count = (uint32_t)hw->n_cache_domains;
    out->cores = at;
    out->cores_count = (uint32_t)hw->n_cores;
    return ERR_OK;
}

static void addresses(const Baton__NodeHardwareSpec *hw, struct topology *out)
{
    uint32_t first, prefix;
    if (hw->pod_network == NULL ||
        sched_view_subnet(str_of(hw->pod_network->subnet), &first, &prefix) != ERR_OK)
        return;
    uint64_t size = 1ull << (32 - prefix);
    out->address_first = first + 2; /* Network; then the gateway; the broadcast at the end. */
    out->addresses_count = size < 4 ? 0 : (uint32_t)min_u64(size - 3, TOPOLOGY_ADDRESSES_MAX);
    out->mac_first = 0x020000000000ull | (uint64_t)out->address_first; /* Locally administered. */
}

MUST_USE static enum err_code capabilities(struct names *n, struct arena *a,
                                           const Baton__NodeHardwareSpec *hw, struct topology *out,
                                           struct err *e)
{
    uint32_t *at = arena_zalloc(a, 4, sizeof *at);
    if (at == NULL)
        return err_set(e, ERR_LIMIT, "the description is too large");
    if (hw->accelerator != NULL && hw->accelerator->name != NULL &&
        hw->accelerator->name[0] != '\0') {
        enum err_code code = names_intern(n, STR("vm"), &at[out->capabilities_count++], e);
        if (code == ERR_OK)
            code =
                names_intern(n, str_of(hw->accelerator->name), &at[out->capabilities_count++], e);
        if (code != ERR_OK)
            return code;
    }
    out->capabilities = at;
    return ERR_OK;
}

/* Extended resources that an administrator or a device plugin advertises (Kubernetes: a patch of the
 * Node's status.capacity): a domain in the name, counted. Those that are devices have rows instead. */
MUST_USE static enum err_code extended(struct names *n, struct arena *a,
                                       const struct sched_classes *classes,
                                       const Core__NodeStatus *from, struct topology *out,
                                       struct err *e)
{
    struct topology_scalar *at = arena_zalloc(a, TOPOLOGY_SCALARS_MAX, sizeof *at);
    if (at == NULL)
        return err_set(e, ERR_LIMIT, "the description is too large");
    for (size_t i = 0; i < from->n_capacity; i++) {
        struct str name = str_of(from->capacity[i]->key);
        if (str_find(name, '/', 0) == name.len)
            continue;
        if (out->scalars_count == TOPOLOGY_SCALARS_MAX)
            return err_set(e, ERR_LIMIT, "more than %d extended resources", TOPOLOGY_SCALARS_MAX);
        struct topology_scalar *to = &at[out->scalars_count];
        enum err_code code = names_intern(n, name, &to->name, e);
        if (code != ERR_OK)
            return code;
        out->scalars_count += !sched_classes_have(classes, to->name);
        to->amount = (uint64_t)objects_units(from->capacity[i]->value);
    }
    out->scalars = at;
    return ERR_OK;
}

MUST_USE static enum err_code kubernetes_facts(struct names *n, struct arena *a,
                                               const struct sched_classes *classes,
                                               const Core__Node *node, struct topology *out,
                                               struct err *e)
{
    const Meta__ObjectMeta *meta = node->metadata;
    size_t taints = node->spec == NULL ? 0 : node->spec->n_taints;
    struct topology_label *labels = arena_zalloc(a, meta->n_labels + 1, sizeof *labels);
    struct topology_taint *at = arena_zalloc(a, taints + 1, sizeof *at);
    enum err_code code = ERR_OK;
    if (labels == NULL || at == NULL || meta->n_labels > TOPOLOGY_LABELS_MAX ||
        taints > TOPOLOGY_TAINTS_MAX)
        return err_set(e, ERR_LIMIT, "too many labels or taints");
    for (size_t i = 0; code == ERR_OK && i < meta->n_labels; i++) {
        code = names_intern(n, str_of(meta->labels[i]->key), &labels[i].key, e);
        if (code == ERR_OK)
            code = names_intern(n, str_of(meta->labels[i]->value), &labels[i].value, e);
    }
    for (size_t i = 0; code == ERR_OK && i < taints; i++) {
        const Core__Taint *t = node->spec->taints[i];
        at[i].effect = str_is(str_of(t->effect), "NoExecute")          ? TAINT_NO_EXECUTE
                       : str_is(str_of(t->effect), "PreferNoSchedule") ? TAINT_PREFER_NO_SCHEDULE
                                                                       : TAINT_NO_SCHEDULE;
        code = names_intern(n, str_of(t->key), &at[i].key, e);
        if (code == ERR_OK)
            code = names_intern(n, str_of(t->value), &at[i].value, e);
    }
    out->labels = labels;
    out->labels_count = (uint32_t)meta->n_labels;
    out->taints = at;
    out->taints_count = (uint32_t)taints;
    out->unschedulable = node->spec != NULL && node->spec->unschedulable;
    return code == ERR_OK && node->status != NULL ? extended(n, a, classes, node->status, out, e)
                                                  : code;
}

/* One more that is counted, beside those that are there. */
MUST_USE static enum err_code counted(struct names *n, struct arena *a, struct str name,
                                      uint64_t amount, struct topology *out, struct err *e)
{
    struct topology_scalar *at = arena_zalloc(a, TOPOLOGY_SCALARS_MAX, sizeof *at);
    if (at == NULL || out->scalars_count == TOPOLOGY_SCALARS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d extended resources", TOPOLOGY_SCALARS_MAX);
    for (uint32_t i = 0; i < out->scalars_count; i++)
        at[i] = out->scalars[i];
    struct topology_scalar *to = &at[out->scalars_count++];
    to->amount = amount;
    out->scalars = at;
    return names_intern(n, name, &to->name, e);
}

/* What may be promised of the disk, and the classes of service that parts of caches need. */
MUST_USE static enum err_code counted_all(struct names *n, struct arena *a,
                                          const Baton__NodeHardwareSpec *hw, struct topology *out,
                                          struct err *e)
{
    enum err_code code = ERR_OK;
    if (hw->storage_bytes > 0)
        code = counted(n, a, STR(SCHED_STORAGE),
                       hw->storage_bytes - min_u64(hw->storage_bytes, hw->reserved_storage_bytes),
                       out, e);
    if (code == ERR_OK && hw->cache_groups > 0)
        code = counted(n, a, STR(SCHED_CACHE_GROUPS), hw->cache_groups, out, e);
    return code;
}

enum err_code sched_view_topology(struct names *n, struct arena *a,
                                  const struct sched_classes *classes, struct str name,
                                  const Baton__NodeHardwareSpec *hw, const Core__Node *node,
                                  bool ready, struct topology *out, struct err *e)
{
    *out = (struct topology){.sockets_count = (uint32_t)hw->n_sockets,
                             .shared_cores = max_u32(hw->shared_cores, 1),
                             .system_cpu_milli = hw->system_cpu_millis,
                             .pods_max = hw->workloads_max != 0 ? hw->workloads_max : 110,
                             .ready = ready};
    enum err_code code = names_intern(n, name, &out->name, e);
    if (code == ERR_OK)
        code = numa_nodes(a, hw, out, e);
    if (code == ERR_OK)
        code = cores(a, hw, out, e);
    if (code == ERR_OK)
        code = sched_devices_topology(n, a, hw, out, e);
    if (code == ERR_OK)
        code = capabilities(n, a, hw, out, e);
    addresses(hw, out);
    if (code == ERR_OK && node != NULL && node->metadata != NULL)
        code = kubernetes_facts(n, a, classes, node, out, e);
    if (code == ERR_OK)
        code = counted_all(n, a, hw, out, e);
    return code;
}

/* ---- what was chosen ---- */

static void *message(struct arena *a, size_t size, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *m = arena_alloc(a, size);
    if (m != NULL)
        protobuf_c_message_init(type, m);
    return m;
}

MUST_USE static enum err_code exclusive_rows(struct arena *a, const struct placement *rows,
                                             Baton__PlacementSpec *out, struct err *e)
{
    Baton__ExclusiveCpus *x = message(a, sizeof *x, &baton__exclusive_cpus__descriptor);
    uint32_t *cpus = arena_zalloc(a, rows->cpus_count + 1, sizeof *cpus);
    uint32_t *cores_at = arena_zalloc(a, rows->cores_count + 1, sizeof *cores_at);
    if (x == NULL || cpus == NULL || cores_at == NULL)
        return err_set(e, ERR_LIMIT, "the placement is too large");
    for (uint32_t i = 0; i < rows->cpus_count; i++)
        cpus[i] = rows->cpus[i];
    for (uint32_t i = 0; i < rows->cores_count; i++)
        cores_at[i] = rows->cores[i];
    x->cpus = cpus;
    x->n_cpus = rows->cpus_count;
    x->cores = cores_at;
    x->n_cores = rows->cores_count;
    out->exclusive = x;
    return ERR_OK;
}

MUST_USE static enum err_code memory_rows(struct arena *a, const struct placement *rows,
                                          const Baton__NodeHardwareSpec *hw,
                                          Baton__PlacementSpec *out, struct err *e)
{
    out->memory = arena_zalloc(a, TOPOLOGY_NUMA_MAX, sizeof *out->memory);
    out->hugepages = arena_zalloc(a, 2 * TOPOLOGY_NUMA_MAX, sizeof *out->hugepages);
    if (out->memory == NULL || out->hugepages == NULL)
        return err_set(e, ERR_LIMIT, "the placement is too large");
    for (uint32_t i = 0; i < hw->n_numa_nodes && i < TOPOLOGY_NUMA_MAX; i++) {
        if ((rows->numa_mask >> i & 1) == 0)
            continue;
        const struct placement_memory *m = &rows->memory[i];
        uint32_t id = hw->numa_nodes[i]->id;
        if (m->bytes > 0) {
            Baton__NumaMemory *to = message(a, sizeof *to, &baton__numa_memory__descriptor);
            if (to == NULL)
                return err_set(e, ERR_LIMIT, "the placement is too large");
            to->has_numa_node = id != 0;
            to->numa_node = id;
            to->has_bytes = true;
            to->bytes = m->bytes;
            out->memory[out->n_memory++] = to;
        }
        for (uint32_t k = 0; k < 2; k++) {
            uint32_t pages = k == 0 ? m->hugepages_2m : m->hugepages_1g;
            if (pages == 0)
                continue;
            Baton__HugepageGrant *to = message(a, sizeof *to, &baton__hugepage_grant__descriptor);
            if (to == NULL)
                return err_set(e, ERR_LIMIT, "the placement is too large");
            to->has_numa_node = id != 0;
            to->numa_node = id;
            to->has_page_bytes = to->has_pages = true;
            to->page_bytes = k == 0 ? 2ull << 20 : 1ull << 30;
            to->pages = pages;
            out->hugepages[out->n_hugepages++] = to;
        }
    }
    return ERR_OK;
}

static char *dotted(struct arena *a, uint32_t ip)
{
    return (char *)arena_printf(a, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255)
        .at;
}

MUST_USE static enum err_code address_row(struct arena *a, const struct placement *rows,
                                          const Baton__NodeHardwareSpec *hw,
                                          Baton__PlacementSpec *out, struct err *e)
{
    uint32_t first, prefix;
    if (rows->address == 0 || hw->pod_network == NULL ||
        sched_view_subnet(str_of(hw->pod_network->subnet), &first, &prefix) != ERR_OK)
        return ERR_OK;
    Baton__Address *to = message(a, sizeof *to, &baton__address__descriptor);
    out->addresses = arena_zalloc(a, 1, sizeof *out->addresses);
    if (to == NULL || out->addresses == NULL)
        return err_set(e, ERR_LIMIT, "the placement is too large");
    to->ip = dotted(a, rows->address);
    to->has_prefix = true;
    to->prefix = prefix;
    to->gateway = hw->pod_network->gateway != NULL && hw->pod_network->gateway[0] != '\0'
                      ? hw->pod_network->gateway
                      : dotted(a, first + 1);
    uint64_t m = rows->mac;
    if (m != 0)
        to->mac = (char *)arena_printf(a, "%02x:%02x:%02x:%02x:%02x:%02x",
                                       (unsigned)(m >> 40 & 255), (unsigned)(m >> 32 & 255),
                                       (unsigned)(m >> 24 & 255), (unsigned)(m >> 16 & 255),
                                       (unsigned)(m >> 8 & 255), (unsigned)(m & 255))
                      .at;
    out->addresses[out->n_addresses++] = to;
    return ERR_OK;
}

enum err_code sched_view_rows(struct names *n, struct arena *a, const struct placement *rows,
                              const struct request *r, const Baton__NodeHardwareSpec *hw,
                              Baton__PlacementSpec *out, struct err *e)
{
    enum err_code code = ERR_OK;
    out->node = objects_text(a, names_text(n, rows->node_name));
    if (rows->cpus_count > 0)
        code = exclusive_rows(a, rows, out, e);
    out->has_shared_millis = rows->shared_milli > 0;
    out->shared_millis = rows->shared_milli;
    out->has_memory_bytes = r->memory_bytes > 0;
    out->memory_bytes = r->memory_bytes;
    out->has_overhead_bytes = r->overhead_bytes > 0;
    out->overhead_bytes = r->overhead_bytes;
    if (code == ERR_OK)
        code = memory_rows(a, rows, hw, out, e);
    if (code == ERR_OK)
        code = address_row(a, rows, hw, out, e);
    if (code == ERR_OK)
        code = sched_devices_rows(n, a, rows, r, hw, out, e);
    if (code == ERR_OK)
        code = sched_caches_rows(a, rows, out, e);
    return code;
}

/* ---- what was stored ---- */

static uint32_t digit_of(char c)
{
    return c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
           : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
           : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                  : UINT32_MAX;
}

/* So many bytes as numbers of that base, a character between them; 0: it is something else. By hand: a start reads two
 * for every Placement, and sscanf() took 4 % of it. */
static uint64_t bytes_of(const char *at, uint32_t count, char between, uint32_t base)
{
    uint64_t all = 0;
    for (uint32_t i = 0; at != NULL && i < count; i++) {
        uint32_t one = 0, digits = 0;
        for (; digits < 4 && digit_of(*at) < base; digits++)
            one = one * base + digit_of(*at++);
        if (digits == 0 || one > UINT8_MAX || *at != (i + 1 < count ? between : '\0'))
            return 0;
        at += i + 1 < count;
        all = all << 8 | one;
    }
    return all;
}

static uint32_t ip_of(const char *text)
{
    return (uint32_t)bytes_of(text, 4, '.', 10);
}

static uint64_t mac_of(const char *text)
{
    return bytes_of(text, 6, ':', 16);
}

MUST_USE static enum err_code stored_memory(const Baton__PlacementSpec *spec,
                                            const Baton__NodeHardwareSpec *hw,
                                            struct placement *out)
{
    for (size_t i = 0; i < spec->n_memory; i++) {
        uint32_t k = numa_index(hw, spec->memory[i]->numa_node);
        out->memory[k].bytes += spec->memory[i]->bytes;
        out->numa_mask |= 1u << k;
    }
    for (size_t i = 0; i < spec->n_hugepages; i++) {
        uint32_t k = numa_index(hw, spec->hugepages[i]->numa_node);
        if (spec->hugepages[i]->page_bytes == 2ull << 20)
            out->memory[k].hugepages_2m += (uint32_t)spec->hugepages[i]->pages;
        else
            out->memory[k].hugepages_1g += (uint32_t)spec->hugepages[i]->pages;
        out->numa_mask |= 1u << k;
    }
    return ERR_OK;
}

enum err_code sched_view_stored(struct names *n, const Baton__PlacementSpec *spec,
                                const Baton__NodeHardwareSpec *hw, struct placement *out,
                                struct err *e)
{
    *out = (struct placement){.shared_milli = spec->shared_millis};
    enum err_code code = names_intern(n, str_of(spec->node), &out->node_name, e);
    if (code != ERR_OK)
        return code;
    if (spec->exclusive != NULL) {
        const Baton__ExclusiveCpus *x = spec->exclusive;
        if (x->n_cpus > TOPOLOGY_THREADS_MAX || x->n_cores > TOPOLOGY_CORES_MAX)
            return err_set(e, ERR_LIMIT, "more cores than a node can have");
        for (size_t i = 0; i < x->n_cpus; i++)
            out->cpus[out->cpus_count++] = (uint16_t)x->cpus[i];
        for (size_t i = 0; i < x->n_cores; i++) {
            out->cores[out->cores_count++] = (uint16_t)x->cores[i];
            if (x->cores[i] < hw->n_cores)
                out->numa_mask |= 1u << numa_index(hw, hw->cores[x->cores[i]]->numa_node);
        }
    }
    code = stored_memory(spec, hw, out);
    for (size_t i = 0; i < spec->n_host_ports && i < REQUEST_LIST_MAX; i++)
        out->ports[out->ports_count++] = (struct request_port){
            .address = ip_of(spec->host_ports[i]->ip),
            .port = (uint16_t)spec->host_ports[i]->port,
            .protocol = str_is(str_of(spec->host_ports[i]->protocol), "UDP")    ? PROTOCOL_UDP
                        : str_is(str_of(spec->host_ports[i]->protocol), "SCTP") ? PROTOCOL_SCTP
                                                                                : PROTOCOL_TCP};
    if (spec->n_addresses > 0) {
        out->address = ip_of(spec->addresses[0]->ip);
        out->mac = mac_of(spec->addresses[0]->mac);
    }
    if (code == ERR_OK)
        code = sched_devices_stored(n, spec, out, e);
    if (code == ERR_OK)
        code = sched_caches_stored(spec, out, e);
    return code;
}
