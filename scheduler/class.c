/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Equal requests are one class; equal labels are one set.
 *
 * A class is found by its key: every field as numbers, in a fixed order, without padding and
 * pointers. Labels are kept apart, because workloads that differ in nothing but a label of their own
 * (a StatefulSet's pods) should share what is remembered about nodes.
 */
#include "base/buf.h"
#include "scheduler/held.h"
#include "scheduler/shortlist.h"

static size_t copy_request(char *block, struct request *to, const struct request *r);

/* What every request has, and whether it has lists: without any, this is the whole key. */
struct key_head {
    uint64_t memory_bytes, overhead_bytes;
    uint32_t exclusive_cpus, shared_milli, hugepages_2m, hugepages_1g, cache_ways, bandwidth_mbps;
    uint32_t node_name, flags;
    int32_t priority;
    uint8_t numa_policy, choice, hardware, rules;
    uint64_t spare;
};
_Static_assert(sizeof(struct key_head) == 64, "no padding");

static struct key_head key_head_of(const struct request *r);
static enum err_code key_long(struct ledger *l, const struct request *r,
                              const struct key_head *head, struct str *out, struct err *e);

/* ---- classes ---- */

/* Everything is looked up by the bytes of its key. What was asked for last under the same hash is
 * tried first: the maps are safe against chosen keys, and pay for it at every look. Here a sum of
 * products does, which are made side by side. Keys are whole numbers of 4 bytes. */
static uint32_t memo_at(struct str key)
{
    uint64_t odd = 0x9E3779B97F4A7C15ull, factor = odd, sum = key.len;
    size_t at = 0;
    for (; at + 8 <= key.len; at += 8, factor += 2 * odd) {
        uint64_t word;
        memcpy(&word, key.at + at, 8);
        sum += (word ^ word >> 32) * factor;
    }
    if (at < key.len) {
        uint32_t rest;
        memcpy(&rest, key.at + at, 4);
        sum += rest * factor;
    }
    return (uint32_t)(sum >> 32) % MEMO_SIZE;
}

static enum err_code class_new(struct ledger *l, const struct request *r, struct str key,
                               struct class **out, struct err *e)
{
    size_t lists = copy_request(NULL, NULL, r);
    char *block = mem_zalloc(1, sizeof(struct class) + lists + key.len);
    struct class *c = (struct class *)(void *)block;
    c->bytes = sizeof *c + lists + key.len;
    copy_request(block + sizeof *c, &c->r, r);
    str_put(block + sizeof *c + lists, key);
    c->key = (struct str){block + sizeof *c + lists, key.len};
    if (map_put(&l->classes_map, c->key, c) != ERR_OK) {
        mem_free(c);
        return err_set(e, ERR_LIMIT, "too many different requests");
    }
    c->id = table__add(&l->classes, c);
    l->classes_memory += c->bytes;
    held__of_request(&c->r, held__take, &l->names);
    terms__class_came(l, c);
    *out = c;
    return ERR_OK;
}

static enum err_code class_find(struct ledger *l, const struct request *r, struct str key,
                                struct class **out, struct err *e)
{
    *out = map_find(&l->classes_map, key);
    if (*out != NULL)
        return ERR_OK;
    enum err_code rc = request_check(r, e);
    return rc == ERR_OK ? class_new(l, r, key, out, e) : rc;
}

enum err_code class__intern(struct ledger *l, const struct request *r, struct class **out,
                            struct err *e)
{
    struct key_head head = key_head_of(r);
    struct str key = str_from(&head, sizeof head);
    enum err_code rc = head.hardware || head.rules ? key_long(l, r, &head, &key, e) : ERR_OK;
    if (rc != ERR_OK)
        return rc;

    struct class **memo = &l->classes_memo[memo_at(key)], *c = *memo;
    if (c == NULL || !str_eq(c->key, key)) {
        struct class *was = c;
        rc = class_find(l, r, key, &c, e);
        if (rc != ERR_OK)
            return rc;
        *memo = c;
        if (was != NULL)
            class__free_if_unused(l, was);
    }
    c->refs++;
    *out = c;
    return ERR_OK;
}

void class__unref(struct ledger *l, struct class *c)
{
    c->refs--;
    class__free_if_unused(l, c);
}

void class__free_if_unused(struct ledger *l, struct class *c)
{
    if (c->refs > 0 || c->lists != NULL)
        return;
    struct class **memo = &l->classes_memo[memo_at(c->key)];
    if (*memo == c && c->bytes <= MEMO_KEPT)
        return;
    if (*memo == c)
        *memo = NULL;
    terms__class_went(l, c);
    held__of_request(&c->r, held__drop, &l->names);
    map_remove(&l->classes_map, c->key);
    table__remove(&l->classes, c->id);
    l->classes_memory -= c->bytes;
    class__free(c);
}

void class__drop_unused(struct ledger *l, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct class **memo = &l->classes_memo[l->memo_swept++ % MEMO_SIZE], *c = *memo;
        *memo = NULL;
        if (c != NULL)
            class__free_if_unused(l, c);
        shortlist__drop_oldest(l);
    }
}

