/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/index.h"

#include "base/lock.h"
#include "base/mem.h"

/* Far more than a turn takes out of the tree, and at most a few milliseconds. */
enum { REAP_MAX = 16384 };

struct index {
    struct cowtree tree; /* The core thread's own. */
    struct lock lock;    /* Around published. */
    struct index_snapshot published;
};

bool index_key_parse(struct str text, struct index_key *out)
{
    struct str part[3];
    const char *at = text.at, *slash;
    if (text.len == 0 || text.len > INDEX_KEY_MAX)
        return false;
    for (uint32_t i = 0; i < COUNT_OF(part); i++, at = slash + 1) {
        slash = memchr(at, '/', (size_t)(text.at + text.len - at));
        if (slash == NULL)
            return false;
        part[i] = str_from(at, (size_t)(slash - at));
    }
    if (part[1].len == 0)
        return false;
    /* The name is whatever stands there: it may hold no slash, but that is for api/ to say. */
    struct str name = str_from(at, (size_t)(text.at + text.len - at));
    *out = (struct index_key){part[0], part[1], part[2], name};
    return true;
}

static size_t join(char out[INDEX_KEY_MAX + 1], const struct str *parts, uint32_t parts_count)
{
    size_t len = 0;
    for (uint32_t i = 0; i < parts_count; i++) {
        bool last = i + 1 == parts_count;
        if (len + parts[i].len + !last > INDEX_KEY_MAX)
            return 0;
        str_put(out + len, parts[i]);
        len += parts[i].len;
        if (!last)
            out[len++] = '/';
    }
    out[len] = '\0';
    return len;
}

size_t index_key_print(const struct index_key *key, char out[INDEX_KEY_MAX + 1])
{
    struct str parts[] = {key->group, key->plural, key->namespace, key->name};
    return join(out, parts, 4);
}

size_t index_prefix_all(struct str group, struct str plural, char out[INDEX_KEY_MAX + 1])
{
    struct str parts[] = {group, plural, {NULL, 0}};
    return join(out, parts, 3);
}

struct index *index_new(void)
{
    struct index *x = mem_zalloc(1, sizeof *x);
    cowtree_init(&x->tree);
    lock_init(&x->lock);
    return x;
}

void index_free(struct index *x)
{
    if (x == NULL)
        return;
    index_snapshot_free(&x->published);
    cowtree_fini(&x->tree);
    lock_fini(&x->lock);
    mem_free(x);
}

struct index_snapshot index_snapshot(struct index *x)
{
    lock_take(&x->lock);
    struct index_snapshot s = index_snapshot_ref(&x->published);
    lock_give(&x->lock);
    return s;
}

struct index_snapshot index_snapshot_ref(const struct index_snapshot *s)
{
    cow_snapshot_ref(s->held);
    return *s;
}

void index_snapshot_free(struct index_snapshot *s)
{
    cow_snapshot_unref(s->held);
    *s = (struct index_snapshot){0};
}

/* The first key behind all that start with prefix: the last byte counted up by one. Keys hold no byte
 * 0xff, and an empty prefix has no end. */
static bool prefix_end(struct str prefix, char out[INDEX_KEY_MAX + 1], struct str *out_end)
{
    if (prefix.len == 0 || prefix.len > INDEX_KEY_MAX)
        return false;
    str_put(out, prefix);
    out[prefix.len - 1] = (char)((unsigned char)out[prefix.len - 1] + 1);
    *out_end = str_from(out, prefix.len);
    return true;
}

uint64_t index_count(const struct index_snapshot *s, struct str prefix, struct str from)
{
    char bytes[INDEX_KEY_MAX + 1];
    struct str end;
    uint64_t high = prefix_end(prefix, bytes, &end) ? cow_rank(s->root, end) : cow_count(s->root);
    uint64_t low = cow_rank(s->root, str_cmp(prefix, from) < 0 ? from : prefix);
    return low < high ? high - low : 0;
}

void index_range(struct index_range *r, const struct index_snapshot *s, struct str prefix,
                 struct str from)
{
    r->left = index_count(s, prefix, from); /* Instead of looking at each key. */
    cow_seek(&r->cursor, s->root, str_cmp(prefix, from) < 0 ? from : prefix);
}

struct cow_entry *index_range_next(struct index_range *r)
{
    if (r->left == 0)
        return NULL;
    r->left--;
    return cow_next(&r->cursor);
}

uint32_t index_range_run(struct index_range *r, uint32_t max, struct cow_entry *const **out)
{
    uint32_t count = cow_next_run(&r->cursor, r->left < max ? (uint32_t)r->left : max, out);
    r->left -= count;
    return count;
}

struct cowtree *index_tree(struct index *x)
{
    return &x->tree;
}

void index_publish(struct index *x, uint64_t revision)
{
    struct cow_snapshot *held = cowtree_snapshot(&x->tree);
    struct index_snapshot fresh = {cow_snapshot_root(held), held, revision};
    lock_take(&x->lock);
    struct index_snapshot stale = x->published;
    x->published = fresh;
    lock_give(&x->lock);
    index_snapshot_free(&stale);
    index_reap(x);
}

void index_reap(struct index *x)
{
    cowtree_reap(&x->tree, REAP_MAX);
}
