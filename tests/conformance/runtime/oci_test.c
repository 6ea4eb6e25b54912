/* SPDX-License-Identifier: Apache-2.0 */
/* What containers promise, and what only they have. */
#include "base/capability.h"
#include "io/clock.h"
#include "io/fs.h"
#include "io/loop.h"
#include "io/proc.h"
#include "nodeagent/host/cpuset_proc.h"
#include "nodeagent/runtime/runtime_oci.h"
#include "tests/conformance/runtime/oci_rig.h"
#include "tests/testlib/test.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

CONFORMANCE(oci)
CONFORMANCE(runc)

TEST(oci, a_list_that_fails_ends_nobody)
{
    conform_a_list_that_fails_ends_nobody(&oci_rig);
}

/* --- what only containers have --- */

TEST(oci, logs_in_the_cri_format)
{
    struct rig r = {0};
    struct runtime_spec spec;
    struct buf log;
    if (!oci_open(&r))
        return;
    oci_fill(&r, &spec, "l1.main.0", RIG_EXITS_3);
    cr_assert_eq(oci_run(&oci_rig, &r, &spec)->code, ERR_OK);
    rig_wait(&oci_rig, &r, RUNTIME_EXITED, 0);
    buf_init(&log, 4096);
    cr_assert_eq(fs_read(oci_own.log, &log, NULL), ERR_OK);
    buf_add_char(&log, '\0');
    cr_assert(strstr(log.at, "Z stdout F out\n") != NULL, "%s", log.at);
    cr_assert(strstr(log.at, "Z stderr F err\n") != NULL, "%s", log.at);
    buf_free(&log);
    rig_ok(&oci_rig, &r, rig_call(&r, r.runtime->ops->destroy, "l1.main.0"));
    rig_close(&oci_rig, &r);
}

/* Its output in somebody else's hands, who prints without end: the end is told all the same. */
TEST(oci, the_end_does_not_wait_for_a_writer_outside)
{
    struct rig r = {0};
    struct runtime_spec spec;
    char path[64];
    if (!oci_open(&r))
        return;
    oci_fill(&r, &spec, "w1.main.0", RIG_RUNS);
    const struct runtime_event *ev = oci_run(&oci_rig, &r, &spec);
    cr_assert_eq(ev->code, ERR_OK, "%s", ev->text);
    snprintf(path, sizeof path, "/proc/%d/fd/1", ev->pid);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0, "%s", path);
    pid_t writer = fork();
    if (writer == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_DFL);
        while (write(fd, "y\n", 2) == 2)
            ;
        _exit(0);
    }
    close(fd);
    rig_ok(&oci_rig, &r, rig_call(&r, r.runtime->ops->kill, "w1.main.0"));
    cr_expect_eq(rig_wait(&oci_rig, &r, RUNTIME_EXITED, 0)->signal, SIGKILL);
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    rig_ok(&oci_rig, &r, rig_call(&r, r.runtime->ops->destroy, "w1.main.0"));
    rig_close(&oci_rig, &r);
}

/* /etc/resolv.conf, on a host that has no name server. */
TEST(oci, an_optional_mount_may_be_missing)
{
    static struct runtime_mount mounts[] = {
        {.source = {"/nowhere/resolv.conf", 20}, .target = {"/etc/resolv.conf", 16}},
        {.source = {"/proc/version", 13}, .target = {"/version", 8}}};
    struct rig r = {0};
    struct runtime_spec spec;
    if (!oci_open(&r))
        return;
    for (int optional = 0; optional <= 1; optional++) {
        oci_fill(&r, &spec, optional ? "m2.main.0" : "m1.main.0", RIG_EXITS_3);
        mounts[0].optional = mounts[1].optional = optional;
        spec.container.mounts = mounts;
        spec.container.mounts_count = 2;
        const struct runtime_event *ev = oci_run(&oci_rig, &r, &spec);
        cr_assert_eq(ev->code == ERR_OK, optional, "%s", ev->text);
        rig_ok(&oci_rig, &r,
               rig_call(&r, r.runtime->ops->destroy, optional ? "m2.main.0" : "m1.main.0"));
    }
    cr_assert(access("/nowhere", F_OK) != 0);
    rig_close(&oci_rig, &r);
}

