/* SPDX-License-Identifier: Apache-2.0 */
/* A pod's volumes as directories and files to have, and what of them a container sees where. */
#include "nodeagent/core/agent_priv.h"

#include <stdio.h>

enum { FILES_MAX = 4096 }; /* Of one volume. */

struct volume_build {
    struct agent_turn *turn;
    const struct workload *workload;
    struct agent_file *files;
    uint32_t count;
    char *text;
    size_t size;
};

static struct str volume_path(struct agent_turn *t, const struct workload *w, const char *name)
{
    return arena_printf(&t->arena, STR_FMT "/volumes/%s",
                        STR_ARG(workload_dir(t->agent, &t->arena, w)), name);
}

/* A path below the volume: relative, and no step out of it. */
static bool is_below(struct str path)
{
    return path.len > 0 && path.at[0] != '/' && !str_goes_up(path);
}

static bool add(struct volume_build *b, struct str path, struct str bytes, uint32_t mode)
{
    if (!is_below(path))
        return snprintf(b->text, b->size, "\"" STR_FMT "\" is not a path inside the volume",
                        STR_ARG(path)),
               false;
    if (b->count == FILES_MAX)
        return snprintf(b->text, b->size, "more than %d files in a volume", FILES_MAX), false;
    b->files[b->count++] = (struct agent_file){.path = path, .bytes = bytes, .mode = mode};
    return true;
}

struct entry {
    struct str key, bytes;
};

/* All entries under their keys, or the items alone under their paths. */
static bool take(struct volume_build *b, const struct entry *entries, size_t count,
                 Core__KeyToPath **items, size_t items_count, uint32_t mode, bool optional)
{
    for (size_t i = 0; items_count == 0 && i < count; i++)
        if (!add(b, entries[i].key, entries[i].bytes, mode))
            return false;
    for (size_t k = 0; k < items_count; k++) {
        size_t i = 0;
        while (i < count && !str_eq(entries[i].key, str_of(items[k]->key)))
            i++;
        if (i == count && optional)
            continue;
        if (i == count)
            return snprintf(b->text, b->size, "references non-existent config key: %s",
                            items[k]->key),
                   false;
        if (!add(b, str_of(items[k]->path), entries[i].bytes,
                 items[k]->has_mode ? (uint32_t)items[k]->mode : mode))
            return false;
    }
    return true;
}

static bool config_map(struct volume_build *b, const char *name, Core__KeyToPath **items,
                       size_t items_count, uint32_t mode, bool optional)
{
    const Core__ConfigMap *cm = pod_config_map(b->turn, b->workload, str_of(name));
    if (cm == NULL)
        return optional || (snprintf(b->text, b->size, "configmap \"%s\" not found", name), false);
    struct entry *e = arena_zalloc(&b->turn->arena, cm->n_data + cm->n_binary_data + 1, sizeof *e);
    size_t count = 0;
    CHECK(e != NULL);
    for (size_t i = 0; i < cm->n_data; i++)
        e[count++] = (struct entry){str_of(cm->data[i]->key), str_of(cm->data[i]->value)};
    for (size_t i = 0; i < cm->n_binary_data; i++)
        e[count++] =
            (struct entry){str_of(cm->binary_data[i]->key),
                           str_from(cm->binary_data[i]->value.data, cm->binary_data[i]->value.len)};
    return take(b, e, count, items, items_count, mode, optional);
}

static bool secret(struct volume_build *b, const char *name, Core__KeyToPath **items,
                   size_t items_count, uint32_t mode, bool optional)
{
    const Core__Secret *s = pod_secret(b->turn, b->workload, str_of(name));
    if (s == NULL)
        return optional || (snprintf(b->text, b->size, "secret \"%s\" not found", name), false);
    struct entry *e = arena_zalloc(&b->turn->arena, s->n_data + 1, sizeof *e);
    CHECK(e != NULL);
    for (size_t i = 0; i < s->n_data; i++)
        e[i] = (struct entry){str_of(s->data[i]->key),
                              str_from(s->data[i]->value.data, s->data[i]->value.len)};
    return take(b, e, s->n_data, items, items_count, mode, optional);
}

static bool downward(struct volume_build *b, Core__DownwardAPIVolumeFile **items, size_t count,
                     uint32_t mode)
{
    for (size_t i = 0; i < count; i++) {
        struct str value;
        if (items[i]->field_ref == NULL ||
            !pod_field(b->turn, b->workload, str_of(items[i]->field_ref->field_path), &value))
            return snprintf(b->text, b->size, "%s: this source is not supported yet",
                            items[i]->path),
                   false;
        if (!add(b, str_of(items[i]->path), value,
                 items[i]->has_mode ? (uint32_t)items[i]->mode : mode))
            return false;
    }
    return true;
}

