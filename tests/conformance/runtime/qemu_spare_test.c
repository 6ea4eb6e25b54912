/* SPDX-License-Identifier: Apache-2.0 */
/* A spare QEMU is, as a machine, what one is that was started when it was wanted. */
#include "io/fs.h"
#include "nodeagent/runtime/runtime_qemu.h"
#include "tests/conformance/runtime/qemu_rig.h"
#include "tests/testlib/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TEXT_MAX = 32 << 10 };

static const char *proc_text(int32_t pid, const char *file)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    return qemu_text_of(path);
}

static bool was_preloaded(int32_t pid)
{
    char path[64];
    struct buf text;
    buf_init(&text, TEXT_MAX);
    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    bool is = fs_read(path, &text, NULL) == ERR_OK &&
              memmem(text.at, text.len, "LD_PRELOAD=", 11) != NULL;
    buf_free(&text);
    return is;
}

/* Our child that is spare: asleep, which a loader at work is not. 0: there is none. */
static bool visit_process(void *arg, const char *name)
{
    int32_t pid = (int32_t)strtol(name, NULL, 10);
    char parent[32];
    snprintf(parent, sizeof parent, "\nPPid:\t%d\n", (int)getpid());
    if (pid > 0) {
        const char *status = proc_text(pid, "status");
        if (strstr(status, parent) != NULL && strstr(status, "\nState:\tS") != NULL &&
            strstr(status, "\nThreads:\t1\n") != NULL && was_preloaded(pid))
            *(int32_t *)arg = pid;
    }
    return true;
}

static int32_t wait_for_spare(struct rig *r)
{
    int32_t pid = 0;
    for (int i = 0; i < 400 && pid == 0; i++) {
        qemu_pass(r, 25);
        cr_assert_eq(fs_list("/proc", visit_process, &pid, NULL), ERR_OK);
    }
    cr_assert_neq(pid, 0, "there is no spare QEMU");
    return pid;
}

static void wait_for_end(int32_t pid)
{
    for (int i = 0; i < 2000 && strstr(proc_text(pid, "status"), "\nState:\tZ") == NULL; i++)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    cr_assert_not_null(strstr(proc_text(pid, "status"), "\nState:\tZ"));
}

/* All four of a machine's are its own. Which they are depends on who else runs. */
static void put_ids(struct buf *out, int32_t pid, const char *name)
{
    unsigned id[4] = {0};
    const char *line = strstr(proc_text(pid, "status"), name);
    cr_assert(line != NULL &&
              sscanf(line + strlen(name), "%u %u %u %u", id, id + 1, id + 2, id + 3) == 4);
    bool one = id[0] == id[1] && id[0] == id[2] && id[0] == id[3];
    buf_printf(out, "%s one: %d, a machine's: %d\n", name, one, id[0] >= QEMU_UID_FIRST);
}

/* The lines of a status that say as whom and with which rights it runs. */
static void put_rights(struct buf *out, int32_t pid)
{
    static const char *const names[] = {
        "Umask:",   "TracerPid:", "Groups:",       "SigBlk:",      "SigIgn:", "SigCgt:",
        "CapInh:",  "CapPrm:",    "CapEff:",       "CapBnd:",      "CapAmb:", "NoNewPrivs:",
        "Seccomp:", "Threads:",   "Cpus_allowed:", "Mems_allowed:"};
    struct str rest = str_of(proc_text(pid, "status")), line;
    while (str_split(&rest, '\n', &line))
        for (size_t i = 0; i < COUNT_OF(names); i++)
            if (str_starts(line, str_of(names[i])))
                buf_printf(out, STR_FMT "\n", STR_ARG(line));
}

/* "12 socket:": which numbers are open, and what kind of thing each is. The lock of its uid is named after that. */
static void put_descriptors(struct buf *out, int32_t pid)
{
    static const char uids[] = "/run/baton-uids/";
    for (int fd = 0; fd < 512; fd++) {
        char path[64], to[4096];
        snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
        ssize_t len = readlink(path, to, sizeof to);
        if (len <= 0)
            continue;
        struct str what = str_from(to, (size_t)len);
        what = str_starts(what, str_of(uids)) ? str_of(uids)
                                              : str_slice(what, 0, str_find(what, '[', 0));
        buf_printf(out, "%d " STR_FMT "\n", fd, STR_ARG(what));
    }
}

static void put_link(struct buf *out, int32_t pid, const char *file)
{
    char path[64], to[4096];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    ssize_t len = readlink(path, to, sizeof to);
    buf_printf(out, "%s " STR_FMT "\n", file, STR_ARG(str_from(to, len < 0 ? 0 : (size_t)len)));
}

