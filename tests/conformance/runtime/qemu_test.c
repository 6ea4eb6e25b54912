/* SPDX-License-Identifier: Apache-2.0 */
/* The real thing: Debian's QEMU, tests/pvh's guest, this machine's cgroups. Under tcg, so that it runs
 * everywhere. Needs root; without it, or without QEMU, it says so and passes. */
#include "io/clock.h"
#include "io/fs.h"
#include "io/loop.h"
#include "io/proc.h"
#include "nodeagent/host/cgroup.h"
#include "base/cpuset.h"
#include "nodeagent/runtime/runtime_qemu.h"
#include "tests/conformance/runtime/qemu_rig.h"
#include "tests/testlib/test.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

CONFORMANCE(qemu)

TEST(qemu, a_list_that_fails_ends_nobody)
{
    conform_a_list_that_fails_ends_nobody(&qemu_rig);
}

/* --- what only machines have --- */

static void wait_for_line(struct rig *r, const char *path, const char *line)
{
    for (int i = 0; i < 500 && strstr(qemu_text_of(path), line) == NULL; i++)
        qemu_pass(r, 10);
    cr_assert(strstr(qemu_text_of(path), line) != NULL, "%s: %s", path, qemu_text_of(path));
}

TEST(qemu, a_unikernel_runs_on_microvm_and_on_q35)
{
    static const char *const machines[] = {"microvm", "q35", ""};
    struct rig r = {0};
    struct runtime_spec spec;
    if (!qemu_open(&r))
        return;
    for (size_t i = 0; i < COUNT_OF(machines); i++) {
        char id[32];
        snprintf(id, sizeof id, "m%zu.guest.0", i);
        qemu_fill(&r, &spec, id, RIG_EXITS_3);
        spec.vm.machine = str_of(machines[i]);
        qemu_run(&r, &spec);
        const struct runtime_event *end = rig_wait(&qemu_rig, &r, RUNTIME_EXITED, 0);
        cr_assert_eq(end->exit_code, 0);
        cr_assert_gt(end->finished.ns, end->started.ns);
        cr_assert(strstr(qemu_text_of(own.log), "baton-guest: ok rounds=0") != NULL, "%s",
                  qemu_text_of(own.log));
        qemu_destroy(&r, id);
        r.events_count = 0;
    }
    rig_close(&qemu_rig, &r);
}

/* On two cpus: the vCPU has the last one alone, QEMU's own threads the others. */
TEST(qemu, threads_are_where_they_were_put)
{
    struct rig r = {0};
    struct runtime_spec spec;
    struct cpuset mine = {0}, pool = {0};
    struct err e;
    if (!qemu_open(&r))
        return;
    uint32_t last = RUNTIME_CPUS_MAX - 1;
    while (!cpuset_has(&own.all, last))
        last--;
    cpuset_add(&mine, last);
    for (uint32_t cpu = 0; cpu < last; cpu++)
        if (cpuset_has(&own.all, cpu))
            cpuset_add(&pool, cpu);
    if (!cpuset_is_empty(&pool)) {
        qemu_fill(&r, &spec, "x.guest.0", RIG_RUNS);
        spec.cpu = (struct runtime_cpu){.exclusive = true, .cpus = mine, .pool = pool};
        rig_ok(&qemu_rig, &r, rig_create(&r, &spec));
        cr_assert_eq(cgroup_pool_set(own.cgroups, &pool, &e), ERR_OK, "%s", e.text);
        uint64_t op = rig_call(&r, r.runtime->ops->start, "x.guest.0");
        rig_ok(&qemu_rig, &r, op);
        const struct runtime_event *started = rig_wait(&qemu_rig, &r, RUNTIME_DONE, op);
        int32_t pid = started->pid;
        cr_assert(cpuset_eq(&started->cpus, &mine));
        qemu_assert_on(pid, "CPU 0/TCG", &mine);
        qemu_assert_on(pid, "qemu-system-x86", &pool);

        /* The other way round, as if the pool had moved. */
        struct runtime_cpu moved = {.exclusive = true, .cpus = mine, .pool = own.all};
        r.runtime->ops->set_cpus(r.runtime, ++r.last_op, STR("x.guest.0"), &moved);
        rig_ok(&qemu_rig, &r, r.last_op);
        qemu_assert_on(pid, "CPU 0/TCG", &mine);
        qemu_assert_on(pid, "qemu-system-x86", &own.all);
        qemu_destroy(&r, "x.guest.0");
    }
    rig_close(&qemu_rig, &r);
}

