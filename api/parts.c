/* SPDX-License-Identifier: Apache-2.0 */
#include "api/parts.h"
#include "api/kinds_priv.h"
#include "api/quantity.h"

static const struct str SUFFIX = STR("-milli");
static const char KEY[] = "baton.dev/gpu-count";

bool part_name(struct str name, struct str *out_device)
{
    size_t slash = str_find(name, '/', 0);
    if (!str_ends(name, SUFFIX) || slash + 1 + SUFFIX.len >= name.len)
        return false;
    *out_device = str_slice(name, 0, name.len - SUFFIX.len);
    return true;
}

/* ---- what is asked for ---- */

static const char *count_text(const Meta__ObjectMeta *m)
{
    for (size_t i = 0; m != NULL && i < m->n_annotations; i++)
        if (is_text(m->annotations[i]->key, KEY))
            return kind_str(m->annotations[i]->value).at;
    return NULL;
}

/* 0: it is no such number. */
static uint32_t count_of(const char *text)
{
    uint64_t count;
    bool is_one = str_parse_u64(str_of(text), &count) == ERR_OK && count <= PART_DEVICES_MAX;
    return is_one ? (uint32_t)count : 0;
}

uint32_t part_devices(const Meta__ObjectMeta *m)
{
    const char *text = count_text(m);
    uint32_t count = text == NULL ? 1 : count_of(text);
    return count == 0 ? 1 : count;
}

/* False: nothing is asked for under name. */
static bool amount_of(const Core__Container *c, struct str name, struct quantity *out)
{
    const Core__ResourceRequirements *r = c->resources;
    struct err e;
    for (size_t i = 0; r != NULL && i < r->n_limits; i++)
        if (str_eq(kind_str(r->limits[i]->key), name))
            return r->limits[i]->value != NULL &&
                   quantity_parse(kind_str(r->limits[i]->value->string), out, &e) == ERR_OK &&
                   out->nano != 0;
    return false;
}

/* Thousandths of each of so many devices; 0: the amount is no such share. */
static uint32_t each_of(const struct quantity *amount, uint32_t devices)
{
    const __int128 one = 1000000000;
    __int128 units = amount->nano / one;
    bool is_even = amount->nano % one == 0 && units % devices == 0;
    return is_even && units > 0 && units / devices <= PART_ONE ? (uint32_t)(units / devices) : 0;
}

uint32_t part_of(const Core__Container *c, const Meta__ObjectMeta *m, struct str name)
{
    struct quantity amount;
    return amount_of(c, name, &amount) ? each_of(&amount, part_devices(m)) : 0;
}

/* ---- what is refused ---- */

static bool asks_whole(const Core__PodSpec *spec, struct str device)
{
    struct quantity amount;
    for (size_t i = 0; i < spec->n_init_containers; i++)
        if (amount_of(spec->init_containers[i], device, &amount))
            return true;
    for (size_t i = 0; i < spec->n_containers; i++)
        if (amount_of(spec->containers[i], device, &amount))
            return true;
    return false;
}

static void limit_validate(struct kind_call *c, const Core__Pod *pod,
                           const Core__ResourceRequirements__LimitsEntry *limit,
                           const struct quantity *amount, const struct field *at)
{
    struct str device, text = kind_str(limit->value->string);
    uint32_t devices = part_devices(pod->metadata);
    (void)part_name(kind_str(limit->key), &device);
    if (each_of(amount, devices) == 0 && devices == 1)
        causes_invalid(&c->causes, at, text,
                       "must be 1 to 1000 thousandths of one device; the annotation "
                       "baton.dev/gpu-count spreads an amount over several");
    else if (each_of(amount, devices) == 0)
        causes_add(&c->causes, CAUSE_INVALID, at,
                   "\"" STR_FMT "\": must be %u times 1 to 1000: %s spreads it evenly over %u "
                   "devices",
                   STR_ARG(text), devices, KEY, devices);
    if (asks_whole(pod->spec, device))
        causes_add(&c->causes, CAUSE_FORBIDDEN, at,
                   "a pod has devices of one name whole or by the thousandth, and this one asks "
                   "for " STR_FMT ", too",
                   STR_ARG(device));
}

/* True when it asks for thousandths. */
static bool container_validate(struct kind_call *c, const Core__Pod *pod, const Core__Container *k,
                               const struct field *at)
{
    struct field resources = field_name(at, "resources"), limits = field_name(&resources, "limits");
    bool asks = false;
    for (size_t i = 0; k->resources != NULL && i < k->resources->n_limits; i++) {
        struct str name = kind_str(k->resources->limits[i]->key), device;
        struct field f = field_key(&limits, name);
        struct quantity amount;
        if (!part_name(name, &device) || !amount_of(k, name, &amount))
            continue;
        asks = true;
        limit_validate(c, pod, k->resources->limits[i], &amount, &f);
    }
    return asks;
}

void parts_validate(struct kind_call *c, const Core__Pod *pod, const Core__Pod *old)
{
    struct field spec = field_name(NULL, "spec"), meta = field_name(NULL, "metadata");
    struct field list = field_name(&meta, "annotations"), at = field_key(&list, str_of(KEY));
    const char *count = count_text(pod->metadata);
    bool asks = false;
    if (old != NULL) { /* The agent reads it, too, and amounts are fixed. */
        if (part_devices(pod->metadata) != part_devices(old->metadata))
            causes_invalid(&c->causes, &at, kind_str(count), "field is immutable");
        return;
    }
    for (int init = 0; pod->spec != NULL && init < 2; init++) {
        struct field all = field_name(&spec, init ? "initContainers" : "containers");
        size_t containers_count = init ? pod->spec->n_init_containers : pod->spec->n_containers;
        for (size_t i = 0; i < containers_count; i++) {
            struct field one = field_index(&all, i);
            asks |= container_validate(
                c, pod, init ? pod->spec->init_containers[i] : pod->spec->containers[i], &one);
        }
    }
    if (count != NULL && count_of(count) == 0)
        causes_invalid(&c->causes, &at, kind_str(count), "must be a number from 1 to 64");
    else if (count != NULL && !asks)
        causes_invalid(&c->causes, &at, kind_str(count),
                       "no container asks for thousandths of a device: vendor.com/name-milli");
}

void parts_refuse(struct kind_call *c, const Meta__ObjectMeta *m)
{
    struct field meta = field_name(NULL, "metadata"), list = field_name(&meta, "annotations");
    struct field at = field_key(&list, str_of(KEY));
    if (count_text(m) != NULL)
        causes_add(&c->causes, CAUSE_FORBIDDEN, &at, "a machine has devices whole");
}
