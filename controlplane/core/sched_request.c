/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/sched_view.h"
#include "api/policy.h"
#include "api/parts.h"

/* Requests and limits of every kind of object are lists of the same pair. */
struct amounts {
    size_t count;
    Core__ResourceRequirements__LimitsEntry **at;
};

static struct amounts limits_of(const Core__ResourceRequirements *r)
{
    return r == NULL ? (struct amounts){0} : (struct amounts){r->n_limits, r->limits};
}

static struct amounts requests_of(const Core__ResourceRequirements *r)
{
    if (r == NULL)
        return (struct amounts){0};
    return (struct amounts){r->n_requests,
                            (Core__ResourceRequirements__LimitsEntry **)(void *)r->requests};
}

static const Resource__Quantity *find(struct amounts from, struct str name)
{
    for (size_t i = 0; i < from.count; i++)
        if (str_eq(str_of(from.at[i]->key), name))
            return from.at[i]->value;
    return NULL;
}

/* What is asked for; a limit without a request is one. */
static const Resource__Quantity *asked(const Core__ResourceRequirements *r, struct str name)
{
    const Resource__Quantity *q = find(requests_of(r), name);
    return q != NULL ? q : find(limits_of(r), name);
}

static bool guaranteed(const Core__Container *c)
{
    static const struct str names[] = {STR("cpu"), STR("memory")};
    for (uint32_t i = 0; i < COUNT_OF(names); i++) {
        int64_t limit = objects_milli_of(find(limits_of(c->resources), names[i]));
        if (limit == 0 || limit != objects_milli_of(asked(c->resources, names[i])))
            return false;
    }
    return true;
}

static bool asks_nothing(const Core__Container *c)
{
    return objects_milli_of(asked(c->resources, STR("cpu"))) == 0 &&
           objects_milli_of(asked(c->resources, STR("memory"))) == 0;
}

const char *sched_view_qos(const Core__PodSpec *spec)
{
    bool all = true, none = true;
    for (size_t i = 0; i < spec->n_containers + spec->n_init_containers; i++) {
        const Core__Container *c = i < spec->n_containers
                                       ? spec->containers[i]
                                       : spec->init_containers[i - spec->n_containers];
        all &= guaranteed(c);
        none &= asks_nothing(c);
    }
    return none ? "BestEffort" : all ? "Guaranteed" : "Burstable";
}

/* What of a container's limits and requests counts. */
struct counted {
    struct str name;
    bool milli, limit;
    const Meta__ObjectMeta *meta; /* With each: of the pod. */
    uint32_t each;                /* Not 0: devices of which it has so many thousandths. */
};

static uint64_t amount_in(const Core__Container *c, const struct counted *what)
{
    if (what->each > 0)
        return part_of(c, what->meta, what->name) == what->each ? part_devices(what->meta) : 0;
    const Resource__Quantity *q =
        what->limit ? find(limits_of(c->resources), what->name) : asked(c->resources, what->name);
    int64_t amount = what->milli ? objects_milli_of(q) : objects_units(q);
    return amount > 0 ? (uint64_t)amount : 0;
}

/* Amounts are at most INT64_MAX each, and so is what they come to: a sum that began anew at 0 would be taken by a pod of nothing,
 * and what is below 0 gives a quota more. */
static uint64_t plus(uint64_t a, uint64_t b)
{
    return min_u64(a + b, INT64_MAX);
}

static uint32_t at_most_u32(uint64_t amount)
{
    return (uint32_t)min_u64(amount, UINT32_MAX);
}

/* What the pod needs of one resource: the sum of those that run together, or the largest init
 * container with the sidecars before it, whichever is more (Kubernetes: sidecar containers). */
static uint64_t at_once(const Core__PodSpec *spec, const struct counted *what)
{
    uint64_t sum = 0, sidecars = 0, most = 0;
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        const Core__Container *c = spec->init_containers[i];
        uint64_t v = amount_in(c, what);
        if (str_is(str_of(c->restart_policy), "Always"))
            sidecars = plus(sidecars, v);
        else
            most = max_u64(most, plus(sidecars, v));
    }
    for (size_t i = 0; i < spec->n_containers; i++)
        sum = plus(sum, amount_in(spec->containers[i], what));
    return max_u64(plus(sum, sidecars), most);
}