static void a_start_that_fails_says_why(const struct rig_kind *k)
{
    struct rig r = {0};
    struct runtime_spec spec;
    static const struct str missing[] = {{"/bin/nope", 9}};
    if (!k->open(&r))
        return;
    oci_fill(&r, &spec, "f1.main.0", RIG_RUNS);
    spec.container.args = missing;
    spec.container.args_count = 1;
    const struct runtime_event *ev = oci_run(k, &r, &spec);
    cr_assert_neq(ev->code, ERR_OK);
    cr_assert(strstr(ev->text, "/bin/nope") != NULL, "%s", ev->text);
    rig_ok(k, &r, rig_call(&r, r.runtime->ops->destroy, "f1.main.0"));
    cr_assert_eq(rig_count(&r, RUNTIME_EXITED, "f1.main.0"), 0);
    rig_close(k, &r);
}

TEST(oci, a_start_that_fails_says_why)
{
    a_start_that_fails_says_why(&oci_rig);
}

TEST(runc, a_start_that_fails_says_why)
{
    a_start_that_fails_says_why(&runc_rig);
}

/* On two cpus: the pool keeps the first, the instance gets the last. */
static void exclusive_waits_for_the_pool_and_is_alone(const struct rig_kind *k)
{
    struct rig r = {0};
    struct runtime_spec spec, shared;
    struct cpuset pool = {0}, mine = {0}, got;
    uint32_t threads;
    struct err e;
    if (!k->open(&r))
        return;
    uint32_t last = RUNTIME_CPUS_MAX - 1;
    while (!cpuset_has(&oci_own.all, last))
        last--;
    if (cpuset_count(&oci_own.all) < 2) {
        rig_close(k, &r);
        return;
    }
    cpuset_add(&mine, last);
    for (uint32_t cpu = 0; cpu < last; cpu++)
        if (cpuset_has(&oci_own.all, cpu))
            cpuset_add(&pool, cpu);
    oci_fill(&r, &shared, "s.main.0", RIG_RUNS);
    int32_t shared_pid = oci_run(k, &r, &shared)->pid;

    oci_fill(&r, &spec, "x.main.0", RIG_RUNS);
    spec.cpu = (struct runtime_cpu){.exclusive = true, .cpus = mine, .pool = pool};
    cr_assert_eq(oci_run(k, &r, &spec)->code, ERR_CONFLICT, "the pool is still there");

    shared.cpu.cpus = pool;
    r.runtime->ops->set_cpus(r.runtime, ++r.last_op, STR("s.main.0"), &shared.cpu);
    rig_ok(k, &r, r.last_op);
    cr_assert_eq(cpuset_of_threads(shared_pid, &got, &threads, &e), ERR_OK, "%s", e.text);
    cr_assert(cpuset_eq(&got, &pool));

    uint64_t op = rig_call(&r, r.runtime->ops->start, "x.main.0");
    rig_ok(k, &r, op);
    int32_t pid = rig_wait(k, &r, RUNTIME_DONE, op)->pid;
    cr_assert_eq(cpuset_of_threads(pid, &got, &threads, &e), ERR_OK, "%s", e.text);
    cr_assert(cpuset_eq(&got, &mine));
    rig_ok(k, &r, rig_call(&r, r.runtime->ops->destroy, "x.main.0"));
    rig_ok(k, &r, rig_call(&r, r.runtime->ops->destroy, "s.main.0"));
    rig_close(k, &r);
}

TEST(oci, exclusive_waits_for_the_pool_and_is_alone)
{
    exclusive_waits_for_the_pool_and_is_alone(&oci_rig);
}

TEST(runc, exclusive_waits_for_the_pool_and_is_alone)
{
    exclusive_waits_for_the_pool_and_is_alone(&runc_rig);
}