static bool projected(struct volume_build *b, const Core__ProjectedVolumeSource *p)
{
    uint32_t mode = p->has_default_mode ? (uint32_t)p->default_mode : 0644;
    for (size_t i = 0; i < p->n_sources; i++) {
        const Core__VolumeProjection *s = p->sources[i];
        bool ok = true;
        /* Every pod is given a volume with a service account's token (Kubernetes' ServiceAccount
         * admission). Until tokens are issued that source is empty, and no reason not to run. */
        if (s->service_account_token != NULL)
            continue;
        if (s->config_map != NULL)
            ok = config_map(b, pod_ref_name(s->config_map->local_object_reference),
                            s->config_map->items, s->config_map->n_items, mode,
                            s->config_map->optional);
        else if (s->secret != NULL)
            ok = secret(b, pod_ref_name(s->secret->local_object_reference), s->secret->items,
                        s->secret->n_items, mode, s->secret->optional);
        else if (s->downward_api != NULL)
            ok = downward(b, s->downward_api->items, s->downward_api->n_items, mode);
        else
            ok = (snprintf(b->text, b->size, "this projected source is not supported yet"), false);
        if (!ok)
            return false;
    }
    return true;
}

/* "HugePages" is of the one size that the pod has (Kubernetes: EmptyDirVolumeSource.medium). What its containers
 * take of it is bound by their groups. */
static bool huge_pages(struct volume_build *b, const Core__Volume *v, struct agent_volume *out)
{
    struct str medium = str_of(v->volume_source->empty_dir->medium);
    const Baton__PlacementSpec *p = b->workload->placement->spec;
    uint64_t small = 0, large = 0;
    for (size_t i = 0; i < p->n_hugepages; i++) {
        const Baton__HugepageGrant *g = p->hugepages[i];
        *(g->page_bytes >> 30 > 0 ? &large : &small) += g->page_bytes * g->pages;
    }
    bool any = str_is(medium, "HugePages"), both = small > 0 && large > 0;
    bool wants_large = str_is(medium, "HugePages-1Gi") || (any && small == 0);
    uint64_t have = wants_large ? large : small;
    if (!any && !wants_large && !str_is(medium, "HugePages-2Mi"))
        have = 0;
    if (have == 0 || (any && both)) {
        snprintf(b->text, b->size, "volume %s: medium " STR_FMT ", and the pod has %s", v->name,
                 STR_ARG(medium), have > 0 ? "huge pages of two sizes" : "no such huge pages");
        return false;
    }
    out->page_bytes = wants_large ? 1ull << 30 : 2ull << 20;
    return true;
}

static bool volume(struct volume_build *b, const Core__Volume *v, struct agent_volume *out)
{
    const Core__VolumeSource *s = v->volume_source;
    out->path = volume_path(b->turn, b->workload, v->name);
    if (s == NULL || s->empty_dir != NULL) {
        out->memory = s != NULL && str_is(str_of(s->empty_dir->medium), "Memory");
        out->size_bytes = s == NULL ? 0 : (uint64_t)workload_quantity(s->empty_dir->size_limit);
        bool is_huge = s != NULL && str_starts(str_of(s->empty_dir->medium), STR("HugePages"));
        return !is_huge || huge_pages(b, v, out);
    }
    if (s->host_path != NULL) {
        out->host_path = str_of(s->host_path->path);
        out->host_type = str_of(s->host_path->type);
        return true;
    }
    bool ok = true;
    out->replace = true;
    if (s->config_map != NULL)
        ok = config_map(b, pod_ref_name(s->config_map->local_object_reference),
                        s->config_map->items, s->config_map->n_items,
                        s->config_map->has_default_mode ? (uint32_t)s->config_map->default_mode
                                                        : 0644,
                        s->config_map->optional);
    else if (s->secret != NULL)
        ok = secret(b, s->secret->secret_name, s->secret->items, s->secret->n_items,
                    s->secret->has_default_mode ? (uint32_t)s->secret->default_mode : 0644,
                    s->secret->optional);
    else if (s->downward_api != NULL)
        ok = downward(b, s->downward_api->items, s->downward_api->n_items,
                      s->downward_api->has_default_mode ? (uint32_t)s->downward_api->default_mode
                                                        : 0644);
    else if (s->projected != NULL)
        ok = projected(b, s->projected);
    else
        ok = (snprintf(b->text, b->size, "volume %s: this source is not supported yet", v->name),
              false);
    out->files = b->files;
    out->files_count = b->count;
    return ok;
}

/* /etc/hosts: the pod's own name under its own address, and what hostAliases adds. */
static void etc(struct volume_build *b, struct agent_volume *out)
{
    const Core__PodSpec *spec = b->workload->pod->spec;
    const Baton__PlacementSpec *p = b->workload->placement->spec;
    struct str name = spec->hostname != NULL ? str_of(spec->hostname) : workload_name(b->workload);
    struct buf hosts;
    buf_init(&hosts, 256 << 10);
    buf_add(&hosts, STR("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"));
    if (p->n_addresses > 0)
        buf_printf(&hosts, "%s\t" STR_FMT "\n", p->addresses[0]->ip, STR_ARG(name));
    for (size_t i = 0; i < spec->n_host_aliases; i++) {
        buf_printf(&hosts, "%s", spec->host_aliases[i]->ip);
        for (size_t k = 0; k < spec->host_aliases[i]->n_hostnames; k++)
            buf_printf(&hosts, "\t%s", spec->host_aliases[i]->hostnames[k]);
        buf_add_char(&hosts, '\n');
    }
    out->path = arena_printf(&b->turn->arena, STR_FMT "/etc",
                             STR_ARG(workload_dir(b->turn->agent, &b->turn->arena, b->workload)));
    (void)add(b, STR("hosts"), arena_str(&b->turn->arena, buf_str(&hosts)), 0644);
    (void)add(b, STR("hostname"), arena_printf(&b->turn->arena, STR_FMT "\n", STR_ARG(name)), 0644);
    out->files = b->files;
    out->files_count = b->count;
    buf_free(&hosts);
}