static uint64_t together(const Core__PodSpec *spec, struct str name, bool milli, bool limit)
{
    return at_once(spec, &(struct counted){.name = name, .milli = milli, .limit = limit});
}

int64_t sched_view_pod_takes(const Core__PodSpec *spec, struct str resource, bool limit)
{
    return (int64_t)together(spec, resource, true, limit);
}

bool sched_view_says(const Core__ResourceRequirements *r, struct str resource, bool limit)
{
    return (limit ? find(limits_of(r), resource) : asked(r, resource)) != NULL;
}

static bool whole_cpus(const Core__PodSpec *spec)
{
    for (size_t i = 0; i < spec->n_containers; i++) {
        int64_t milli = objects_milli_of(asked(spec->containers[i]->resources, STR("cpu")));
        if (milli == 0 || milli % 1000 != 0)
            return false;
    }
    return strcmp(sched_view_qos(spec), "Guaranteed") == 0;
}

MUST_USE static enum err_code pages(const Core__PodSpec *spec, struct request *out)
{
    out->hugepages_2m = at_most_u32(together(spec, STR("hugepages-2Mi"), false, false) >> 21);
    out->hugepages_1g = at_most_u32(together(spec, STR("hugepages-1Gi"), false, false) >> 30);
    return ERR_OK;
}

/* Counted without identity: what has a domain in its name, and room on the node's disk. */
static bool is_counted(struct str name)
{
    return str_find(name, '/', 0) < name.len || str_is(name, SCHED_STORAGE);
}

/* One container's extended resources. Their amounts come later. Devices are among them until then. */
MUST_USE static enum err_code scalar_names(struct names *n, const Core__Container *c,
                                           struct request_scalar *at, struct request *out,
                                           struct err *e)
{
    struct amounts lists[] = {limits_of(c->resources), requests_of(c->resources)};
    for (size_t k = 0; k < lists[0].count + lists[1].count; k++) {
        bool limit = k < lists[0].count;
        struct str name =
            str_of(limit ? lists[0].at[k]->key : lists[1].at[k - lists[0].count]->key);
        uint32_t id, i = 0;
        if (!is_counted(name))
            continue;
        enum err_code code = names_intern(n, name, &id, e);
        if (code != ERR_OK)
            return code;
        while (i < out->scalars_count && at[i].name != id)
            i++;
        if (i == REQUEST_LIST_MAX)
            return err_set(e, ERR_LIMIT, "more than %d resources", REQUEST_LIST_MAX);
        at[i].name = id;
        out->scalars_count = max_u32(out->scalars_count, i + 1);
    }
    return ERR_OK;
}

/* The largest part of a device below a size that one of the containers asks for; 0: none. */
static uint32_t part_below(const Core__Pod *pod, struct str name, uint32_t size)
{
    const Core__PodSpec *spec = pod->spec;
    uint32_t largest = 0;
    for (size_t i = 0; i < spec->n_init_containers + spec->n_containers; i++) {
        const Core__Container *c = i < spec->n_init_containers
                                       ? spec->init_containers[i]
                                       : spec->containers[i - spec->n_init_containers];
        uint32_t part = part_of(c, pod->metadata, name);
        largest = part < size ? max_u32(largest, part) : largest;
    }
    return largest;
}

/* Whole ones, or parts, the largest first; parts of one size go from container to container as whole ones do. */
MUST_USE static enum err_code devices(struct names *n, struct arena *a, const Core__Pod *pod,
                                      uint32_t name, struct request *out, struct err *e)
{
    struct str text = names_text(n, name), device;
    struct counted what = {.name = text, .meta = pod->metadata};
    struct request_device want = {.class_name = name};
    uint64_t most = REQUEST_DEVICE_COUNT_MAX + 1; /* Refused as well as any more. */
    if (!part_name(text, &device)) {
        want.count = (uint32_t)min_u64(at_once(pod->spec, &what), most);
        return sched_devices_want(a, out, &want, e);
    }
    enum err_code code = names_intern(n, device, &want.class_name, e);
    uint32_t part = PART_ONE + 1;
    while (code == ERR_OK && (part = part_below(pod, text, part)) > 0) {
        want.units = what.each = part;
        want.count = (uint32_t)min_u64(at_once(pod->spec, &what), most);
        code = sched_devices_want(a, out, &want, e);
    }
    return code;
}

