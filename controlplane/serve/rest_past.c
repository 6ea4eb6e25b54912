/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"
#include "controlplane/serve/rest_read.h"
#include <stdlib.h>

enum { PAST_CHANGES_MAX = 1 << 20 }; /* The history holds no more. */

/* The first change of a key behind the revision says what was there before it. */
static enum err_code past_add(struct map *seen, const struct history_change *change,
                              struct arena *a, struct err *e)
{
    struct str key = cow_entry_key(change->now != NULL ? change->now : change->before);
    if (map_find(seen, key) != NULL)
        return ERR_OK;
    struct past_entry *entry = arena_zalloc(a, 1, sizeof *entry);
    if (entry == NULL)
        return arena_status(a, e);
    entry->key = arena_str(a, key);
    entry->entry = cow_entry_ref(change->before);
    enum err_code rc = map_put(seen, entry->key, entry);
    if (rc != ERR_OK)
        cow_entry_unref(entry->entry);
    return rc == ERR_OK ? ERR_OK : err_set(e, rc, "too many changes since that revision");
}

static enum err_code past_collect(struct past *p, struct history *h, struct map *seen,
                                  struct arena *a, struct err *e)
{
    struct history_filter filter = {.prefix = p->prefix};
    struct history_batch *batch = arena_zalloc(a, 1, sizeof *batch);
    uint64_t after = p->revision;
    if (batch == NULL)
        return arena_status(a, e);
    while (after < p->now.revision) {
        enum err_code rc = history_read(h, after, &filter, batch, e);
        for (uint32_t i = 0; rc == ERR_OK && i < batch->count; i++)
            if (batch->at[i].revision <= p->now.revision)
                rc = past_add(seen, &batch->at[i], a, e);
        bool more = batch->more;
        after = batch->seen;
        history_batch_free(batch);
        if (rc != ERR_OK)
            return rc;
        if (!more)
            break;
    }
    return ERR_OK;
}

static int past_cmp(const void *a, const void *b)
{
    return str_cmp(((const struct past_entry *)a)->key, ((const struct past_entry *)b)->key);
}

static enum err_code past_sort(struct past *p, const struct map *seen, struct arena *a,
                               struct err *e)
{
    uint32_t at = 0;
    const struct map_entry *i;
    p->changed = arena_zalloc(a, seen->live + 1, sizeof *p->changed);
    while ((i = map_next(seen, &at)) != NULL) {
        if (p->changed != NULL)
            p->changed[p->changed_count++] = *(struct past_entry *)i->value;
        else
            cow_entry_unref(((struct past_entry *)i->value)->entry);
    }
    if (p->changed == NULL)
        return arena_status(a, e);
    qsort(p->changed, p->changed_count, sizeof *p->changed, past_cmp);
    return ERR_OK;
}

MUST_USE enum err_code past_open(struct past *p, struct index *x, struct history *h,
                                 struct str prefix, uint64_t revision, struct arena *a,
                                 struct err *e)
{
    struct map seen;
    *p = (struct past){.now = index_snapshot(x), .prefix = prefix, .revision = revision};
    if (revision == 0 || revision >= p->now.revision) {
        p->revision = p->now.revision;
        return ERR_OK;
    }
    map_init(&seen, PAST_CHANGES_MAX);
    enum err_code rc = past_collect(p, h, &seen, a, e);
    if (rc == ERR_OK)
        rc = past_sort(p, &seen, a, e);
    else
        (void)past_sort(p, &seen, a, NULL); /* So that past_close() finds every reference. */
    map_fini(&seen);
    if (rc != ERR_OK)
        past_close(p);
    return rc;
}

void past_kept(struct past *p, const struct index_snapshot *s, struct str prefix)
{
    *p = (struct past){.now = *s, .prefix = prefix, .revision = s->revision};
}

void past_close(struct past *p)
{
    for (uint32_t i = 0; i < p->changed_count; i++)
        cow_entry_unref(p->changed[i].entry);
    p->changed_count = 0;
    index_snapshot_free(&p->now);
    p->now = (struct index_snapshot){0};
}

void past_seek(struct past_cursor *at, const struct past *p, struct str from)
{
    index_range(&at->range, &p->now, p->prefix, from);
    at->ahead = index_range_next(&at->range);
    at->at = 0;
    while (at->at < p->changed_count && str_cmp(p->changed[at->at].key, from) < 0)
        at->at++;
}

/* Two sorted rows merged; where both have a key, the past is what was. */
struct cow_entry *past_next(struct past_cursor *at, const struct past *p)
{
    for (;;) {
        const struct past_entry *old = at->at < p->changed_count ? &p->changed[at->at] : NULL;
        struct cow_entry *now = at->ahead;
        int order = old == NULL ? 1 : now == NULL ? -1 : str_cmp(old->key, cow_entry_key(now));
        if (old == NULL && now == NULL)
            return NULL;
        if (order >= 0)
            at->ahead = index_range_next(&at->range);
        if (order > 0)
            return now;
        at->at++;
        if (old->entry != NULL)
            return old->entry;
    }
}

uint64_t past_count(const struct past *p, struct str from)
{
    uint64_t count = index_count(&p->now, p->prefix, from);
    for (uint32_t i = 0; i < p->changed_count; i++) {
        if (str_cmp(p->changed[i].key, from) < 0)
            continue;
        count += p->changed[i].entry != NULL;
        count -= index_find(&p->now, p->changed[i].key) != NULL;
    }
    return count;
}
