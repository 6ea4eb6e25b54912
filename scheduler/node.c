/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes come, change and go; what is held on them stays. */
#include "scheduler/held.h"
#include "scheduler/terms.h"

static struct node *node_new(struct ledger *l, const struct topology *t, struct shape *s);
static void node_fill_rows(struct ledger *l, struct node *n, const struct topology *t);
static void node_fill_facts(struct ledger *l, struct node *n, const struct topology *t);
static enum err_code node_replace(struct ledger *l, uint32_t index, struct node *fresh,
                                  struct err *e);
static void node_swap(struct ledger *l, struct node *old, struct node *fresh, struct hold *copies);
static void node_came(struct ledger *l, const struct node *n);
static void node_went(struct ledger *l, const struct node *n);

static struct str name_key(const uint32_t *name)
{
    return str_from(name, sizeof *name);
}

uint32_t ledger_node_find(const struct ledger *l, uint32_t name)
{
    const struct node *n = map_find(&l->nodes_map, name_key(&name));
    return n == NULL ? LEDGER_NODE_NONE : n->index;
}

/* ---- adding and changing ---- */

static enum err_code node_refused(struct ledger *l, uint32_t index, enum err_code code,
                                  const struct err *why, struct err *e)
{
    if (index != LEDGER_NODE_NONE) {
        node__mark(ledger__node(l, index), why->text);
        ledger__node_changed(l, index, true);
    }
    return err_set(e, code, "%s", why->text);
}

enum err_code ledger_node_put(struct ledger *l, const struct topology *t, uint32_t *out_node,
                              struct err *e)
{
    struct err why = {0};
    struct shape *s = NULL;
    uint32_t index = ledger_node_find(l, t->name);

    enum err_code rc = topology_check(t, &why);
    if (rc == ERR_OK && index == LEDGER_NODE_NONE &&
        (l->nodes_count >= l->limits.nodes_max || l->nodes_map.live + 1 >= node__slots(l)))
        rc = err_set(&why, ERR_LIMIT, "%u nodes are there already", l->nodes_count);
    if (rc == ERR_OK)
        rc = shape__intern(l, t, &s, &why);
    if (rc != ERR_OK)
        return node_refused(l, index, rc, &why, e);

    struct node *fresh = node_new(l, t, s);
    if (index != LEDGER_NODE_NONE) {
        terms__node_leaves(l, index);
        rc = node_replace(l, index, fresh, &why);
        terms__node_enters(l, index);
        if (rc != ERR_OK)
            return node_refused(l, index, rc, &why, e);
    } else {
        index = table__add(&l->nodes, fresh);
        fresh->index = index;
        rc = map_put(&l->nodes_map, name_key(&fresh->name), fresh);
        CHECK(rc == ERR_OK);
        l->nodes_count++;
        terms__node_enters(l, index);
    }
    node_came(l, fresh);
    ledger__node_changed(l, index, true);
    *out_node = index;
    return ERR_OK;
}

/* Costs are measured against the largest node: when that changes, everything is. */
static void node_scales(struct ledger *l, bool changed)
{
    for (uint32_t i = 0; changed && i < l->nodes.count; i++)
        if (ledger__node(l, i) != NULL)
            ledger__node_log(l, i);
    l->rules_epoch += changed;
}

static bool node_is_avoided(const struct node *n)
{
    for (uint32_t i = 0; i < n->taints_count; i++)
        if (n->taints[i].effect == TAINT_PREFER_NO_SCHEDULE)
            return true;
    return false;
}

static void node_came(struct ledger *l, const struct node *n)
{
    bool avoided = node_is_avoided(n);
    l->has_devices |= n->devices_count > 0;
    l->rules_epoch += avoided && l->prefer_nodes == 0;
    l->prefer_nodes += avoided;
    node_scales(l, cost__node_came(l, n));
}

static void node_went(struct ledger *l, const struct node *n)
{
    bool avoided = node_is_avoided(n);
    l->prefer_nodes -= avoided;
    l->rules_epoch += avoided && l->prefer_nodes == 0;
    node_scales(l, cost__node_went(l, n));
}