/* One cpu more than vCPUs: the VMM's other threads are on it and nowhere else. */
TEST(qemu, an_isolated_emulator)
{
    struct rig r = {0};
    struct runtime_spec spec;
    struct cpuset two = {.bits = {3}}, vcpu = {.bits = {1}}, emulator = {.bits = {2}};
    if (!qemu_open(&r))
        return;
    if ((own.all.bits[0] & 3) == 3) {
        qemu_fill(&r, &spec, "i.guest.0", RIG_RUNS);
        spec.cpu = (struct runtime_cpu){.exclusive = true, .cpus = two, .pool = own.all};
        rig_ok(&qemu_rig, &r, rig_create(&r, &spec));
        uint64_t op = rig_call(&r, r.runtime->ops->start, "i.guest.0");
        rig_ok(&qemu_rig, &r, op);
        int32_t pid = rig_wait(&qemu_rig, &r, RUNTIME_DONE, op)->pid;
        qemu_assert_on(pid, "CPU 0/TCG", &vcpu);
        qemu_assert_on(pid, "qemu-system-x86", &emulator);
        qemu_destroy(&r, "i.guest.0");
    }
    rig_close(&qemu_rig, &r);
}

static uint64_t pages_of(const char *name)
{
    char path[128];
    uint64_t count = 0;
    snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/hugepages-2048kB/%s", name);
    cr_assert_eq(str_parse_u64(str_trim(str_of(qemu_text_of(path))), &count), ERR_OK);
    return count;
}

static void set_pages(uint64_t count)
{
    char text[32];
    int fd = open("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", O_WRONLY | O_CLOEXEC);
    int len = snprintf(text, sizeof text, "%llu", (unsigned long long)count);
    (void)!write(fd, text, (size_t)len);
    close(fd);
}

/* The machine's own pool, put back as it was. A kernel that gives none is no reason to fail. */
TEST(qemu, memory_of_huge_pages)
{
    struct rig r = {0};
    struct runtime_spec spec;
    if (!qemu_open(&r))
        return;
    uint64_t before = pages_of("nr_hugepages");
    set_pages(before + 16);
    if (pages_of("nr_hugepages") == before + 16) {
        uint64_t free_before = pages_of("free_hugepages");
        qemu_fill(&r, &spec, "h.guest.0", RIG_RUNS);
        spec.vm.page_bytes = 2 << 20;
        spec.huge_2m_bytes = 32 << 20;
        rig_ok(&qemu_rig, &r, rig_create(&r, &spec));
        cr_assert_eq(free_before - pages_of("free_hugepages"), 16, "32 MiB, before it runs");
        rig_ok(&qemu_rig, &r, rig_call(&r, r.runtime->ops->start, "h.guest.0"));
        qemu_fill(&r, &spec, "h.guest.1", RIG_RUNS);
        spec.vm.page_bytes = 2 << 20;
        spec.vm.memory_bytes = spec.huge_2m_bytes = 1ull << 40;
        uint64_t op = rig_create(&r, &spec);
        cr_assert_neq(rig_wait(&qemu_rig, &r, RUNTIME_DONE, op)->code, ERR_OK);
        qemu_destroy(&r, "h.guest.0");
        cr_assert_eq(pages_of("free_hugepages"), free_before);
    }
    set_pages(before);
    rig_close(&qemu_rig, &r);
}

TEST(qemu, more_vcpus_than_cpus_granted)
{
    struct rig r = {0};
    struct runtime_spec spec;
    struct cpuset one = {.bits = {1}};
    if (!qemu_open(&r))
        return;
    qemu_fill(&r, &spec, "v.guest.0", RIG_RUNS);
    spec.vm.vcpus = 2;
    spec.cpu = (struct runtime_cpu){.exclusive = true, .cpus = one, .pool = one};
    uint64_t op = rig_create(&r, &spec);
    const struct runtime_event *ev = rig_wait(&qemu_rig, &r, RUNTIME_DONE, op);
    cr_assert_eq(ev->code, ERR_INVALID);
    cr_assert_str_eq(ev->text, "2 vCPUs on 1 granted cpus");
    rig_close(&qemu_rig, &r);
}

