/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/hostimages.h"

#include "base/check.h"
#include "base/mem.h"
#include "io/fs.h"
#include "nodeagent/host/worker.h"

#include <stdio.h>

enum { BOX_MOUNT, BOX_PULL, MEMORY_MAX = 64 << 20 };

struct job {
    struct worker_job worker;
    struct arena arena; /* Copies in, results out; freed with the job. */
    struct images *images;
    struct str reference, root; /* root: ends with a NUL. */
    enum image_policy policy;
    bool waits; /* Result of looking: it is not here. */
    enum err_code code;
    struct err err;
    struct image_config config;
    struct image_user user;
};

struct hostimages {
    struct hostimages_options o;
    struct loop_client client;
    struct images *images;
    struct worker *mount, *pulls[HOSTIMAGES_PULLS];
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
    j->code =
        image_ensure(j->images, j->reference, IMAGE_NEVER, STR(""), &j->arena, &j->config, &j->err);
    if (j->code == ERR_OK)
        mount_root(j);
}

static void run_pull(struct worker_job *w)
{
    struct job *j = CONTAINER_OF(w, struct job, worker);
    j->code =
        image_ensure(j->images, j->reference, j->policy, STR(""), &j->arena, &j->config, &j->err);
    j->policy = IMAGE_NEVER; /* Always has been done now. */
}

/* ---- on the loop ---- */

static void job_drop(struct worker_job *w)
{
    struct job *j = CONTAINER_OF(w, struct job, worker);
    arena_free(&j->arena);
    mem_free(j);
}

static void submit(struct worker *to, uint64_t op, struct job *j, void (*run)(struct worker_job *w))
{
    j->worker = (struct worker_job){.run = run, .drop = job_drop};
    /* The queue holds more jobs than the node may have workloads: our own bug. */
    CHECK(worker_run(to, op, &j->worker) == ERR_OK);
}

/* One registry, one worker: the part of the name before the first slash. */
static struct worker *puller(struct hostimages *h, struct str reference)
{
    struct str host = str_slice(reference, 0, str_find(reference, '/', 0));
    return h->pulls[str_hash(host) % HOSTIMAGES_PULLS];
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
    if (ev->type != IO_MAIL)
        return;
    struct job *j = CONTAINER_OF((struct worker_job *)ev->mail.body, struct job, worker);
    if (ev->op >= BOX_PULL && j->code == ERR_OK) {
        submit(h->mount, ev->mail.op, j, run_mount);
    } else if (j->waits) {
        j->waits = false;
        submit(puller(h, j->reference), ev->mail.op, j, run_pull);
    } else {
        answer(h, ev->mail.op, j);
        job_drop(&j->worker);
    }
}

void hostimages_do(struct hostimages *h, const struct agent_effect *fx)
{
    struct job *j = mem_zalloc(1, sizeof *j);

    arena_init(&j->arena, MEMORY_MAX);
    j->images = h->images;
    j->reference = arena_str(&j->arena, fx->image.reference);
    j->root = arena_str(&j->arena, fx->image.root);
    j->policy = fx->image.always  ? IMAGE_ALWAYS
                : fx->image.never ? IMAGE_NEVER
                                  : IMAGE_IF_NOT_PRESENT;
    j->code = arena_status(&j->arena, &j->err);
    submit(h->mount, fx->op, j, run_mount);
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
    loop_leave(&h->client);
    images_close(h->images);
    mem_free(h);
}
