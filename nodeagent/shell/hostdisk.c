/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/shell/hostdisk.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "io/clock.h"
#include "nodeagent/host/usage_open.h"
#include "nodeagent/host/worker.h"
#include "proto/baton/agent/v1.pb-c.h"

enum { BOX_MEASURE = 1, MEMORY_MAX = 64 << 20 };

struct job {
    struct worker_job worker;
    struct arena arena; /* Copies in, the result out. */
    const char *state;
    struct agent_place *places;
    uint32_t count;
    struct str bytes;
    struct err err;
    enum err_code code;
};

struct hostdisk {
    struct hostdisk_options o;
    struct loop_client client;
    struct worker *worker;
    bool is_failing; /* Told once, not every second. */
};

/* ---- on the worker ---- */

/* A workload, and what its processes hold that has no name. */
struct owner {
    struct usage nameless;
};

static bool tell(struct job *j, Agent__Disk *m, const struct agent_place *p,
                 const struct usage *found)
{
    Agent__DiskUse *u = arena_alloc(&j->arena, sizeof *u);
    if (u == NULL)
        return false;
    agent__disk_use__init(u);
    u->workload_uid = (char *)p->uid.at;
    u->name = (char *)p->name.at;
    u->has_kind = u->has_bytes = u->has_inodes = u->has_partial = true;
    u->kind = (uint32_t)p->kind;
    u->bytes = found->bytes;
    u->inodes = found->inodes;
    u->partial = found->partial;
    m->places[m->n_places++] = u;
    return true;
}

/* "0::/baton-c-n/pool/UID.NAME.0": an instance's group begins with its workload's name. */
static struct usage *whose(void *arg, int32_t pid, struct str groups)
{
    struct map *owners = arg;
    struct str line, part;
    (void)pid;
    while (str_split(&groups, '\n', &line))
        while (str_split(&line, '/', &part)) {
            struct owner *o = map_find(owners, str_slice(part, 0, str_find(part, '.', 0)));
            if (o != NULL)
                return &o->nameless;
        }
    return NULL;
}

static bool is_last(const struct job *j, uint32_t i)
{
    return i + 1 == j->count || !str_eq(j->places[i].uid, j->places[i + 1].uid);
}

static void find_nameless(struct job *j, const struct usage_walk *walk, struct map *owners)
{
    for (uint32_t i = 0; i < j->count; i++) {
        struct owner *o = is_last(j, i) ? arena_zalloc(&j->arena, 1, sizeof *o) : NULL;
        if (o != NULL && map_put(owners, j->places[i].uid, o) != ERR_OK)
            return; /* The node has no more workloads than the map holds. */
    }
    if (j->count > 0)
        usage_open(&(struct usage_open){j->state, walk, whose, owners});
}

/* Half a workload is told as one that holds more; what comes behind it has its turn next time. */
static void look_at_places(struct job *j, Agent__Disk *m, const struct usage_walk *walk,
                           const struct map *owners)
{
    bool in_time = true;
    for (uint32_t i = 0; i < j->count; i++) {
        const struct agent_place *p = &j->places[i];
        bool begins = i == 0 || is_last(j, i - 1);
        struct usage found = {.partial = !in_time};
        if (!in_time && begins)
            return;
        if (in_time)
            in_time = usage_directory(p->path.at, walk, &found);
        in_time = in_time && !instant_due(walk->until, clock_now());
        if (!tell(j, m, p, &found))
            return;
        const struct owner *o = is_last(j, i) ? map_find(owners, p->uid) : NULL;
        struct agent_place nameless = {
            .kind = AGENT_PLACE_NAMELESS, .uid = p->uid, .name = STR("")};
        if (o != NULL && (o->nameless.inodes > 0 || o->nameless.partial) &&
            !tell(j, m, &nameless, &o->nameless))
            return;
    }
}

