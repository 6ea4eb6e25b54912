/* SPDX-License-Identifier: Apache-2.0 */
/* Where a workload may write on disk, what it may hold there, and whether it holds more. */
#include "api/quantity.h"
#include "nodeagent/core/agent_priv.h"
#include "nodeagent/core/disk_priv.h"

#include <stdio.h>

static const struct str RESOURCE = STR("ephemeral-storage");

static bool is_on_disk(const Core__Volume *v)
{
    const Core__VolumeSource *s = v->volume_source;
    return s == NULL || (s->empty_dir != NULL && !str_is(str_of(s->empty_dir->medium), "Memory"));
}

/* NULL: it has none. A limit of nothing is none (Kubernetes). */
static const Resource__Quantity *volume_limit(const Core__Volume *v)
{
    const Core__VolumeSource *s = v->volume_source;
    bool limited = s != NULL && is_on_disk(v) && workload_quantity(s->empty_dir->size_limit) > 0;
    return limited ? s->empty_dir->size_limit : NULL;
}

static const Resource__Quantity *amount(size_t count, Core__ResourceRequirements__LimitsEntry **at)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(str_of(at[i]->key), RESOURCE))
            return at[i]->value;
    return NULL;
}

static const Resource__Quantity *limit_of(const Core__Container *c)
{
    return c->resources == NULL ? NULL : amount(c->resources->n_limits, c->resources->limits);
}

/* A limit without a request is one. Both kinds of entry are the same message. */
static const Resource__Quantity *request_of(const Core__Container *c)
{
    const Core__ResourceRequirements *r = c->resources;
    const Resource__Quantity *q =
        r == NULL ? NULL
                  : amount(r->n_requests,
                           (Core__ResourceRequirements__LimitsEntry **)(void *)r->requests);
    return q != NULL ? q : limit_of(c);
}

/* Of those that run together, or of the largest init container with the sidecars before it. */
static uint64_t together(const struct workload *w,
                         const Resource__Quantity *(*of)(const Core__Container *c))
{
    uint64_t sum = 0, sidecars = 0, most = 0;
    for (uint32_t n = 0; n < w->instances_count; n++) {
        uint64_t own = (uint64_t)workload_quantity(of(pod_container(w, n)));
        if (w->instances[n].sidecar)
            sidecars += own;
        else if (w->instances[n].init)
            most = max_u64(most, sidecars + own);
        else
            sum += own;
    }
    return max_u64(sum + sidecars, most);
}

bool disk__is_limited(const struct workload *w)
{
    for (uint32_t n = 0; w->pod != NULL && n < w->instances_count; n++)
        if (limit_of(pod_container(w, n)) != NULL)
            return true;
    for (size_t i = 0; w->pod != NULL && i < w->pod->spec->n_volumes; i++)
        if (volume_limit(w->pod->spec->volumes[i]) != NULL)
            return true;
    return false;
}

/* A machine said how large its disks may become. */
uint64_t disk__request(const struct workload *w)
{
    uint64_t bytes = 0;
    if (w->pod != NULL)
        return together(w, request_of);
    for (size_t i = 0; w->machine != NULL && i < w->machine->spec->n_volumes; i++)
        if (w->machine->spec->volumes[i]->empty_disk != NULL)
            bytes +=
                (uint64_t)workload_quantity(w->machine->spec->volumes[i]->empty_disk->capacity);
    return bytes;
}

/* ---- places ---- */

static struct agent_place place(struct agent_turn *t, const struct workload *w,
                                enum agent_place_kind kind, const char *name)
{
    struct str dir = workload_dir(t->agent, &t->arena, w);
    struct agent_place p = {kind, str_of(w->uid), str_of(name), {NULL, 0}};
    if (kind == AGENT_PLACE_LOGS)
        p.path = arena_printf(&t->arena, STR_FMT "/%s",
                              STR_ARG(workload_log_dir(t->agent, &t->arena, w)), name);
    else if (kind == AGENT_PLACE_VOLUME)
        p.path = arena_printf(&t->arena, STR_FMT "/volumes/%s", STR_ARG(dir), name);
    else if (w->machine != NULL)
        p.path = arena_printf(&t->arena, STR_FMT "/run/%s", STR_ARG(t->agent->config.state_dir),
                              w->instances[0].id);
    else
        p.path = arena_printf(&t->arena, STR_FMT "/roots/%s/upper", STR_ARG(dir), name);
    return p;
}

