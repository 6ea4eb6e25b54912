/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"
#include "cli/resource.h"
#include "cli/topo.h"

#include <stdlib.h>

enum { DRAWING_MAX = 4 << 20 };

static uint64_t number(const struct json *object, const char *path)
{
    const struct json *value = json_path(object, path);
    int64_t whole = 0;
    uint64_t text = 0;
    if (value != NULL && value->type == JSON_STRING) /* 64-bit numbers may come as text. */
        return str_parse_u64(value->text, &text) == ERR_OK ? text : 0;
    return json_i64(value, &whole) == ERR_OK && whole > 0 ? (uint64_t)whole : 0;
}

static const struct json *first_of(const struct json *object, const char *path)
{
    const struct json *list = json_path(object, path);
    return list == NULL || list->type != JSON_ARRAY ? NULL : list->first;
}

static uint32_t count_of(const struct json *object, const char *path)
{
    const struct json *list = json_path(object, path);
    return list == NULL ? 0 : list->count;
}

static int by_place(const void *left, const void *right)
{
    const struct topo_thread *a = left, *b = right;
    const uint32_t keys[][2] = {{a->socket, b->socket},
                                {a->numa, b->numa},
                                {a->cache, b->cache},
                                {a->core, b->core},
                                {a->cpu, b->cpu}};
    for (uint32_t i = 0; i < COUNT_OF(keys); i++)
        if (keys[i][0] != keys[i][1])
            return keys[i][0] < keys[i][1] ? -1 : 1;
    return 0;
}

/* The machine itself, nobody on it. */
static void read_hardware(struct cli *c, const struct json *hardware, struct topo *t)
{
    struct topo_thread *threads =
        arena_zalloc(&c->arena, count_of(hardware, "spec.threads"), sizeof *threads);
    struct topo_numa *numas =
        arena_zalloc(&c->arena, count_of(hardware, "spec.numaNodes"), sizeof *numas);
    struct topo_cache *caches =
        arena_zalloc(&c->arena, count_of(hardware, "spec.cacheDomains"), sizeof *caches);

    for (const struct json *x = first_of(hardware, "spec.threads"); x != NULL && threads != NULL;
         x = x->next)
        threads[t->threads_count++] =
            (struct topo_thread){.cpu = (uint32_t)number(x, "cpu"),
                                 .core = (uint32_t)number(x, "core"),
                                 .cache = (uint32_t)number(x, "cacheDomain"),
                                 .numa = (uint32_t)number(x, "numaNode"),
                                 .socket = (uint32_t)number(x, "socket"),
                                 .holder = -1};
    for (const struct json *x = first_of(hardware, "spec.numaNodes"); x != NULL && numas != NULL;
         x = x->next)
        numas[t->numas_count++] =
            (struct topo_numa){(uint32_t)number(x, "id"), number(x, "memoryBytes"), 0};
    for (const struct json *x = first_of(hardware, "spec.cacheDomains");
         x != NULL && caches != NULL; x = x->next)
        caches[t->caches_count++] =
            (struct topo_cache){(uint32_t)number(x, "id"), number(x, "sizeBytes")};
    qsort(threads, t->threads_count, sizeof *threads, by_place);
    t->threads = threads;
    t->numas = numas;
    t->caches = caches;
}

static bool lists(const struct json *holder, const char *path, uint32_t number_wanted)
{
    for (const struct json *x = first_of(holder, path); x != NULL; x = x->next) {
        int64_t value;
        if (json_i64(x, &value) == ERR_OK && value == number_wanted)
            return true;
    }
    return false;
}

static struct str cpu_list(struct cli *c, const struct json *placement)
{
    struct buf text;
    buf_init(&text, 1 << 16);
    for (const struct json *x = first_of(placement, "spec.exclusive.cpus"); x != NULL;
         x = x->next) {
        if (text.len > 0)
            buf_add_char(&text, ',');
        buf_add(&text, x->text);
    }
    struct str list = arena_str(&c->arena, buf_str(&text));
    buf_free(&text);
    return list;
}

static struct str holder_name(struct cli *c, const struct json *placement)
{
    struct str kind = json_text(json_path(placement, "spec.workload.kind"));
    return arena_printf(&c->arena, "%s/" STR_FMT "/" STR_FMT, str_is(kind, "Pod") ? "pod" : "vmi",
                        STR_ARG(json_text(json_path(placement, "spec.workload.namespace"))),
                        STR_ARG(json_text(json_path(placement, "spec.workload.name"))));
}

static void put_holder(struct topo *t, const struct json *placement, int32_t holder)
{
    struct topo_thread *threads = (struct topo_thread *)t->threads;
    struct topo_numa *numas = (struct topo_numa *)t->numas;

    for (uint32_t i = 0; i < t->threads_count; i++)
        if (lists(placement, "spec.exclusive.cores", threads[i].core)) {
            threads[i].holder = holder;
            threads[i].idle = !lists(placement, "spec.exclusive.cpus", threads[i].cpu);
        }
    for (const struct json *m = first_of(placement, "spec.memory"); m != NULL; m = m->next)
        for (uint32_t i = 0; i < t->numas_count; i++)
            if (numas[i].id == number(m, "numaNode"))
                numas[i].held_bytes += number(m, "bytes");
}

/* Exclusive holders come first: they get the letters. */
static void read_holders(struct cli *c, const struct json *placements, struct str node,
                         struct topo *t)
{
    struct topo_holder *holders =
        arena_zalloc(&c->arena, count_of(placements, "items"), sizeof *holders);