TEST(oci, without_its_shim_it_is_ended)
{
    struct rig r = {0};
    struct runtime_spec spec;
    struct buf text;
    char path[4200];
    int pid, shim;
    unsigned long long start;
    if (!oci_open(&r))
        return;
    oci_fill(&r, &spec, "k1.main.0", RIG_RUNS);
    cr_assert_eq(oci_run(&oci_rig, &r, &spec)->code, ERR_OK);
    snprintf(path, sizeof path, "%s/shim", oci_own.path);
    buf_init(&text, 4096);
    cr_assert_eq(fs_read(path, &text, NULL), ERR_OK);
    buf_add_char(&text, '\0');
    cr_assert_eq(sscanf(text.at, "%d %llu %d", &pid, &start, &shim), 3);
    buf_free(&text);
    cr_assert_eq(kill(shim, SIGKILL), 0);
    cr_assert_eq(rig_wait(&oci_rig, &r, RUNTIME_EXITED, 0)->exit_code, 137);
    for (int i = 0; i < 100 && proc_start_time(pid) == start; i++)
        oci_rig.pass(&r, 10);
    cr_assert_neq(proc_start_time(pid), start, "the container outlived its shim");
    rig_ok(&oci_rig, &r, rig_call(&r, r.runtime->ops->destroy, "k1.main.0"));
    rig_close(&oci_rig, &r);
}

/* The best of five, since other tests run on the same cores; each of them soon all the same. */
TEST(oci, a_death_is_told_within_100_ms)
{
    struct rig r = {0};
    struct runtime_spec spec;
    struct span best = SPAN_MS(1000);
    if (!oci_open(&r))
        return;
    for (uint32_t round = 0; round < 5; round++) {
        char id[] = "d0.main.0";
        id[1] = (char)('0' + round);
        oci_fill(&r, &spec, id, RIG_RUNS);
        int32_t pid = oci_run(&oci_rig, &r, &spec)->pid;
        struct instant killed = clock_now();
        cr_assert_eq(kill(pid, SIGKILL), 0);
        rig_wait(&oci_rig, &r, RUNTIME_EXITED, 0);
        struct span took = instant_sub(clock_now(), killed);
        cr_assert_lt(took.ns, SPAN_MS(1000).ns);
        best = took.ns < best.ns ? took : best;
        rig_ok(&oci_rig, &r, rig_call(&r, r.runtime->ops->destroy, id));
    }
    cr_assert_lt(best.ns, SPAN_MS(100).ns);
    rig_close(&oci_rig, &r);
}

/* Only those in our own state folder: other tests mount and unmount beside this one. */
static uint32_t mounts_of_ours(void)
{
    struct buf text;
    struct str rest, line;
    uint32_t mounts = 0;
    buf_init(&text, 4 << 20);
    cr_assert_eq(fs_read("/proc/self/mountinfo", &text, NULL), ERR_OK);
    rest = buf_str(&text);
    while (str_split(&rest, '\n', &line))
        mounts +=
            line.len > 0 && memmem(line.at, line.len, oci_own.state, strlen(oci_own.state)) != NULL;
    buf_free(&text);
    return mounts;
}

static bool count_entry(void *arg, const char *name)
{
    (void)name;
    ++*(uint32_t *)arg;
    return true;
}

/* Create, start, and end in each of the ways there are; then the host is as it was. */
static void leaves_nothing_behind(const struct rig_kind *k)
{
    enum { ROUNDS = 12 };
    struct rig r = {0};
    struct runtime_spec spec;
    uint32_t left = 0;
    if (!k->open(&r))
        return;
    uint32_t mounts = mounts_of_ours();
    for (int round = 0; round < ROUNDS; round++) {
        char id[32];
        snprintf(id, sizeof id, "n%d.main.0", round);
        oci_fill(&r, &spec, id, (enum rig_deed)(round % 3));
        rig_ok(k, &r, rig_create(&r, &spec));
        if (round % 4 != 3)
            rig_ok(k, &r, rig_call(&r, r.runtime->ops->start, id));
        if (round % 4 == 1)
            rig_ok(k, &r, rig_call(&r, r.runtime->ops->kill, id));
        rig_ok(k, &r, rig_call(&r, r.runtime->ops->destroy, id));
        cr_assert_eq(rig_count(&r, RUNTIME_EXITED, id), round % 4 != 3);
        r.events_count = 0;
    }
    cr_assert_eq(mounts_of_ours(), mounts);
    cr_assert_eq(fs_list(oci_own.state, count_entry, &left, NULL), ERR_OK);
    cr_assert_eq(left, 0);
    rig_close(k, &r);
}

