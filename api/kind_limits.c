/* SPDX-License-Identifier: Apache-2.0 */
/* LimitRange: its row, and its own rules in Kubernetes' words (pkg/apis/core/validation). What it does to a pod is in
 * pod_limits.c. */
#include "api/limits.h"
#include "api/table.h"

enum { LIMITS_ITEMS_MAX = 64, LIMITS_NAMES_MAX = 64 };

struct limits_list limits_of_item(const Core__LimitRangeItem *i, enum limits_part part)
{
    switch (part) {
    case LIMITS_MAX:
        return (struct limits_list){i->n_max, (struct limits_entry **)(void *)i->max};
    case LIMITS_MIN:
        return (struct limits_list){i->n_min, (struct limits_entry **)(void *)i->min};
    case LIMITS_DEFAULT:
        return (struct limits_list){i->n_default_, (struct limits_entry **)(void *)i->default_};
    case LIMITS_REQUEST:
        return (struct limits_list){i->n_default_request,
                                    (struct limits_entry **)(void *)i->default_request};
    case LIMITS_RATIO:
        return (struct limits_list){i->n_max_limit_request_ratio,
                                    (struct limits_entry **)(void *)i->max_limit_request_ratio};
    case LIMITS__COUNT:
        break;
    }
    return (struct limits_list){0};
}

const Resource__Quantity *limits_find(struct limits_list from, struct str name)
{
    for (size_t i = 0; i < from.count; i++)
        if (str_eq(kind_str(from.at[i]->key), name))
            return from.at[i]->value;
    return NULL;
}

bool limits_amount(const Resource__Quantity *q, struct quantity *out)
{
    struct err e;
    return q != NULL && quantity_parse(kind_str(q->string), out, &e) == ERR_OK;
}

bool limits_add(struct arena *a, struct limits_list *to, const ProtobufCMessageDescriptor *type,
                char *name, Resource__Quantity *value)
{
    struct limits_entry **more = kind_grow(a, to->at, to->count, 1);
    struct limits_entry *e = kind_new(a, type);
    if (more == NULL || e == NULL)
        return false;
    size_t at = to->count++;
    for (; at > 0 && strcmp(more[at - 1]->key, name) > 0; at--) /* Maps are sorted by key. */
        more[at] = more[at - 1];
    e->key = name;
    e->value = value;
    more[at] = e;
    to->at = more;
    return true;
}

/* ---- what is left out ---- */

static void fill(struct kind_call *c, struct limits_list *to, struct limits_list from,
                 const ProtobufCMessageDescriptor *type)
{
    for (size_t i = 0; i < from.count; i++)
        if (limits_find(*to, kind_str(from.at[i]->key)) == NULL)
            limits_add(c->arena, to, type, from.at[i]->key, from.at[i]->value);
}

static void limits_prepare(struct kind_call *c, ProtobufCMessage *object,
                           const ProtobufCMessage *old)
{
    Core__LimitRangeSpec *spec = ((Core__LimitRange *)object)->spec;
    (void)old;
    for (size_t i = 0; spec != NULL && i < spec->n_limits; i++) {
        Core__LimitRangeItem *item = spec->limits[i];
        if (!is_text(item->type, "Container"))
            continue;
        struct limits_list most = limits_of_item(item, LIMITS_DEFAULT);
        struct limits_list least = limits_of_item(item, LIMITS_REQUEST);
        fill(c, &most, limits_of_item(item, LIMITS_MAX),
             &core__limit_range_item__default_entry__descriptor);
        fill(c, &least, most, &core__limit_range_item__default_request_entry__descriptor);
        fill(c, &least, limits_of_item(item, LIMITS_MIN),
             &core__limit_range_item__default_request_entry__descriptor);
        item->default_ = (Core__LimitRangeItem__DefaultEntry **)(void *)most.at;
        item->n_default_ = most.count;
        item->default_request = (Core__LimitRangeItem__DefaultRequestEntry **)(void *)least.at;
        item->n_default_request = least.count;
    }
}

/* ---- its own rules ---- */

static const char *const part_fields[LIMITS__COUNT] = {"max", "min", "default", "defaultRequest",
                                                       "maxLimitRequestRatio"};

/* below must not be above: said at the field of the part at. */
static void ordered(struct kind_call *c, const Core__LimitRangeItem *item, const struct field *up,
                    struct str name, const enum limits_part parts[3], const char *const words[2])
{
    struct quantity a, b;
    const Resource__Quantity *below = limits_find(limits_of_item(item, parts[0]), name);
    const Resource__Quantity *above = limits_find(limits_of_item(item, parts[1]), name);
    const Resource__Quantity *shown = limits_find(limits_of_item(item, parts[2]), name);
    struct field list = field_name(up, part_fields[parts[2]]), at = field_key(&list, name);
    if (!limits_amount(below, &a) || !limits_amount(above, &b) || quantity_cmp(&a, &b) <= 0)
        return;
    struct str why = arena_printf(c->arena, "%s value %s is greater than %s value %s", words[0],
                                  below->string, words[1], above->string);
    causes_invalid(&c->causes, &at, kind_str(shown->string), why.at == NULL ? "" : why.at);
}