static void *copy_array(struct ledger *l, const void *from, size_t count, size_t size)
{
    if (count == 0)
        return NULL;
    void *to = mem_alloc(count * size);
    memcpy(to, from, count * size);
    l->nodes_memory += count * size;
    return to;
}

/* Removed ones wait for their holds, and a new description stands beside the old for a moment. */
uint32_t node__slots(const struct ledger *l)
{
    return 2 * l->limits.nodes_max + 1;
}

static struct node *slot_take(struct ledger *l)
{
    uint32_t i = l->node_slot_free;
    if (i == 0)
        return &l->node_slots[l->node_slots_end++];
    struct node *n = &l->node_slots[i - 1];
    l->node_slot_free = n->index;
    memset(n, 0, sizeof *n);
    return n;
}

static void slot_give(struct ledger *l, struct node *n)
{
    n->index = l->node_slot_free;
    l->node_slot_free = (uint32_t)(n - l->node_slots) + 1;
}

static struct node *node_new(struct ledger *l, const struct topology *t, struct shape *s)
{
    struct node *n = slot_take(l);
    l->nodes_memory += sizeof *n;
    n->name = t->name;
    n->shape = s;
    n->ready = t->ready;
    n->unschedulable = t->unschedulable;
    n->hold_first = HOLD_NONE;
    node_fill_rows(l, n, t);
    node_fill_facts(l, n, t);
    held__of_node(n, held__take, &l->names);
    node__content(l, n);
    return n;
}

static void node_fill_devices(struct ledger *l, struct node *n, const struct topology *t)
{
    n->devices_count = t->devices_count;
    n->devices = mem_zalloc(t->devices_count, sizeof *n->devices);
    for (uint32_t i = 0; i < t->devices_count; i++)
        n->devices[i] = (struct node_device){.class_name = t->devices[i].class_name,
                                             .id_name = t->devices[i].id_name,
                                             .model_name = t->devices[i].model_name,
                                             .units = (uint16_t)t->devices[i].units,
                                             .numa = t->devices[i].numa == TOPOLOGY_NUMA_NONE
                                                         ? NODE_NUMA_ANY
                                                         : (uint8_t)t->devices[i].numa};
    n->scalars_count = t->scalars_count;
    n->scalars = mem_zalloc(t->scalars_count, sizeof *n->scalars);
    for (uint32_t i = 0; i < t->scalars_count; i++)
        n->scalars[i] =
            (struct node_scalar){.name = t->scalars[i].name, .amount = t->scalars[i].amount};
    l->nodes_memory +=
        t->devices_count * sizeof *n->devices + t->scalars_count * sizeof *n->scalars;
}

static void node_fill_rows(struct ledger *l, struct node *n, const struct topology *t)
{
    const struct shape *s = n->shape;
    n->pool_threads = s->threads_count;
    n->system_cpu_milli = t->system_cpu_milli;
    n->pods_max = t->pods_max;
    for (uint32_t i = 0; i < s->numa_count; i++) {
        n->cores_free[i] = s->numa_usable[i];
        n->memory_free += t->numa[i].memory_bytes;
        n->huge2m_free += t->numa[i].hugepages_2m;
        n->huge1g_free += t->numa[i].hugepages_1g;
        n->numa[i] = (struct node_numa){t->numa[i].memory_bytes, t->numa[i].memory_bytes,
                                        t->numa[i].hugepages_2m, t->numa[i].hugepages_2m,
                                        t->numa[i].hugepages_1g, t->numa[i].hugepages_1g};
    }
    if (s->has_cache_rows) {
        n->llcs = mem_zalloc(s->llcs_count, sizeof *n->llcs);
        l->nodes_memory += s->llcs_count * sizeof *n->llcs;
        for (uint32_t i = 0; i < s->llcs_count; i++)
            n->llcs[i] = (struct node_llc){.ways_free = s->llc_ways[i],
                                           .ways_total = s->llc_ways[i],
                                           .bandwidth_free = s->llc_bandwidth[i]};
    }
    node_fill_devices(l, n, t);
    n->address_first = t->address_first;
    n->addresses_count = t->addresses_count;
    n->mac_first = t->mac_first;
    n->addresses = mem_zalloc((t->addresses_count + 63) / 64, sizeof *n->addresses);
    l->nodes_memory += (t->addresses_count + 63) / 64 * sizeof *n->addresses;
}