/* Extended resources are exact devices where some node has such, else counted without identity (Kubernetes:
 * nodes' status.capacity). */
MUST_USE static enum err_code scalars(struct names *n, struct arena *a,
                                      const struct sched_classes *classes, const Core__Pod *pod,
                                      struct request *out, struct err *e)
{
    const Core__PodSpec *spec = pod->spec;
    struct request_scalar *at = arena_zalloc(a, REQUEST_LIST_MAX, sizeof *at);
    enum err_code code = ERR_OK;
    if (at == NULL)
        return err_set(e, ERR_LIMIT, "the request is too large");
    for (size_t i = 0; code == ERR_OK && i < spec->n_init_containers; i++)
        code = scalar_names(n, spec->init_containers[i], at, out, e);
    for (size_t i = 0; code == ERR_OK && i < spec->n_containers; i++)
        code = scalar_names(n, spec->containers[i], at, out, e);
    uint32_t counted = 0;
    for (uint32_t i = 0; code == ERR_OK && i < out->scalars_count; i++) {
        if (sched_classes_have(classes, at[i].name))
            code = devices(n, a, pod, at[i].name, out, e);
        else
            at[counted++] = (struct request_scalar){
                at[i].name, together(spec, names_text(n, at[i].name), false, false)};
    }
    out->scalars_count = counted;
    out->scalars = at;
    return code;
}

static uint32_t address_of(const char *text)
{
    uint32_t ip = 0, parts = 0;
    struct str rest = str_of(text), part;
    while (rest.at != NULL && rest.len > 0 && str_split(&rest, '.', &part)) {
        uint64_t v = 0;
        if (str_parse_u64(part, &v) != ERR_OK || v > 255)
            return 0;
        ip = ip << 8 | (uint32_t)v;
        parts++;
    }
    return parts == 4 ? ip : 0;
}

MUST_USE static enum err_code ports(struct arena *a, const Core__PodSpec *spec, struct request *out,
                                    struct err *e)
{
    struct request_port *at = arena_zalloc(a, REQUEST_LIST_MAX, sizeof *at);
    if (at == NULL)
        return err_set(e, ERR_LIMIT, "the request is too large");
    for (size_t i = 0; i < spec->n_containers; i++)
        for (size_t k = 0; k < spec->containers[i]->n_ports; k++) {
            const Core__ContainerPort *p = spec->containers[i]->ports[k];
            int32_t port = spec->host_network ? p->container_port : p->host_port;
            if (port <= 0)
                continue;
            if (out->ports_count == REQUEST_LIST_MAX)
                return err_set(e, ERR_LIMIT, "more than %d host ports", REQUEST_LIST_MAX);
            at[out->ports_count++] = (struct request_port){
                .port = (uint16_t)port,
                .address = address_of(p->host_ip),
                .protocol = str_is(str_of(p->protocol), "UDP")    ? PROTOCOL_UDP
                            : str_is(str_of(p->protocol), "SCTP") ? PROTOCOL_SCTP
                                                                  : PROTOCOL_TCP,
            };
        }
    out->ports = at;
    return ERR_OK;
}

/* ---- rules ---- */

struct pair {
    const char *key, *value;
};

MUST_USE static enum err_code labels(struct names *n, struct arena *a, size_t count,
                                     struct pair (*get)(const void *list, size_t i),
                                     const void *list, const struct topology_label **out,
                                     uint32_t *out_count, struct err *e)
{
    struct topology_label *at = arena_zalloc(a, count + 1, sizeof *at);
    if (at == NULL)
        return err_set(e, ERR_LIMIT, "the request is too large");
    for (size_t i = 0; i < count; i++) {
        struct pair p = get(list, i);
        enum err_code code = names_intern(n, str_of(p.key), &at[i].key, e);
        if (code == ERR_OK)
            code = names_intern(n, str_of(p.value), &at[i].value, e);
        if (code != ERR_OK)
            return code;
    }
    *out = at;
    *out_count = (uint32_t)count;
    return ERR_OK;
}

