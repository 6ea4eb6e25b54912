/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "base/check.h"
#include "base/jsonread.h"

#include <stdio.h>

/* An object with more members than this gets an index: outsiders choose how many there are, and
 * patches look each of them up. */
enum { INDEX_ABOVE = 16 };

/* Open addressing by the key's hash; slots of removed members keep &json_gone. */
struct json_index {
    uint32_t mask, used; /* used counts removed ones too. */
    struct json *slots[];
};

static const struct json json_gone;

/* The index */

static struct json **index_slot(const struct json_index *ix, struct str key)
{
    struct json **vacant = NULL;
    for (uint32_t i = (uint32_t)str_hash(key);; i++) {
        struct json **slot = (struct json **)&ix->slots[i & ix->mask];
        if (*slot == NULL)
            return vacant != NULL ? vacant : slot;
        if (*slot == &json_gone) {
            if (vacant == NULL)
                vacant = slot;
        } else if (str_eq((*slot)->key, key)) {
            return slot;
        }
    }
}

/* At most half full after count more members; without memory the object has no index. */
static void index_build(struct arena *a, struct json *object)
{
    uint32_t size = 64;
    while (size < object->count * 4)
        size *= 2;
    object->index = arena_zalloc(a, 1, sizeof *object->index + size * sizeof(struct json *));
    if (object->index == NULL)
        return;
    object->index->mask = size - 1;
    for (struct json *m = object->first; m != NULL; m = m->next) {
        *index_slot(object->index, m->key) = m;
        object->index->used++;
    }
}

/* m is already linked. */
static void index_add(struct arena *a, struct json *object, struct json *m)
{
    if (object->index == NULL) {
        if (object->count > INDEX_ABOVE)
            index_build(a, object);
        return;
    }
    if (object->index->used * 2 > object->index->mask) {
        index_build(a, object);
        return;
    }
    struct json **slot = index_slot(object->index, m->key);
    object->index->used += *slot == NULL;
    *slot = m;
}

static void index_remove(struct json *object, const struct json *m)
{
    if (object->index == NULL)
        return;
    struct json **slot = index_slot(object->index, m->key);
    if (*slot == m)
        *slot = (struct json *)&json_gone;
}

/* Making */

struct json *json_new(struct arena *a, enum json_type type)
{
    struct json *value = arena_zalloc(a, 1, sizeof *value);
    if (value == NULL)
        return NULL;
    value->type = type;
    if (type == JSON_NUMBER)
        value->text = STR("0");
    else if (type == JSON_STRING)
        value->text = STR("");
    return value;
}

struct json *json_new_bool(struct arena *a, bool truth)
{
    struct json *value = json_new(a, JSON_BOOL);
    if (value != NULL)
        value->truth = truth;
    return value;
}

struct json *json_new_string(struct arena *a, struct str text)
{
    struct json *value = json_new(a, JSON_STRING);
    if (value != NULL)
        value->text = text.at == NULL ? STR("") : text;
    return value;
}

struct json *json_new_number(struct arena *a, struct str text)
{
    struct json *value = json_new(a, JSON_NUMBER);
    if (value != NULL)
        value->text = text;
    return value;
}

struct json *json_new_i64(struct arena *a, int64_t number)
{
    struct str text = arena_printf(a, "%lld", (long long)number);
    return text.at == NULL ? NULL : json_new_number(a, text);
}

struct json *json_copy(struct arena *a, const struct json *from)
{
    if (from == NULL)
        return NULL;
    struct json *copy = json_new(a, from->type);
    if (copy == NULL)
        return NULL;
    copy->truth = from->truth;
    copy->text = from->text;
    for (const struct json *child = from->first; child != NULL; child = child->next) {
        struct json *c = json_copy(a, child);
        if (c == NULL)
            return NULL;
        if (from->type == JSON_OBJECT)
            json_set(a, copy, child->key, c);
        else
            json_append(copy, c);
    }
    return copy;
}

/* Parsing */

static struct json *parse_value(struct json_reader *r);