void class__free(struct class *c)
{
    if (c != NULL)
        mem_free(c->explained);
    mem_free(c);
}

/* ---- the key ---- */

static void put(struct buf *out, uint32_t v)
{
    buf_add(out, str_from(&v, sizeof v));
}

static void put_list(struct buf *out, const uint32_t *values, uint32_t count)
{
    put(out, count);
    buf_add(out, str_from(values, count * sizeof *values));
}

static void key_selector(struct buf *out, const struct request_selector *s)
{
    put(out, s->expressions_count);
    for (uint32_t i = 0; i < s->expressions_count; i++) {
        put(out, s->expressions[i].key);
        put(out, s->expressions[i].op);
        put_list(out, s->expressions[i].values, s->expressions[i].values_count);
    }
}

static void key_node_terms(struct buf *out, const struct request_node_term *terms, uint32_t count)
{
    put(out, count);
    for (uint32_t i = 0; i < count; i++) {
        key_selector(out, &terms[i].labels);
        key_selector(out, &terms[i].fields);
        put(out, (uint32_t)terms[i].weight);
    }
}

static void key_pod_terms(struct buf *out, const struct request_pod_term *terms, uint32_t count)
{
    put(out, count);
    for (uint32_t i = 0; i < count; i++) {
        key_selector(out, &terms[i].selector);
        put(out, (uint32_t)terms[i].selects_nothing | (uint32_t)terms[i].all_namespaces << 1);
        put_list(out, terms[i].namespaces, terms[i].namespaces_count);
        put(out, terms[i].topology_key);
        put(out, (uint32_t)terms[i].weight);
    }
}

static void key_hardware(struct buf *out, const struct request *r)
{
    put(out, r->devices_count);
    for (uint32_t i = 0; i < r->devices_count; i++) {
        const uint32_t head[] = {r->devices[i].class_name, r->devices[i].count,
                                 r->devices[i].units};
        buf_add(out, str_from(head, sizeof head));
        put_list(out, r->devices[i].models, r->devices[i].models_count);
    }
    put(out, r->scalars_count);
    for (uint32_t i = 0; i < r->scalars_count; i++) {
        put(out, r->scalars[i].name);
        buf_add(out, str_from(&r->scalars[i].amount, sizeof r->scalars[i].amount));
    }
    put(out, r->ports_count);
    for (uint32_t i = 0; i < r->ports_count; i++) {
        put(out, r->ports[i].address);
        put(out, r->ports[i].port | (uint32_t)r->ports[i].protocol << 16);
    }
}

static void key_rules(struct buf *out, const struct request *r)
{
    put(out, r->node_selector_count);
    buf_add(out, str_from(r->node_selector, r->node_selector_count * sizeof *r->node_selector));
    key_node_terms(out, r->node_required, r->node_required_count);
    key_node_terms(out, r->node_preferred, r->node_preferred_count);
    put(out, r->tolerations_count);
    for (uint32_t i = 0; i < r->tolerations_count; i++) {
        put(out, r->tolerations[i].key);
        put(out, r->tolerations[i].value);
        put(out, (uint32_t)r->tolerations[i].exists | (uint32_t)r->tolerations[i].effect << 1);
    }
    put_list(out, r->capabilities, r->capabilities_count);
    put_list(out, r->images, r->images_count);
    put(out, r->spreads_count);
    put(out, r->spreads_count > 0 ? r->namespace_name : 0); /* Spread counts in one's own. */
    for (uint32_t i = 0; i < r->spreads_count; i++) {
        const struct request_spread *s = &r->spreads[i];
        const uint32_t head[] = {s->max_skew, s->min_domains, s->topology_key,
                                 (uint32_t)s->selects_nothing | (uint32_t)s->soft << 1 |
                                     (uint32_t)s->ignore_node_affinity << 2 |
                                     (uint32_t)s->honor_taints << 3};
        buf_add(out, str_from(head, sizeof head));
        key_selector(out, &s->selector);
    }
    key_pod_terms(out, r->affinity, r->affinity_count);
    key_pod_terms(out, r->anti_affinity, r->anti_affinity_count);
    key_pod_terms(out, r->affinity_preferred, r->affinity_preferred_count);
    key_pod_terms(out, r->anti_affinity_preferred, r->anti_affinity_preferred_count);
}