static struct pair label_at(const void *list, size_t i)
{
    Meta__ObjectMeta__LabelsEntry *const *at = list;
    return (struct pair){at[i]->key, at[i]->value};
}

static struct pair selector_at(const void *list, size_t i)
{
    Core__PodSpec__NodeSelectorEntry *const *at = list;
    return (struct pair){at[i]->key, at[i]->value};
}

static struct pair vm_selector_at(const void *list, size_t i)
{
    Kubevirt__VirtualMachineInstanceSpec__NodeSelectorEntry *const *at = list;
    return (struct pair){at[i]->key, at[i]->value};
}

MUST_USE static enum err_code tolerations(struct names *n, struct arena *a, size_t count,
                                          Core__Toleration **from, struct request *out,
                                          struct err *e)
{
    struct request_toleration *at = arena_zalloc(a, count + 1, sizeof *at);
    if (at == NULL)
        return err_set(e, ERR_LIMIT, "the request is too large");
    for (size_t i = 0; i < count; i++) {
        struct str effect = str_of(from[i]->effect);
        at[i].exists = str_is(str_of(from[i]->operator_), "Exists");
        at[i].effect = str_is(effect, "NoSchedule")         ? TOLERATE_NO_SCHEDULE
                       : str_is(effect, "PreferNoSchedule") ? TOLERATE_PREFER
                       : str_is(effect, "NoExecute")        ? TOLERATE_NO_EXECUTE
                                                            : TOLERATE_ANY_EFFECT;
        enum err_code code = names_intern(n, str_of(from[i]->key), &at[i].key, e);
        if (code == ERR_OK)
            code = names_intern(n, str_of(from[i]->value), &at[i].value, e);
        if (code != ERR_OK)
            return code;
    }
    out->tolerations = at;
    out->tolerations_count = (uint32_t)count;
    return ERR_OK;
}

static enum request_operator operator_of(const char *text)
{
    static const char *const names[] = {[OP_IN] = "In",         [OP_NOT_IN] = "NotIn",
                                        [OP_EXISTS] = "Exists", [OP_NOT_EXISTS] = "DoesNotExist",
                                        [OP_GT] = "Gt",         [OP_LT] = "Lt"};
    for (uint32_t i = 0; i < COUNT_OF(names); i++)
        if (str_is(str_of(text), names[i]))
            return i;
    return OP_IN;
}

MUST_USE static enum err_code expressions(struct names *n, struct arena *a, size_t count,
                                          Core__NodeSelectorRequirement **from, bool fields,
                                          struct request_selector *out, struct err *e)
{
    struct request_expression *at = arena_zalloc(a, count + 1, sizeof *at);
    if (at == NULL || count > REQUEST_LIST_MAX)
        return err_set(e, ERR_LIMIT, "more than %d expressions", REQUEST_LIST_MAX);
    for (size_t i = 0; i < count; i++) {
        uint32_t *values = arena_zalloc(a, from[i]->n_values + 1, sizeof *values);
        enum err_code code = ERR_OK;
        if (values == NULL)
            return err_set(e, ERR_LIMIT, "the request is too large");
        at[i].op = operator_of(from[i]->operator_);
        if (!fields)
            code = names_intern(n, str_of(from[i]->key), &at[i].key, e);
        for (size_t k = 0; code == ERR_OK && k < from[i]->n_values; k++)
            code = names_intern(n, str_of(from[i]->values[k]), &values[k], e);
        if (code != ERR_OK)
            return code;
        at[i].values = values;
        at[i].values_count = (uint32_t)from[i]->n_values;
    }
    *out = (struct request_selector){at, (uint32_t)count};
    return ERR_OK;
}

MUST_USE static enum err_code term(struct names *n, struct arena *a,
                                   const Core__NodeSelectorTerm *from, int32_t weight,
                                   struct request_node_term *out, struct err *e)
{
    enum err_code code = ERR_OK;
    out->weight = weight;
    if (from == NULL)
        return ERR_OK;
    code = expressions(n, a, from->n_match_expressions, from->match_expressions, false,
                       &out->labels, e);
    if (code == ERR_OK)
        code = expressions(n, a, from->n_match_fields, from->match_fields, true, &out->fields, e);
    return code;
}

