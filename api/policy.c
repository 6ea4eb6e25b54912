/* SPDX-License-Identifier: Apache-2.0 */
#include "api/policy.h"
#include "api/kinds_priv.h"

static const char *const yes[] = {"false", "true", NULL};
static const char *const numas[] = {"none", "best-effort", "restricted", "single-numa-node", NULL};
static const char *const cores[] = {"any", "full-cores-only", "one-thread-per-core", NULL};
static const char *const choices[] = {"pack", "spread", NULL};

enum { NUMA, CORES, ALIGN, SPREAD_NUMA, CHOICE };

/* A value is its index: the first is the default. */
static const struct {
    const char *key;
    const char *const *values;
    bool needs_cores;
} rows[] = {
    [NUMA] = {"baton.dev/numa-policy", numas, false},
    [CORES] = {"baton.dev/core-policy", cores, true},
    [ALIGN] = {"baton.dev/align-caches", yes, true},
    [SPREAD_NUMA] = {"baton.dev/spread-numa", yes, true},
    [CHOICE] = {"baton.dev/choice", choices, false},
};

/* Amounts of what the cores stand on. */
static const struct {
    const char *key;
    uint32_t most;
} amounts[] = {{"baton.dev/cache-ways", 32}, {"baton.dev/memory-bandwidth", 100}};

static const char *annotation(const Meta__ObjectMeta *m, const char *key)
{
    for (size_t i = 0; m != NULL && i < m->n_annotations; i++)
        if (is_text(m->annotations[i]->key, key))
            return kind_str(m->annotations[i]->value).at;
    return NULL;
}

static const char *value_of(const Meta__ObjectMeta *m, uint32_t row)
{
    return annotation(m, rows[row].key);
}

static uint32_t amount_of(const Meta__ObjectMeta *m, uint32_t row)
{
    uint64_t value;
    const char *text = annotation(m, amounts[row].key);
    bool is_one = text != NULL && str_parse_u64(str_of(text), &value) == ERR_OK;
    return is_one && value <= amounts[row].most ? (uint32_t)value : 0;
}

static void amounts_validate(struct kind_call *c, const Meta__ObjectMeta *m, bool is_exclusive,
                             const struct field *list)
{
    for (uint32_t i = 0; i < COUNT_OF(amounts); i++) {
        struct field at = field_key(list, str_of(amounts[i].key));
        const char *value = annotation(m, amounts[i].key);
        if (value != NULL && amount_of(m, i) == 0)
            causes_invalid(&c->causes, &at, kind_str(value),
                           i == 0 ? "must be a number from 1 to 32"
                                  : "must be a number of percent from 1 to 100");
        else if (value != NULL && !is_exclusive)
            causes_invalid(&c->causes, &at, kind_str(value),
                           "is about cores of its own, and this workload shares the pool");
    }
}

static uint32_t index_of(const Meta__ObjectMeta *m, uint32_t row)
{
    const char *value = value_of(m, row);
    for (uint32_t i = 0; value != NULL && rows[row].values[i] != NULL; i++)
        if (is_text(value, rows[row].values[i]))
            return i;
    return 0;
}

struct policy policy_read(const Meta__ObjectMeta *m)
{
    return (struct policy){.numa = (enum policy_numa)index_of(m, NUMA),
                           .cores = (enum policy_cores)index_of(m, CORES),
                           .align_caches = index_of(m, ALIGN) != 0,
                           .spread_numa = index_of(m, SPREAD_NUMA) != 0,
                           .spread = index_of(m, CHOICE) != 0,
                           .cache_ways = amount_of(m, 0),
                           .bandwidth_percent = amount_of(m, 1)};
}

/* Where cores have one thread every number does, and the policy says nothing: it is about those with two. What is there
 * already stays. */
static void full_cores_validate(struct kind_call *c, const struct field *at, const char *value,
                                uint64_t cpus)
{
    if (c->write == KIND_CREATE && cpus % 2 == 1)
        causes_add(
            &c->causes, CAUSE_INVALID, at,
            "\"%s\": takes both threads of each core, and this workload has %llu CPUs, an odd "
            "number",
            value, (unsigned long long)cpus);
}

void policy_validate(struct kind_call *c, const Meta__ObjectMeta *m, uint64_t cpus)
{
    bool is_exclusive = cpus > 0;
    struct field meta = field_name(NULL, "metadata"), list = field_name(&meta, "annotations");
    struct policy p = policy_read(m);
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        struct field at = field_key(&list, str_of(rows[i].key));
        const char *value = value_of(m, i);
        if (value == NULL)
            continue;
        check_one_of(c, &at, value, rows[i].values);
        if (rows[i].needs_cores && index_of(m, i) != 0 && !is_exclusive)
            causes_invalid(&c->causes, &at, kind_str(value),
                           "is about cores of its own, and this workload shares the pool");
        if (i == CORES && p.cores == POLICY_CORES_FULL)
            full_cores_validate(c, &at, value, cpus);
        if (i == SPREAD_NUMA && p.spread_numa && p.numa == POLICY_NUMA_SINGLE)
            causes_invalid(&c->causes, &at, kind_str(value),
                           "excludes baton.dev/numa-policy: single-numa-node");
    }
    amounts_validate(c, m, is_exclusive, &list);
}
