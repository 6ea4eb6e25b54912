/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/images.h"
#include "base/map.h"
#include "base/mem.h"

enum {
    TOLD_MAX = 50,       /* Of one node; what is beyond is not believed. */
    NAMES_MAX = 1 << 16, /* Different images; others are unknown. */
    NAME_LEN_MAX = 512,
};

/* Kubernetes' threshold for one container: below it an image counts nothing. */
static const uint64_t BYTES_MIN = 23ull << 20;

struct image {
    uint32_t id, nodes; /* id: of the scheduler's names, held. */
    uint64_t bytes;     /* As it was told last. */
    size_t len;
    char name[];
};

struct images {
    struct map by_name;
};

struct images *images_new(void)
{
    struct images *all = mem_zalloc(1, sizeof *all);
    map_init(&all->by_name, NAMES_MAX);
    return all;
}

void images_free(struct images *all)
{
    const struct map_entry *e;
    for (uint32_t at = 0; (e = map_next(&all->by_name, &at)) != NULL;)
        mem_free(e->value);
    map_fini(&all->by_name);
    mem_free(all);
}

/* ---- what nodes have ---- */

static struct image *image_of(struct core *c, struct str name)
{
    struct map *m = &c->cluster->images->by_name;
    struct image *i = map_find(m, name);
    if (i != NULL || name.len == 0 || name.len > NAME_LEN_MAX)
        return i;
    i = mem_zalloc(1, sizeof *i + name.len);
    str_put(i->name, name);
    i->len = name.len;
    if (names_intern(ledger_names(c->cluster->ledger), name, &i->id, NULL) == ERR_OK &&
        map_put(m, str_from(i->name, i->len), i) == ERR_OK) {
        names_hold(ledger_names(c->cluster->ledger), i->id);
        return i;
    }
    mem_free(i);
    return NULL;
}

void images_forget(struct core *c, struct node_state *n)
{
    for (uint32_t i = 0; i < n->images_count; i++) {
        struct image *had = n->images[i];
        if (--had->nodes > 0)
            continue;
        map_remove(&c->cluster->images->by_name, str_from(had->name, had->len));
        names_drop(ledger_names(c->cluster->ledger), had->id);
        mem_free(had);
    }
    mem_free(n->images);
    n->images = NULL;
    n->images_count = 0;
}

static bool has(struct image *const *list, uint32_t count, const struct image *i)
{
    for (uint32_t k = 0; k < count; k++)
        if (list[k] == i)
            return true;
    return false;
}

void images_told(struct core *c, struct node_state *n, const Agent__Images *list)
{
    struct image **now = mem_zalloc(TOLD_MAX, sizeof(struct image *));
    uint32_t count = 0;
    for (size_t i = 0; i < list->n_images && count < TOLD_MAX; i++) {
        const Agent__Image *one = list->images[i];
        struct image *is = one->n_names == 0 ? NULL : image_of(c, str_of(one->names[0]));
        if (is == NULL || has(now, count, is))
            continue;
        is->bytes = one->size_bytes;
        is->nodes++; /* Before the former list goes: what is in both stays. */
        now[count++] = is;
    }
    images_forget(c, n);
    n->images = now;
    n->images_count = count;
    images_describe(c, n);
}

void images_describe(struct core *c, struct node_state *n)
{
    struct topology_image at[TOLD_MAX];
    for (uint32_t i = 0; i < n->images_count; i++)
        at[i] =
            (struct topology_image){.name = n->images[i]->id, .size_bytes = n->images[i]->bytes};
    if (n->index != LEDGER_NODE_NONE)
        (void)!ledger_node_set_images(c->cluster->ledger, n->index, at, n->images_count, NULL);
}

void images_fill(struct core *c, const struct node_state *n, Core__NodeStatus *out)
{
    Core__ContainerImage **list = arena_zalloc(&c->turn, n->images_count + 1, sizeof *list);
    size_t count = 0;
    for (uint32_t i = 0; list != NULL && i < n->images_count; i++) {
        Core__ContainerImage *one = arena_alloc(&c->turn, sizeof *one);
        char **names = arena_zalloc(&c->turn, 1, sizeof *names);
        if (one == NULL || names == NULL)
            break;
        core__container_image__init(one);
        names[0] = arena_dup(&c->turn, str_from(n->images[i]->name, n->images[i]->len));
        one->names = names;
        one->n_names = names[0] != NULL;
        one->has_size_bytes = true;
        one->size_bytes = (int64_t)n->images[i]->bytes;
        list[count++] = one;
    }
    out->images = list;
    out->n_images = list == NULL ? 0 : count;
}

/* ---- what a pod wants ---- */

/* As agents name images (nodeagent/host/image_name.c): registry and tag filled in. */
static struct str full_name(struct arena *a, struct str name)
{
    size_t slash = str_find(name, '/', 0), last = 0;
    struct str first = str_slice(name, 0, slash);
    bool has_host =
        slash < name.len && (str_find(first, '.', 0) < first.len ||
                             str_find(first, ':', 0) < first.len || str_is(first, "localhost"));
    for (size_t i = 0; i < name.len; i++)
        last = name.at[i] == '/' ? i : last;
    bool has_tag = str_find(name, ':', last) < name.len || str_find(name, '@', 0) < name.len;
    if (str_starts(name, STR("oci:")) || str_starts(name, STR("oci-archive:")) ||
        str_starts(name, STR("docker-archive:")))
        has_tag = has_host = true; /* Not from a registry: as it is. */
    return arena_printf(a, "%s%s" STR_FMT "%s", has_host ? "" : "docker.io/",
                        has_host || slash < name.len ? "" : "library/", STR_ARG(name),
                        has_tag ? "" : ":latest");
}

/* Kubernetes counts an image's size times the share of the nodes that have it, and nothing below the threshold; what all of
 * them have makes no difference. */
static bool matters(const struct image *i, uint32_t nodes)
{
    return i != NULL && i->nodes < nodes && i->bytes / nodes * i->nodes >= BYTES_MIN;
}

void images_wanted(struct core *c, const Core__PodSpec *spec, struct request *out)
{
    const struct map *m = &c->cluster->images->by_name;
    uint32_t nodes = ledger_nodes_count(c->cluster->ledger);
    if (m->live == 0 || nodes < 2)
        return;
    uint32_t *at = arena_zalloc(&c->turn, spec->n_containers + 1, sizeof *at);
    uint32_t count = 0;
    for (size_t i = 0; at != NULL && i < spec->n_containers && count < REQUEST_LIST_MAX; i++) {
        struct str name = full_name(&c->turn, str_of(spec->containers[i]->image));
        const struct image *is = name.at == NULL ? NULL : map_find(m, name);
        bool again = false;
        for (uint32_t k = 0; is != NULL && k < count; k++)
            again |= at[k] == is->id;
        if (!again && matters(is, nodes))
            at[count++] = is->id;
    }
    out->images = at;
    out->images_count = at == NULL ? 0 : count;
}
