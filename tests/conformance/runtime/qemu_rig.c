/* SPDX-License-Identifier: Apache-2.0 */
#include "io/clock.h"
#include "io/fs.h"
#include "io/loop.h"
#include "io/proc.h"
#include "nodeagent/host/cgroup.h"
#include "nodeagent/host/cpuset_proc.h"
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

struct own own;

void qemu_open_runtime(struct rig *r)
{
    struct runtime_qemu_options options = {.command = str_of(own.command),
                                           .state = str_of(own.state),
                                           .spare = STR(SPARE),
                                           .cgroups = own.cgroups};
    struct err e;
    own.loop = loop_new();
    enum err_code code =
        runtime_qemu_open(own.loop, &options, (struct runtime_sink){rig_post, r}, &r->runtime, &e);
    cr_assert_eq(code, ERR_OK, "%s", e.text);
}

/* A test that fails ends at once; what it started must not live on. A child waits for the test's end,
 * which closes the pipe, and then removes whatever is left. */
static void clean_up_after_me(void)
{
    int ends[2];
    char byte;
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    if (fork() != 0) {
        close(ends[0]); /* The other end stays open for as long as we live. */
        return;
    }
    close(ends[1]);
    (void)!read(ends[0], &byte, 1);
    for (int i = 0; i < 200 && cgroup_purge(own.cgroups, NULL) == ERR_BUSY; i++)
        poll(NULL, 0, 10);
    (void)!fs_remove_tree(own.directory, NULL);
    _exit(0);
}

bool qemu_open(struct rig *r)
{
    if (geteuid() != 0 || access("/usr/bin/qemu-system-x86_64", X_OK) != 0) {
        fputs("skipped: needs root and qemu-system-x86\n", stderr);
        return false;
    }
    signal(SIGPIPE, SIG_IGN);
    /* The runner's own would go to every child, which an agent's do not. */
    cr_assert_eq(close_range(3, ~0u, CLOSE_RANGE_CLOEXEC), 0);
    own = (struct own){.directory = "/tmp/baton-qemu-XXXXXX"};
    cr_assert(mkdtemp(own.directory) != NULL);
    snprintf(own.state, sizeof own.state, "%s/state", own.directory);
    snprintf(own.parent, sizeof own.parent, "baton-confq-%d", (int)getpid());
    rig_cgroups(own.parent, &own.cgroups, &own.all);
    clean_up_after_me();
    qemu_open_runtime(r);
    return true;
}

/* An agent's death closes its sockets; ours goes on living, so they are closed for it. */
void qemu_hang_up(void)
{
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_un peer;
        socklen_t size = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && peer.sun_family == AF_UNIX &&
            strstr(peer.sun_path, "qmp.sock") != NULL)
            shutdown(fd, SHUT_RDWR);
    }
}

void qemu_reopen(struct rig *r)
{
    own.dead_runtime = r->runtime;
    own.dead_loop = own.loop;
    qemu_hang_up();
    qemu_open_runtime(r);
}

void qemu_pass(struct rig *r, uint32_t ms)
{
    rig_turn(r, own.loop, ms);
}

void qemu_fill(struct rig *r, struct runtime_spec *spec, const char *id, enum rig_deed deed)
{
    static const char *const deeds[] = {"rounds=0 hold", "rounds=0", "rounds=20"};
    (void)r;
    snprintf(own.path, sizeof own.path, "%s/%s", own.state, id);
    snprintf(own.log, sizeof own.log, "%s/logs/%s.log", own.directory, id);
    snprintf(own.console, sizeof own.console, "%s/%s.console", own.directory, id);
    *spec = (struct runtime_spec){.id = str_of(id),
                                  .directory = str_of(own.path),
                                  .cpu = {.cpus = own.all, .pool = own.all, .weight_milli = 2000},
                                  .memory_max_bytes = 256 << 20,
                                  .kind = RUNTIME_VM,
                                  .vm = {.vcpus = 1,
                                         .memory_bytes = 32 << 20,
                                         .kernel = STR(PVH),
                                         .kernel_args = str_of(deeds[deed]),
                                         .machine = STR("q35"),
                                         .accelerator = STR("tcg"),
                                         .serial_log = str_of(own.log),
                                         .serial_socket = str_of(own.console)}};
}

