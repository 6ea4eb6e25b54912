/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/shell/hostimages.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/fs.h"
#include "io/seal.h"
#include "nodeagent/host/worker.h"

#include <stdio.h>

enum { BOX_MOUNT, BOX_PULL, MEMORY_MAX = 64 << 20, LIST_MEMORY_MAX = 16 << 20 };

struct job {
    struct worker_job worker;
    struct job *next;          /* While it waits for its turn. */
    struct job *older, *newer; /* All there are. */
    struct hostimages *home;
    uint64_t op;
    _Atomic bool given_up; /* Set on the loop, read on the workers. */
    struct arena arena;    /* Copies in, results out; freed with the job. */
    struct images *images;
    struct str reference, root; /* root: ends with a NUL. */
    struct str *auths;          /* Wiped with the job. */
    uint32_t auths_count;
    enum image_policy policy;
    bool waits; /* Result of looking: it is not here. */
    enum err_code code;
    struct err err;
    struct image_config config;
    struct image_user user;
};

/* One look at the disk; on the mount worker, behind which every pull begins. */
struct look {
    struct worker_job worker;
    struct hostimages *h;
    bool may_collect; /* No pull is under way, and none begins. */
    uint64_t wanted;
    struct images_collected got;
    enum err_code code;
    struct err err;
    struct arena arena; /* Of the list. */
    struct image_entry *list;
    uint32_t list_count;
    bool is_listed;
};

struct hostimages {
    struct hostimages_options o;
    struct loop_client client;
    struct images *images;
    struct worker *mount, *pulls[HOSTIMAGES_PULLS];
    const struct job *pulling[HOSTIMAGES_PULLS]; /* What each of them does; NULL: nothing. */
    uint64_t told;                               /* Digest of the list as it was told; 0: never. */
    bool look_due;
    const struct look *looking; /* NULL: nobody looks. */
    struct instant hold_until;  /* There is no room: until then no pull begins. 0: there is. */
    struct job *waiting;        /* For their turn, the first first. */
    struct job *newest;
};

/* ---- on the workers ---- */

static void mount_root(struct job *j)
{
    const char *root = j->root.at;
    char rootfs[FS_PATH_MAX];

    /* A restarted container begins with a fresh root; what runs is never given another one. */
    if (fs_exists(root))
        j->code = image_unmount(root, &j->err);
    if (j->code == ERR_OK)
        j->code = fs_mkdir(root, 0755, &j->err);
    if (j->code == ERR_OK)
        j->code = image_mount(j->images, &j->config, root, &j->err);
    if (j->code == ERR_OK && !fs_join(rootfs, root, "rootfs"))
        j->code = err_set(&j->err, ERR_LIMIT, "the path of the root is too long");
    if (j->code == ERR_OK && j->config.user.len > 0)
        j->code = image_user_find(rootfs, j->config.user, &j->user, &j->err);
}

/* Mounts what is here. What is not, it says so, and comes back after it was fetched. */
static void run_mount(struct worker_job *w)
{
    struct job *j = CONTAINER_OF(w, struct job, worker);
    bool here = false;
    if (j->code == ERR_OK)
        j->code = image_is_here(j->images, j->reference, j->policy, &here, &j->err);
    j->waits = j->code == ERR_OK && !here;
    if (j->code != ERR_OK || j->waits)
        return;
    struct image_want want = {.name = j->reference, .policy = IMAGE_NEVER};
    j->code = image_ensure(j->images, &want, &j->arena, &j->config, &j->err);
    if (j->code == ERR_OK)
        mount_root(j);
}

static void run_pull(struct worker_job *w)
{
    struct job *j = CONTAINER_OF(w, struct job, worker);
    uint32_t tries = max_u32(j->auths_count, 1);
    struct image_want want = {.name = j->reference, .policy = j->policy, .given_up = &j->given_up};
    j->code = ERR_DENIED; /* As long as nobody's credentials will do. */
    for (uint32_t i = 0; i < tries && j->code == ERR_DENIED; i++) {
        want.auth = j->auths_count == 0 ? STR("") : j->auths[i];
        j->code = image_ensure(j->images, &want, &j->arena, &j->config, &j->err);
    }
    j->policy = IMAGE_NEVER; /* Always has been done now. */
}

