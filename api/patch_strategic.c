/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strategic merge patch. Objects are merged like RFC 7396; lists that the schema gives a merge key
 * are merged element by element. Directives stand among the members:
 *
 *    $patch: replace | delete | merge     in an object, or in an element of a merged list
 *    $retainKeys: [k...]                  drop every other member
 *    $setElementOrder/F: [...]            the order of list F's elements that the client knows
 *    $deleteFromPrimitiveList/F: [...]    elements to drop from a list of texts
 */
#include "api/patch.h"

#define ORDER "$setElementOrder/"
#define DROP "$deleteFromPrimitiveList/"

struct strategic {
    struct arena *a;
    struct err *e;
};

static enum err_code merge_object(struct strategic *s, const struct schema_message *m,
                                  struct json *target, struct json *patch);

static bool is_directive(struct str key)
{
    return str_starts(key, STR("$"));
}

static struct json *take(struct json *object, struct str key)
{
    struct json *member = json_find(object, key);
    if (member != NULL)
        json_remove(member);
    return member;
}

static enum err_code unknown_directive(struct strategic *s, struct str text)
{
    return err_set(s->e, ERR_INVALID, "unknown patch type: " STR_FMT, STR_ARG(text));
}

/* ------------------------------------------------------------------ elements of lists */

/* The key's value in an element, or the element itself in a list of texts. */
static const struct json *identity(const struct json *element, struct str key)
{
    return key.len == 0 ? element : json_find(element, key);
}

static bool same_element(const struct json *a, const struct json *b, struct str key)
{
    const struct json *x = identity(a, key), *y = identity(b, key);
    return x != NULL && y != NULL && json_equal(x, y);
}

static struct json *find_element(const struct json *list, const struct json *like, struct str key,
                                 uint32_t *out_index)
{
    uint32_t at = 0;
    for (struct json *i = list == NULL ? NULL : list->first; i != NULL; i = i->next, at++) {
        if (same_element(i, like, key)) {
            if (out_index != NULL)
                *out_index = at;
            return i;
        }
    }
    return NULL;
}

static void drop_elements(struct json *list, const struct json *like, struct str key)
{
    struct json *next;
    for (struct json *i = list->first; i != NULL; i = next) {
        next = i->next;
        if (same_element(i, like, key))
            json_remove(i);
    }
}

/* ------------------------------------------------------------------ order */

/* Every element that the patch names must stand in its $setElementOrder, in the same order. */
static bool order_holds(const struct json *patch, const struct json *order, struct str key)
{
    uint32_t before = 0;
    for (const struct json *i = patch == NULL ? NULL : patch->first; i != NULL; i = i->next) {
        uint32_t at;
        if (json_find(i, STR("$patch")) != NULL)
            continue;
        if (find_element(order, i, key, &at) == NULL || at < before)
            return false;
        before = at;
    }
    return true;
}

/* Elements that order names come in its order; the others keep their place relative to those that
 * the server had (server), and new ones go in front of them. */
static void list_order(struct strategic *s, struct json *list, const struct json *order,
                       const struct json *server, struct str key)
{
    struct json *known = json_new(s->a, JSON_ARRAY), *other = json_new(s->a, JSON_ARRAY);
    if (known == NULL || other == NULL)
        return;
    for (const struct json *i = order->first; i != NULL; i = i->next) {
        struct json *element = find_element(list, i, key, NULL);
        if (element != NULL) {
            json_remove(element);
            json_append(known, element);
        }
    }
    while (list->first != NULL) {
        struct json *element = list->first;
        json_remove(element);
        json_append(other, element);
    }
    while (known->first != NULL || other->first != NULL) {
        struct json *k = known->first, *o = other->first;
        uint32_t at_k = 0, at_o = 0;
        bool other_first =
            k == NULL || (o != NULL && find_element(server, k, key, &at_k) != NULL &&
                          find_element(server, o, key, &at_o) != NULL && at_o <= at_k);
        struct json *element = other_first ? o : k;
        json_remove(element);
        json_append(list, element);
    }
}

/* ------------------------------------------------------------------ lists */

