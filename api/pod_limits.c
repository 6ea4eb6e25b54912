/* SPDX-License-Identifier: Apache-2.0 */
/* What the LimitRanges of its namespace do to a new pod (Kubernetes: the LimitRanger plugin, with its words). */
#include "api/limits.h"

#include <stdarg.h>
#include <stdio.h>

/* What a container, or the pod as a whole, asks for of one resource. */
struct asked {
    bool has_request, has_limit;
    struct quantity request, limit;
};

static struct limits_list requests_of(const Core__ResourceRequirements *r)
{
    return r == NULL
               ? (struct limits_list){0}
               : (struct limits_list){r->n_requests, (struct limits_entry **)(void *)r->requests};
}

static struct limits_list limits_of(const Core__ResourceRequirements *r)
{
    return r == NULL ? (struct limits_list){0}
                     : (struct limits_list){r->n_limits, (struct limits_entry **)(void *)r->limits};
}

static bool is_here(const Core__LimitRange *l, const Core__Pod *pod)
{
    const char *namespace = l->metadata == NULL ? NULL : l->metadata->namespace_;
    return l->spec != NULL && str_eq(kind_str(namespace), kind_str(pod->metadata->namespace_));
}

/* ---- filling in ---- */

static size_t fill(struct kind_call *c, struct limits_list *to, struct limits_list from,
                   const ProtobufCMessageDescriptor *type, struct str *out_names)
{
    size_t added = 0;
    for (size_t i = 0; i < from.count; i++) {
        struct str name = kind_str(from.at[i]->key);
        if (limits_find(*to, name) != NULL ||
            !limits_add(c->arena, to, type, from.at[i]->key, from.at[i]->value))
            continue;
        *out_names = arena_printf(c->arena, STR_FMT "%s" STR_FMT, STR_ARG(*out_names),
                                  added > 0 ? ", " : "", STR_ARG(name));
        added++;
    }
    return added;
}

static void tell(struct kind_call *c, struct str *said, struct str names, const char *what,
                 const char *of, const char *name)
{
    *said = arena_printf(c->arena, STR_FMT "%s" STR_FMT " %s for %s %s", STR_ARG(*said),
                         said->len > 0 ? "; " : "LimitRanger plugin set: ", STR_ARG(names), what,
                         of, name == NULL ? "" : name);
}

static void fill_container(struct kind_call *c, const Core__LimitRangeItem *item,
                           Core__Container *k, const char *of, struct str *said)
{
    struct str names = STR("");
    if (k->resources == NULL)
        k->resources = kind_new(c->arena, &core__resource_requirements__descriptor);
    Core__ResourceRequirements *r = k->resources;
    if (r == NULL)
        return;
    struct limits_list requests = requests_of(r), limits = limits_of(r);
    if (fill(c, &requests, limits_of_item(item, LIMITS_REQUEST),
             &core__resource_requirements__requests_entry__descriptor, &names) > 0)
        tell(c, said, names, "request", of, k->name);
    names = STR("");
    if (fill(c, &limits, limits_of_item(item, LIMITS_DEFAULT),
             &core__resource_requirements__limits_entry__descriptor, &names) > 0)
        tell(c, said, names, "limit", of, k->name);
    r->requests = (Core__ResourceRequirements__RequestsEntry **)(void *)requests.at;
    r->n_requests = requests.count;
    r->limits = (Core__ResourceRequirements__LimitsEntry **)(void *)limits.at;
    r->n_limits = limits.count;
}

static void annotate(struct kind_call *c, Core__Pod *pod, struct str said)
{
    Meta__ObjectMeta *m = pod->metadata;
    static const char key[] = "kubernetes.io/limit-ranger";
    Meta__ObjectMeta__AnnotationsEntry *e = NULL;
    for (size_t i = 0; i < m->n_annotations; i++)
        if (is_text(m->annotations[i]->key, key))
            e = m->annotations[i];
    if (e == NULL) {
        Meta__ObjectMeta__AnnotationsEntry **more =
            kind_grow(c->arena, m->annotations, m->n_annotations, 1);
        e = kind_new(c->arena, &meta__object_meta__annotations_entry__descriptor);
        if (more == NULL || e == NULL)
            return;
        size_t at = m->n_annotations++;
        for (; at > 0 && strcmp(more[at - 1]->key, key) > 0; at--)
            more[at] = more[at - 1];
        e->key = (char *)(uintptr_t)key;
        more[at] = e;
        m->annotations = more;
    }
    e->value = arena_dup(c->arena, said);
}

