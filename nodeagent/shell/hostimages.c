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
    struct job *next;          /* While it waits for a look to be over. */
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
    uint32_t pulling;          /* Jobs with a puller. */
    uint64_t told;             /* Digest of the list as it was told; 0: never. */
    bool look_due, is_looking; /* From look_due on no further pull begins. */
    struct job *waiting;       /* For the look to be over. */
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
    if (k->code == ERR_OK && k->wanted > 0)
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

/* One registry, one worker: the part of the name before the first slash. */
static struct worker *puller(struct hostimages *h, struct str reference)
{
    struct str host = str_slice(reference, 0, str_find(reference, '/', 0));
    return h->pulls[str_hash(host) % HOSTIMAGES_PULLS];
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

/* As soon as no pull is under way: what it brought would be taken for rubbish until it is mounted. The job
 * that mounts it is in the queue before this one. */
static void look_soon(struct hostimages *h)
{
    if (!h->look_due || h->is_looking || h->pulling > 0)
        return;
    struct look *k = mem_zalloc(1, sizeof *k);
    k->h = h;
    arena_init(&k->arena, LIST_MEMORY_MAX);
    k->worker = (struct worker_job){.run = run_look, .drop = look_drop};
    h->look_due = false;
    h->is_looking = true;
    CHECK(worker_run(h->mount, 0, &k->worker) == ERR_OK); /* As submit(). */
}

static void begin_pull(struct hostimages *h, struct job *j)
{
    if (h->look_due || h->is_looking) {
        j->next = h->waiting;
        h->waiting = j;
        return;
    }
    h->pulling++;
    submit(puller(h, j->reference), j, run_pull);
}

static void look_done(struct hostimages *h, struct look *k)
{
    if (k->code != ERR_OK)
        log_event(LOG_WARN, "images.not_collected", "err=%s", log_quote(str_of(k->err.text)).text);
    else if (k->wanted > 0)
        log_event(k->got.bytes < k->wanted ? LOG_WARN : LOG_INFO, "images.collected",
                  "images=%u bytes=%llu wanted=%llu", k->got.images,
                  (unsigned long long)k->got.bytes, (unsigned long long)k->wanted);
    tell(h, k);
    look_free(k);
    h->is_looking = false;
    loop_set_deadline(&h->client, instant_add(loop_now(h->o.loop), SPAN_S(HOSTIMAGES_LOOK_S)));
    struct job *waiting = h->waiting;
    h->waiting = NULL;
    for (struct job *j; (j = waiting) != NULL;) {
        waiting = j->next;
        begin_pull(h, j);
    }
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
    h->pulling -= pulled;
    h->look_due |= pulled; /* Also one that failed: perhaps for want of room. */
    if (j->given_up && j->code == ERR_OK && (pulled || j->waits))
        j->code = err_set(&j->err, ERR_UNAVAILABLE, "nobody wants it any more");
    if (pulled && j->code == ERR_OK) {
        submit(h->mount, j, run_mount);
    } else if (j->waits && j->code == ERR_OK) {
        j->waits = false;
        begin_pull(h, j);
    } else {
        answer(h, ev->mail.op, j);
        job_drop(&j->worker);
    }
    look_soon(h);
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

void hostimages_give_up(struct hostimages *h, uint64_t op)
{
    for (struct job *j = h->newest; j != NULL; j = j->older)
        if (j->op == op)
            j->given_up = true;
}

void hostimages_collect(struct hostimages *h)
{
    h->look_due |= !h->is_looking;
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