static unsigned long field_of(int32_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    const char *at = strstr(qemu_text_of(path), name);
    cr_assert_not_null(at, "no %s", name);
    return strtoul(at + strlen(name), NULL, 10);
}

TEST(qemu, each_has_a_user_of_its_own_and_a_sandbox)
{
    struct rig r = {0};
    struct runtime_spec spec;
    if (!qemu_open(&r))
        return;
    qemu_fill(&r, &spec, "a.guest.0", RIG_RUNS);
    int32_t a = qemu_run(&r, &spec)->pid;
    qemu_fill(&r, &spec, "b.guest.0", RIG_RUNS);
    int32_t b = qemu_run(&r, &spec)->pid;
    cr_assert_geq(field_of(a, "\nUid:\t"), QEMU_UID_FIRST);
    cr_assert_lt(field_of(a, "\nUid:\t"), QEMU_UID_FIRST + QEMU_UID_COUNT);
    cr_assert_neq(field_of(a, "\nUid:\t"), field_of(b, "\nUid:\t"));
    cr_assert_eq(field_of(a, "\nGid:\t"), field_of(a, "\nUid:\t"));
    cr_assert_eq(field_of(a, "\nSeccomp:\t"), 2);
    cr_assert_eq(field_of(a, "\nCapEff:\t"), 0);
    qemu_destroy(&r, "a.guest.0");
    qemu_destroy(&r, "b.guest.0");
    rig_close(&qemu_rig, &r);
}

TEST(qemu, a_create_that_fails_says_why_and_leaves_nothing)
{
    struct rig r = {0};
    struct runtime_spec spec;
    static const struct {
        const char *kernel, *model, *text;
    } cases[] = {
        {"/nope", "", "open /nope: No such file or directory"},
        {"/etc", "", "/etc holds several files; one is wanted, or its path"},
        {"/dev/zero", "", "/dev/zero is not a regular file"},
        {PVH, "no-such-cpu", "QEMU: qemu-system-x86_64: unable to find CPU model 'no-such-cpu'"},
        {"/etc/passwd", "", "QEMU: qemu: error reading initrd"},
    };
    if (!qemu_open(&r))
        return;
    for (size_t i = 0; i + 1 < COUNT_OF(cases); i++) {
        qemu_fill(&r, &spec, "f.guest.0", RIG_RUNS);
        spec.vm.kernel = str_of(cases[i].kernel);
        spec.vm.cpu_model = str_of(cases[i].model);
        uint64_t op = rig_create(&r, &spec);
        const struct runtime_event *ev = rig_wait(&qemu_rig, &r, RUNTIME_DONE, op);
        cr_assert_neq(ev->code, ERR_OK);
        cr_assert_str_eq(ev->text, cases[i].text);
        cr_assert_not(fs_exists(own.path), "case %zu", i);
    }
    rig_close(&qemu_rig, &r);
}

/* It would be copied into memory, on the loop: a hole in an image costs nothing to send. */
TEST(qemu, a_kernel_that_is_a_huge_hole_is_refused)
{
    struct rig r = {0};
    struct runtime_spec spec;
    char path[128];
    if (!qemu_open(&r))
        return;
    qemu_fill(&r, &spec, "h.guest.0", RIG_RUNS);
    snprintf(path, sizeof path, "%s/kernel", own.directory);
    cr_assert_eq(fs_write(path,
                          STR("\x7f"
                              "ELF"),
                          0600, NULL),
                 ERR_OK);
    cr_assert_eq(truncate(path, (256 << 20) + 1), 0);
    spec.vm.kernel = str_of(path);
    uint64_t op = rig_create(&r, &spec);
    const struct runtime_event *ev = rig_wait(&qemu_rig, &r, RUNTIME_DONE, op);
    cr_assert_eq(ev->code, ERR_LIMIT, "%s", ev->text);
    rig_close(&qemu_rig, &r);
}