static void run_look(struct worker_job *w)
{
    struct look *k = CONTAINER_OF(w, struct look, worker);
    const struct hostimages_options *o = &k->h->o;
    struct images_collect q = {
        .mounts = "/proc/self/mountinfo", .now = clock_wall(), .age_min = o->keep.age_min};
    k->code = images_surplus(k->h->images, o->keep.high_percent, o->keep.low_percent, &k->wanted,
                             &k->err);
    q.bytes = k->wanted;
    if (k->code == ERR_OK && k->wanted > 0 && k->may_collect)
        k->code = images_collect(k->h->images, &q, &k->got, &k->err);
    k->list = arena_zalloc(&k->arena, HOSTIMAGES_TOLD_MAX, sizeof *k->list);
    k->is_listed = k->list != NULL && images_list(k->h->images, &k->arena, HOSTIMAGES_TOLD_MAX,
                                                  k->list, &k->list_count, NULL) == ERR_OK;
}

/* ---- on the loop ---- */

static void job_drop(struct worker_job *w)
{
    struct job *j = CONTAINER_OF(w, struct job, worker);
    *(j->newer != NULL ? &j->newer->older : &j->home->newest) = j->older;
    if (j->older != NULL)
        j->older->newer = j->newer;
    for (uint32_t i = 0; i < j->auths_count; i++)
        seal_wipe((void *)(uintptr_t)j->auths[i].at, j->auths[i].len);
    arena_free(&j->arena);
    mem_free(j);
}

static void submit(struct worker *to, struct job *j, void (*run)(struct worker_job *w))
{
    j->worker = (struct worker_job){.run = run, .drop = job_drop};
    /* The queue holds more jobs than the node may have workloads: our own bug. */
    CHECK(worker_run(to, j->op, &j->worker) == ERR_OK);
}

/* The part of the name before the first slash. */
static struct str registry_of(const struct job *j)
{
    return str_slice(j->reference, 0, str_find(j->reference, '/', 0));
}

static bool is_pulling(const struct hostimages *h)
{
    for (uint32_t i = 0; i < HOSTIMAGES_PULLS; i++)
        if (h->pulling[i] != NULL)
            return true;
    return false;
}

static void look_free(struct look *k)
{
    arena_free(&k->arena);
    mem_free(k);
}

static void look_drop(struct worker_job *w)
{
    look_free(CONTAINER_OF(w, struct look, worker));
}

/* To whoever wants to know, when they are others than before. */
static void tell(struct hostimages *h, const struct look *k)
{
    uint64_t digest = 1;
    for (uint32_t i = 0; i < k->list_count; i++)
        digest = (digest ^ str_hash(k->list[i].name) ^ k->list[i].size_bytes) * 0x9e3779b97f4a7c15u;
    if (!k->is_listed || digest == h->told || h->o.listed == NULL)
        return;
    h->told = digest;
    h->o.listed(h->o.owner, k->list, k->list_count);
}

/* The job that mounts what was brought last is in the queue before this one. */
static void look_soon(struct hostimages *h)
{
    if (!h->look_due || h->looking != NULL)
        return;
    struct look *k = mem_zalloc(1, sizeof *k);
    k->h = h;
    k->may_collect = !is_pulling(h);
    arena_init(&k->arena, LIST_MEMORY_MAX);
    k->worker = (struct worker_job){.run = run_look, .drop = look_drop};
    h->look_due = false;
    h->looking = k;
    CHECK(worker_run(h->mount, 0, &k->worker) == ERR_OK); /* As submit(). */
}

/* ---- whose turn it is ---- */

static bool is_held(const struct hostimages *h)
{
    return h->hold_until.ns != 0 || (h->looking != NULL && h->looking->may_collect);
}