static enum err_code merge_texts(struct strategic *s, struct json *list, struct json *patch)
{
    struct json *next;
    for (struct json *i = patch->first; i != NULL; i = next) {
        next = i->next;
        if (find_element(list, i, STR(""), NULL) != NULL)
            continue;
        json_append(list, json_copy(s->a, i));
    }
    return ERR_OK;
}

static enum err_code merge_element(struct strategic *s, const struct schema_field *f,
                                   struct json *list, struct json *element)
{
    struct json *directive = take(element, STR("$patch"));
    struct str what = json_text(directive);
    if (identity(element, f->rule->merge_key) == NULL)
        return err_set(s->e, ERR_INVALID,
                       "an element of " STR_FMT " does not contain declared merge key: " STR_FMT,
                       STR_ARG(f->json), STR_ARG(f->rule->merge_key));
    if (str_is(what, "delete")) {
        drop_elements(list, element, f->rule->merge_key);
        return ERR_OK;
    }
    if (directive != NULL && !str_is(what, "merge"))
        return unknown_directive(s, what);
    struct json *old = find_element(list, element, f->rule->merge_key, NULL);
    if (old == NULL) {
        old = json_new(s->a, JSON_OBJECT);
        if (old == NULL)
            return arena_status(s->a, s->e);
        json_append(list, old);
    }
    return merge_object(s, f->message, old, element);
}

/* An element that is only {"$patch": "replace"} makes the rest the whole list. */
static bool take_replace(struct json *patch)
{
    for (struct json *i = patch->first; i != NULL; i = i->next) {
        if (i->count == 1 && str_is(json_text(json_find(i, STR("$patch"))), "replace")) {
            json_remove(i);
            return true;
        }
    }
    return false;
}

