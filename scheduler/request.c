/* SPDX-License-Identifier: Apache-2.0 */
/* What a request must satisfy before anybody looks for a node. */
#include "scheduler/request.h"

static enum err_code check_lists(const struct request *r, struct err *e);
static enum err_code check_cpu(const struct request *r, struct err *e);
/* One class may stand several times for parts, the larger ones first: see fit.c. */
static bool falls(const struct request_device *before, const struct request_device *d)
{
    return d->units > 0 && before->units > d->units && d->models_count == 0 &&
           before->models_count == 0;
}

static enum err_code check_devices(const struct request *r, struct err *e);
static enum err_code check_rules(const struct request *r, struct err *e);

enum err_code request_check(const struct request *r, struct err *e)
{
    static enum err_code (*const checks[])(const struct request *, struct err *) = {
        check_lists, check_cpu, check_devices, check_rules};
    for (size_t i = 0; i < COUNT_OF(checks); i++) {
        enum err_code rc = checks[i](r, e);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

static enum err_code check_lists(const struct request *r, struct err *e)
{
    const struct {
        const char *what;
        uint32_t count, max;
    } lists[] = {
        {"labels", r->labels_count, REQUEST_LIST_MAX},
        {"devices", r->devices_count, REQUEST_DEVICES_MAX},
        {"extended resources", r->scalars_count, REQUEST_LIST_MAX},
        {"ports", r->ports_count, REQUEST_LIST_MAX},
        {"nodeSelector", r->node_selector_count, REQUEST_LIST_MAX},
        {"nodeAffinity.required", r->node_required_count, REQUEST_LIST_MAX},
        {"nodeAffinity.preferred", r->node_preferred_count, REQUEST_LIST_MAX},
        {"tolerations", r->tolerations_count, REQUEST_LIST_MAX},
        {"capabilities", r->capabilities_count, REQUEST_LIST_MAX},
        {"images", r->images_count, REQUEST_LIST_MAX},
        {"topologySpreadConstraints", r->spreads_count, REQUEST_SPREADS_MAX},
        {"podAffinity.required", r->affinity_count, REQUEST_LIST_MAX},
        {"podAntiAffinity.required", r->anti_affinity_count, REQUEST_LIST_MAX},
        {"podAffinity.preferred", r->affinity_preferred_count, REQUEST_LIST_MAX},
        {"podAntiAffinity.preferred", r->anti_affinity_preferred_count, REQUEST_LIST_MAX},
    };
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        if (lists[i].count > lists[i].max)
            return err_set(e, ERR_LIMIT, "%s: %u entries, at most %u are supported", lists[i].what,
                           lists[i].count, lists[i].max);
    return ERR_OK;
}

static enum err_code check_cpu(const struct request *r, struct err *e)
{
    if (r->exclusive_cpus > TOPOLOGY_THREADS_MAX)
        return err_set(e, ERR_INVALID, "cpus: %u wanted, no machine may have more than %u",
                       r->exclusive_cpus, TOPOLOGY_THREADS_MAX);
    if (r->shared_milli > TOPOLOGY_THREADS_MAX * 1000u)
        return err_set(e, ERR_INVALID, "cpu: %um wanted, no machine may have more than %um",
                       r->shared_milli, TOPOLOGY_THREADS_MAX * 1000u);
    if (r->memory_bytes > REQUEST_MEMORY_MAX || r->overhead_bytes > REQUEST_MEMORY_MAX)
        return err_set(e, ERR_INVALID, "memory: more than any machine may have");
    if (r->full_cores_only && r->one_thread_per_core)
        return err_set(e, ERR_INVALID,
                       "policies: full cores only and one thread per core exclude each other");
    if (r->spread_numa && r->numa_policy == NUMA_SINGLE)
        return err_set(e, ERR_INVALID,
                       "policies: spread over NUMA nodes and single NUMA node exclude each other");
    bool per_core = r->full_cores_only || r->one_thread_per_core || r->align_llc || r->spread_numa;
    if (r->exclusive_cpus == 0 && (per_core || r->cache_ways > 0 || r->bandwidth_mbps > 0))
        return err_set(e, ERR_INVALID, "policies: core and cache policies need exclusive CPUs");
    return ERR_OK;
}

static enum err_code check_devices(const struct request *r, struct err *e)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < r->devices_count; i++) {
        const struct request_device *d = &r->devices[i];
        if (d->class_name == 0 || d->count == 0 || d->count > REQUEST_DEVICE_COUNT_MAX)
            return err_set(e, ERR_INVALID, "devices[%u]: needs a class and a count of 1 to %u", i,
                           REQUEST_DEVICE_COUNT_MAX);
        if (d->units > TOPOLOGY_DEVICE_UNITS)
            return err_set(e, ERR_INVALID, "devices[%u]: a part is 1 to %u thousandths of a device",
                           i, TOPOLOGY_DEVICE_UNITS);
        if (d->models_count > REQUEST_LIST_MAX)
            return err_set(e, ERR_LIMIT, "devices[%u]: over %u models", i, REQUEST_LIST_MAX);
        for (uint32_t k = 0; k < i; k++)
            if (r->devices[k].class_name == d->class_name && !falls(&r->devices[k], d))
                return err_set(e, ERR_INVALID, "devices[%u]: the class stands twice", i);
        total += d->count;
    }
    if (total > REQUEST_DEVICE_COUNT_MAX)
        return err_set(e, ERR_LIMIT, "devices: %u wanted, at most %u", total,
                       REQUEST_DEVICE_COUNT_MAX);
    for (uint32_t i = 0; i < r->scalars_count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (r->scalars[k].name == r->scalars[i].name)
                return err_set(e, ERR_INVALID, "extended resources[%u]: the name stands twice", i);
    for (uint32_t i = 0; i < r->ports_count; i++)
        if (r->ports[i].port == 0)
            return err_set(e, ERR_INVALID, "ports[%u]: must be 1 to 65535", i);
    return ERR_OK;
}

static enum err_code check_selector(const struct request_selector *s, bool node, const char *where,
                                    struct err *e)
{
    if (s->expressions_count > REQUEST_LIST_MAX)
        return err_set(e, ERR_LIMIT, "%s: over %u expressions", where, REQUEST_LIST_MAX);
    for (uint32_t i = 0; i < s->expressions_count; i++) {
        const struct request_expression *x = &s->expressions[i];
        if (x->values_count > REQUEST_VALUES_MAX)
            return err_set(e, ERR_LIMIT, "%s: over %u values", where, REQUEST_VALUES_MAX);
        bool compares = x->op == OP_GT || x->op == OP_LT;
        bool lists = x->op == OP_IN || x->op == OP_NOT_IN;
        if (compares && (!node || x->values_count != 1))
            return err_set(e, ERR_INVALID, "%s: Gt and Lt take one value, on node labels", where);
        if (lists != (x->values_count > 0) && !compares)
            return err_set(e, ERR_INVALID, "%s: In and NotIn take values, Exists takes none",
                           where);
    }
    return ERR_OK;
}

static enum err_code check_node_terms(const struct request_node_term *terms, uint32_t count,
                                      const char *where, struct err *e)
{
    for (uint32_t i = 0; i < count; i++) {
        enum err_code rc = check_selector(&terms[i].labels, true, where, e);
        if (rc == ERR_OK)
            rc = check_selector(&terms[i].fields, true, where, e);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

static enum err_code check_pod_terms(const struct request_pod_term *terms, uint32_t count,
                                     const char *where, struct err *e)
{
    for (uint32_t i = 0; i < count; i++) {
        if (terms[i].topology_key == 0)
            return err_set(e, ERR_INVALID, "%s[%u].topologyKey: must not be empty", where, i);
        if (terms[i].namespaces_count > REQUEST_VALUES_MAX)
            return err_set(e, ERR_LIMIT, "%s[%u]: over %u namespaces", where, i,
                           REQUEST_VALUES_MAX);
        enum err_code rc = check_selector(&terms[i].selector, false, where, e);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

static enum err_code check_spreads(const struct request *r, struct err *e)
{
    for (uint32_t i = 0; i < r->spreads_count; i++) {
        const struct request_spread *s = &r->spreads[i];
        if (s->max_skew == 0 || s->topology_key == 0)
            return err_set(e, ERR_INVALID,
                           "topologySpreadConstraints[%u]: needs maxSkew over 0 and a topologyKey",
                           i);
        if (s->soft && s->min_domains > 0)
            return err_set(e, ERR_INVALID,
                           "topologySpreadConstraints[%u].minDomains: only with DoNotSchedule", i);
        enum err_code rc = check_selector(&s->selector, false, "topologySpreadConstraints", e);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

static enum err_code check_rules(const struct request *r, struct err *e)
{
    enum err_code rc = check_spreads(r, e);
    if (rc == ERR_OK)
        rc = check_node_terms(r->node_required, r->node_required_count, "nodeAffinity.required", e);
    if (rc == ERR_OK)
        rc = check_node_terms(r->node_preferred, r->node_preferred_count, "nodeAffinity.preferred",
                              e);
    if (rc == ERR_OK)
        rc = check_pod_terms(r->affinity, r->affinity_count, "podAffinity.required", e);
    if (rc == ERR_OK)
        rc = check_pod_terms(r->anti_affinity, r->anti_affinity_count, "podAntiAffinity.required",
                             e);
    if (rc == ERR_OK)
        rc = check_pod_terms(r->affinity_preferred, r->affinity_preferred_count,
                             "podAffinity.preferred", e);
    if (rc == ERR_OK)
        rc = check_pod_terms(r->anti_affinity_preferred, r->anti_affinity_preferred_count,
                             "podAntiAffinity.preferred", e);
    return rc;
}