/* A worker for it: one that does nothing, unless another is at its registry. */
static bool find_puller(const struct hostimages *h, const struct job *j, uint32_t *out)
{
    bool found = false;
    for (uint32_t i = 0; i < HOSTIMAGES_PULLS; i++) {
        if (h->pulling[i] == NULL) {
            *out = i;
            found = true;
        } else if (str_eq(registry_of(h->pulling[i]), registry_of(j))) {
            return false;
        }
    }
    return found;
}

static void begin_pulls(struct hostimages *h)
{
    uint32_t puller;
    for (struct job **at = &h->waiting; *at != NULL && !is_held(h);) {
        struct job *j = *at;
        if (!find_puller(h, j, &puller)) {
            at = &j->next;
            continue;
        }
        *at = j->next;
        h->pulling[puller] = j;
        submit(h->pulls[puller], j, run_pull);
    }
}

static void want_pull(struct hostimages *h, struct job *j)
{
    struct job **end = &h->waiting;
    while (*end != NULL)
        end = &(*end)->next;
    j->next = NULL;
    *end = j;
    begin_pulls(h);
}

/* Too full, and a pull is under way: others begin when it has ended and what can go has gone, or when they have
 * waited long enough. */
static void judge_room(struct hostimages *h, const struct look *k)
{
    struct span most = h->o.keep.hold_max.ns > 0 ? h->o.keep.hold_max : SPAN_S(60);
    bool lacks_room = k->code == ERR_OK && k->wanted > 0 && !k->may_collect;
    if (!lacks_room)
        h->hold_until = (struct instant){0};
    else if (!is_pulling(h))
        h->look_due = true; /* Now it can. */
    else if (h->hold_until.ns == 0)
        h->hold_until = instant_add(loop_now(h->o.loop), most);
}

static void look_done(struct hostimages *h, struct look *k)
{
    if (k->code != ERR_OK)
        log_event(LOG_WARN, "images.not_collected", "err=%s", log_quote(str_of(k->err.text)).text);
    else if (k->wanted > 0 && k->may_collect)
        log_event(k->got.bytes < k->wanted ? LOG_WARN : LOG_INFO, "images.collected",
                  "images=%u bytes=%llu wanted=%llu", k->got.images,
                  (unsigned long long)k->got.bytes, (unsigned long long)k->wanted);
    tell(h, k);
    h->looking = NULL;
    judge_room(h, k);
    look_free(k);
    look_soon(h); /* Before anybody begins: what was asked for meanwhile may be to make room. */
    struct instant next = instant_add(loop_now(h->o.loop), SPAN_S(HOSTIMAGES_LOOK_S));
    loop_set_deadline(&h->client, instant_earlier(next, h->hold_until));
    begin_pulls(h);
}

static void answer(struct hostimages *h, uint64_t op, struct job *j)
{
    struct agent_host_done done = {.code = j->code, .text = j->err.text};

    if (j->code == ERR_OK)
        done.image = (struct agent_image){.id = arena_printf(&j->arena, STR_FMT "@" STR_FMT,
                                                             STR_ARG(j->config.name),
                                                             STR_ARG(j->config.digest)),
                                          .entrypoint = j->config.entrypoint,
                                          .entrypoint_count = j->config.entrypoint_count,
                                          .cmd = j->config.cmd,
                                          .cmd_count = j->config.cmd_count,
                                          .env = j->config.env,
                                          .env_count = j->config.env_count,
                                          .cwd = j->config.cwd,
                                          .stop_signal = j->config.stop_signal,
                                          .uid = j->user.uid,
                                          .gid = j->user.gid};
    h->o.done(h->o.owner, op, &done);
}