static void put_arguments(struct buf *out, int32_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    size_t from = out->len;
    cr_assert_eq(fs_read(path, out, NULL), ERR_OK);
    for (size_t i = from; i < out->len; i++)
        out->at[i] = out->at[i] == '\0' ? '\n' : out->at[i];
}

/* Everything that the kernel tells of a process and that is not its number, time or memory. */
static void describe(struct buf *out, int32_t pid)
{
    put_ids(out, pid, "\nUid:");
    put_ids(out, pid, "\nGid:");
    put_rights(out, pid);
    put_descriptors(out, pid);
    put_link(out, pid, "cwd");
    put_link(out, pid, "root");
    put_link(out, pid, "exe");
    put_arguments(out, pid);
    buf_add(out, str_of(proc_text(pid, "limits")));
    buf_add(out, str_of(proc_text(pid, "cgroup")));
    buf_add(out, str_of(proc_text(pid, "oom_score_adj")));
    buf_printf(out, "leads its session: %d\n", getsid(pid) == pid);
    cr_assert(!out->overflow);
}

/* Returns the machine's process; it is destroyed again. */
static int32_t run_and_describe(struct rig *r, struct buf *out)
{
    static const struct runtime_disk disk = {.name = STR("d"), .size_bytes = 1 << 20};
    struct runtime_spec spec;
    qemu_fill(r, &spec, "s.guest.0", RIG_RUNS);
    spec.vm.kernel_args = STR("rounds=0 hold said=\"with blanks\"");
    spec.vm.disks = &disk;
    spec.vm.disks_count = 1;
    int32_t pid = qemu_run(r, &spec)->pid;
    describe(out, pid);
    return pid;
}

TEST(qemu, a_spare_becomes_a_machine_like_any_other)
{
    struct rig r = {0};
    struct buf plain, stood;
    if (!qemu_open(&r))
        return;
    buf_init(&plain, TEXT_MAX);
    buf_init(&stood, TEXT_MAX);
    cr_expect(!was_preloaded(run_and_describe(&r, &plain)), "there was no machine before it");
    qemu_destroy(&r, "s.guest.0");

    int32_t spare = wait_for_spare(&r);
    r.events_count = 0;
    cr_expect_eq(run_and_describe(&r, &stood), spare);
    cr_expect(str_eq(buf_str(&plain), buf_str(&stood)), "before:\n" STR_FMT "now:\n" STR_FMT,
              STR_ARG(buf_str(&plain)), STR_ARG(buf_str(&stood)));
    qemu_destroy(&r, "s.guest.0");
    buf_free(&plain);
    buf_free(&stood);
    rig_close(&qemu_rig, &r);
}

/* Whatever becomes of a spare, machines are made. */
TEST(qemu, a_spare_that_dies_is_nobodys_trouble)
{
    struct rig r = {0};
    struct runtime_spec spec;
    if (!qemu_open(&r))
        return;
    qemu_fill(&r, &spec, "t.guest.0", RIG_RUNS);
    qemu_run(&r, &spec);
    int32_t spare = wait_for_spare(&r);
    cr_assert_eq(kill(spare, SIGKILL), 0);
    wait_for_end(spare); /* The runtime has not been told of it yet. */
    qemu_fill(&r, &spec, "u.guest.0", RIG_RUNS);
    cr_expect(!was_preloaded(qemu_run(&r, &spec)->pid));
    qemu_destroy(&r, "u.guest.0");
    r.events_count = 0;
    cr_expect_neq(wait_for_spare(&r), spare);
    qemu_fill(&r, &spec, "v.guest.0", RIG_RUNS);
    cr_expect(was_preloaded(qemu_run(&r, &spec)->pid));
    qemu_destroy(&r, "v.guest.0");
    qemu_destroy(&r, "t.guest.0");
    rig_close(&qemu_rig, &r);
}

/* A script in QEMU's place has a shell that would be stopped instead: there is no spare, and machines are made. */
TEST(qemu, a_script_has_no_spare)
{
    static const char script[] = "#!/bin/sh\nexec /usr/bin/qemu-system-x86_64 \"$@\"\n";
    char path[128];
    struct rig r = {0};
    struct runtime_spec spec;
    if (!qemu_open(&r))
        return;
    snprintf(path, sizeof path, "%s/qemu", own.directory);
    cr_assert_eq(chmod(own.directory, 0755), 0);
    cr_assert_eq(fs_put(path, str_of(script), 0755, NULL), ERR_OK);
    own.command = path;
    qemu_reopen(&r);
    for (int i = 0; i < 3; i++) {
        qemu_fill(&r, &spec, "x.guest.0", RIG_RUNS);
        cr_expect(!was_preloaded(qemu_run(&r, &spec)->pid));
        qemu_destroy(&r, "x.guest.0");
        r.events_count = 0;
        qemu_pass(&r, 100);
    }
    rig_close(&qemu_rig, &r);
}

