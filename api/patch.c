/* SPDX-License-Identifier: Apache-2.0 */
/* JSON patch and merge patch. The strategic one is in patch_strategic.c. */
#include "api/patch.h"

/* ------------------------------------------------------------------ RFC 6901: JSON pointer */

/* The next part of a pointer, with ~1 and ~0 undone. False: the end, or no pointer. */
static bool pointer_next(struct arena *a, struct str *rest, struct str *out)
{
    if (rest->len == 0 || rest->at[0] != '/')
        return false;
    size_t end = str_find(*rest, '/', 1);
    struct str raw = str_slice(*rest, 1, end);
    char *text = arena_alloc(a, raw.len + 1);
    size_t n = 0;
    for (size_t i = 0; text != NULL && i < raw.len; i++) {
        bool is_escape = raw.at[i] == '~' && i + 1 < raw.len;
        if (is_escape && (raw.at[i + 1] == '0' || raw.at[i + 1] == '1'))
            text[n++] = raw.at[++i] == '0' ? '~' : '/';
        else
            text[n++] = raw.at[i];
    }
    *rest = str_slice(*rest, end, rest->len);
    *out = (struct str){text, n};
    return text != NULL;
}

/* An array's element; "-" and the count are behind the last. -1: no index. */
static int64_t index_of(const struct json *array, struct str part)
{
    uint64_t at;
    if (str_is(part, "-"))
        return array->count;
    if (str_parse_u64(part, &at) != ERR_OK || at > array->count)
        return -1;
    return (int64_t)at;
}

static struct json *child_of(const struct json *node, struct str part, uint64_t *steps)
{
    if (node->type == JSON_OBJECT)
        return json_find(node, part);
    if (node->type != JSON_ARRAY)
        return NULL;
    int64_t at = index_of(node, part);
    *steps += at < 0 ? 0 : (uint64_t)at;
    return at < 0 || *steps > PATCH_STEPS_MAX ? NULL : json_at(node, (uint32_t)at);
}

/* Where a pointer leads: the container, and the name or index in it. parent NULL: the document. */
struct place {
    struct json *parent, *value; /* value NULL: nothing is there. */
    struct str part;
    uint32_t above; /* Containers around it. */
};

static bool place_find(struct arena *a, struct json *root, struct str pointer, uint64_t *steps,
                       struct place *out)
{
    struct str rest = pointer, part;
    *out = (struct place){.value = root};
    if (pointer.at == NULL || (pointer.len > 0 && pointer.at[0] != '/'))
        return false;
    while (pointer_next(a, &rest, &part)) {
        if (out->value == NULL)
            return false;
        out->parent = out->value;
        out->part = part;
        out->above++;
        out->value = child_of(out->parent, part, steps);
    }
    return rest.len == 0;
}

/* ------------------------------------------------------------------ RFC 6902: the operations */

struct operation {
    struct arena *a;
    struct json **root;
    struct str path, from;
    struct json *value; /* NULL: none was given. */
    uint64_t steps;
    bool is_too_deep;
};

static bool find(struct operation *op, struct str pointer, struct place *out)
{
    return place_find(op->a, *op->root, pointer, &op->steps, out);
}

/* Containers below one another, value among them. It recurses as put() lets no tree grow deeper than a document may be. */
static uint32_t height(const struct json *value, uint64_t *steps)
{
    uint32_t below = 0;
    if (value->type != JSON_OBJECT && value->type != JSON_ARRAY)
        return 0;
    for (const struct json *child = value->first; child != NULL; child = child->next) {
        ++*steps;
        below = max_u32(below, height(child, steps));
    }
    return below + 1;
}

static bool put(struct operation *op, struct place *at, struct json *value, bool is_replace)
{
    op->is_too_deep = value != NULL && at->above + height(value, &op->steps) > JSON_DEPTH_MAX;
    if (op->is_too_deep)
        return false;
    if (at->parent == NULL) {
        *op->root = value;
        return value != NULL;
    }
    if (at->parent->type == JSON_OBJECT) {
        json_set(op->a, at->parent, at->part, value);
        return true;
    }
    int64_t index = at->parent->type == JSON_ARRAY ? index_of(at->parent, at->part) : -1;
    if (index < 0 || (is_replace && at->value == NULL))
        return false;
    json_insert(at->parent, json_at(at->parent, (uint32_t)index), value);
    if (is_replace)
        json_remove(at->value);
    return true;
}

static bool do_add(struct operation *op)
{
    struct place at;
    return op->value != NULL && find(op, op->path, &at) && put(op, &at, op->value, false);
}

/* Of a member that is not there: set, as Kubernetes' library does; RFC 6902 4.3 would refuse. */
static bool do_replace(struct operation *op)
{
    struct place at;
    return op->value != NULL && find(op, op->path, &at) && put(op, &at, op->value, true);
}