static void on_event(struct loop_client *self, const struct io_event *ev)
{
    struct hostimages *h = CONTAINER_OF(self, struct hostimages, client);
    if (ev->type == IO_DEADLINE) {
        h->hold_until = (struct instant){0};
        begin_pulls(h);
        h->look_due = true;
        look_soon(h);
    }
    if (ev->type != IO_MAIL)
        return;
    if (((struct worker_job *)ev->mail.body)->run == run_look) {
        look_done(h, CONTAINER_OF((struct worker_job *)ev->mail.body, struct look, worker));
        return;
    }
    struct job *j = CONTAINER_OF((struct worker_job *)ev->mail.body, struct job, worker);
    bool pulled = ev->op >= BOX_PULL;
    if (pulled)
        h->pulling[ev->op - BOX_PULL] = NULL;
    h->look_due |= pulled; /* Also one that failed: perhaps for want of room. */
    if (j->given_up && j->code == ERR_OK && (pulled || j->waits))
        j->code = err_set(&j->err, ERR_UNAVAILABLE, "nobody wants it any more");
    if (pulled && j->code == ERR_OK) {
        submit(h->mount, j, run_mount);
    } else if (j->waits && j->code == ERR_OK) {
        j->waits = false;
        want_pull(h, j);
    } else {
        answer(h, ev->mail.op, j);
        job_drop(&j->worker);
    }
    look_soon(h);
    begin_pulls(h);
}

void hostimages_do(struct hostimages *h, const struct agent_effect *fx)
{
    struct job *j = mem_zalloc(1, sizeof *j);

    arena_init(&j->arena, MEMORY_MAX);
    j->op = fx->op;
    j->home = h;
    if ((j->older = h->newest) != NULL)
        j->older->newer = j;
    h->newest = j;
    j->images = h->images;
    j->reference = arena_str(&j->arena, fx->image.reference);
    j->root = arena_str(&j->arena, fx->image.root);
    j->policy = fx->image.always  ? IMAGE_ALWAYS
                : fx->image.never ? IMAGE_NEVER
                                  : IMAGE_IF_NOT_PRESENT;
    j->auths = arena_zalloc(&j->arena, fx->image.auths_count + 1, sizeof *j->auths);
    for (uint32_t i = 0; j->auths != NULL && i < fx->image.auths_count; i++) {
        j->auths[i] = arena_str(&j->arena, fx->image.auths[i]);
        j->auths_count += j->auths[i].at != NULL;
    }
    j->code = arena_status(&j->arena, &j->err);
    submit(h->mount, j, run_mount);
}

/* Its answer comes by the way of all: that it still waits, and nobody for it. */
static void run_given_up(struct worker_job *w)
{
    CONTAINER_OF(w, struct job, worker)->waits = true;
}

void hostimages_give_up(struct hostimages *h, uint64_t op)
{
    for (struct job *j = h->newest; j != NULL; j = j->older)
        if (j->op == op)
            j->given_up = true;
    for (struct job **at = &h->waiting; *at != NULL;) {
        struct job *j = *at;
        if (!j->given_up) {
            at = &j->next;
            continue;
        }
        *at = j->next;
        submit(h->mount, j, run_given_up);
    }
}

void hostimages_collect(struct hostimages *h)
{
    h->look_due = true; /* Also behind a look that could not collect. */
    look_soon(h);
}

/* ---- life ---- */

enum err_code hostimages_new(const struct hostimages_options *o, struct hostimages **out,
                             struct err *e)
{
    struct images *images;
    enum err_code code = images_open(&o->store, &images, e);
    if (code != ERR_OK)
        return code;
    struct hostimages *h = mem_zalloc(1, sizeof *h);
    h->o = *o;
    h->images = images;
    h->client.event = on_event;
    loop_join(o->loop, &h->client);
    loop_set_deadline(&h->client, instant_add(loop_now(o->loop), SPAN_S(HOSTIMAGES_FIRST_S)));
    h->mount = worker_start(&h->client, BOX_MOUNT, "images");
    for (uint32_t i = 0; i < HOSTIMAGES_PULLS; i++)
        h->pulls[i] = worker_start(&h->client, BOX_PULL + i, "pull");
    *out = h;
    return ERR_OK;
}

void hostimages_free(struct hostimages *h)
{
    if (h == NULL)
        return;
    worker_stop(h->mount);
    for (uint32_t i = 0; i < HOSTIMAGES_PULLS; i++)
        worker_stop(h->pulls[i]);
    for (struct job *j; (j = h->waiting) != NULL;) {
        h->waiting = j->next;
        job_drop(&j->worker);
    }
    loop_leave(&h->client);
    images_close(h->images);
    mem_free(h);
}