MUST_USE static enum err_code node_affinity(struct names *n, struct arena *a,
                                            const Core__NodeAffinity *from, struct request *out,
                                            struct err *e)
{
    const Core__NodeSelector *must = from->required_during_scheduling_ignored_during_execution;
    size_t required = must == NULL ? 0 : must->n_node_selector_terms;
    size_t preferred = from->n_preferred_during_scheduling_ignored_during_execution;
    struct request_node_term *at = arena_zalloc(a, required + preferred + 1, sizeof *at);
    if (at == NULL || required + preferred > REQUEST_LIST_MAX)
        return err_set(e, ERR_LIMIT, "more than %d node affinity terms", REQUEST_LIST_MAX);
    for (size_t i = 0; i < required; i++) {
        enum err_code code = term(n, a, must->node_selector_terms[i], 0, &at[i], e);
        if (code != ERR_OK)
            return code;
    }
    for (size_t i = 0; i < preferred; i++) {
        const Core__PreferredSchedulingTerm *p =
            from->preferred_during_scheduling_ignored_during_execution[i];
        enum err_code code = term(n, a, p->preference, p->weight, &at[required + i], e);
        if (code != ERR_OK)
            return code;
    }
    out->node_required = at;
    out->node_required_count = (uint32_t)required;
    out->node_preferred = at + required;
    out->node_preferred_count = (uint32_t)preferred;
    return ERR_OK;
}

/* Rules about nodes here, rules between workloads in sched_affinity.c. */
MUST_USE static enum err_code affinity(struct names *n, struct arena *a,
                                       const Meta__ObjectMeta *meta, const Core__Affinity *from,
                                       Core__TopologySpreadConstraint **spreads,
                                       size_t spreads_count, struct request *out, struct err *e)
{
    enum err_code code = sched_view_affinity(n, a, meta, from, spreads, spreads_count, out, e);
    if (code == ERR_OK && from != NULL && from->node_affinity != NULL)
        code = node_affinity(n, a, from->node_affinity, out, e);
    return code;
}

MUST_USE static enum err_code common(struct names *n, struct arena *a, const Meta__ObjectMeta *meta,
                                     struct request *out, struct err *e)
{
    enum err_code code = names_intern(n, str_of(meta->namespace_), &out->namespace_name, e);
    if (code == ERR_OK)
        code = labels(n, a, meta->n_labels, label_at, meta->labels, &out->labels,
                      &out->labels_count, e);
    return code;
}

/* What needs cores of its own asks for nothing without them: a stored object may be older than that rule. */
static void policies(const Meta__ObjectMeta *meta, struct request *out)
{
    static const enum request_numa_policy numa[] = {[POLICY_NUMA_NONE] = NUMA_NONE,
                                                    [POLICY_NUMA_BEST_EFFORT] = NUMA_BEST_EFFORT,
                                                    [POLICY_NUMA_RESTRICTED] = NUMA_RESTRICTED,
                                                    [POLICY_NUMA_SINGLE] = NUMA_SINGLE};
    struct policy p = policy_read(meta);
    bool exclusive = out->exclusive_cpus > 0;
    out->numa_policy = numa[p.numa];
    out->choice = p.spread ? CHOICE_SPREAD : CHOICE_PACK;
    out->full_cores_only = exclusive && p.cores == POLICY_CORES_FULL;
    out->one_thread_per_core = exclusive && p.cores == POLICY_CORES_ONE_THREAD;
    out->align_llc = exclusive && p.align_caches;
    out->spread_numa = exclusive && p.spread_numa && p.numa != POLICY_NUMA_SINGLE;
    out->cache_ways = exclusive ? p.cache_ways : 0;
    out->bandwidth_mbps = exclusive ? p.bandwidth_percent : 0; /* In percent: see sched_rows.c. */
}

/* Which of two victims is the younger: by creation, for a start may be told late. */
static uint64_t created(const Meta__ObjectMeta *meta)
{
    return meta->creation_timestamp == NULL ? 0 : (uint64_t)meta->creation_timestamp->seconds;
}