uint32_t disk__places(struct agent_turn *t, const struct workload *w, struct agent_place *out)
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < w->instances_count; n++) {
        out[count++] = place(t, w, AGENT_PLACE_ROOT, w->instances[n].name);
        out[count++] = place(t, w, AGENT_PLACE_LOGS, w->instances[n].name);
    }
    for (size_t i = 0; w->pod != NULL && i < w->pod->spec->n_volumes; i++)
        if (is_on_disk(w->pod->spec->volumes[i]))
            out[count++] = place(t, w, AGENT_PLACE_VOLUME, w->pod->spec->volumes[i]->name);
    return count;
}

/* ---- what is over its limit, and how Kubernetes says so ---- */

static uint64_t held(const struct disk_found *f, enum agent_place_kind kind, const char *name)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < f->count; i++)
        if (f->at[i]->kind == (uint32_t)kind && str_eq(str_of(f->at[i]->name), str_of(name)))
            bytes += f->at[i]->bytes;
    return bytes;
}

static bool volume_over(const struct workload *w, const struct disk_found *f, char *text,
                        size_t size)
{
    for (size_t i = 0; i < w->pod->spec->n_volumes; i++) {
        const Core__Volume *v = w->pod->spec->volumes[i];
        const Resource__Quantity *limit = volume_limit(v);
        if (limit != NULL &&
            held(f, AGENT_PLACE_VOLUME, v->name) > (uint64_t)workload_quantity(limit))
            return snprintf(text, size, "Usage of EmptyDir volume \"%s\" exceeds the limit \"%s\".",
                            v->name, limit->string),
                   true;
    }
    return false;
}

void disk__bytes_text(uint64_t bytes, char out[QUANTITY_TEXT_MAX])
{
    struct quantity q = {(__int128)bytes * 1000000000, QUANTITY_BINARY};
    quantity_print(&q, out);
}

static bool pod_over(const struct workload *w, const struct disk_found *f, char *text, size_t size)
{
    char limit_text[QUANTITY_TEXT_MAX];
    uint64_t limit = together(w, limit_of), bytes = 0;
    for (size_t i = 0; i < f->count; i++)
        bytes += f->at[i]->bytes;
    if (limit == 0 || bytes <= limit)
        return false;
    disk__bytes_text(limit, limit_text);
    return snprintf(text, size,
                    "Pod ephemeral local storage usage exceeds the total limit of containers %s.",
                    limit_text),
           true;
}

static bool container_over(const struct workload *w, const struct disk_found *f, char *text,
                           size_t size)
{
    for (uint32_t n = 0; n < w->instances_count; n++) {
        const Resource__Quantity *limit = limit_of(pod_container(w, n));
        const char *name = w->instances[n].name;
        if (limit != NULL && held(f, AGENT_PLACE_ROOT, name) + held(f, AGENT_PLACE_LOGS, name) >
                                 (uint64_t)workload_quantity(limit))
            return snprintf(text, size,
                            "Container %s exceeded its local ephemeral storage limit \"%s\".", name,
                            limit->string),
                   true;
    }
    return false;
}

bool disk__over(const struct workload *w, const struct disk_found *f, char *text, size_t size)
{
    static bool (*const rules[])(const struct workload *w, const struct disk_found *f, char *text,
                                 size_t size) = {volume_over, pod_over, container_over};
    for (size_t i = 0; w->pod != NULL && i < COUNT_OF(rules); i++)
        if (rules[i](w, f, text, size))
            return true;
    return false;
}