static void look(struct job *j, Agent__Disk *m)
{
    struct usage_walk walk = {.entries_max = USAGE_ENTRIES_MAX,
                              .until = instant_add(clock_now(), SPAN_MS(HOSTDISK_TURN_MS)),
                              .now = clock_now};
    struct map owners;
    m->places = arena_zalloc(&j->arena, 2 * j->count + 1, sizeof *m->places);
    if (m->places == NULL)
        return;
    map_init(&owners, AGENT_WORKLOADS_MAX);
    find_nameless(j, &walk, &owners);
    walk.until = instant_add(clock_now(), SPAN_MS(HOSTDISK_TURN_MS));
    look_at_places(j, m, &walk, &owners);
    map_fini(&owners);
}

static void run(struct worker_job *w)
{
    struct job *j = CONTAINER_OF(w, struct job, worker);
    struct instant begun = clock_now();
    struct usage_disk disk = {0};
    Agent__Disk m = AGENT__DISK__INIT;
    j->code = usage_disk(j->state, &disk, &j->err);
    if (j->code == ERR_OK)
        look(j, &m);
    m.has_size_bytes = m.has_free_bytes = m.has_inodes = m.has_inodes_free = m.has_took_ns = true;
    m.size_bytes = disk.size_bytes;
    m.free_bytes = disk.free_bytes;
    m.inodes = disk.inodes;
    m.inodes_free = disk.inodes_free;
    m.took_ns = instant_sub(clock_now(), begun).ns;
    size_t len = agent__disk__get_packed_size(&m);
    uint8_t *bytes = arena_alloc(&j->arena, len + 1);
    if (bytes != NULL)
        j->bytes = str_from(bytes, agent__disk__pack(&m, bytes));
}

/* ---- on the loop ---- */

static void drop(struct worker_job *w)
{
    struct job *j = CONTAINER_OF(w, struct job, worker);
    arena_free(&j->arena);
    mem_free(j);
}

static void on_event(struct loop_client *self, const struct io_event *ev)
{
    struct hostdisk *h = CONTAINER_OF(self, struct hostdisk, client);
    if (ev->type != IO_MAIL)
        return;
    struct job *j = CONTAINER_OF((struct worker_job *)ev->mail.body, struct job, worker);
    if (j->code != ERR_OK && !h->is_failing)
        log_event(LOG_WARN, "disk.not_measured", "err=%s", log_quote(str_of(j->err.text)).text);
    h->is_failing = j->code != ERR_OK;
    h->o.done(h->o.owner, ev->mail.op, j->bytes);
    drop(&j->worker);
}

void hostdisk_do(struct hostdisk *h, const struct agent_effect *fx)
{
    struct job *j = mem_zalloc(1, sizeof *j);
    arena_init(&j->arena, MEMORY_MAX);
    j->worker = (struct worker_job){.run = run, .drop = drop};
    j->state = h->o.state;
    j->places = arena_zalloc(&j->arena, fx->measure.count + 1, sizeof *j->places);
    for (uint32_t i = 0; j->places != NULL && i < fx->measure.count; i++) {
        const struct agent_place *p = &fx->measure.at[i];
        j->places[i] =
            (struct agent_place){p->kind, arena_str(&j->arena, p->uid),
                                 arena_str(&j->arena, p->name), arena_str(&j->arena, p->path)};
    }
    j->count = j->arena.overflow ? 0 : fx->measure.count; /* Then the node alone is looked at. */
    CHECK(worker_run(h->worker, fx->op, &j->worker) == ERR_OK); /* It has one job at a time. */
}

struct hostdisk *hostdisk_new(const struct hostdisk_options *o)
{
    struct hostdisk *h = mem_zalloc(1, sizeof *h);
    h->o = *o;
    h->client.event = on_event;
    loop_join(o->loop, &h->client);
    h->worker = worker_start(&h->client, BOX_MEASURE, "disk");
    return h;
}

void hostdisk_free(struct hostdisk *h)
{
    if (h == NULL)
        return;
    worker_stop(h->worker);
    loop_leave(&h->client);
    mem_free(h);
}