static bool parse_children(struct json_reader *r, struct json *into)
{
    struct str key;
    if (!json_read_open(r, into->type))
        return false;
    while (into->type == JSON_OBJECT ? json_read_key(r, &key) : json_read_element(r)) {
        struct json *child = parse_value(r);
        if (child == NULL)
            return false;
        if (into->type == JSON_ARRAY) {
            json_append(into, child);
            continue;
        }
        child->repeated = json_find(into, key) != NULL;
        json_set(r->arena, into, key, child);
    }
    return !r->failed;
}

static struct json *parse_value(struct json_reader *r)
{
    enum json_type type;
    bool ok = false;
    if (!json_read_type(r, &type))
        return NULL;
    struct json *value = json_new(r->arena, type);
    if (value == NULL)
        return NULL;
    switch (type) {
    case JSON_NULL:
        ok = json_read_null(r);
        break;
    case JSON_BOOL:
        ok = json_read_bool(r, &value->truth);
        break;
    case JSON_NUMBER:
        ok = json_read_number(r, &value->text);
        break;
    case JSON_STRING:
        ok = json_read_string(r, &value->text);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        ok = parse_children(r, value);
        break;
    }
    return ok ? value : NULL;
}

bool json_read_value(struct json_reader *r, const struct json **out)
{
    const struct json *value = r->node;
    if (!r->is_tree)
        value = parse_value(r);
    else if (!json_read_skip(r))
        return false;
    *out = value;
    return value != NULL;
}

enum err_code json_parse(struct arena *a, struct str text, struct json **out, struct err *e)
{
    struct json_reader r;
    json_read_text(&r, a, text);
    struct json *root = parse_value(&r);
    if (root == NULL && !r.failed)
        return err_set(e, ERR_LIMIT, "document needs over %zu bytes of memory", a->limit);
    enum err_code code = json_read_end(&r, e);
    if (code == ERR_OK)
        *out = root;
    return code;
}

/* Reading */

struct json *json_find(const struct json *object, struct str key)
{
    if (object == NULL || object->type != JSON_OBJECT)
        return NULL;
    if (object->index != NULL) {
        struct json *m = *index_slot(object->index, key);
        return m == &json_gone ? NULL : m;
    }
    for (struct json *m = object->first; m != NULL; m = m->next) {
        if (str_eq(m->key, key))
            return m;
    }
    return NULL;
}

struct json *json_at(const struct json *array, uint32_t at)
{
    if (array == NULL || array->type != JSON_ARRAY)
        return NULL;
    struct json *child = array->first;
    while (child != NULL && at-- > 0)
        child = child->next;
    return child;
}

struct json *json_path(const struct json *root, const char *path)
{
    struct str rest = str_of(path), name;
    const struct json *value = root;
    while (value != NULL && str_split(&rest, '.', &name))
        value = json_find(value, name);
    return (struct json *)value;
}

/* The digits of a number without its point and trailing zeros, and the power of ten behind them. */
struct decimal {
    bool negative;
    char digits[40];
    uint32_t count;
    int64_t exponent;
    bool exact; /* All digits fitted. */
};

static void decimal_digit(struct decimal *d, char c, bool behind_point)
{
    if (d->count == 0 && c == '0') {
        d->exponent -= behind_point;
        return;
    }
    if (d->count == sizeof d->digits) {
        d->exact = d->exact && c == '0';
        d->exponent += !behind_point;
        return;
    }
    d->digits[d->count++] = c;
    d->exponent -= behind_point;
}

static struct decimal decimal_of(struct str text)
{
    struct decimal d = {.negative = text.len > 0 && text.at[0] == '-', .exact = true};
    bool behind_point = false;
    for (size_t i = d.negative; i < text.len; i++) {
        char c = text.at[i];
        if (c == '.') {
            behind_point = true;
        } else if (c == 'e' || c == 'E') {
            int64_t exponent = 0;
            size_t from = i + 1 + (i + 1 < text.len && text.at[i + 1] == '+');
            if (str_parse_i64(str_slice(text, from, text.len), &exponent) != ERR_OK ||
                exponent > 1000000 || exponent < -1000000)
                d.exact = false;
            d.exponent += d.exact ? exponent : 0;
            break;
        } else {
            decimal_digit(&d, c, behind_point);
        }
    }
    while (d.count > 0 && d.digits[d.count - 1] == '0') {
        d.count--;
        d.exponent++;
    }
    if (d.count == 0)
        d = (struct decimal){.exact = d.exact};
    return d;
}

