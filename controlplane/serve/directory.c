/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/directory.h"

#include "base/lock.h"
#include "base/map.h"
#include "base/mem.h"

struct directory {
    struct lock lock;
    struct map by_node;
};

struct entry {
    uint64_t session;
    size_t len;
    char node[];
};

struct directory *directory_new(void)
{
    struct directory *d = mem_zalloc(1, sizeof *d);
    lock_init(&d->lock);
    map_init(&d->by_node, DIRECTORY_MAX);
    return d;
}

void directory_free(struct directory *d)
{
    uint32_t at = 0;

    if (d == NULL)
        return;
    for (const struct map_entry *e; (e = map_next(&d->by_node, &at)) != NULL;)
        mem_free(e->value);
    map_fini(&d->by_node);
    lock_fini(&d->lock);
    mem_free(d);
}

void directory_put(struct directory *d, struct str node, uint64_t session)
{
    lock_take(&d->lock);
    struct entry *e = map_find(&d->by_node, node);
    if (e == NULL) {
        e = mem_alloc(sizeof *e + node.len);
        e->len = node.len;
        str_put(e->node, node);
        if (map_put(&d->by_node, str_from(e->node, e->len), e) != ERR_OK) {
            mem_free(e); /* Its streams are answered "not connected". */
            e = NULL;
        }
    }
    if (e != NULL)
        e->session = session;
    lock_give(&d->lock);
}

void directory_remove(struct directory *d, struct str node, uint64_t session)
{
    lock_take(&d->lock);
    struct entry *e = map_find(&d->by_node, node);
    if (e != NULL && e->session == session) {
        map_remove(&d->by_node, node);
        mem_free(e);
    }
    lock_give(&d->lock);
}

uint64_t directory_find(struct directory *d, struct str node)
{
    lock_take(&d->lock);
    const struct entry *e = map_find(&d->by_node, node);
    uint64_t session = e == NULL ? 0 : e->session;
    lock_give(&d->lock);
    return session;
}
