/* SPDX-License-Identifier: Apache-2.0 */
/* Which lists are kept: all together under a cap, none that is a whole log behind; the least used goes first, and
 * with its last list a class that nobody holds. */
#include "scheduler/shortlist.h"

static void list_unlink(struct ledger *l, struct shortlist *sl)
{
    if (sl->newer != NULL)
        sl->newer->older = sl->older;
    else if (l->list_newest == sl)
        l->list_newest = sl->older;
    if (sl->older != NULL)
        sl->older->newer = sl->newer;
    else if (l->list_oldest == sl)
        l->list_oldest = sl->newer;
    sl->newer = sl->older = NULL;
}

void shortlist__use(struct ledger *l, struct shortlist *sl)
{
    if (l->list_newest == sl)
        return;
    list_unlink(l, sl);
    sl->older = l->list_newest;
    if (sl->older != NULL)
        sl->older->newer = sl;
    else
        l->list_oldest = sl;
    l->list_newest = sl;
    l->columns.is_logged = true;
}

void shortlist__clear(struct ledger *l, struct shortlist *sl)
{
    for (uint32_t i = 0; i < sl->groups_count; i++)
        group__free(&sl->groups[i]);
    mem_free(sl->groups);
    mem_free(sl->rules);
    l->cache_bytes -= sl->bytes - sl->own_bytes;
    sl->bytes = sl->own_bytes;
    sl->groups = NULL;
    sl->rules = NULL;
    sl->groups_count = sl->rules_count = 0;
    mem_free(sl->allowed);
    sl->allowed = NULL;
    sl->allowed_words = 0;
}

static void list_free(struct ledger *l, struct shortlist *sl)
{
    list_unlink(l, sl);
    l->columns.is_logged = l->list_newest != NULL;
    shortlist__clear(l, sl);
    l->cache_bytes -= sl->bytes;
    mem_free(sl);
}

void shortlist__drop_all(struct ledger *l, struct class *c)
{
    while (c->lists != NULL) {
        struct shortlist *sl = c->lists;
        c->lists = sl->next;
        list_free(l, sl);
    }
}

void shortlist__drop_oldest(struct ledger *l)
{
    struct shortlist *sl = l->list_oldest;
    if (sl == NULL)
        return;
    struct class *c = sl->class;
    struct shortlist **at = &c->lists;
    while (*at != sl)
        at = &(*at)->next;
    *at = sl->next;
    list_free(l, sl);
    class__free_if_unused(l, c);
}

void shortlist__drop_over_cap(struct ledger *l)
{
    while (l->cache_bytes > l->limits.cache_bytes_max && l->list_oldest != l->list_newest)
        shortlist__drop_oldest(l);
}

void shortlist__drop_behind(struct ledger *l)
{
    const struct columns *c = &l->columns;
    while (l->list_oldest != NULL && c->log_end - l->list_oldest->cursor >= c->log_size)
        shortlist__drop_oldest(l);
}