static struct key_head key_head_of(const struct request *r)
{
    return (struct key_head){
        .memory_bytes = r->memory_bytes,
        .overhead_bytes = r->overhead_bytes,
        .exclusive_cpus = r->exclusive_cpus,
        .shared_milli = r->shared_milli,
        .hugepages_2m = r->hugepages_2m,
        .hugepages_1g = r->hugepages_1g,
        .cache_ways = r->cache_ways,
        .bandwidth_mbps = r->bandwidth_mbps,
        .node_name = r->node_name,
        .flags = (uint32_t)r->address_wanted | (uint32_t)r->mac_wanted << 1 |
                 (uint32_t)r->full_cores_only << 2 | (uint32_t)r->one_thread_per_core << 3 |
                 (uint32_t)r->align_llc << 4 | (uint32_t)r->spread_numa << 5 |
                 (uint32_t)r->never_preempts << 6,
        .priority = r->priority,
        .numa_policy = (uint8_t)r->numa_policy,
        .choice = (uint8_t)r->choice,
        .hardware = r->devices_count + r->scalars_count + r->ports_count > 0,
        .rules = r->node_selector_count + r->node_required_count + r->node_preferred_count +
                     r->tolerations_count + r->capabilities_count + r->images_count +
                     r->spreads_count + r->affinity_count + r->anti_affinity_count +
                     r->affinity_preferred_count + r->anti_affinity_preferred_count >
                 0,
    };
}

/* With its lists; valid until the next one is made. */
static enum err_code key_long(struct ledger *l, const struct request *r,
                              const struct key_head *head, struct str *out, struct err *e)
{
    struct buf *key = &l->scratch;
    buf_clear(key);
    buf_add(key, str_from(head, sizeof *head));
    if (head->hardware)
        key_hardware(key, r);
    if (head->rules)
        key_rules(key, r);
    *out = buf_str(key);
    enum err_code rc = buf_status(key, e);
    return rc == ERR_OK ? rc : err_wrap(e, "request");
}

/* ---- the copy ---- */

/* Two passes over the same code: the first, without a block, measures. */
struct copier {
    char *block;
    size_t used;
};

static const void *copy(struct copier *c, const void *from, size_t count, size_t size)
{
    if (count == 0)
        return NULL;
    char *to = c->block == NULL ? NULL : c->block + c->used;
    c->used += (count * size + 7) & ~(size_t)7;
    if (to != NULL)
        memcpy(to, from, count * size);
    return to;
}

static void copy_selector(struct copier *c, struct request_selector *to,
                          const struct request_selector *s)
{
    struct request_expression *x = (struct request_expression *)(uintptr_t)copy(
        c, s->expressions, s->expressions_count, sizeof *s->expressions);
    for (uint32_t i = 0; i < s->expressions_count; i++) {
        const void *values = copy(c, s->expressions[i].values, s->expressions[i].values_count,
                                  sizeof *s->expressions[i].values);
        if (x != NULL)
            x[i].values = values;
    }
    if (to != NULL)
        to->expressions = x;
}

static const void *copy_node_terms(struct copier *c, const struct request_node_term *terms,
                                   uint32_t count)
{
    struct request_node_term *to =
        (struct request_node_term *)(uintptr_t)copy(c, terms, count, sizeof *terms);
    for (uint32_t i = 0; i < count; i++) {
        copy_selector(c, to == NULL ? NULL : &to[i].labels, &terms[i].labels);
        copy_selector(c, to == NULL ? NULL : &to[i].fields, &terms[i].fields);
    }
    return to;
}

static const void *copy_pod_terms(struct copier *c, const struct request_pod_term *terms,
                                  uint32_t count)
{
    struct request_pod_term *to =
        (struct request_pod_term *)(uintptr_t)copy(c, terms, count, sizeof *terms);
    for (uint32_t i = 0; i < count; i++) {
        copy_selector(c, to == NULL ? NULL : &to[i].selector, &terms[i].selector);
        const void *namespaces =
            copy(c, terms[i].namespaces, terms[i].namespaces_count, sizeof *terms[i].namespaces);
        if (to != NULL)
            to[i].namespaces = namespaces;
    }
    return to;
}

static const void *copy_devices(struct copier *c, const struct request_device *devices,
                                uint32_t count)
{
    struct request_device *to =
        (struct request_device *)(uintptr_t)copy(c, devices, count, sizeof *devices);
    for (uint32_t i = 0; i < count; i++) {
        const void *models =
            copy(c, devices[i].models, devices[i].models_count, sizeof *devices[i].models);
        if (to != NULL)
            to[i].models = models;
    }
    return to;
}

static const void *copy_spreads(struct copier *c, const struct request_spread *spreads,
                                uint32_t count)
{
    struct request_spread *to =
        (struct request_spread *)(uintptr_t)copy(c, spreads, count, sizeof *spreads);
    for (uint32_t i = 0; i < count; i++)
        copy_selector(c, to == NULL ? NULL : &to[i].selector, &spreads[i].selector);
    return to;
}