static void node_fill_facts(struct ledger *l, struct node *n, const struct topology *t)
{
    n->labels_count = t->labels_count;
    n->labels = copy_array(l, t->labels, t->labels_count, sizeof *t->labels);
    for (uint32_t i = 1; i < n->labels_count; i++) {
        struct topology_label moved = n->labels[i];
        uint32_t k = i;
        for (; k > 0 && n->labels[k - 1].key > moved.key; k--)
            n->labels[k] = n->labels[k - 1];
        n->labels[k] = moved;
    }
    n->taints_count = t->taints_count;
    n->taints = copy_array(l, t->taints, t->taints_count, sizeof *t->taints);
    n->images_count = t->images_count;
    n->images = copy_array(l, t->images, t->images_count, sizeof *t->images);
    n->capabilities_count = t->capabilities_count;
    n->capabilities =
        copy_array(l, t->capabilities, t->capabilities_count, sizeof *t->capabilities);
}

void node__free(struct ledger *l, struct node *n)
{
    if (n == NULL)
        return;
    uint64_t llcs = n->llcs == NULL ? 0 : n->shape->llcs_count;
    l->nodes_memory -= sizeof *n + llcs * sizeof *n->llcs + n->devices_count * sizeof *n->devices +
                       n->scalars_count * sizeof *n->scalars +
                       (n->addresses_count + 63) / 64 * sizeof *n->addresses +
                       n->labels_count * sizeof *n->labels + n->taints_count * sizeof *n->taints +
                       n->images_count * sizeof *n->images +
                       n->capabilities_count * sizeof *n->capabilities;
    held__of_node(n, held__drop, &l->names);
    shape__unref(l, n->shape);
    mem_free(n->llcs);
    mem_free(n->devices);
    mem_free(n->scalars);
    mem_free(n->ports);
    mem_free(n->addresses);
    mem_free(n->labels);
    mem_free(n->taints);
    mem_free(n->images);
    mem_free(n->capabilities);
    mem_free(n->marked);
    slot_give(l, n);
}

/* The new description takes the old one's place when every held row is free in it too; otherwise the
 * old one stays, so that what is held can still be given back. Nothing is changed before it is
 * certain: the rows are taken into copies of the holds. */
static enum err_code node_replace(struct ledger *l, uint32_t index, struct node *fresh,
                                  struct err *e)
{
    struct node *old = ledger__node(l, index);
    struct hold *copies = mem_zalloc(old->holds_count, sizeof *copies);
    enum err_code rc = ERR_OK;
    uint32_t count = 0;

    fresh->index = index;

    for (uint32_t i = old->hold_first; i != HOLD_NONE && rc == ERR_OK;
         i = ledger__hold(l, i)->next) {
        const struct hold *h = ledger__hold(l, i);
        const struct request *r = &ledger__class(l, h->class_id)->r;
        struct placement rows;
        struct fit f;
        rows__print(l, h, &rows);
        rc = rows__check(fresh, r, &rows, &f, e);
        if (rc == ERR_OK) {
            copies[count] = *h;
            rows__take(l, fresh, &copies[count++], r, &f);
        }
    }
    if (rc == ERR_OK)
        node_swap(l, old, fresh, copies);
    for (uint32_t i = 0; i < count; i++)
        rows__drop(l, &copies[i]);
    node__free(l, rc == ERR_OK ? old : fresh);
    mem_free(copies);
    return rc;
}