TEST(oci, leaves_nothing_behind)
{
    leaves_nothing_behind(&oci_rig);
}

TEST(runc, leaves_nothing_behind)
{
    leaves_nothing_behind(&runc_rig);
}

/* As systemd does in a privileged container: groups of its own in each of its groups, and itself in the innermost. */
static void make_groups_inside(const char *id, int32_t pid)
{
    struct buf files;
    struct str rest, file;
    uint32_t made = 0;
    buf_init(&files, 64 << 10);
    cr_assert_eq(cgroup_procs_files(oci_own.cgroups, str_of(id), &files, NULL), ERR_OK);
    rest = str_trim(buf_str(&files));
    while (str_split(&rest, '\n', &file)) {
        char path[FS_PATH_MAX], procs[FS_PATH_MAX], text[16];
        struct err e = {0};
        struct str group = str_slice(file, 0, file.len - STR("/tasks").len);
        if (str_ends(file, STR("/cgroup.procs")))
            group = str_slice(file, 0, file.len - STR("/cgroup.procs").len);
        if (!str_ends(group, str_of(id)))
            continue; /* The pool's, where v1 holds its cpus. */
        snprintf(path, sizeof path, STR_FMT "/system.slice/cron.service", STR_ARG(group));
        cr_assert_eq(fs_mkdir(path, 0755, &e), ERR_OK, "%s", e.text);
        cr_assert(fs_join(procs, path, "cgroup.procs"));
        int len = snprintf(text, sizeof text, "%d", pid);
        cr_assert_eq(fs_poke(procs, str_from(text, (size_t)len), &e), ERR_OK, "%s", e.text);
        made++;
    }
    buf_free(&files);
    cr_assert_gt(made, 0);
}

TEST(oci, groups_inside_its_own_end_with_it)
{
    struct rig r = {0};
    struct runtime_spec spec;
    if (!oci_open(&r))
        return;
    oci_fill(&r, &spec, "i1.main.0", RIG_RUNS);
    make_groups_inside("i1.main.0", oci_run(&oci_rig, &r, &spec)->pid);
    rig_ok(&oci_rig, &r, rig_call(&r, r.runtime->ops->destroy, "i1.main.0"));
    rig_close(&oci_rig, &r);
}

/* What a container sees and may not do, told by itself: it exits with the number of the first thing
 * that is not as it should be. */
static void is_held(const struct rig_kind *k)
{
    static const char script[] =
        "PATH=/bin; "
        "[ \"$(busybox hostname)\" = web ] || exit 10; "
        "[ \"$(busybox id -u):$(busybox id -g)\" = 33:34 ] || exit 11; "
        "[ \"$A\" = b ] || exit 12; "
        "busybox grep -q '^NoNewPrivs:.*1' /proc/self/status || exit 13; "
        "busybox grep -q '^Seccomp:.*2' /proc/self/status || exit 14; "
        "busybox unshare -U busybox true 2>/dev/null && exit 15; "
        "busybox mount -t tmpfs x /dev/shm 2>/dev/null && exit 16; "
        "busybox mknod /dev/sda b 8 0 2>/dev/null && exit 17; "
        "[ -z \"$(busybox head -c 1 /proc/kcore 2>/dev/null)\" ] || exit 18; "
        "echo 1 2>/dev/null >/proc/sys/kernel/sysrq && exit 19; "
        "[ $$ = 1 ] || exit 20; "
        "exit 0";
    static const struct str args[] = {{"/bin/sh", 7}, {"-c", 2}, {script, sizeof script - 1}};
    static const struct str env[] = {{"A=b", 3}};
    struct rig r = {0};
    struct runtime_spec spec;
    if (!k->open(&r))
        return;
    oci_fill(&r, &spec, "h1.main.0", RIG_RUNS);
    spec.container.args = args;
    spec.container.env = env;
    spec.container.uid = 33;
    spec.container.gid = 34;
    const struct runtime_event *ev = oci_run(k, &r, &spec);
    cr_assert_eq(ev->code, ERR_OK, "%s", ev->text);
    cr_assert_eq(rig_wait(k, &r, RUNTIME_EXITED, 0)->exit_code, 0, "see the script: %d",
                 rig_wait(k, &r, RUNTIME_EXITED, 0)->exit_code);
    rig_ok(k, &r, rig_call(&r, r.runtime->ops->destroy, "h1.main.0"));
    rig_close(k, &r);
}