static void qemu_close(struct rig *r)
{
    struct err e;
    (void)r;
    loop_free(own.loop);
    cr_assert_eq(cgroup_purge(own.cgroups, &e), ERR_OK, "left behind: %s", e.text);
    cgroup_close(own.cgroups);
    cr_assert(rmdir(own.state) == 0 || errno == ENOENT, "an instance's directory is left");
    cr_assert_eq(fs_remove_tree(own.directory, &e), ERR_OK, "%s", e.text);
}

const struct rig_kind qemu_rig = {
    .open = qemu_open,
    .reopen = qemu_reopen,
    .pass = qemu_pass,
    .fill = qemu_fill,
    .close = qemu_close,
    .machine = true,
};

const struct runtime_event *qemu_run(struct rig *r, const struct runtime_spec *spec)
{
    char id[RUNTIME_ID_MAX];
    snprintf(id, sizeof id, STR_FMT, STR_ARG(spec->id));
    rig_ok(&qemu_rig, r, rig_create(r, spec));
    uint64_t op = rig_call(r, r->runtime->ops->start, id);
    rig_ok(&qemu_rig, r, op);
    return rig_wait(&qemu_rig, r, RUNTIME_DONE, op);
}

void qemu_destroy(struct rig *r, const char *id)
{
    rig_ok(&qemu_rig, r, rig_call(r, r->runtime->ops->destroy, id));
}

const char *qemu_text_of(const char *path)
{
    static char text[64 << 10];
    FILE *file = fopen(path, "rb");
    size_t len = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
    if (file != NULL)
        fclose(file);
    text[len] = '\0';
    return text;
}

/* The cpus of the thread whose name begins so. */
static struct cpuset cpus_of(int32_t pid, const char *name, bool *out_found)
{
    struct cpuset cpus = {0};
    *out_found = false;
    for (int32_t thread = pid; thread < pid + 64; thread++) {
        char path[64], want[64];
        snprintf(path, sizeof path, "/proc/%d/task/%d/status", pid, thread);
        snprintf(want, sizeof want, "Name:\t%s", name);
        const char *status = qemu_text_of(path);
        if (strncmp(status, want, strlen(want)) != 0)
            continue;
        *out_found = true;
        cr_assert_eq(cpuset_of_status(str_of(status), &cpus), ERR_OK);
    }
    return cpus;
}

void qemu_assert_on(int32_t pid, const char *name, const struct cpuset *want)
{
    bool found;
    struct cpuset have = cpus_of(pid, name, &found);
    cr_assert(found, "no thread %s", name);
    cr_assert(cpuset_eq(&have, want), "thread %s is elsewhere", name);
}

const char *qemu_ask(const char *id, const char *question)
{
    static char text[64 << 10];
    char lines[256];
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t len = 0;
    int count = snprintf(lines, sizeof lines,
                         "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"%s\"}\n", question);
    qemu_hang_up();
    snprintf(at.sun_path, sizeof at.sun_path, "%s/%s/qmp.sock", own.state, id);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof at), 0, "%s: %m", at.sun_path);
    cr_assert_eq(write(fd, lines, (size_t)count), count);
    for (int seen = 0; seen < 3 && len + 1 < sizeof text;) { /* The greeting and two answers. */
        ssize_t got = read(fd, text + len, sizeof text - 1 - len);
        cr_assert_gt(got, 0);
        for (ssize_t i = 0; i < got; i++)
            seen += text[len + (size_t)i] == '\n';
        len += (size_t)got;
    }
    text[len] = '\0';
    close(fd);
    return text;
}