static bool number_equal(struct str a, struct str b)
{
    if (str_eq(a, b))
        return true;
    struct decimal x = decimal_of(a), y = decimal_of(b);
    return x.exact && y.exact && x.negative == y.negative && x.exponent == y.exponent &&
           x.count == y.count && memcmp(x.digits, y.digits, x.count) == 0;
}

enum err_code json_i64(const struct json *value, int64_t *out)
{
    if (value == NULL || value->type != JSON_NUMBER)
        return ERR_INVALID;
    if (str_parse_i64(value->text, out) == ERR_OK)
        return ERR_OK;
    struct decimal d = decimal_of(value->text);
    char text[64];
    if (!d.exact || d.exponent < 0 || d.count + d.exponent > 20)
        return ERR_INVALID;
    int len = snprintf(text, sizeof text, "%s%.*s%.*s", d.negative ? "-" : "", (int)d.count,
                       d.digits, (int)d.exponent, "00000000000000000000");
    return str_parse_i64(str_from(text, (size_t)len), out);
}

bool json_equal(const struct json *a, const struct json *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    if (a->type != b->type || a->count != b->count)
        return false;
    if (a->type == JSON_NUMBER)
        return number_equal(a->text, b->text);
    if (a->type == JSON_BOOL || a->type == JSON_STRING)
        return a->truth == b->truth && str_eq(a->text, b->text);
    const struct json *y = b->first;
    for (const struct json *x = a->first; x != NULL; x = x->next) {
        if (!json_equal(x, a->type == JSON_OBJECT ? json_find(b, x->key) : y))
            return false;
        y = y->next;
    }
    return true;
}

/* Changing */

static void link_before(struct json *parent, struct json *next, struct json *child)
{
    CHECK(child->parent == NULL);
    struct json *prev = next == NULL ? parent->last : next->prev;
    child->parent = parent;
    child->next = next;
    child->prev = prev;
    *(prev == NULL ? &parent->first : &prev->next) = child;
    *(next == NULL ? &parent->last : &next->prev) = child;
    parent->count++;
}

void json_set(struct arena *a, struct json *object, struct str key, struct json *child)
{
    if (object == NULL || child == NULL)
        return;
    CHECK(object->type == JSON_OBJECT);
    struct json *was = json_find(object, key), *next = NULL;
    if (was != NULL) {
        next = was->next;
        json_remove(was);
    }
    child->key = key;
    link_before(object, next, child);
    index_add(a, object, child);
}

void json_append(struct json *array, struct json *child)
{
    json_insert(array, NULL, child);
}

void json_insert(struct json *array, struct json *before, struct json *child)
{
    if (array == NULL || child == NULL)
        return;
    CHECK(array->type == JSON_ARRAY && (before == NULL || before->parent == array));
    child->key = (struct str){NULL, 0};
    link_before(array, before, child);
}

void json_remove(struct json *child)
{
    if (child == NULL || child->parent == NULL)
        return;
    struct json *parent = child->parent;
    if (parent->type == JSON_OBJECT)
        index_remove(parent, child);
    *(child->prev == NULL ? &parent->first : &child->prev->next) = child->next;
    *(child->next == NULL ? &parent->last : &child->next->prev) = child->prev;
    parent->count--;
    child->parent = child->next = child->prev = NULL;
}

void json_clear(struct json *container)
{
    if (container == NULL)
        return;
    for (struct json *c = container->first, *next; c != NULL; c = next) {
        next = c->next;
        c->parent = c->next = c->prev = NULL;
    }
    container->first = container->last = NULL;
    container->count = 0;
    container->index = NULL;
}

void json_become(struct json *value, struct json *from)
{
    if (value == NULL || from == NULL)
        return;
    json_clear(value);
    value->type = from->type;
    value->truth = from->truth;
    value->text = from->text;
    value->first = from->first;
    value->last = from->last;
    value->count = from->count;
    value->index = from->index;
    for (struct json *c = value->first; c != NULL; c = c->next)
        c->parent = value;
    from->first = from->last = NULL;
    from->count = 0;
    from->index = NULL;
}