static void ratio_validate(struct kind_call *c, const Core__LimitRangeItem *item,
                           const struct field *up, struct str name)
{
    const Resource__Quantity *q = limits_find(limits_of_item(item, LIMITS_RATIO), name);
    struct field list = field_name(up, part_fields[LIMITS_RATIO]), at = field_key(&list, name);
    struct quantity ratio;
    if (!limits_amount(q, &ratio) || ratio.nano >= 1000000000)
        return;
    struct str why = arena_printf(c->arena, "ratio %s is less than 1", q->string);
    causes_invalid(&c->causes, &at, kind_str(q->string), why.at == NULL ? "" : why.at);
}

static void name_validate(struct kind_call *c, const Core__LimitRangeItem *item,
                          const struct field *up, struct str name)
{
    static const struct {
        enum limits_part parts[3]; /* Below, above, where it is said. */
        const char *words[2];
    } rules[] = {
        {{LIMITS_MIN, LIMITS_MAX, LIMITS_MIN}, {"min", "max"}},
        {{LIMITS_MIN, LIMITS_REQUEST, LIMITS_REQUEST}, {"min", "default request"}},
        {{LIMITS_REQUEST, LIMITS_MAX, LIMITS_REQUEST}, {"default request", "max"}},
        {{LIMITS_REQUEST, LIMITS_DEFAULT, LIMITS_REQUEST}, {"default request", "default limit"}},
        {{LIMITS_MIN, LIMITS_DEFAULT, LIMITS_DEFAULT}, {"min", "default"}},
        {{LIMITS_DEFAULT, LIMITS_MAX, LIMITS_DEFAULT}, {"default", "max"}},
    };
    for (size_t i = 0; i < COUNT_OF(rules); i++)
        ordered(c, item, up, name, rules[i].parts, rules[i].words);
    ratio_validate(c, item, up, name);
}

/* Every name once, though it may stand in several parts. */
static void names_validate(struct kind_call *c, const Core__LimitRangeItem *item,
                           const struct field *up)
{
    for (enum limits_part p = 0; p < LIMITS__COUNT; p++) {
        struct limits_list list = limits_of_item(item, p);
        struct field at = field_name(up, part_fields[p]);
        if (list.count > LIMITS_NAMES_MAX) {
            causes_add(&c->causes, CAUSE_TOO_MANY, &at, "%zu: must have at most %d items",
                       list.count, LIMITS_NAMES_MAX);
            return;
        }
        for (size_t i = 0; i < list.count; i++) {
            struct str name = kind_str(list.at[i]->key);
            struct field key = field_key(&at, name);
            bool is_new = true;
            for (enum limits_part before = 0; before < p; before++)
                is_new = is_new && limits_find(limits_of_item(item, before), name) == NULL;
            names_check(&c->causes, &key, name, name_qualified(name));
            if (is_new)
                name_validate(c, item, up, name);
        }
    }
}

static void item_validate(struct kind_call *c, const Core__LimitRangeSpec *spec, size_t i,
                          const struct field *at)
{
    const Core__LimitRangeItem *item = spec->limits[i];
    struct field type = field_name(at, "type"), def = field_name(at, "default");
    struct field request = field_name(at, "defaultRequest");
    struct str text = kind_str(item->type);
    for (size_t k = 0; k < i; k++)
        if (str_eq(kind_str(spec->limits[k]->type), text)) {
            struct str quoted = status_quote(c->arena, text);
            causes_add(&c->causes, CAUSE_DUPLICATE, &type, STR_FMT, STR_ARG(quoted));
        }
    if (text.len == 0)
        causes_add(&c->causes, CAUSE_REQUIRED, &type, "%s", "");
    else
        names_check(&c->causes, &type, text, name_qualified(text));
    if (str_is(text, "Pod") && item->n_default_ > 0)
        causes_add(&c->causes, CAUSE_FORBIDDEN, &def, "may not be specified when `type` is 'Pod'");
    if (str_is(text, "Pod") && item->n_default_request > 0)
        causes_add(&c->causes, CAUSE_FORBIDDEN, &request,
                   "may not be specified when `type` is 'Pod'");
    names_validate(c, item, at);
}

static void limits_validate(struct kind_call *c, const ProtobufCMessage *object,
                            const ProtobufCMessage *old)
{
    const Core__LimitRangeSpec *s = ((const Core__LimitRange *)object)->spec;
    struct field spec = field_name(NULL, "spec"), list = field_name(&spec, "limits");
    (void)old;
    if (s == NULL)
        return;
    if (s->n_limits > LIMITS_ITEMS_MAX) {
        causes_add(&c->causes, CAUSE_TOO_MANY, &list, "%zu: must have at most %d items",
                   s->n_limits, LIMITS_ITEMS_MAX);
        return;
    }
    for (size_t i = 0; i < s->n_limits; i++) {
        struct field at = field_index(&list, i);
        item_validate(c, s, i, &at);
    }
}

static struct kind_cell limits_cell(const void *object, struct str column, struct arena *a)
{
    const Meta__ObjectMeta *m = ((const Core__LimitRange *)object)->metadata;
    (void)column;
    if (m == NULL || m->creation_timestamp == NULL)
        return (struct kind_cell){.text = STR("")};
    return (struct kind_cell){.text = table_instant(m->creation_timestamp->seconds, a)};
}

const struct kind kind_limit_range = {
    .group = "",
    .plural = "limitranges",
    .name_rule = name_subdomain,
    .prepare = limits_prepare,
    .validate = limits_validate,
    .cell = limits_cell,
};