static size_t copy_request(char *block, struct request *to, const struct request *r)
{
    struct copier c = {block, 0};
    struct request made = *r;

    made.cookie = made.started = 0;
    made.gang = 0;
    made.labels = NULL;
    made.labels_count = 0;
    if (made.spreads_count == 0)
        made.namespace_name = 0;
    made.devices = copy_devices(&c, r->devices, r->devices_count);
    made.scalars = copy(&c, r->scalars, r->scalars_count, sizeof *r->scalars);
    made.ports = copy(&c, r->ports, r->ports_count, sizeof *r->ports);
    made.node_selector =
        copy(&c, r->node_selector, r->node_selector_count, sizeof *r->node_selector);
    made.node_required = copy_node_terms(&c, r->node_required, r->node_required_count);
    made.node_preferred = copy_node_terms(&c, r->node_preferred, r->node_preferred_count);
    made.tolerations = copy(&c, r->tolerations, r->tolerations_count, sizeof *r->tolerations);
    made.capabilities = copy(&c, r->capabilities, r->capabilities_count, sizeof *r->capabilities);
    made.images = copy(&c, r->images, r->images_count, sizeof *r->images);
    made.spreads = copy_spreads(&c, r->spreads, r->spreads_count);
    made.affinity = copy_pod_terms(&c, r->affinity, r->affinity_count);
    made.anti_affinity = copy_pod_terms(&c, r->anti_affinity, r->anti_affinity_count);
    made.affinity_preferred =
        copy_pod_terms(&c, r->affinity_preferred, r->affinity_preferred_count);
    made.anti_affinity_preferred =
        copy_pod_terms(&c, r->anti_affinity_preferred, r->anti_affinity_preferred_count);
    if (to != NULL)
        *to = made;
    return c.used;
}

/* ---- label sets ---- */

static void labels_sort(struct topology_label *labels, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct topology_label moved = labels[i];
        uint32_t k = i;
        for (; k > 0 && labels[k - 1].key > moved.key; k--)
            labels[k] = labels[k - 1];
        labels[k] = moved;
    }
}

struct labels_key {
    uint32_t namespace_name, leaves, count;
    struct topology_label labels[REQUEST_LIST_MAX];
};

static enum err_code labels_find(struct ledger *l, struct str key, struct labels **out,
                                 struct err *e)
{
    *out = map_find(&l->labels_map, key);
    if (*out != NULL)
        return ERR_OK;
    char *block = mem_zalloc(1, sizeof(struct labels) + key.len);
    struct labels *s = (struct labels *)(void *)block;
    struct labels_key *copy = (struct labels_key *)(void *)(block + sizeof *s);
    str_put(copy, key);
    s->key = (struct str){(const char *)copy, key.len};
    s->namespace_name = copy->namespace_name;
    s->leaves = copy->leaves;
    s->labels_count = copy->count;
    s->labels = copy->labels;
    if (map_put(&l->labels_map, s->key, s) != ERR_OK) {
        mem_free(s);
        return err_set(e, ERR_LIMIT, "too many different sets of labels");
    }
    s->id = table__add(&l->labels, s);
    held__of_labels(s, held__take, &l->names);
    l->classes_memory += sizeof *s + key.len;
    *out = s;
    return ERR_OK;
}

enum err_code labels__intern(struct ledger *l, const struct request *r, bool leaves,
                             struct labels **out, struct err *e)
{
    struct labels_key key;
    if (r->labels_count > REQUEST_LIST_MAX)
        return err_set(e, ERR_LIMIT, "labels: %u entries, at most %u are supported",
                       r->labels_count, REQUEST_LIST_MAX);
    key.namespace_name = r->namespace_name;
    key.leaves = leaves;
    key.count = r->labels_count;
    for (uint32_t i = 0; i < r->labels_count; i++)
        key.labels[i] = r->labels[i];
    labels_sort(key.labels, r->labels_count);
    struct str bytes =
        str_from(&key, offsetof(struct labels_key, labels) + r->labels_count * sizeof *r->labels);

    struct labels **memo = &l->labels_memo[memo_at(bytes)], *s = *memo;
    if (s == NULL || !str_eq(s->key, bytes)) {
        enum err_code rc = labels_find(l, bytes, &s, e);
        if (rc != ERR_OK)
            return rc;
        *memo = s;
    }
    s->refs++;
    *out = s;
    return ERR_OK;
}

void labels__unref(struct ledger *l, struct labels *s)
{
    if (--s->refs > 0)
        return;
    struct labels **memo = &l->labels_memo[memo_at(s->key)];
    if (*memo == s)
        *memo = NULL;
    terms__labels_went(s);
    held__of_labels(s, held__drop, &l->names);
    map_remove(&l->labels_map, s->key);
    table__remove(&l->labels, s->id);
    l->classes_memory -= sizeof *s + s->key.len;
    mem_free(s);
}
