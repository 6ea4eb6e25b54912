/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/logs.h"

#include "api/kinds.h"
#include "api/typed.h"
#include "controlplane/serve/front_priv.h"
#include "proto/baton/v1.pb-c.h"

static struct cow_entry *find(const struct index_snapshot *objects, struct index_key key)
{
    char text[INDEX_KEY_MAX + 1];
    size_t len = index_key_print(&key, text);
    return len == 0 ? NULL : index_find(objects, str_from(text, len));
}

static bool read_placement(const struct cow_entry *entry, struct arena *a, struct relay_wish *out)
{
    const Baton__Placement *p =
        typed_open(a, &baton__placement__descriptor, blob_str(entry->value));

    if (p == NULL || p->spec == NULL || p->metadata == NULL)
        return false;
    out->node = kind_str(p->spec->node);
    out->stream.placement_uid = kind_str(p->metadata->uid);
    return out->node.len > 0;
}

bool logs_find(struct front *f, const struct rest_path *at, struct arena *a, struct relay_wish *out,
               struct str *out_why)
{
    bool machine = str_is(at->resource, "virtualmachineinstances");
    struct index_snapshot objects = index_snapshot(f->shared->index);
    struct index_key workload = {machine ? STR("kubevirt.io") : STR(""), at->resource,
                                 at->namespace, at->name};
    struct index_key placement = {
        STR("baton.dev"), STR("placements"), at->namespace,
        arena_printf(a, STR_FMT "." STR_FMT, STR_ARG(at->resource), STR_ARG(at->name))};
    bool there = find(&objects, workload) != NULL;
    const struct cow_entry *entry = there ? find(&objects, placement) : NULL;
    bool placed = entry != NULL && read_placement(entry, a, out);

    index_snapshot_free(&objects);
    if (!there)
        *out_why = arena_printf(a, STR_FMT " \"" STR_FMT "\" not found", STR_ARG(at->resource),
                                STR_ARG(at->name));
    else if (!placed)
        *out_why = arena_printf(a, STR_FMT " \"" STR_FMT "\" is not placed on a node yet",
                                STR_ARG(at->resource), STR_ARG(at->name));
    return placed;
}

bool console_path(struct str path, struct arena *a, struct rest_path *out)
{
    struct path p;
    struct err e;

    if (path_parse(path, a, &p, &e) != ERR_OK || p.type != PATH_RESOURCE)
        return false;
    *out = (struct rest_path){.is_resource = true,
                              .group = p.group,
                              .version = p.version,
                              .namespace = p.ns,
                              .resource = p.resource,
                              .name = p.name,
                              .subresource = p.subresource};
    return str_is(p.group, "subresources.kubevirt.io") &&
           str_is(p.resource, "virtualmachineinstances") && str_is(p.subresource, "console");
}
