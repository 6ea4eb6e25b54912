/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long from "create this container" to its first instruction, on runtime_oci and with the bare
 * command: `crun run` of the same bundle, cgroups made by crun. Alternating, so that both meet the same
 * noise. Needs root.
 *
 *   container-start METRIC VALUE ms
 */
#include "base/capability.h"
#include "base/attr.h"
#include "base/check.h"
#include "io/clock.h"
#include "io/fs.h"
#include "io/loop.h"
#include "nodeagent/host/cgroup.h"
#include "base/cpuset.h"
#include "nodeagent/runtime/runtime_oci.h"
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 100 };

struct bench {
    struct loop *loop;
    struct runtime *runtime;
    struct cgroup_tree *cgroups;
    struct cgroup_layout layout;
    struct runtime_event done;
    uint64_t op, waiting;
    bool answered, exited;
    char directory[64], rootfs[128], state[128];
};

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void post(void *state, const struct runtime_event *ev)
{
    struct bench *b = state;
    if (ev->type == RUNTIME_EXITED)
        b->exited = true;
    if (ev->type == RUNTIME_DONE && ev->op == b->waiting) {
        b->done = *ev;
        b->answered = true;
    }
}

static void wait_for(struct bench *b, bool *what)
{
    while (!*what)
        loop_step(b->loop, SPAN_S(1));
    if (what == &b->answered && b->done.code != ERR_OK) {
        fprintf(stderr, "container-start: %s\n", b->done.text);
        exit(1);
    }
    *what = false;
}

static void open_bench(struct bench *b, const char *self)
{
    char folder[512], helper[512], command[2048];
    struct err e = {0};
    *b = (struct bench){.directory = "/tmp/baton-bench-XXXXXX"};
    CHECK(mkdtemp(b->directory) != NULL);
    snprintf(b->rootfs, sizeof b->rootfs, "%s/rootfs", b->directory);
    snprintf(b->state, sizeof b->state, "%s/state", b->directory);
    snprintf(folder, sizeof folder, "%s", self);
    *strrchr(folder, '/') = '\0';
    snprintf(helper, sizeof helper, "%s/first-instruction", folder);
    snprintf(command, sizeof command, "mkdir -p %s/bin %s && cp %s %s/bin/first", b->rootfs,
             b->state, helper, b->rootfs);
    CHECK(system(command) == 0);
    b->loop = loop_new();
    if (cgroup_layout_read(&b->layout, &e) != ERR_OK ||
        cgroup_open(&b->layout, STR("baton-bench"), &b->cgroups, &e) != ERR_OK) {
        fprintf(stderr, "container-start: %s\n", e.text);
        exit(1);
    }
    snprintf(helper, sizeof helper, "%s/baton-shim", folder);
    struct runtime_oci_options o = {
        .shim = str_of(helper), .state = str_of(b->state), .cgroups = b->cgroups};
    if (runtime_oci_open(b->loop, &o, (struct runtime_sink){post, b}, &b->runtime, &e) != ERR_OK) {
        fprintf(stderr, "container-start: %s\n", e.text);
        exit(1);
    }
}