static enum err_code merge_elements(struct strategic *s, const struct schema_field *f,
                                    struct json *list, struct json *patch)
{
    struct json *next;
    if (take_replace(patch))
        json_clear(list);
    for (struct json *i = patch->first; i != NULL; i = next) {
        next = i->next;
        if (i->type != JSON_OBJECT)
            return err_set(s->e, ERR_INVALID, "an element of " STR_FMT " is no object",
                           STR_ARG(f->json));
        enum err_code rc = merge_element(s, f, list, i);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

static uint64_t count_of(const struct json *list)
{
    return list == NULL ? 0 : list->count;
}

/* patch, order and drop may each be NULL. */
static enum err_code merge_list(struct strategic *s, const struct schema_field *f,
                                struct json *list, struct json *patch, const struct json *order,
                                const struct json *drop)
{
    struct str key = f->rule->merge_key;
    enum err_code rc = ERR_OK;
    struct json *server, *named = NULL;
    if (count_of(list) + count_of(patch) + count_of(order) + count_of(drop) > PATCH_ELEMENTS_MAX)
        return err_set(s->e, ERR_LIMIT, "more than %d elements of " STR_FMT " to merge",
                       PATCH_ELEMENTS_MAX, STR_ARG(f->json));
    server = json_copy(s->a, list);
    if (order != NULL && !order_holds(patch, order, key))
        return err_set(s->e, ERR_INVALID,
                       "the order in patch list " STR_FMT
                       " doesn't match its $setElementOrder list",
                       STR_ARG(f->json));
    for (const struct json *i = drop == NULL ? NULL : drop->first; i != NULL; i = i->next)
        drop_elements(list, i, STR(""));
    if (patch != NULL) {
        named = json_copy(s->a, patch); /* merge_elements() takes directives out of it. */
        rc = key.len == 0 ? merge_texts(s, list, patch) : merge_elements(s, f, list, patch);
    }
    if (rc != ERR_OK)
        return rc;
    if (order != NULL || named != NULL)
        list_order(s, list, order != NULL ? order : named, server, key);
    return arena_status(s->a, s->e);
}

/* ------------------------------------------------------------------ members */

static const struct schema_field *field_of(const struct schema_message *m, struct str key)
{
    return m == NULL ? NULL : schema_find(m, key, NULL);
}

static bool merges_lists(const struct schema_field *f)
{
    return f != NULL && f->repeated && f->merge;
}

/* A list that only directives speak of: it is ordered, or loses elements. */
static enum err_code directive_lists(struct strategic *s, const struct schema_message *m,
                                     struct json *target, struct json *patch)
{
    struct json *next;
    for (struct json *i = patch->first; i != NULL; i = next) {
        next = i->next;
        bool is_order = str_starts(i->key, STR(ORDER)), is_drop = str_starts(i->key, STR(DROP));
        size_t skip = is_order ? sizeof ORDER - 1 : sizeof DROP - 1;
        if (!is_order && !is_drop)
            continue;
        struct str name = str_slice(i->key, skip, i->key.len);
        const struct schema_field *f = field_of(m, name);
        struct json *list = json_find(target, name);
        if (json_find(patch, name) != NULL || !merges_lists(f) || list == NULL ||
            list->type != JSON_ARRAY || i->type != JSON_ARRAY)
            continue; /* With its list; or from a newer client, about what we do not know. */
        enum err_code rc = merge_list(s, f, list, NULL, is_order ? i : NULL, is_drop ? i : NULL);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

static struct json *list_directive(struct strategic *s, struct json *patch, const char *prefix,
                                   struct str name)
{
    struct json *found = json_find(patch, arena_printf(s->a, "%s" STR_FMT, prefix, STR_ARG(name)));
    return found != NULL && found->type == JSON_ARRAY ? found : NULL;
}

static enum err_code merge_member(struct strategic *s, const struct schema_message *m,
                                  struct json *target, struct json *patch, struct json *member)
{
    const struct schema_field *f = field_of(m, member->key);
    struct json *old = json_find(target, member->key);
    struct str key = member->key;
    if (member->type == JSON_NULL) {
        if (old != NULL)
            json_remove(old);
        return ERR_OK;
    }
    bool by_member = member->type == JSON_OBJECT && (f == NULL || !f->replace);
    bool by_element = member->type == JSON_ARRAY && merges_lists(f);
    if (!by_member && !by_element) {
        struct json *copy = json_copy(s->a, member);
        json_set(s->a, target, key, copy);
        return ERR_OK;
    }
    if (old == NULL || old->type != member->type) {
        old = json_new(s->a, member->type); /* So that directives are not stored. */
        json_set(s->a, target, key, old);
    }
    if (old == NULL)
        return arena_status(s->a, s->e);
    if (by_member)
        return merge_object(s, f == NULL || f->map ? NULL : f->message, old, member);
    return merge_list(s, f, old, member, list_directive(s, patch, ORDER, key),
                      list_directive(s, patch, DROP, key));
}

static void retain_keys(struct json *target, const struct json *keys)
{
    struct json *next;
    for (struct json *i = target->first; i != NULL; i = next) {
        const struct json *k = keys->first;
        next = i->next;
        while (k != NULL && !str_eq(json_text(k), i->key))
            k = k->next;
        if (k == NULL)
            json_remove(i);
    }
}

static enum err_code merge_object(struct strategic *s, const struct schema_message *m,
                                  struct json *target, struct json *patch)
{
    struct json *directive = take(patch, STR("$patch"));
    struct json *retain = take(patch, STR("$retainKeys"));
    struct str what = json_text(directive);
    if (str_is(what, "delete") || str_is(what, "replace"))
        json_clear(target);
    else if (directive != NULL && !str_is(what, "merge"))
        return unknown_directive(s, what);
    if (str_is(what, "delete"))
        return ERR_OK;
    if (retain != NULL && retain->type == JSON_ARRAY)
        retain_keys(target, retain);
    enum err_code rc = directive_lists(s, m, target, patch);
    for (struct json *i = patch->first; rc == ERR_OK && i != NULL; i = i->next)
        if (!is_directive(i->key))
            rc = merge_member(s, m, target, patch, i);
    return rc == ERR_OK ? arena_status(s->a, s->e) : rc;
}

MUST_USE enum err_code patch_strategic(struct arena *a, const struct schema_message *m,
                                       struct json **target, struct json *patch, struct err *e)
{
    struct strategic s = {a, e};
    if (patch->type != JSON_OBJECT)
        return err_set(e, ERR_INVALID, "a strategic merge patch is an object");
    if ((*target)->type != JSON_OBJECT)
        *target = json_new(a, JSON_OBJECT); /* As RFC 7396 has it. */
    if (*target == NULL)
        return arena_status(a, e);
    return merge_object(&s, m, *target, patch);
}