    for (int exclusive = 1; exclusive >= 0 && holders != NULL; exclusive--)
        for (const struct json *p = first_of(placements, "items"); p != NULL; p = p->next) {
            if (!str_eq(json_text(json_path(p, "spec.node")), node) ||
                (count_of(p, "spec.exclusive.cpus") > 0) != (exclusive == 1))
                continue;
            put_holder(t, p, (int32_t)t->holders_count);
            holders[t->holders_count++] = (struct topo_holder){
                .name = holder_name(c, p),
                .cpus = cpu_list(c, p),
                .memory_bytes = number(p, "spec.memoryBytes") + number(p, "spec.overheadBytes"),
                .shared_milli = (uint32_t)number(p, "spec.sharedMillis")};
        }
    t->holders = holders;
}

/* The last shared_cores cores are not marked in the hardware: those never given are the ones kept. */
static void mark_reserved(const struct json *hardware, struct topo *t)
{
    struct topo_thread *threads = (struct topo_thread *)t->threads;
    uint32_t keep = (uint32_t)number(hardware, "spec.sharedCores"), seen = 0, last = UINT32_MAX;

    for (uint32_t i = 0; i < t->threads_count; i++) {
        if (threads[i].core != last) {
            last = threads[i].core;
            seen++;
        }
        threads[i].reserved = seen <= keep;
    }
}

/* What a Placement has of a device; NULL: nothing. */
static const struct json *grant_of(const struct json *placement, struct str id)
{
    for (const struct json *d = first_of(placement, "spec.devices"); d != NULL; d = d->next) {
        const struct json *path = first_of(d, "paths");
        if (str_eq(json_text(json_find(d, STR("pciAddress"))), id) || str_eq(json_text(path), id))
            return d;
    }
    return NULL;
}

/* ", pod/default/a", or ", pod/default/a 250" thousandths of what is shared. */
static void put_holders(struct cli *c, const struct json *placements, struct str node,
                        struct str id, struct buf *out)
{
    for (const struct json *p = first_of(placements, "items"); p != NULL; p = p->next) {
        const struct json *grant = grant_of(p, id);
        if (grant == NULL || !str_eq(json_text(json_path(p, "spec.node")), node) ||
            !str_is(json_text(json_path(p, "status.phase")), "Held"))
            continue;
        struct str who = holder_name(c, p);
        const struct json *milli = json_find(grant, STR("milli"));
        buf_printf(out, ", " STR_FMT, STR_ARG(who));
        if (milli != NULL)
            buf_printf(out, " " STR_FMT " of 1000", STR_ARG(milli->text));
    }
}

/* A line for each device that is given away: what, where, and who has it. */
static void put_devices(struct cli *c, const struct json *hardware, const struct json *placements,
                        struct str node, struct buf *out)
{
    for (const struct json *d = first_of(hardware, "spec.devices"); d != NULL; d = d->next) {
        struct str resource = json_text(json_find(d, STR("resource")));
        struct str id = json_text(json_find(d, STR("pciAddress")));
        const struct json *numa = json_find(d, STR("numaNode"));
        if (resource.len == 0)
            continue;
        if (id.len == 0)
            id = json_text(first_of(d, "paths"));
        buf_printf(out, "device " STR_FMT " " STR_FMT, STR_ARG(resource), STR_ARG(id));
        if (numa != NULL)
            buf_printf(out, ", NUMA node " STR_FMT, STR_ARG(numa->text));
        put_holders(c, placements, node, id, out);
        buf_add_char(out, '\n');
    }
}

static int draw(struct cli *c, const struct json *hardware, const struct json *placements)
{
    struct buf out;
    struct str accelerator = json_text(json_path(hardware, "spec.accelerator.name"));
    struct topo t = {.node = json_text(json_path(hardware, "metadata.name"))};

    t.note = arena_printf(&c->arena, STR_FMT ", virtual machines by " STR_FMT,
                          STR_ARG(json_text(json_path(hardware, "spec.system.architecture"))),
                          STR_ARG(accelerator.len > 0 ? accelerator : STR("nothing")));
    read_hardware(c, hardware, &t);
    mark_reserved(hardware, &t);
    read_holders(c, placements, t.node, &t);
    buf_init(&out, DRAWING_MAX);
    topo_draw(&t, &out);
    put_devices(c, hardware, placements, t.node, &out);
    print_text(buf_str(&out));
    buf_free(&out);
    return CLI_OK;
}

static int run(struct cli *c, int argc, char **argv)
{
    const struct json *hardware, *placements;
    struct err e;
    const char *wanted = argc > 1 ? argv[1] : NULL;
    bool found = false;

    if (argc > 2 || (wanted != NULL && wanted[0] == '-'))
        return cmd_usage(&cmd_topo, "takes one NODE at most, and no options");
    if (cli_client(c, &e) == NULL ||
        client_json(c->client, &c->arena,
                    &(struct client_request){.path = "/apis/baton.dev/v1/nodehardware"}, &hardware,
                    &e) != ERR_OK ||
        client_json(c->client, &c->arena,
                    &(struct client_request){.path = "/apis/baton.dev/v1/placements"}, &placements,
                    &e) != ERR_OK)
        return cli_fail(&e);
    for (const struct json *h = first_of(hardware, "items"); h != NULL; h = h->next) {
        if (wanted != NULL && !str_is(json_text(json_path(h, "metadata.name")), wanted))
            continue;
        found = true;
        if (c->format != CLI_TEXT)
            print_object(c, h);
        else
            draw(c, h, placements);
    }
    if (found)
        return CLI_OK;
    err_set(&e, ERR_NOT_FOUND, "%s%s", wanted == NULL ? "no node has joined yet" : "no such node: ",
            wanted == NULL ? "" : wanted);
    return cli_fail(&e);
}

const struct cmd cmd_topo = {
    .name = "topo",
    .args = "[NODE]",
    .summary = "Draw sockets, NUMA nodes, cores and threads, and who holds what",
    .run = run,
};