/* The number the container printed: the last word of the file. */
static int64_t printed(const char *path)
{
    struct buf text;
    buf_init(&text, 1 << 16);
    struct str all = {0}, word, last = {0};
    for (int tries = 0; last.len == 0 && tries < 5000; tries++) {
        buf_clear(&text);
        if (fs_read(path, &text, NULL) == ERR_OK && text.len > 0) {
            all = str_trim(buf_str(&text));
            while (str_split(&all, ' ', &word))
                last = word;
        } else
            nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    int64_t ns = 0;
    CHECK(str_parse_i64(last, &ns) == ERR_OK);
    buf_free(&text);
    return ns;
}

static struct runtime_spec spec_of(struct bench *b, const char *id, const char *directory,
                                   const char *log)
{
    static const struct str args[] = {{"/bin/first", 10}}, env[] = {{"PATH=/bin", 9}};
    struct runtime_spec spec = {.id = str_of(id),
                                .directory = str_of(directory),
                                .cpu = {.weight_milli = 100},
                                .memory_max_bytes = 64 << 20,
                                .kind = RUNTIME_CONTAINER,
                                .container = {.rootfs = str_of(b->rootfs),
                                              .args = args,
                                              .args_count = 1,
                                              .env = env,
                                              .env_count = 1,
                                              .hostname = STR("bench"),
                                              .no_new_privs = true,
                                              .capabilities = capability_default(),
                                              .log_path = str_of(log),
                                              .log_max_bytes = 1 << 20,
                                              .log_files = 2}};
    CHECK(cgroup_pool_get(b->cgroups, &spec.cpu.cpus, NULL) == ERR_OK);
    return spec;
}

struct times {
    double create, start, first; /* ms after the create was asked for. */
};

static struct times run_ours(struct bench *b, int round)
{
    char id[32], directory[256], log[256];
    struct times t;
    snprintf(id, sizeof id, "bench-%d", round);
    snprintf(directory, sizeof directory, "%s/%s", b->state, id);
    snprintf(log, sizeof log, "%s/%s.log", b->directory, id);
    struct runtime_spec spec = spec_of(b, id, directory, log);

    int64_t begin = now_ns();
    b->waiting = ++b->op;
    b->runtime->ops->create(b->runtime, b->op, &spec);
    wait_for(b, &b->answered);
    t.create = (double)(now_ns() - begin) / 1e6;
    b->waiting = ++b->op;
    b->runtime->ops->start(b->runtime, b->op, str_of(id));
    wait_for(b, &b->answered);
    t.start = (double)(now_ns() - begin) / 1e6;
    wait_for(b, &b->exited);
    t.first = (double)(printed(log) - begin) / 1e6;
    b->waiting = ++b->op;
    b->runtime->ops->destroy(b->runtime, b->op, str_of(id));
    wait_for(b, &b->answered);
    return t;
}

/* The bundle that create wrote, run by the command alone. */
static void make_bundle(struct bench *b, char out[256])
{
    char log[256], command[1024];
    snprintf(out, 256, "%s/bundle", b->state);
    snprintf(log, sizeof log, "%s/bundle.log", b->directory);
    struct runtime_spec spec = spec_of(b, "bundle", out, log);
    b->waiting = ++b->op;
    b->runtime->ops->create(b->runtime, b->op, &spec);
    wait_for(b, &b->answered);
    snprintf(command, sizeof command, "cp -r %s %s/bare", out, b->directory);
    CHECK(system(command) == 0);
    b->waiting = ++b->op;
    b->runtime->ops->destroy(b->runtime, b->op, STR("bundle"));
    wait_for(b, &b->answered);
    snprintf(out, 256, "%s/bare", b->directory);
}

static double run_bare(struct bench *b, const char *bundle, int round)
{
    char id[32], log[256];
    snprintf(id, sizeof id, "bare-%d", round);
    snprintf(log, sizeof log, "%s/%s.log", b->directory, id);
    int64_t begin = now_ns();
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(log, O_CREAT | O_WRONLY | O_TRUNC, 0600);
        dup2(fd, 1);
        if (b->layout.beside[0] != '\0' &&
            (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0 ||
             umount2(b->layout.beside, MNT_DETACH) != 0))
            _exit(1);
        execl("/usr/bin/crun", "crun", "run", "--bundle", bundle, id, NULL);
        _exit(1);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    return (double)(printed(log) - begin) / 1e6;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile(double *sorted, int percent)
{
    return sorted[(ROUNDS - 1) * percent / 100];
}

int main(int argc, char **argv)
{
    static struct bench b;
    static double bare[ROUNDS], ours[ROUNDS], create[ROUNDS], start[ROUNDS];
    char bundle[256];
    (void)argc;
    open_bench(&b, argv[0]);
    make_bundle(&b, bundle);
    run_ours(&b, ROUNDS);
    run_bare(&b, bundle, ROUNDS);
    for (int i = 0; i < ROUNDS; i++) {
        struct times t = run_ours(&b, i);
        ours[i] = t.first;
        create[i] = t.create;
        start[i] = t.start;
        bare[i] = run_bare(&b, bundle, i);
    }
    qsort(bare, ROUNDS, sizeof *bare, compare);
    qsort(ours, ROUNDS, sizeof *ours, compare);
    qsort(create, ROUNDS, sizeof *create, compare);
    qsort(start, ROUNDS, sizeof *start, compare);
    printf("container-start bare_p50 %.2f ms\n", quantile(bare, 50));
    printf("container-start bare_p99 %.2f ms\n", quantile(bare, 99));
    printf("container-start ours_p50 %.2f ms\n", quantile(ours, 50));
    printf("container-start ours_p99 %.2f ms\n", quantile(ours, 99));
    printf("container-start ours_create_done_p50 %.2f ms\n", quantile(create, 50));
    printf("container-start ours_start_done_p50 %.2f ms\n", quantile(start, 50));
    printf("container-start overhead_p50 %.2f ms\n", quantile(ours, 50) - quantile(bare, 50));
    CHECK(cgroup_purge(b.cgroups, NULL) == ERR_OK);
    char command[256];
    snprintf(command, sizeof command, "rm -rf %s", b.directory);
    return system(command) == 0 ? 0 : 1;
}
