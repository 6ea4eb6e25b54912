/* SPDX-License-Identifier: Apache-2.0 */
/* What may change in a pod that exists: images, the deadline, more tolerations, fewer gates. */
#include "api/pod.h"
#include "base/wire.h"

#define MAY_CHANGE                                                                                 \
    "pod updates may not change fields other than "                                                \
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"      \
    "`spec.tolerations` (only additions to existing tolerations),"                                 \
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"

/* ------------------------------------------------------------------ tolerations */

static bool keeps_toleration(const Core__PodSpec *s, const Core__Toleration *old)
{
    for (size_t i = 0; i < s->n_tolerations; i++) {
        Core__Toleration now = *s->tolerations[i], was = *old;
        now.has_toleration_seconds = was.has_toleration_seconds = false;
        if (kind_same(&now.base, &was.base))
            return true;
    }
    return false;
}

static void tolerations_check(struct kind_call *c, const Core__PodSpec *s, const Core__PodSpec *old,
                              const struct field *spec)
{
    struct field f = field_name(spec, "tolerations");
    for (size_t i = 0; i < old->n_tolerations; i++) {
        if (!keeps_toleration(s, old->tolerations[i])) {
            causes_add(&c->causes, CAUSE_FORBIDDEN, &f,
                       "existing toleration can not be modified except its tolerationSeconds");
            return;
        }
    }
}

/* ------------------------------------------------------------------ deadline, gates */

static void deadline_check(struct kind_call *c, const Core__PodSpec *s, const Core__PodSpec *old,
                           const struct field *spec)
{
    struct field f = field_name(spec, "activeDeadlineSeconds");
    if (!old->has_active_deadline_seconds)
        return;
    if (!s->has_active_deadline_seconds)
        causes_invalid(&c->causes, &f, STR("null"),
                       "must not update from a positive integer to nil value");
    else if (s->active_deadline_seconds > old->active_deadline_seconds)
        causes_invalid_i64(&c->causes, &f, s->active_deadline_seconds,
                           "must be less than or equal to previous value");
}

static void gates_check(struct kind_call *c, const Core__PodSpec *s, const Core__PodSpec *old,
                        const struct field *spec)
{
    struct field list = field_name(spec, "schedulingGates");
    for (size_t i = 0; i < s->n_scheduling_gates; i++) {
        struct field at = field_index(&list, i), f = field_name(&at, "name");
        const char *name = s->scheduling_gates[i]->name;
        size_t n = 0;
        while (n < old->n_scheduling_gates && !is_text(old->scheduling_gates[n]->name, name))
            n++;
        if (n == old->n_scheduling_gates)
            causes_add(&c->causes, CAUSE_FORBIDDEN, &f,
                       "only deletion is allowed, but found new scheduling gate '%s'", name);
    }
}

/* ------------------------------------------------------------------ everything else */

static Core__Container **without_images(struct kind_call *c, Core__Container *const *list,
                                        size_t count)
{
    Core__Container **out = kind_grow(c->arena, NULL, 0, count);
    for (size_t i = 0; out != NULL && i < count; i++) {
        out[i] = arena_alloc(c->arena, sizeof **out);
        if (out[i] == NULL)
            return NULL;
        *out[i] = *list[i];
        out[i]->image = NULL;
    }
    return out;
}

/* The spec without what may change. */
static bool fixed_part(struct kind_call *c, const Core__PodSpec *s, Core__PodSpec *out)
{
    *out = *s;
    out->containers = without_images(c, s->containers, s->n_containers);
    out->init_containers = without_images(c, s->init_containers, s->n_init_containers);
    out->has_active_deadline_seconds = false;
    out->n_tolerations = 0;
    out->n_scheduling_gates = 0;
    out->n_ephemeral_containers = 0;
    return out->containers != NULL && out->init_containers != NULL;
}

/* The top-level fields of the spec that differ, as the client writes them: both encodings are walked
 * field by field. */