static void fill_pod(struct kind_call *c, const Core__LimitRangeItem *item, Core__Pod *pod,
                     struct str *said)
{
    for (size_t i = 0; i < pod->spec->n_containers; i++)
        fill_container(c, item, pod->spec->containers[i], "container", said);
    for (size_t i = 0; i < pod->spec->n_init_containers; i++)
        fill_container(c, item, pod->spec->init_containers[i], "init container", said);
}

void pod_limits_fill(struct kind_call *c, Core__Pod *pod)
{
    struct str said = STR("");
    for (size_t i = 0; i < c->limits_count; i++) {
        const Core__LimitRange *l = c->limits[i];
        for (size_t k = 0; is_here(l, pod) && k < l->spec->n_limits; k++)
            if (is_text(l->spec->limits[k]->type, "Container"))
                fill_pod(c, l->spec->limits[k], pod, &said);
    }
    if (said.len > 0)
        annotate(c, pod, said);
}

/* ---- holding against ---- */

static struct asked asked_of(const Core__ResourceRequirements *r, struct str name)
{
    struct asked x = {0};
    x.has_request = limits_amount(limits_find(requests_of(r), name), &x.request);
    x.has_limit = limits_amount(limits_find(limits_of(r), name), &x.limit);
    return x;
}

static void add(struct quantity *to, bool *has, const struct quantity *more, bool has_more)
{
    if (!has_more)
        return;
    if (!*has)
        *to = (struct quantity){0, more->format};
    to->nano += more->nano;
    *has = true;
}

static void raise_to(struct quantity *to, bool *has, const struct quantity *least, bool has_least)
{
    if (has_least && (!*has || quantity_cmp(least, to) > 0))
        *to = *least;
    *has |= has_least;
}

/* All its containers together, or the largest init container with the sidecars before it, whichever is more. */
static struct asked asked_by_pod(const Core__PodSpec *s, struct str name)
{
    struct asked sum = {0}, sidecars = {0}, most = {0};
    for (size_t i = 0; i < s->n_init_containers; i++) {
        const Core__Container *k = s->init_containers[i];
        struct asked one = asked_of(k->resources, name), with = sidecars;
        add(&with.request, &with.has_request, &one.request, one.has_request);
        add(&with.limit, &with.has_limit, &one.limit, one.has_limit);
        if (is_text(k->restart_policy, "Always"))
            sidecars = with;
        raise_to(&most.request, &most.has_request, &with.request, with.has_request);
        raise_to(&most.limit, &most.has_limit, &with.limit, with.has_limit);
    }
    sum = sidecars;
    for (size_t i = 0; i < s->n_containers; i++) {
        struct asked one = asked_of(s->containers[i]->resources, name);
        add(&sum.request, &sum.has_request, &one.request, one.has_request);
        add(&sum.limit, &sum.has_limit, &one.limit, one.has_limit);
    }
    raise_to(&sum.request, &sum.has_request, &most.request, most.has_request);
    raise_to(&sum.limit, &sum.has_limit, &most.limit, most.has_limit);
    return sum;
}

uint64_t pod_cpus(const Core__PodSpec *s)
{
    return (uint64_t)((asked_by_pod(s, STR("cpu")).limit.nano + 999999999) / 1000000000);
}

struct refusal {
    struct kind_call *c;
    struct str text;
    uint32_t count;
};

PRINTF(2, 3) static void refuse(struct refusal *r, const char *fmt, ...)
{
    char text[320];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    r->text =
        arena_printf(r->c->arena, STR_FMT "%s%s", STR_ARG(r->text), r->count > 0 ? ", " : "", text);
    r->count++;
}

/* At most 32 digits of a share in millionths, as %f prints it. */
static void ratio_text(const struct asked *x, char out[48])
{
    __int128 millionths = x->limit.nano * 1000000 / x->request.nano;
    snprintf(out, 48, "%lld.%06lld", (long long)(millionths / 1000000),
             (long long)(millionths % 1000000));
}