/* The holds get the rows of the copies, and the copies the old ones, to be freed. */
static void node_swap(struct ledger *l, struct node *old, struct node *fresh, struct hold *copies)
{
    fresh->hold_first = old->hold_first;
    if (fresh->addresses_count > 0)
        fresh->address_hint = old->address_hint % fresh->addresses_count;
    for (uint32_t i = fresh->hold_first; i != HOLD_NONE; i = ledger__hold(l, i)->next) {
        struct hold *h = ledger__hold(l, i), was = *h;
        *h = *copies;
        *copies++ = was;
    }
    l->nodes_count += old->removed;
    if (!old->removed) {
        old->removed = true;
        node_went(l, old);
    }
    l->nodes.at[old->index] = fresh;
    map_remove(&l->nodes_map, name_key(&old->name));
    enum err_code rc = map_put(&l->nodes_map, name_key(&fresh->name), fresh);
    CHECK(rc == ERR_OK); /* One was removed just now. */
}

/* ---- going, and small changes ---- */

void ledger_node_remove(struct ledger *l, uint32_t node)
{
    struct node *n = ledger__node(l, node);
    if (n == NULL || n->removed)
        return;
    terms__node_leaves(l, node);
    n->removed = true;
    l->nodes_count--;
    terms__node_enters(l, node);
    node_went(l, n);
    ledger__node_changed(l, node, true);
    node__forget_if_unused(l, node);
}

void node__forget_if_unused(struct ledger *l, uint32_t node)
{
    struct node *n = ledger__node(l, node);
    if (!n->removed || n->holds_count > 0)
        return;
    map_remove(&l->nodes_map, name_key(&n->name));
    table__remove(&l->nodes, node);
    node__free(l, n);
}

void ledger_node_set_ready(struct ledger *l, uint32_t node, bool ready)
{
    struct node *n = ledger__node(l, node);
    if (n == NULL || n->ready == ready)
        return;
    n->ready = ready;
    ledger__node_changed(l, node, true);
}

void ledger_node_set_unschedulable(struct ledger *l, uint32_t node, bool unschedulable)
{
    struct node *n = ledger__node(l, node);
    if (n == NULL || n->unschedulable == unschedulable)
        return;
    terms__node_leaves(l, node);
    n->unschedulable = unschedulable;
    terms__node_enters(l, node);
    ledger__node_changed(l, node, true);
}

enum err_code ledger_node_set_images(struct ledger *l, uint32_t node,
                                     const struct topology_image *images, uint32_t count,
                                     struct err *e)
{
    struct node *n = ledger__node(l, node);
    if (n == NULL)
        return err_set(e, ERR_NOT_FOUND, "no node %u", node);
    if (count > TOPOLOGY_IMAGES_MAX)
        return err_set(e, ERR_LIMIT, "%u images, at most %u are supported", count,
                       TOPOLOGY_IMAGES_MAX);
    held__of_images(n, held__drop, &l->names);
    l->nodes_memory -= n->images_count * sizeof *n->images;
    mem_free(n->images);
    n->images = copy_array(l, images, count, sizeof *images);
    n->images_count = count;
    held__of_images(n, held__take, &l->names);
    node__content(l, n);
    ledger__node_changed(l, node, true);
    return ERR_OK;
}

void node__mark(struct node *n, const char *why)
{
    size_t len = strlen(why) + 1;
    mem_free(n->marked);
    n->marked = mem_alloc(len);
    memcpy(n->marked, why, len);
}

void node__list(struct ledger *l, struct node *n, uint32_t hold)
{
    struct hold *h = ledger__hold(l, hold);
    h->prev = HOLD_NONE;
    h->next = n->hold_first;
    if (n->hold_first != HOLD_NONE)
        ledger__hold(l, n->hold_first)->prev = hold;
    n->hold_first = hold;
}

/* The neighbours are only written to: nobody waits for memory that is far away. */
void node__unlist(struct ledger *l, struct node *n, uint32_t hold)
{
    const struct hold *h = ledger__hold(l, hold);
    if (h->prev == HOLD_NONE)
        n->hold_first = h->next;
    else
        ledger__hold(l, h->prev)->next = h->next;
    if (h->next != HOLD_NONE)
        ledger__hold(l, h->next)->prev = h->prev;
}