TEST(oci, is_held)
{
    is_held(&oci_rig);
}

TEST(runc, is_held)
{
    is_held(&runc_rig);
}

/* Read back from the kernel, where it has the controller: what was asked for, and of other sizes nothing. */
TEST(oci, is_held_to_its_huge_pages)
{
    static const char *const sizes[][2] = {{"2MB", "4194304"}, {"1GB", "0"}};
    struct rig r = {0};
    struct runtime_spec spec;
    if (!oci_rig.open(&r))
        return;
    const struct cgroup_layout *l = cgroup_layout(oci_own.cgroups);
    oci_fill(&r, &spec, "p1.main.0", RIG_RUNS);
    spec.huge_2m_bytes = 4 << 20;
    rig_ok(&oci_rig, &r, rig_create(&r, &spec));
    for (uint32_t i = 0; i < COUNT_OF(sizes) * 2 && l->hugetlb; i++) {
        char path[CGROUP_PATH_MAX + 256];
        struct buf text, below;
        struct err e;
        buf_init(&text, 4096);
        buf_init(&below, 4096);
        cr_assert_eq(cgroup_path(oci_own.cgroups, spec.id, &below, &e), ERR_OK, "%s", e.text);
        snprintf(path, sizeof path, "%s" STR_FMT "/hugetlb.%s%s.%s",
                 l->mount[l->unified ? 0 : CGROUP_HUGETLB], STR_ARG(buf_str(&below)),
                 sizes[i / 2][0], i % 2 == 0 ? "" : ".rsvd", l->unified ? "max" : "limit_in_bytes");
        bool is_there = fs_read(path, &text, &e) == ERR_OK; /* Not every kernel has every size. */
        cr_expect(!is_there || str_is(str_trim(buf_str(&text)), sizes[i / 2][1]), "%s: " STR_FMT,
                  path, STR_ARG(buf_str(&text)));
        cr_expect(is_there || i > 0, "%s", path);
        buf_free(&text);
        buf_free(&below);
    }
    if (l->hugetlb)
        fprintf(stderr, "held to its huge pages\n");
    rig_ok(&oci_rig, &r, rig_call(&r, r.runtime->ops->destroy, "p1.main.0"));
    rig_close(&oci_rig, &r);
}

/* A device of this machine, given to a user that may not open the host's own node: with it the container opens
 * it, without it there is none. It exits with what is not so. */
static void is_given_a_device(const struct rig_kind *k)
{
    static const char script[] =
        "PATH=/bin; "
        "[ \"$G\" = 0 ] && [ -e /dev/loop-control ] && exit 10; "
        "[ \"$G\" = 0 ] && exit 0; "
        "[ -c /dev/loop-control ] || exit 11; "
        "[ \"$(busybox stat -c %t:%T:%u:%a /dev/loop-control)\" = a:ed:33:660 ] || exit 12; "
        "true 3</dev/loop-control || exit 13; "
        "[ ! -e /dev/loop0 ] || exit 14; "
        "exit 0";
    static const struct str args[] = {{"/bin/sh", 7}, {"-c", 2}, {script, sizeof script - 1}};
    static const struct str env[2][1] = {{{"G=0", 3}}, {{"G=1", 3}}};
    static const struct str device[] = {{"/dev/loop-control", 17}};
    for (uint32_t given = 0; given < 2; given++) {
        struct rig r = {0};
        struct runtime_spec spec;
        if (access(device[0].at, F_OK) != 0 || !k->open(&r))
            return;
        oci_fill(&r, &spec, "d1.main.0", RIG_RUNS);
        spec.container.args = args;
        spec.container.env = env[given];
        spec.container.uid = 33;
        spec.container.gid = 34;
        spec.container.devices = device;
        spec.container.devices_count = given;
        const struct runtime_event *ev = oci_run(k, &r, &spec);
        cr_assert_eq(ev->code, ERR_OK, "%s", ev->text);
        cr_assert_eq(rig_wait(k, &r, RUNTIME_EXITED, 0)->exit_code, 0, "see the script: %d",
                     rig_wait(k, &r, RUNTIME_EXITED, 0)->exit_code);
        rig_ok(k, &r, rig_call(&r, r.runtime->ops->destroy, "d1.main.0"));
        rig_close(k, &r);
    }
}