static struct str field_bytes(struct str raw, uint32_t number, struct arena *a)
{
    struct wire_reader r = wire_read(raw);
    struct wire_field f;
    struct buf out;
    buf_init(&out, raw.len + 16);
    while (wire_next(&r, &f)) {
        if (f.number != number)
            continue;
        buf_add_u64(&out, f.value);
        buf_add(&out, f.type == WIRE_BYTES ? f.bytes : STR(""));
    }
    struct str bytes = out.len == 0 ? STR("") : arena_str(a, buf_str(&out));
    buf_free(&out);
    return bytes;
}

static struct str differences(struct kind_call *c, const Core__PodSpec *a, const Core__PodSpec *b)
{
    const struct schema_message *m = schema_message(STR("k8s.io.api.core.v1.PodSpec"));
    struct str x = kind_bytes(&a->base, c->arena), y = kind_bytes(&b->base, c->arena);
    struct str list = STR("");
    for (uint32_t i = 0; m != NULL && i < m->fields_count; i++) {
        uint32_t number = m->fields[i].number;
        if (!str_eq(field_bytes(x, number, c->arena), field_bytes(y, number, c->arena)))
            list = arena_printf(c->arena, STR_FMT "%sspec." STR_FMT, STR_ARG(list),
                                list.len == 0 ? "" : ", ", STR_ARG(m->fields[i].json));
    }
    return list;
}

static void fixed_check(struct kind_call *c, const Core__PodSpec *s, const Core__PodSpec *old,
                        const struct field *spec)
{
    Core__PodSpec now, was;
    if (!fixed_part(c, s, &now) || !fixed_part(c, old, &was))
        return;
    bool to_one =
        s->termination_grace_period_seconds == 1 && old->termination_grace_period_seconds < 0;
    if (to_one)
        now.termination_grace_period_seconds = was.termination_grace_period_seconds;
    bool gated = old->n_scheduling_gates > 0; /* Its place may still be narrowed. */
    if (gated) {
        now.node_selector = was.node_selector;
        now.n_node_selector = was.n_node_selector;
        now.affinity = was.affinity;
    }
    if (kind_same(&now.base, &was.base))
        return;
    struct str list = differences(c, &now, &was);
    causes_add(&c->causes, CAUSE_FORBIDDEN, spec, MAY_CHANGE "\n\u00a0\u00a0" STR_FMT "\n",
               STR_ARG(list));
}

static void ephemeral_check(struct kind_call *c, const Core__PodSpec *s, const Core__PodSpec *old,
                            const struct field *spec)
{
    struct field f = field_name(spec, "ephemeralContainers");
    for (size_t i = 0; i < old->n_ephemeral_containers; i++) {
        const char *name = old->ephemeral_containers[i]->ephemeral_container_common->name;
        bool same = i < s->n_ephemeral_containers && kind_same(&s->ephemeral_containers[i]->base,
                                                               &old->ephemeral_containers[i]->base);
        if (i >= s->n_ephemeral_containers)
            causes_add(&c->causes, CAUSE_FORBIDDEN, &f,
                       "existing ephemeral containers \"%s\" may not be removed", name);
        else if (!same)
            causes_add(&c->causes, CAUSE_FORBIDDEN, &f,
                       "existing ephemeral containers \"%s\" may not be changed", name);
    }
}

void pod_update_validate(struct kind_call *c, const Core__Pod *pod, const Core__Pod *old)
{
    struct field spec = field_name(NULL, "spec"), list = field_name(&spec, "containers");
    struct field init = field_name(&spec, "initContainers");
    const Core__PodSpec *s = pod->spec, *was = old->spec;
    if (was == NULL)
        return;
    ephemeral_check(c, s, was, &spec);
    if (s->n_containers != was->n_containers || s->n_init_containers != was->n_init_containers) {
        causes_add(&c->causes, CAUSE_FORBIDDEN,
                   s->n_containers != was->n_containers ? &list : &init,
                   "pod updates may not add or remove containers");
        return;
    }
    deadline_check(c, s, was, &spec);
    tolerations_check(c, s, was, &spec);
    gates_check(c, s, was, &spec);
    if (c->causes.count == 0)
        fixed_check(c, s, was, &spec);
}
