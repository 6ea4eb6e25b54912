/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes: names, one source each, and what the sources we know of may say. */
#include "api/pod.h"

static void mode_validate(struct kind_call *c, const struct field *f, bool has, int32_t mode)
{
    if (has && (mode < 0 || mode > 0777))
        causes_invalid_i64(&c->causes, f, mode,
                           "must be a number between 0 and 0777 (octal), both inclusive");
}

static void host_path_validate(struct kind_call *c, const Core__HostPathVolumeSource *h,
                               const struct field *at)
{
    static const char *const types[] = {
        "",     "BlockDevice",  "CharDevice", "Directory", "DirectoryOrCreate",
        "File", "FileOrCreate", "Socket",     NULL};
    struct field path = field_name(at, "path"), type = field_name(at, "type");
    if (is_empty(h->path))
        causes_add(&c->causes, CAUSE_REQUIRED, &path, "%s", "");
    else if (str_goes_up(kind_str(h->path)))
        causes_invalid(&c->causes, &path, kind_str(h->path), "must not contain '..'");
    if (!is_empty(h->type))
        check_one_of(c, &type, h->type, types);
}

static void items_validate(struct kind_call *c, Core__KeyToPath *const *items, size_t count,
                           const struct field *at)
{
    struct field list = field_name(at, "items");
    for (size_t i = 0; i < count; i++) {
        struct field one = field_index(&list, i), key = field_name(&one, "key");
        struct field path = field_name(&one, "path"), mode = field_name(&one, "mode");
        if (is_empty(items[i]->key))
            causes_add(&c->causes, CAUSE_REQUIRED, &key, "%s", "");
        if (is_empty(items[i]->path))
            causes_add(&c->causes, CAUSE_REQUIRED, &path, "%s", "");
        else if (items[i]->path[0] == '/')
            causes_invalid(&c->causes, &path, kind_str(items[i]->path), "must be a relative path");
        else if (str_goes_up(kind_str(items[i]->path)))
            causes_invalid(&c->causes, &path, kind_str(items[i]->path), "must not contain '..'");
        mode_validate(c, &mode, items[i]->has_mode, items[i]->mode);
    }
}

static void source_validate(struct kind_call *c, const Core__VolumeSource *s,
                            const struct field *at)
{
    struct field host = field_name(at, "hostPath"), secret = field_name(at, "secret");
    struct field map = field_name(at, "configMap"), projected = field_name(at, "projected");
    struct field mode;
    if (s->host_path != NULL)
        host_path_validate(c, s->host_path, &host);
    if (s->secret != NULL) {
        struct field name = field_name(&secret, "secretName");
        if (is_empty(s->secret->secret_name))
            causes_add(&c->causes, CAUSE_REQUIRED, &name, "%s", "");
        mode = field_name(&secret, "defaultMode");
        mode_validate(c, &mode, s->secret->has_default_mode, s->secret->default_mode);
        items_validate(c, s->secret->items, s->secret->n_items, &secret);
    }
    if (s->config_map != NULL) {
        struct field name = field_name(&map, "name");
        if (s->config_map->local_object_reference == NULL ||
            is_empty(s->config_map->local_object_reference->name))
            causes_add(&c->causes, CAUSE_REQUIRED, &name, "%s", "");
        mode = field_name(&map, "defaultMode");
        mode_validate(c, &mode, s->config_map->has_default_mode, s->config_map->default_mode);
        items_validate(c, s->config_map->items, s->config_map->n_items, &map);
    }
    if (s->projected != NULL) {
        mode = field_name(&projected, "defaultMode");
        mode_validate(c, &mode, s->projected->has_default_mode, s->projected->default_mode);
    }
}

/* The sources that are set, by their JSON names; all but the first are one too many. The order is
 * Kubernetes': it looks at emptyDir first, then at the others. */
static void one_source(struct kind_call *c, const Core__VolumeSource *s, const struct field *at)
{
    const ProtobufCMessageDescriptor *d = &core__volume_source__descriptor;
    const struct schema_message *m = schema_message(STR("k8s.io.api.core.v1.VolumeSource"));
    size_t found = s->empty_dir != NULL;
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        const void *const *value = (const void *)((const char *)s + f->offset);
        const struct schema_field *named = m == NULL ? NULL : schema_numbered(m, f->id);
        if (*value == NULL || *value == s->empty_dir || named == NULL)
            continue;
        struct field source = field_name(at, arena_dup(c->arena, named->json));
        if (found++ > 0)
            causes_add(&c->causes, CAUSE_FORBIDDEN, &source,
                       "may not specify more than 1 volume type");
    }
    if (found == 0)
        causes_add(&c->causes, CAUSE_REQUIRED, at, "must specify a volume type");
}

void pod_volumes_validate(struct kind_call *c, const Core__PodSpec *s, const struct field *at)
{
    struct field list = field_name(at, "volumes");
    for (size_t i = 0; i < s->n_volumes; i++) {
        const Core__Volume *v = s->volumes[i];
        struct field one = field_index(&list, i), name = field_name(&one, "name");
        if (v->volume_source != NULL) {
            one_source(c, v->volume_source, &one);
            source_validate(c, v->volume_source, &one);
        }
        if (is_empty(v->name)) {
            causes_add(&c->causes, CAUSE_REQUIRED, &name, "%s", "");
            continue;
        }
        names_check(&c->causes, &name, kind_str(v->name), name_label(kind_str(v->name)));
        for (size_t n = 0; n < i; n++) {
            if (is_text(s->volumes[n]->name, v->name)) {
                struct str quoted = status_quote(c->arena, kind_str(v->name));
                causes_add(&c->causes, CAUSE_DUPLICATE, &name, STR_FMT, STR_ARG(quoted));
                break;
            }
        }
    }
}