bool pod_volumes(struct agent_turn *t, const struct workload *w, struct workload_volumes *out,
                 char *text, size_t size)
{
    const Core__PodSpec *spec = w->pod->spec;
    if (spec->n_volumes > AGENT_VOLUMES_MAX)
        return snprintf(text, size, "more than %d volumes", AGENT_VOLUMES_MAX), false;
    struct agent_volume *at = arena_zalloc(&t->arena, spec->n_volumes + 1, sizeof *at);
    CHECK(at != NULL);
    for (size_t i = 0; i <= spec->n_volumes; i++) {
        struct volume_build b = {.turn = t, .workload = w, .text = text, .size = size};
        b.files = arena_zalloc(&t->arena, FILES_MAX, sizeof *b.files);
        if (b.files == NULL)
            return snprintf(text, size, "the volumes are too many files together"), false;
        if (i == spec->n_volumes)
            etc(&b, &at[i]);
        else if (!volume(&b, spec->volumes[i], &at[i]))
            return false;
    }
    *out = (struct workload_volumes){at, (uint32_t)spec->n_volumes + 1};
    return true;
}

static const Core__Volume *named(const struct workload *w, const char *name)
{
    for (size_t i = 0; i < w->pod->spec->n_volumes; i++)
        if (str_eq(str_of(w->pod->spec->volumes[i]->name), str_of(name)))
            return w->pod->spec->volumes[i];
    return NULL;
}

static bool mount(struct agent_turn *t, const struct workload *w, const Core__VolumeMount *m,
                  struct runtime_mount *out, char *text, size_t size)
{
    const Core__Volume *v = named(w, m->name);
    if (v == NULL)
        return snprintf(text, size, "volume " STR_FMT " is not there", STR_ARG(str_of(m->name))),
               false;
    const Core__VolumeSource *s = v->volume_source;
    out->source =
        s != NULL && s->host_path != NULL ? str_of(s->host_path->path) : volume_path(t, w, m->name);
    if (m->sub_path_expr != NULL && m->sub_path_expr[0] != '\0')
        return snprintf(text, size, "subPathExpr is not supported yet"), false;
    if (m->sub_path != NULL && m->sub_path[0] != '\0') {
        if (!is_below(str_of(m->sub_path)))
            return snprintf(text, size, "subPath \"%s\" leaves the volume", m->sub_path), false;
        out->below = out->source;
        out->source = arena_printf(&t->arena, STR_FMT "/%s", STR_ARG(out->source), m->sub_path);
    }
    /* What is in it is ours alone to say. */
    bool made_by_us = s != NULL && (s->config_map != NULL || s->secret != NULL ||
                                    s->downward_api != NULL || s->projected != NULL);
    out->target = str_of(m->mount_path);
    out->make = out->below.len > 0 && !made_by_us;
    out->read_only = m->read_only || made_by_us;
    return true;
}

static void etc_mount(struct agent_turn *t, const struct workload *w, const char *file,
                      struct runtime_mount *out)
{
    out->source = arena_printf(&t->arena, STR_FMT "/etc/%s",
                               STR_ARG(workload_dir(t->agent, &t->arena, w)), file);
    out->target = arena_printf(&t->arena, "/etc/%s", file);
}

bool pod_mounts(struct agent_turn *t, const struct workload *w, const Core__Container *c,
                struct runtime_container *out, char *text, size_t size)
{
    if (c->n_volume_mounts > RUNTIME_MOUNTS_MAX - 3)
        return snprintf(text, size, "more than %d mounts", RUNTIME_MOUNTS_MAX - 3), false;
    struct runtime_mount *at = arena_zalloc(&t->arena, c->n_volume_mounts + 3, sizeof *at);
    uint32_t count = 0;
    CHECK(at != NULL);
    etc_mount(t, w, "hosts", &at[count++]);
    etc_mount(t, w, "hostname", &at[count++]);
    at[count++] = (struct runtime_mount){.source = STR("/etc/resolv.conf"),
                                         .target = STR("/etc/resolv.conf"),
                                         .read_only = true,
                                         .optional = true}; /* A host may know no name server. */
    for (size_t i = 0; i < c->n_volume_mounts; i++)
        if (!mount(t, w, c->volume_mounts[i], &at[count++], text, size))
            return false;
    out->mounts = at;
    out->mounts_count = count;
    return true;
}
