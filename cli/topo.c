/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/topo.h"

enum { CORES_PER_LINE = 16, LETTERS = 52 };

void topo_bytes(uint64_t bytes, struct buf *out)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    uint32_t unit = 0;
    uint64_t tenths = bytes > UINT64_MAX / 10 ? UINT64_MAX : bytes * 10;
    while (tenths >= 10240 && unit + 1 < COUNT_OF(units)) {
        tenths /= 1024;
        unit++;
    }
    if (tenths % 10 == 0 || tenths >= 1000)
        buf_printf(out, "%u %s", (unsigned)(tenths / 10), units[unit]);
    else
        buf_printf(out, "%u.%u %s", (unsigned)(tenths / 10), (unsigned)(tenths % 10), units[unit]);
}

static char letter(int32_t holder)
{
    if (holder >= LETTERS)
        return '#';
    return (char)(holder < 26 ? 'A' + holder : 'a' + holder - 26);
}

static char cell(const struct topo_thread *t)
{
    if (t->holder >= 0)
        return t->idle ? '-' : letter(t->holder);
    return t->reserved ? 's' : '.';
}

static const struct topo_numa *numa_of(const struct topo *t, uint32_t id)
{
    for (uint32_t i = 0; i < t->numas_count; i++)
        if (t->numas[i].id == id)
            return &t->numas[i];
    return NULL;
}

static uint64_t cache_bytes(const struct topo *t, uint32_t id)
{
    for (uint32_t i = 0; i < t->caches_count; i++)
        if (t->caches[i].id == id)
            return t->caches[i].size_bytes;
    return 0;
}

static void draw_numa(const struct topo *t, uint32_t id, struct buf *out)
{
    const struct topo_numa *n = numa_of(t, id);
    buf_printf(out, "  NUMA %u", id);
    if (n != NULL) {
        buf_add(out, STR("  "));
        topo_bytes(n->memory_bytes, out);
        buf_add(out, STR(", free "));
        topo_bytes(n->memory_bytes - (uint64_t)min_u64(n->held_bytes, n->memory_bytes), out);
    }
    buf_add_char(out, '\n');
}

static void draw_cache(const struct topo *t, uint32_t id, struct buf *out)
{
    buf_printf(out, "    cache %u", id);
    if (cache_bytes(t, id) != 0) {
        buf_add(out, STR("  "));
        topo_bytes(cache_bytes(t, id), out);
    }
    buf_add_char(out, '\n');
}

/* The cores of one cache from *at on, CORES_PER_LINE to a line, headed by the first core's number. */
static void draw_cores(const struct topo *t, uint32_t *at, struct buf *out)
{
    const struct topo_thread *first = &t->threads[*at];
    uint32_t drawn = 0;

    while (*at < t->threads_count) {
        const struct topo_thread *now = &t->threads[*at];
        if (now->cache != first->cache || now->numa != first->numa || now->socket != first->socket)
            break;
        if (drawn % CORES_PER_LINE == 0)
            buf_printf(out, "%s      core %-4u", drawn == 0 ? "" : "\n", now->core);
        buf_add_char(out, ' ');
        for (; *at < t->threads_count && t->threads[*at].core == now->core; ++*at)
            buf_add_char(out, cell(&t->threads[*at]));
        drawn++;
    }
    buf_add_char(out, '\n');
}

static void draw_legend(const struct topo *t, struct buf *out)
{
    buf_add(out, STR("\n  .  shared pool    s  shared pool, never exclusive    -  idles beside an "
                     "exclusive thread\n"));
    for (uint32_t i = 0; i < t->holders_count; i++) {
        const struct topo_holder *h = &t->holders[i];
        buf_printf(out, "  %c  " STR_FMT, h->cpus.len == 0 ? '.' : letter((int32_t)i),
                   STR_ARG(h->name));
        if (h->cpus.len > 0)
            buf_printf(out, "  cpus " STR_FMT, STR_ARG(h->cpus));
        if (h->shared_milli > 0)
            buf_printf(out, "  %um of the pool", h->shared_milli);
        if (h->memory_bytes > 0) {
            buf_add(out, STR("  "));
            topo_bytes(h->memory_bytes, out);
        }
        buf_add_char(out, '\n');
    }
}

void topo_draw(const struct topo *t, struct buf *out)
{
    buf_printf(out, "node " STR_FMT "  " STR_FMT "\n", STR_ARG(t->node), STR_ARG(t->note));
    for (uint32_t at = 0; at < t->threads_count;) {
        const struct topo_thread *now = &t->threads[at], *last = at == 0 ? NULL : now - 1;
        bool socket = last == NULL || last->socket != now->socket;
        bool numa = socket || last->numa != now->numa;
        if (socket)
            buf_printf(out, "socket %u\n", now->socket);
        if (numa)
            draw_numa(t, now->numa, out);
        if (numa || last->cache != now->cache)
            draw_cache(t, now->cache, out);
        draw_cores(t, &at, out);
    }
    draw_legend(t, out);
}