TEST(qemu, a_killed_qemu_is_told_of_at_once)
{
    struct rig r = {0};
    struct runtime_spec spec;
    if (!qemu_open(&r))
        return;
    for (int attached = 0; attached < 2; attached++) {
        char id[32];
        snprintf(id, sizeof id, "k%d.guest.0", attached);
        qemu_fill(&r, &spec, id, RIG_RUNS);
        int32_t pid = qemu_run(&r, &spec)->pid;
        r.events_count = 0;
        if (attached) {
            qemu_reopen(&r);
            r.runtime->ops->list(r.runtime, ++r.last_op);
            rig_ok(&qemu_rig, &r, r.last_op);
        }
        struct instant killed = clock_now();
        cr_assert_eq(kill(pid, SIGKILL), 0);
        const struct runtime_event *end = rig_wait(&qemu_rig, &r, RUNTIME_EXITED, 0);
        cr_assert_eq(end->signal, SIGKILL);
        /* Generous for a machine that runs other tests; docs/benchmarks.md has the figure. */
        cr_assert_lt(instant_sub(clock_now(), killed).ns, SPAN_MS(1000).ns);
        qemu_destroy(&r, id);
        r.events_count = 0;
    }
    rig_close(&qemu_rig, &r);
}

/* It answers nobody: not QMP, not its guest. */
TEST(qemu, a_qemu_that_hangs_is_killed)
{
    struct rig r = {0};
    struct runtime_spec spec;
    if (!qemu_open(&r))
        return;
    qemu_fill(&r, &spec, "h.guest.0", RIG_RUNS);
    int32_t pid = qemu_run(&r, &spec)->pid;
    cr_assert_eq(kill(pid, SIGSTOP), 0);
    rig_ok(&qemu_rig, &r, rig_call(&r, r.runtime->ops->kill, "h.guest.0"));
    cr_assert_eq(rig_wait(&qemu_rig, &r, RUNTIME_EXITED, 0)->signal, SIGKILL);
    qemu_destroy(&r, "h.guest.0");
    rig_close(&qemu_rig, &r);
}

TEST(qemu, an_attached_machine_still_has_its_power_button)
{
    struct rig r = {0};
    struct runtime_spec spec;
    if (!qemu_open(&r))
        return;
    qemu_fill(&r, &spec, "p.guest.0", RIG_RUNS);
    qemu_run(&r, &spec);
    wait_for_line(&r, own.log, "baton-guest: ok");
    qemu_reopen(&r);
    r.events_count = 0;
    r.runtime->ops->list(r.runtime, ++r.last_op);
    rig_ok(&qemu_rig, &r, r.last_op);
    cr_assert(cpuset_eq(&rig_wait(&qemu_rig, &r, RUNTIME_FOUND, 0)->cpus, &own.all));
    rig_ok(&qemu_rig, &r, rig_call(&r, r.runtime->ops->stop, "p.guest.0"));
    const struct runtime_event *end = rig_wait(&qemu_rig, &r, RUNTIME_EXITED, 0);
    cr_assert_eq(end->exit_code, 0);
    cr_assert_eq(end->signal, 0);
    qemu_destroy(&r, "p.guest.0");
    rig_close(&qemu_rig, &r);
}

static int32_t pid_on_disk(const char *id)
{
    char path[FS_PATH_MAX], text[16] = "";
    uint64_t pid = 0;
    snprintf(path, sizeof path, "%s/%s/qemu.pid", own.state, id);
    FILE *f = fopen(path, "r");
    cr_assert(f != NULL && fgets(text, sizeof text, f) != NULL);
    fclose(f);
    cr_assert_eq(str_parse_u64(str_trim(str_of(text)), &pid), ERR_OK);
    return (int32_t)pid;
}