TEST(oci, is_given_a_device)
{
    is_given_a_device(&oci_rig);
}

TEST(runc, is_given_a_device)
{
    is_given_a_device(&runc_rig);
}

TEST(oci, a_device_that_is_not_there_is_told)
{
    static const struct str device[] = {{"/dev/nope", 9}};
    struct rig r = {0};
    struct runtime_spec spec;
    if (!oci_open(&r))
        return;
    oci_fill(&r, &spec, "d2.main.0", RIG_RUNS);
    spec.container.devices = device;
    spec.container.devices_count = 1;
    uint64_t op = rig_create(&r, &spec);
    const struct runtime_event *ev = rig_wait(&oci_rig, &r, RUNTIME_DONE, op);
    cr_assert_eq(ev->code, ERR_UNAVAILABLE);
    cr_assert_str_eq(ev->text, "device /dev/nope: No such file or directory");
    rig_close(&oci_rig, &r);
}

static void too_much_memory_is_told_as_such(const struct rig_kind *k)
{
    static const struct str args[] = {
        {"/bin/sh", 7},
        {"-c", 2},
        {"exec busybox dd if=/dev/zero of=/dev/null bs=200M count=1", 57}};
    struct rig r = {0};
    struct runtime_spec spec;
    if (!k->open(&r))
        return;
    oci_fill(&r, &spec, "m1.main.0", RIG_RUNS);
    spec.container.args = args;
    spec.memory_max_bytes = 32 << 20;
    cr_assert_eq(oci_run(k, &r, &spec)->code, ERR_OK);
    const struct runtime_event *end = rig_wait(k, &r, RUNTIME_EXITED, 0);
    cr_assert_eq(end->exit_code, 137);
    cr_assert(end->oom_killed);
    rig_ok(k, &r, rig_call(&r, r.runtime->ops->destroy, "m1.main.0"));
    rig_close(k, &r);
}

TEST(oci, too_much_memory_is_told_as_such)
{
    too_much_memory_is_told_as_such(&oci_rig);
}

TEST(runc, too_much_memory_is_told_as_such)
{
    too_much_memory_is_told_as_such(&runc_rig);
}

/* Of memory and swap together in v1, of swap alone in v2. */
TEST(oci, its_memory_is_not_swapped)
{
    struct rig r = {0};
    struct runtime_spec spec;
    char path[FS_PATH_MAX];
    struct buf text;
    if (!oci_open(&r))
        return;
    const struct cgroup_layout *l = cgroup_layout(oci_own.cgroups);
    oci_fill(&r, &spec, "s1.main.0", RIG_RUNS);
    rig_ok(&oci_rig, &r, rig_create(&r, &spec));
    snprintf(path, sizeof path, "%s/%s/pool/s1.main.0/%s", l->mount[l->unified ? 0 : CGROUP_MEMORY],
             oci_own.parent, l->unified ? "memory.swap.max" : "memory.memsw.limit_in_bytes");
    buf_init(&text, 64);
    if (fs_exists(path)) { /* Else this kernel does not count swap. */
        cr_assert_eq(fs_read(path, &text, NULL), ERR_OK);
        cr_assert(str_is(str_trim(buf_str(&text)), l->unified ? "0" : "67108864"), "%.*s",
                  (int)text.len, text.at);
    }
    buf_free(&text);
    rig_ok(&oci_rig, &r, rig_call(&r, r.runtime->ops->destroy, "s1.main.0"));
    rig_close(&oci_rig, &r);
}