enum err_code sched_view_pod(struct names *n, struct arena *a, const struct sched_classes *classes,
                             const Core__Pod *pod, struct request *out, struct err *e)
{
    const Core__PodSpec *spec = pod->spec;
    *out = (struct request){.priority = spec->priority,
                            .never_preempts = str_is(str_of(spec->preemption_policy), "Never"),
                            .started = created(pod->metadata),
                            .memory_bytes = together(spec, STR("memory"), false, false),
                            .address_wanted = !spec->host_network,
                            .mac_wanted = !spec->host_network};
    uint64_t milli = together(spec, STR("cpu"), true, false);
    if (whole_cpus(spec))
        out->exclusive_cpus = at_most_u32((milli + 999) / 1000);
    else
        out->shared_milli = at_most_u32(milli);
    policies(pod->metadata, out);
    enum err_code code = common(n, a, pod->metadata, out, e);
    if (code == ERR_OK)
        code = pages(spec, out);
    if (code == ERR_OK)
        code = scalars(n, a, classes, pod, out, e);
    if (code == ERR_OK)
        code = sched_caches_want(n, a, out, e);
    if (code == ERR_OK)
        code = ports(a, spec, out, e);
    if (code == ERR_OK)
        code = labels(n, a, spec->n_node_selector, selector_at, spec->node_selector,
                      &out->node_selector, &out->node_selector_count, e);
    if (code == ERR_OK)
        code = tolerations(n, a, spec->n_tolerations, spec->tolerations, out, e);
    if (code == ERR_OK)
        code = affinity(n, a, pod->metadata, spec->affinity, spec->topology_spread_constraints,
                        spec->n_topology_spread_constraints, out, e);
    if (code == ERR_OK)
        code = names_intern(n, str_of(spec->node_name), &out->node_name, e);
    return code;
}

static const Resource__Quantity *vm_asked(const Kubevirt__ResourceRequirements *r, struct str name)
{
    if (r == NULL)
        return NULL;
    struct amounts requests = {r->n_requests,
                               (Core__ResourceRequirements__LimitsEntry **)(void *)r->requests};
    struct amounts limits = {r->n_limits,
                             (Core__ResourceRequirements__LimitsEntry **)(void *)r->limits};
    const Resource__Quantity *q = find(requests, name);
    return q != NULL ? q : find(limits, name);
}

/* A guest goes where a VMM runs (NodeHardware: accelerator). */
MUST_USE static enum err_code wants_vmm(struct names *n, struct arena *a, struct request *out,
                                        struct err *e)
{
    uint32_t *at = arena_zalloc(a, 1, sizeof *at);
    if (at == NULL)
        return err_set(e, ERR_LIMIT, "the request is too large");
    out->capabilities = at;
    out->capabilities_count = 1;
    return names_intern(n, STR("vm"), at, e);
}

static uint32_t vcpus_of(const Kubevirt__CPU *c)
{
    if (c == NULL)
        return 1;
    return max_u32(c->cores, 1) * max_u32(c->sockets, 1) * max_u32(c->threads, 1);
}

/* The guest's memory out of pages instead: all of one NUMA node, for they are one backend of QEMU's, or, where
 * the guest sees the host's nodes, an even part of each that has its vCPUs. */
static void vm_pages(const Kubevirt__DomainSpec *d, struct request *out)
{
    bool mapped = d->cpu != NULL && d->cpu->numa != NULL &&
                  d->cpu->numa->guest_mapping_passthrough != NULL && out->exclusive_cpus > 0;
    if (d->memory == NULL || d->memory->hugepages == NULL)
        return;
    bool large = str_is(str_of(d->memory->hugepages->page_size), "1Gi");
    out->hugepages_1g = large ? at_most_u32(out->memory_bytes >> 30) : 0;
    out->hugepages_2m = large ? 0 : at_most_u32(out->memory_bytes >> 21);
    out->memory_bytes = 0;
    if (!mapped)
        out->numa_policy = NUMA_SINGLE;
    out->spread_numa = out->numa_policy != NUMA_SINGLE;
}