/* The agent dies between create and start, and QEMU with it: nothing ever ran, so no exit will be told. */
TEST(qemu, made_and_dead_before_it_was_started)
{
    struct rig r = {0};
    struct runtime_spec spec;
    if (!qemu_open(&r))
        return;
    qemu_fill(&r, &spec, "m.guest.0", RIG_RUNS);
    rig_ok(&qemu_rig, &r, rig_create(&r, &spec));
    qemu_reopen(&r);
    r.events_count = 0;
    cr_assert_eq(kill(pid_on_disk("m.guest.0"), SIGKILL), 0);
    r.runtime->ops->list(r.runtime, ++r.last_op);
    rig_ok(&qemu_rig, &r, r.last_op);
    cr_assert_eq(rig_wait(&qemu_rig, &r, RUNTIME_FOUND, r.last_op)->state, RUNTIME_CREATED);
    qemu_destroy(&r, "m.guest.0");
    cr_assert_eq(rig_count(&r, RUNTIME_EXITED, "m.guest.0"), 0);
    rig_close(&qemu_rig, &r);
}

/* An agent in a process of its own: starts a machine, says its pid, and waits to be killed. */
static void play_agent(struct rig *r, const struct runtime_spec *spec, int tell)
{
    qemu_open_runtime(r);
    int32_t pid = qemu_run(r, spec)->pid;
    if (write(tell, &pid, sizeof pid) != sizeof pid)
        _exit(1);
    for (;;)
        loop_step(own.loop, SPAN_S(1));
}

TEST(qemu, a_machine_outlives_an_agent_that_is_killed)
{
    struct rig r = {0};
    struct runtime_spec spec;
    int ends[2], status;
    int32_t pid = 0;
    if (!qemu_open(&r))
        return;
    qemu_fill(&r, &spec, "z.guest.0", RIG_RUNS);
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t agent = fork();
    if (agent == 0)
        play_agent(&r, &spec, ends[1]);
    cr_assert_eq(read(ends[0], &pid, sizeof pid), sizeof pid);
    cr_assert_eq(kill(agent, SIGKILL), 0);
    cr_assert_eq(waitpid(agent, &status, 0), agent);

    r.runtime->ops->list(r.runtime, ++r.last_op);
    rig_ok(&qemu_rig, &r, r.last_op);
    const struct runtime_event *found = rig_wait(&qemu_rig, &r, RUNTIME_FOUND, r.last_op);
    cr_assert_eq(found->state, RUNTIME_RUNNING);
    cr_assert_eq(found->pid, pid);
    rig_ok(&qemu_rig, &r, rig_call(&r, r.runtime->ops->stop, "z.guest.0"));
    cr_assert_eq(rig_wait(&qemu_rig, &r, RUNTIME_EXITED, 0)->exit_code, 0);
    qemu_destroy(&r, "z.guest.0");
    close(ends[0]);
    close(ends[1]);
    rig_close(&qemu_rig, &r);
}

static void connect_console(int *out_fd)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", own.console);
    *out_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(*out_fd, (struct sockaddr *)&at, sizeof at), 0, "%s", own.console);
}

TEST(qemu, the_console_is_a_socket_and_the_log_has_it_too)
{
    struct rig r = {0};
    struct runtime_spec spec;
    int fd;
    char said[256] = "";
    size_t len = 0;
    if (!qemu_open(&r))
        return;
    qemu_fill(&r, &spec, "c.guest.0", RIG_EXITS_3);
    rig_ok(&qemu_rig, &r, rig_create(&r, &spec));
    connect_console(&fd);
    rig_ok(&qemu_rig, &r, rig_call(&r, r.runtime->ops->start, "c.guest.0"));
    for (int i = 0; i < 200 && strchr(said, '\n') == NULL; i++) {
        ssize_t got = recv(fd, said + len, sizeof said - 1 - len, MSG_DONTWAIT);
        len += got > 0 ? (size_t)got : 0;
        qemu_pass(&r, 5);
    }
    cr_assert_str_eq(said, "baton-guest: ok rounds=0\n");
    close(fd);
    rig_wait(&qemu_rig, &r, RUNTIME_EXITED, 0);
    cr_assert_str_eq(qemu_text_of(own.log), "baton-guest: ok rounds=0\n");
    qemu_destroy(&r, "c.guest.0");
    cr_assert_not(fs_exists(own.console));
    cr_assert(fs_exists(own.log), "the log is the workload's");
    rig_close(&qemu_rig, &r);
}