/* The disk is full when the container ends: a Job that succeeded must not count as killed, and run again. */
TEST(oci, how_it_ended_is_known_on_a_full_disk)
{
    struct rig r = {0};
    struct runtime_spec spec;
    char path[FS_PATH_MAX];
    static char zeros[64 << 10];
    if (!oci_open(&r))
        return;
    cr_assert_eq(unshare(CLONE_NEWNS), 0);
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    cr_assert_eq(fs_mkdir(oci_own.state, 0700, NULL), ERR_OK);
    cr_assert_eq(mount("tmpfs", oci_own.state, "tmpfs", 0, "size=1m"), 0);
    oci_fill(&r, &spec, "e1.main.0", RIG_EXITS_SOON);
    cr_assert_eq(oci_run(&oci_rig, &r, &spec)->code, ERR_OK);
    snprintf(path, sizeof path, "%s/e1.main.0/full", oci_own.state);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, zeros, sizeof zeros) > 0)
        ;
    while (write(fd, zeros, 1) > 0)
        ;
    cr_assert_eq(errno, ENOSPC);
    close(fd);
    cr_assert_eq(rig_wait(&oci_rig, &r, RUNTIME_EXITED, 0)->exit_code, 5);
    rig_ok(&oci_rig, &r, rig_call(&r, r.runtime->ops->destroy, "e1.main.0"));
    cr_assert_eq(umount(oci_own.state), 0);
    rig_close(&oci_rig, &r);
}

static void a_terminal_is_one_stream(const struct rig_kind *k)
{
    static const struct str args[] = {
        {"/bin/sh", 7}, {"-c", 2}, {"[ -t 0 ] && [ -t 1 ] && echo yes; exit 4", 40}};
    struct rig r = {0};
    struct runtime_spec spec;
    struct buf log;
    if (!k->open(&r))
        return;
    oci_fill(&r, &spec, "t1.main.0", RIG_RUNS);
    spec.container.args = args;
    spec.container.tty = true;
    const struct runtime_event *ev = oci_run(k, &r, &spec);
    cr_assert_eq(ev->code, ERR_OK, "%s", ev->text);
    cr_assert_eq(rig_wait(k, &r, RUNTIME_EXITED, 0)->exit_code, 4);
    buf_init(&log, 4096);
    cr_assert_eq(fs_read(oci_own.log, &log, NULL), ERR_OK);
    cr_assert(memmem(log.at, log.len, " stdout F yes\r\n", 15) != NULL);
    buf_free(&log);
    rig_ok(k, &r, rig_call(&r, r.runtime->ops->destroy, "t1.main.0"));
    rig_close(k, &r);
}

TEST(oci, a_runtime_that_gives_no_terminal_is_not_waited_for)
{
    static const char script[] = "#!/bin/sh\nexit 0\n";
    struct rig r = {0};
    struct runtime_spec spec;
    char command[128];
    if (!oci_open(&r))
        return;
    snprintf(command, sizeof command, "%s/crun", oci_own.directory);
    cr_assert_eq(fs_write(command, str_from(script, sizeof script - 1), 0755, NULL), ERR_OK);
    oci_own.command = command;
    oci_reopen(&r);
    oci_fill(&r, &spec, "t2.main.0", RIG_RUNS);
    spec.container.tty = true;
    cr_assert_str_eq(oci_run(&oci_rig, &r, &spec)->text, "the runtime gave no terminal");
    rig_ok(&oci_rig, &r, rig_call(&r, r.runtime->ops->destroy, "t2.main.0"));
    rig_close(&oci_rig, &r);
}

TEST(oci, a_terminal_is_one_stream)
{
    a_terminal_is_one_stream(&oci_rig);
}

TEST(runc, a_terminal_is_one_stream)
{
    a_terminal_is_one_stream(&runc_rig);
}

/* As this machine's own say it; a program that is there and says something else is no name. */
TEST(oci, a_runtime_is_called_by_what_it_says_of_itself)
{
    static const struct {
        const char *path, *begins;
    } rows[] = {{"/usr/bin/crun", "crun://1."}, {"/usr/sbin/runc", "runc://1."}};
    char version[OCI_VERSION_MAX];
    struct err e = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (access(rows[i].path, X_OK) != 0)
            continue;
        cr_assert_eq(runtime_oci_version(str_of(rows[i].path), version, &e), ERR_OK, "%s", e.text);
        cr_expect(str_starts(str_of(version), str_of(rows[i].begins)), "%s", version);
        cr_expect_null(strpbrk(version, " \n"), "%s", version);
    }
    cr_expect_eq(runtime_oci_version(STR("/bin/true"), version, &e), ERR_INVALID);
    cr_expect_eq(runtime_oci_version(STR("/does/not/exist"), version, &e), ERR_NOT_FOUND);
}