/* Unless it declines, or all its interfaces are virtual functions. */
static bool in_pod_network(const Kubevirt__VirtualMachineInstanceSpec *spec)
{
    const Kubevirt__Devices *d = spec->domain->devices;
    for (size_t i = 0; d != NULL && i < d->n_interfaces; i++)
        if (d->interfaces[i]->sriov == NULL)
            return true;
    bool declined = d != NULL && d->has_autoattach_pod_interface && !d->autoattach_pod_interface;
    return d == NULL || (d->n_interfaces == 0 && !declined);
}

enum err_code sched_view_machine(struct names *n, struct arena *a,
                                 const Kubevirt__VirtualMachineInstance *vm,
                                 const struct sched_overhead *overhead, struct request *out,
                                 struct err *e)
{
    const Kubevirt__VirtualMachineInstanceSpec *spec = vm->spec;
    const Kubevirt__DomainSpec *d = spec->domain;
    const Kubevirt__Devices *devices = d->devices;
    uint32_t vcpus = vcpus_of(d->cpu);
    uint32_t devices_count = devices == NULL
                                 ? 0
                                 : (uint32_t)(devices->n_disks + devices->n_interfaces +
                                              devices->n_host_devices + devices->n_gpus);
    const Resource__Quantity *memory = d->memory != NULL && d->memory->guest != NULL
                                           ? d->memory->guest
                                           : vm_asked(d->resources, STR("memory"));
    bool no_network = !in_pod_network(spec);
    *out = (struct request){.memory_bytes = (uint64_t)objects_units(memory),
                            .started = created(vm->metadata),
                            .address_wanted = !no_network,
                            .mac_wanted = !no_network};
    out->overhead_bytes =
        overhead->vm_bytes + overhead->device_bytes * devices_count + overhead->vcpu_bytes * vcpus;
    if (d->cpu != NULL && d->cpu->dedicated_cpu_placement) {
        out->exclusive_cpus = vcpus + d->cpu->isolate_emulator_thread;
    } else {
        int64_t milli = objects_milli_of(vm_asked(d->resources, STR("cpu")));
        out->shared_milli =
            milli > 0 ? at_most_u32((uint64_t)milli) : vcpus * 100; /* KubeVirt: a tenth each. */
    }
    policies(vm->metadata, out);
    vm_pages(d, out);
    enum err_code code = common(n, a, vm->metadata, out, e);
    if (code == ERR_OK)
        code = wants_vmm(n, a, out, e);
    if (code == ERR_OK)
        code = sched_devices_machine(n, a, spec, out, e);
    if (code == ERR_OK)
        code = sched_caches_want(n, a, out, e);
    if (code == ERR_OK)
        code = labels(n, a, spec->n_node_selector, vm_selector_at, spec->node_selector,
                      &out->node_selector, &out->node_selector_count, e);
    if (code == ERR_OK)
        code = tolerations(n, a, spec->n_tolerations, spec->tolerations, out, e);
    if (code == ERR_OK)
        code = affinity(n, a, vm->metadata, spec->affinity, spec->topology_spread_constraints,
                        spec->n_topology_spread_constraints, out, e);
    return code;
}

/* The same amounts as it is placed by; a machine without limits has none. */
int64_t sched_view_machine_takes(const Kubevirt__VirtualMachineInstanceSpec *spec,
                                 struct str resource, bool limit)
{
    const Kubevirt__DomainSpec *d = spec->domain;
    const Kubevirt__ResourceRequirements *r = d->resources;
    if (limit)
        return r == NULL ? 0
                         : objects_milli_of(find(
                               (struct amounts){
                                   r->n_limits,
                                   (Core__ResourceRequirements__LimitsEntry **)(void *)r->limits},
                               resource));
    if (str_find(resource, '/', 0) < resource.len)
        return 1000ll * sched_view_machine_devices(spec, resource);
    if (str_is(resource, "memory") && d->memory != NULL && d->memory->guest != NULL)
        return objects_milli_of(d->memory->guest);
    int64_t milli = objects_milli_of(vm_asked(r, resource));
    if (!str_is(resource, "cpu"))
        return milli;
    if (d->cpu != NULL && d->cpu->dedicated_cpu_placement)
        return 1000ll * (vcpus_of(d->cpu) + d->cpu->isolate_emulator_thread);
    return milli > 0 ? milli : 100ll * vcpus_of(d->cpu);
}