/* An image's link to the host's files stays inside the image. */
TEST(qemu, images_cannot_point_out_of_themselves)
{
    struct rig r = {0};
    struct runtime_spec spec;
    char root[128], link[256], path[256];
    if (!qemu_open(&r))
        return;
    snprintf(root, sizeof root, "%s/image/rootfs", own.directory);
    cr_assert_eq(fs_mkdir(root, 0755, NULL), ERR_OK);
    snprintf(link, sizeof link, "%s/out", root);
    cr_assert_eq(symlink("/etc/passwd", link), 0);
    snprintf(link, sizeof link, "%s/in", root);
    cr_assert_eq(symlink("/kernel", link), 0);
    snprintf(link, sizeof link, "%s/kernel", root);
    cr_assert_eq(fs_write(link, str_of("x"), 0600, NULL), ERR_OK);

    qemu_fill(&r, &spec, "l.guest.0", RIG_RUNS);
    snprintf(path, sizeof path, "%s/out", root);
    spec.vm.kernel = str_of(path);
    const struct runtime_event *ev = rig_wait(&qemu_rig, &r, RUNTIME_DONE, rig_create(&r, &spec));
    cr_assert_str_eq(ev->text, "in the image: open out: No such file or directory");

    snprintf(path, sizeof path, "%s/in", root);
    ev = rig_wait(&qemu_rig, &r, RUNTIME_DONE, rig_create(&r, &spec));
    cr_assert(strncmp(ev->text, "QEMU: ", 6) == 0, "found, and no kernel: %s", ev->text);
    rig_close(&qemu_rig, &r);
}

TEST(qemu, disks_of_every_source)
{
    struct rig r = {0};
    struct runtime_spec spec;
    char root[128], path[256];
    struct stat st;
    if (!qemu_open(&r))
        return;
    snprintf(root, sizeof root, "%s/image/rootfs/disk", own.directory);
    cr_assert_eq(fs_mkdir(root, 0755, NULL), ERR_OK);
    snprintf(path, sizeof path, "%s/disk.img", root);
    cr_assert_eq(fs_write(path, STR("raw"), 0600, NULL), ERR_OK);
    cr_assert_eq(truncate(path, 1 << 20), 0);
    struct runtime_disk disks[] = {
        {.name = STR("root"), .path = str_of(root), .ephemeral = true},
        {.name = STR("scratch"), .size_bytes = 5 << 20, .ephemeral = true},
        {.name = STR("cd"),
         .path = str_of(root),
         .ephemeral = true,
         .cdrom = true,
         .read_only = true},
        {.name = STR("same"), .path = str_of(root), .ephemeral = true, .bus = STR("scsi")},
    };
    qemu_fill(&r, &spec, "d.guest.0", RIG_RUNS);
    spec.vm.disks = disks, spec.vm.disks_count = COUNT_OF(disks);
    qemu_run(&r, &spec);
    snprintf(path, sizeof path, "%s/work/disk-1.raw", own.path);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_size, 5 << 20);
    qemu_destroy(&r, "d.guest.0");
    rig_close(&qemu_rig, &r);
}

TEST(qemu, leaves_nothing_behind)
{
    enum { ROUNDS = 8 };
    struct rig r = {0};
    struct runtime_spec spec;
    if (!qemu_open(&r))
        return;
    for (int round = 0; round < ROUNDS; round++) {
        char id[32];
        snprintf(id, sizeof id, "n%d.guest.0", round);
        qemu_fill(&r, &spec, id, round % 2 == 0 ? RIG_RUNS : RIG_EXITS_3);
        rig_ok(&qemu_rig, &r, rig_create(&r, &spec));
        if (round % 4 != 3)
            rig_ok(&qemu_rig, &r, rig_call(&r, r.runtime->ops->start, id));
        if (round % 4 == 2)
            rig_ok(&qemu_rig, &r, rig_call(&r, r.runtime->ops->kill, id));
        qemu_destroy(&r, id);
        cr_assert_eq(rig_count(&r, RUNTIME_EXITED, id), round % 4 != 3);
        r.events_count = 0;
    }
    rig_close(&qemu_rig, &r);
}