static bool do_remove(struct operation *op)
{
    struct place at;
    if (!find(op, op->path, &at) || at.parent == NULL || at.value == NULL)
        return false;
    json_remove(at.value);
    return true;
}

static bool do_move(struct operation *op)
{
    struct place from, to;
    struct str below = op->path.len > op->from.len ? str_slice(op->path, 0, op->from.len + 1)
                                                   : (struct str){NULL, 0};
    bool into_itself = str_starts(below, op->from) && str_ends(below, STR("/"));
    if (!find(op, op->from, &from) || from.value == NULL || into_itself)
        return false;
    if (from.parent == NULL)
        return op->path.len == 0;
    json_remove(from.value);
    return find(op, op->path, &to) && put(op, &to, from.value, false);
}

static bool do_copy(struct operation *op)
{
    struct place from, to;
    if (!find(op, op->from, &from) || from.value == NULL)
        return false;
    struct json *copy = json_copy(op->a, from.value);
    return copy != NULL && find(op, op->path, &to) && put(op, &to, copy, false);
}

/* A missing member equals null (the library's reading again). */
static bool do_test(struct operation *op)
{
    struct place at;
    if (!find(op, op->path, &at))
        return false;
    bool wants_null = op->value == NULL || op->value->type == JSON_NULL;
    if (at.value == NULL || at.value->type == JSON_NULL)
        return wants_null;
    return !wants_null && json_equal(at.value, op->value);
}

static const struct {
    const char *name;
    bool (*run)(struct operation *op);
} operations[] = {{"add", do_add},   {"remove", do_remove}, {"replace", do_replace},
                  {"move", do_move}, {"copy", do_copy},     {"test", do_test}};

static enum err_code operation_run(struct operation *op, struct json *step, uint32_t number,
                                   struct err *e)
{
    struct str name = json_text(json_find(step, STR("op")));
    op->path = json_text(json_find(step, STR("path")));
    op->from = json_text(json_find(step, STR("from")));
    op->value = json_find(step, STR("value"));
    if (op->value != NULL)
        json_remove(op->value);
    for (size_t i = 0; i < COUNT_OF(operations); i++) {
        if (!str_is(name, operations[i].name))
            continue;
        if (operations[i].run(op))
            return ERR_OK;
        if (op->is_too_deep)
            return err_set(e, ERR_LIMIT, "operation %u (%s) nests deeper than %d", number,
                           operations[i].name, JSON_DEPTH_MAX);
        return err_set(e, ERR_INVALID, "operation %u (%s " STR_FMT ") fails", number,
                       operations[i].name, STR_ARG(op->path));
    }
    return err_set(e, ERR_INVALID, "operation %u is none of RFC 6902", number);
}

MUST_USE enum err_code patch_json(struct arena *a, struct json **target, struct json *patch,
                                  struct err *e)
{
    struct operation op = {.a = a, .root = target};
    uint32_t number = 0;
    if (patch->type != JSON_ARRAY)
        return err_set(e, ERR_INVALID, "a JSON patch is an array");
    if (patch->count > PATCH_OPERATIONS_MAX)
        return err_set(e, ERR_LIMIT, "more than %d operations", PATCH_OPERATIONS_MAX);
    for (struct json *step = patch->first; step != NULL; step = step->next) {
        enum err_code rc = operation_run(&op, step, number++, e);
        if (op.steps > PATCH_STEPS_MAX)
            rc = err_set(e, ERR_LIMIT, "the patch walks past more than %d elements",
                         PATCH_STEPS_MAX);
        if (rc == ERR_OK)
            rc = arena_status(a, e);
        if (rc != ERR_OK)
            return rc;
    }
    return ERR_OK;
}

/* ------------------------------------------------------------------ RFC 7396 */

static void merge(struct arena *a, struct json *target, struct json *patch)
{
    struct json *next;
    for (struct json *member = patch->first; member != NULL; member = next) {
        next = member->next;
        struct json *old = json_find(target, member->key);
        struct str key = member->key;
        if (member->type == JSON_NULL) {
            if (old != NULL)
                json_remove(old);
            continue;
        }
        json_remove(member);
        if (member->type != JSON_OBJECT) {
            json_set(a, target, key, member);
            continue;
        }
        if (old == NULL || old->type != JSON_OBJECT) {
            old = json_new(a, JSON_OBJECT); /* The patch's own nulls must not be stored. */
            json_set(a, target, key, old);
        }
        if (old != NULL)
            merge(a, old, member);
    }
}

MUST_USE enum err_code patch_merge(struct arena *a, struct json **target, struct json *patch,
                                   struct err *e)
{
    if (patch->type != JSON_OBJECT) {
        *target = patch;
        return ERR_OK;
    }
    if ((*target)->type != JSON_OBJECT)
        *target = json_new(a, JSON_OBJECT);
    if (*target != NULL)
        merge(a, *target, patch);
    return arena_status(a, e);
}
