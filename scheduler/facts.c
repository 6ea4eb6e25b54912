/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a node: its labels, and the hashes that break ties. */
#include "scheduler/ledger_priv.h"

/* Names are numbered in the order they arrive, so their texts are hashed. The label that repeats the
 * node's name is left out: two machines that differ in name only are alike. */
void node__content(const struct ledger *l, struct node *n)
{
    uint64_t sum = 0; /* Of hashes, so that the order of labels does not count. */
    for (uint32_t i = 0; i < n->labels_count; i++)
        if (n->labels[i].value != n->name)
            sum += hash__name(l, hash__name(l, 1, n->labels[i].key), n->labels[i].value);
    for (uint32_t i = 0; i < n->taints_count; i++)
        sum += hash__name(l, hash__name(l, 2 + n->taints[i].effect, n->taints[i].key),
                          n->taints[i].value);
    for (uint32_t i = 0; i < n->images_count; i++)
        sum += hash__name(l, 5, n->images[i].name);
    for (uint32_t i = 0; i < n->capabilities_count; i++)
        sum += hash__name(l, 6, n->capabilities[i]);
    for (uint32_t i = 0; i < n->scalars_count; i++)
        sum += hash__mix(hash__name(l, 7, n->scalars[i].name), n->scalars[i].amount);

    uint64_t h = hash__mix(n->shape->content, sum);
    for (uint32_t i = 0; i < n->devices_count; i++)
        h = hash__mix(
            hash__name(l, hash__name(l, h, n->devices[i].class_name), n->devices[i].model_name),
            (uint64_t)n->devices[i].numa << 16 | n->devices[i].units);
    for (uint32_t i = 0; i < n->shape->numa_count; i++) {
        h = hash__mix(h, n->numa[i].memory_total);
        h = hash__mix(h, (uint64_t)n->numa[i].huge2m_total << 32 | n->numa[i].huge1g_total);
    }
    h = hash__mix(h, (uint64_t)n->system_cpu_milli << 32 | n->pods_max);
    n->content = hash__mix(h, n->addresses_count);
}

/* A sum of hashes, each of one part and its place: the parts are hashed side by side. */
void node__rehash(struct node *n)
{
    const struct shape *s = n->shape;
    uint64_t sum = hash__mix(n->shared_held, (uint64_t)n->ports_count << 32 | n->holds_count);
    for (uint32_t w = 0; w < s->words; w++)
        sum += hash__mix(1 + w, n->taken[w]);
    for (uint32_t i = 0; i < s->numa_count; i++) {
        uint64_t huge = (uint64_t)n->numa[i].huge2m_free << 32 | n->numa[i].huge1g_free;
        sum += hash__mix(hash__mix(64 + i, n->numa[i].memory_free), huge);
    }
    for (uint32_t i = 0; n->llcs != NULL && i < s->llcs_count; i++)
        sum += hash__mix(hash__mix(128 + i, n->llcs[i].ways_held), n->llcs[i].bandwidth_free);
    for (uint32_t i = 0; i < n->devices_count; i++)
        sum += hash__mix(1024 + i, n->devices[i].used);
    for (uint32_t i = 0; i < n->scalars_count; i++)
        sum += hash__mix(2048 + i, n->scalars[i].held);
    n->tie = (uint32_t)(hash__mix(n->content, sum) >> 32);
}

const struct topology_label *node__label(const struct node *n, uint32_t key)
{
    uint32_t low = 0, high = n->labels_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (n->labels[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n->labels_count && n->labels[low].key == key ? &n->labels[low] : NULL;
}