/* It is no machine: when its agent goes, it goes. */
TEST(qemu, a_spare_ends_with_its_agent)
{
    struct rig r = {0};
    struct runtime_spec spec;
    if (!qemu_open(&r))
        return;
    qemu_fill(&r, &spec, "w.guest.0", RIG_RUNS);
    qemu_run(&r, &spec);
    qemu_destroy(&r, "w.guest.0");
    int32_t spare = wait_for_spare(&r);
    rig_close(&qemu_rig, &r);
    wait_for_end(spare);
}

static bool is_copied(const char *from, const char *to)
{
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        execl("/bin/cp", "cp", from, to, NULL);
        _exit(127);
    }
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static uint64_t inode_of_exe(int32_t pid)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    cr_assert_eq(stat(path, &st), 0);
    return st.st_ino;
}

/* An upgrade: the package's new file takes the old one's name. Modules that the old one would load are the new one's. */
TEST(qemu, a_spare_of_a_program_that_was_replaced_is_no_machine)
{
    static const char real[] = "/usr/bin/qemu-system-x86_64";
    char bin[96], path[128], upgrade[128], share[96], lib[96];
    struct rig r = {0};
    struct runtime_spec spec;
    struct stat now;
    if (!qemu_open(&r))
        return;
    /* Firmware and modules are looked for beside the program. */
    snprintf(bin, sizeof bin, "%s/bin", own.directory);
    snprintf(path, sizeof path, "%s/qemu", bin);
    snprintf(upgrade, sizeof upgrade, "%s/qemu.dpkg-new", bin);
    snprintf(share, sizeof share, "%s/share", own.directory);
    snprintf(lib, sizeof lib, "%s/lib", own.directory);
    cr_assert_eq(chmod(own.directory, 0755), 0);
    cr_assert_eq(fs_mkdir(bin, 0755, NULL), ERR_OK);
    cr_assert(symlink("/usr/share", share) == 0 && symlink("/usr/lib", lib) == 0 &&
              is_copied(real, path) && is_copied(real, upgrade));
    own.command = path;
    qemu_reopen(&r);

    qemu_fill(&r, &spec, "y.guest.0", RIG_RUNS);
    qemu_run(&r, &spec);
    int32_t spare = wait_for_spare(&r);
    cr_assert_eq(rename(upgrade, path), 0);
    cr_assert_eq(stat(path, &now), 0);
    cr_expect_neq(inode_of_exe(spare), now.st_ino);
    r.events_count = 0;
    qemu_fill(&r, &spec, "z.guest.0", RIG_RUNS);
    int32_t machine = qemu_run(&r, &spec)->pid;
    cr_expect_neq(machine, spare);
    cr_expect_eq(inode_of_exe(machine), now.st_ino);
    int32_t next = wait_for_spare(&r);
    cr_expect_neq(next, spare);
    cr_expect_eq(inode_of_exe(next), now.st_ino);
    cr_expect(kill(spare, 0) != 0, "the old one is still there");
    qemu_destroy(&r, "z.guest.0");
    qemu_destroy(&r, "y.guest.0");
    rig_close(&qemu_rig, &r);
}

/* A limit of memory that it does not fit in ends each that is made. */
TEST(qemu, spares_that_end_one_after_another_are_made_ever_less_often)
{
    struct rig r = {0};
    struct runtime_spec spec;
    int32_t pid = 0;
    if (!qemu_open(&r))
        return;
    qemu_fill(&r, &spec, "l.guest.0", RIG_RUNS);
    qemu_run(&r, &spec);
    for (int i = 0; i < 4; i++) { /* Then the next is made after 0.8 s. */
        int32_t spare = wait_for_spare(&r);
        cr_assert_eq(kill(spare, SIGKILL), 0);
        wait_for_end(spare);
    }
    for (int i = 0; i < 12; i++) {
        qemu_pass(&r, 25);
        cr_assert_eq(fs_list("/proc", visit_process, &pid, NULL), ERR_OK);
    }
    cr_expect_eq(pid, 0, "the fifth came at once");
    qemu_destroy(&r, "l.guest.0");
    rig_close(&qemu_rig, &r);
}

/* It would hear of its machine and could not take what belongs to it. */
TEST(qemu, there_is_no_spare_where_it_may_open_too_few_files)
{
    const struct rlimit few = {256, 256};
    struct rig r = {0};
    struct runtime_spec spec;
    if (!qemu_open(&r))
        return;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int i = 0; i < 3; i++) {
        qemu_fill(&r, &spec, "f.guest.0", RIG_RUNS);
        cr_expect(!was_preloaded(qemu_run(&r, &spec)->pid));
        qemu_destroy(&r, "f.guest.0");
        r.events_count = 0;
        qemu_pass(&r, 200);
    }
    rig_close(&qemu_rig, &r);
}