/* ---- looking ---- */

uint32_t ledger_nodes_count(const struct ledger *l)
{
    return l->nodes_count;
}

uint32_t ledger_nodes_end(const struct ledger *l)
{
    return l->nodes.count;
}

void ledger_node_info(const struct ledger *l, uint32_t node, struct ledger_node_info *out)
{
    const struct node *n = ledger__node(l, node);
    *out = (struct ledger_node_info){.marked = STR("")};
    if (n == NULL)
        return;
    uint64_t pool = 1000ull * n->pool_threads;
    *out = (struct ledger_node_info){
        .name = n->name,
        .used = true,
        .removed = n->removed,
        .ready = n->ready,
        .unschedulable = n->unschedulable,
        .marked = str_of(n->marked == NULL ? "" : n->marked),
        .cores_count = n->shape->cores_count,
        .threads_count = n->shape->threads_count,
        .numa_count = n->shape->numa_count,
        .pool_threads = n->pool_threads,
        .shared_milli_max = pool > n->system_cpu_milli ? pool - n->system_cpu_milli : 0,
        .shared_milli_held = n->shared_held,
        .pods_max = n->pods_max,
        .holds_count = n->holds_count,
        .addresses_count = n->addresses_count,
        .addresses_held = n->addresses_held,
    };
    for (uint32_t i = 0; i < n->shape->numa_count; i++) {
        out->cores_free += n->cores_free[i];
        out->memory_bytes += n->numa[i].memory_total;
        out->memory_bytes_held += n->numa[i].memory_total - n->numa[i].memory_free;
    }
}

/* Who holds each core, and which CPUs were asked for. */
struct holders {
    uint64_t by_core[TOPOLOGY_CORES_MAX];
    uint64_t asked[TOPOLOGY_OS_CPU_MAX / 64];
};

static void find_holders(const struct ledger *l, const struct node *n, struct holders *out)
{
    struct placement rows;
    memset(out, 0, sizeof *out);
    for (uint32_t i = n->hold_first; i != HOLD_NONE; i = ledger__hold(l, i)->next) {
        const struct hold *h = ledger__hold(l, i);
        if (ledger__class(l, h->class_id)->r.exclusive_cpus == 0)
            continue;
        rows__print(l, h, &rows);
        for (uint32_t k = 0; k < rows.cores_count; k++)
            out->by_core[rows.cores[k]] = ledger__hold_name(l, i);
        for (uint32_t k = 0; k < rows.cpus_count; k++)
            out->asked[rows.cpus[k] / 64] |= 1ull << rows.cpus[k] % 64;
    }
}

uint32_t ledger_node_threads(const struct ledger *l, uint32_t node, struct ledger_thread *out,
                             uint32_t count)
{
    const struct node *n = ledger__node(l, node);
    struct holders holders;
    uint32_t filled = 0;
    if (n == NULL)
        return 0;
    const struct shape *s = n->shape;
    find_holders(l, n, &holders);
    for (uint32_t c = 0; c < s->cores_count; c++)
        for (uint32_t k = 0; k < s->core_threads[c]; k++, filled++) {
            uint32_t cpu = s->os_cpu[s->core_first[c] + k];
            bool asked = holders.asked[cpu / 64] >> cpu % 64 & 1;
            if (filled < count)
                out[filled] = (struct ledger_thread){
                    .os_cpu = cpu,
                    .core = c,
                    .llc = s->core_llc[c],
                    .numa = s->llc_numa[s->core_llc[c]],
                    .socket = s->numa_socket[s->llc_numa[s->core_llc[c]]],
                    .reserved = !(s->usable[c / 64] >> c % 64 & 1),
                    .idle = holders.by_core[c] != 0 && !asked,
                    .hold = holders.by_core[c],
                };
        }
    return filled;
}