static void check_ratio(struct refusal *r, const struct asked *x, const char *name,
                        const char *type, const Resource__Quantity *q)
{
    struct quantity most;
    char provided[48];
    if (!limits_amount(q, &most))
        return;
    if (!x->has_request || x->request.nano == 0)
        refuse(r,
               "%s max limit to request ratio per %s is %s, but no request is specified or request "
               "is 0",
               name, type, q->string);
    else if (!x->has_limit || x->limit.nano == 0)
        refuse(
            r,
            "%s max limit to request ratio per %s is %s, but no limit is specified or limit is 0",
            name, type, q->string);
    else if (x->limit.nano / 1000000 * 1000 > x->request.nano / 1000000 * (most.nano / 1000000)) {
        ratio_text(x, provided);
        refuse(r, "%s max limit to request ratio per %s is %s, but provided ratio is %s", name,
               type, q->string, provided);
    }
}

static void check_min(struct refusal *r, const struct asked *x, const char *name, const char *type,
                      const Resource__Quantity *q)
{
    struct quantity least;
    char text[QUANTITY_TEXT_MAX];
    if (!limits_amount(q, &least))
        return;
    if (!x->has_request) {
        refuse(r, "minimum %s usage per %s is %s.  No request is specified", name, type, q->string);
        return;
    }
    quantity_print(&x->request, text);
    if (quantity_cmp(&x->request, &least) < 0)
        refuse(r, "minimum %s usage per %s is %s, but request is %s", name, type, q->string, text);
    if (x->has_limit && quantity_cmp(&x->limit, &least) < 0) {
        quantity_print(&x->limit, text);
        refuse(r, "minimum %s usage per %s is %s, but limit is %s", name, type, q->string, text);
    }
}

static void check_max(struct refusal *r, const struct asked *x, const char *name, const char *type,
                      const Resource__Quantity *q)
{
    struct quantity most;
    char text[QUANTITY_TEXT_MAX];
    if (!limits_amount(q, &most))
        return;
    if (!x->has_limit) {
        refuse(r, "maximum %s usage per %s is %s.  No limit is specified", name, type, q->string);
        return;
    }
    quantity_print(&x->limit, text);
    if (quantity_cmp(&x->limit, &most) > 0)
        refuse(r, "maximum %s usage per %s is %s, but limit is %s", name, type, q->string, text);
    if (x->has_request && quantity_cmp(&x->request, &most) > 0) {
        quantity_print(&x->request, text);
        refuse(r, "maximum %s usage per %s is %s, but request is %s", name, type, q->string, text);
    }
}

/* r NULL: the pod as a whole. */
static void check(struct refusal *out, const Core__LimitRangeItem *item, const Core__PodSpec *s,
                  const Core__Container *k)
{
    static void (*const rules[LIMITS__COUNT])(struct refusal *, const struct asked *, const char *,
                                              const char *, const Resource__Quantity *) = {
        [LIMITS_MIN] = check_min, [LIMITS_MAX] = check_max, [LIMITS_RATIO] = check_ratio};
    static const enum limits_part order[] = {LIMITS_MIN, LIMITS_MAX, LIMITS_RATIO};
    for (size_t p = 0; p < COUNT_OF(order); p++) {
        struct limits_list list = limits_of_item(item, order[p]);
        for (size_t i = 0; i < list.count; i++) {
            struct str name = kind_str(list.at[i]->key);
            struct asked x = k == NULL ? asked_by_pod(s, name) : asked_of(k->resources, name);
            rules[order[p]](out, &x, name.at, k == NULL ? "Pod" : "Container", list.at[i]->value);
        }
    }
}

static void check_item(struct refusal *out, const Core__LimitRangeItem *item,
                       const Core__PodSpec *s)
{
    if (is_text(item->type, "Pod"))
        check(out, item, s, NULL);
    if (!is_text(item->type, "Container"))
        return;
    for (size_t i = 0; i < s->n_containers; i++)
        check(out, item, s, s->containers[i]);
    for (size_t i = 0; i < s->n_init_containers; i++)
        check(out, item, s, s->init_containers[i]);
}

void pod_limits_check(struct kind_call *c, const Core__Pod *pod)
{
    struct refusal out = {.c = c, .text = STR("")};
    for (size_t i = 0; i < c->limits_count; i++)
        for (size_t k = 0; is_here(c->limits[i], pod) && k < c->limits[i]->spec->n_limits; k++)
            check_item(&out, c->limits[i]->spec->limits[k], pod->spec);
    if (out.count == 0 || c->denied.len > 0)
        return;
    c->denied =
        out.count == 1 ? out.text : arena_printf(c->arena, "[" STR_FMT "]", STR_ARG(out.text));
}
