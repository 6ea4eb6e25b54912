/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/held.h"

static void list(const uint32_t *at, uint32_t count, held_each *each, void *context)
{
    for (uint32_t i = 0; i < count; i++)
        each(context, at[i]);
}

static void labels(const struct topology_label *at, uint32_t count, held_each *each, void *context)
{
    for (uint32_t i = 0; i < count; i++) {
        each(context, at[i].key);
        each(context, at[i].value);
    }
}

static void selector(const struct request_selector *s, held_each *each, void *context)
{
    for (uint32_t i = 0; i < s->expressions_count; i++) {
        each(context, s->expressions[i].key);
        list(s->expressions[i].values, s->expressions[i].values_count, each, context);
    }
}

static void node_terms(const struct request_node_term *at, uint32_t count, held_each *each,
                       void *context)
{
    for (uint32_t i = 0; i < count; i++) {
        selector(&at[i].labels, each, context);
        selector(&at[i].fields, each, context);
    }
}

static void pod_terms(const struct request_pod_term *at, uint32_t count, held_each *each,
                      void *context)
{
    for (uint32_t i = 0; i < count; i++) {
        selector(&at[i].selector, each, context);
        list(at[i].namespaces, at[i].namespaces_count, each, context);
        each(context, at[i].topology_key);
    }
}

void held__of_request(const struct request *r, held_each *each, void *context)
{
    each(context, r->namespace_name);
    each(context, r->node_name);
    for (uint32_t i = 0; i < r->devices_count; i++) {
        each(context, r->devices[i].class_name);
        list(r->devices[i].models, r->devices[i].models_count, each, context);
    }
    for (uint32_t i = 0; i < r->scalars_count; i++)
        each(context, r->scalars[i].name);
    labels(r->node_selector, r->node_selector_count, each, context);
    node_terms(r->node_required, r->node_required_count, each, context);
    node_terms(r->node_preferred, r->node_preferred_count, each, context);
    for (uint32_t i = 0; i < r->tolerations_count; i++) {
        each(context, r->tolerations[i].key);
        each(context, r->tolerations[i].value);
    }
    list(r->capabilities, r->capabilities_count, each, context);
    list(r->images, r->images_count, each, context);
    for (uint32_t i = 0; i < r->spreads_count; i++) {
        each(context, r->spreads[i].topology_key);
        selector(&r->spreads[i].selector, each, context);
    }
    pod_terms(r->affinity, r->affinity_count, each, context);
    pod_terms(r->anti_affinity, r->anti_affinity_count, each, context);
    pod_terms(r->affinity_preferred, r->affinity_preferred_count, each, context);
    pod_terms(r->anti_affinity_preferred, r->anti_affinity_preferred_count, each, context);
}

void held__of_labels(const struct labels *s, held_each *each, void *context)
{
    each(context, s->namespace_name);
    labels(s->labels, s->labels_count, each, context);
}

void held__of_images(const struct node *n, held_each *each, void *context)
{
    for (uint32_t i = 0; i < n->images_count; i++)
        each(context, n->images[i].name);
}

void held__of_node(const struct node *n, held_each *each, void *context)
{
    each(context, n->name);
    for (uint32_t i = 0; i < n->devices_count; i++) {
        each(context, n->devices[i].class_name);
        each(context, n->devices[i].id_name);
        each(context, n->devices[i].model_name);
    }
    for (uint32_t i = 0; i < n->scalars_count; i++)
        each(context, n->scalars[i].name);
    labels(n->labels, n->labels_count, each, context);
    for (uint32_t i = 0; i < n->taints_count; i++) {
        each(context, n->taints[i].key);
        each(context, n->taints[i].value);
    }
    held__of_images(n, each, context);
    list(n->capabilities, n->capabilities_count, each, context);
}

void held__of_mix_shape(const struct mix_shape *s, held_each *each, void *context)
{
    each(context, s->device_class);
    list(s->models, s->models_count, each, context);
}

void held__take(void *context, uint32_t id)
{
    names__hold(context, id);
}

void held__drop(void *context, uint32_t id)
{
    names__drop(context, id);
}
