/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/runtime/oci_rig.h"
#include "base/capability.h"
#include "io/fs.h"
#include "io/loop.h"
#include "io/proc.h"
#include "nodeagent/runtime/runtime_oci.h"
#include "tests/testlib/test.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct oci_own oci_own;

static bool can_run(const char *command)
{
    return geteuid() == 0 && access(command, X_OK) == 0 && access("/usr/bin/busybox", X_OK) == 0;
}

static void make_rootfs(void)
{
    char bin[256], target[512];
    const char *const argv[] = {"cp", "/usr/bin/busybox", bin, NULL};
    struct proc_request copy = {.argv = argv};
    int status;

    snprintf(bin, sizeof bin, "%s/bin", oci_own.rootfs);
    cr_assert_eq(fs_mkdir(bin, 0755, NULL), ERR_OK);
    cr_assert_eq(proc_run_wait(&copy, NULL, NULL, &status, NULL), ERR_OK);
    snprintf(target, sizeof target, "%s/sh", bin);
    cr_assert_eq(symlink("busybox", target), 0);
}

static void open_runtime(struct rig *r)
{
    struct runtime_oci_options options = {.command = str_of(oci_own.command),
                                          .shim = STR(SHIM),
                                          .state = str_of(oci_own.state),
                                          .cgroups = oci_own.cgroups};
    struct err e;
    oci_own.loop = loop_new();
    enum err_code code = runtime_oci_open(oci_own.loop, &options,
                                          (struct runtime_sink){rig_post, r}, &r->runtime, &e);
    cr_assert_eq(code, ERR_OK, "%s", e.text);
}

static bool open_with(struct rig *r, const char *command)
{
    if (!can_run(command)) {
        fprintf(stderr, "skipped: needs root, %s and busybox-static\n", command);
        return false;
    }
    oci_own = (struct oci_own){.directory = "/tmp/baton-oci-XXXXXX", .command = command};
    cr_assert(mkdtemp(oci_own.directory) != NULL);
    snprintf(oci_own.rootfs, sizeof oci_own.rootfs, "%s/rootfs", oci_own.directory);
    snprintf(oci_own.state, sizeof oci_own.state, "%s/state", oci_own.directory);
    snprintf(oci_own.parent, sizeof oci_own.parent, "baton-conf-%d", (int)getpid());
    make_rootfs();
    rig_cgroups(oci_own.parent, &oci_own.cgroups, &oci_own.all);
    open_runtime(r);
    return true;
}

bool oci_open(struct rig *r)
{
    return open_with(r, "/usr/bin/crun");
}

static bool runc_open(struct rig *r)
{
    return open_with(r, "/usr/sbin/runc");
}

/* The process is the same, but nothing of the first runtime is left: its loop is abandoned like a
 * killed agent's. Kept reachable, so that it does not count as a leak. */
void oci_reopen(struct rig *r)
{
    oci_own.dead_runtime = r->runtime;
    oci_own.dead_loop = oci_own.loop;
    open_runtime(r);
}

static void oci_pass(struct rig *r, uint32_t ms)
{
    rig_turn(r, oci_own.loop, ms);
}

void oci_fill(struct rig *r, struct runtime_spec *spec, const char *id, enum rig_deed deed)
{
    static const struct str env[] = {{"PATH=/bin", 9}};
    static struct str args[3] = {{"/bin/sh", 7}, {"-c", 2}};
    static const char *const deeds[] = {"trap 'exit 0' TERM; while :; do busybox sleep 0.1; done",
                                        "echo out; echo err >&2; exit 3",
                                        "busybox sleep 0.3; exit 5"};
    (void)r;
    snprintf(oci_own.path, sizeof oci_own.path, "%s/%s", oci_own.state, id);
    snprintf(oci_own.log, sizeof oci_own.log, "%s/logs/%s/0.log", oci_own.directory, id);
    args[2] = str_of(deeds[deed]);
    *spec = (struct runtime_spec){
        .id = str_of(id),
        .directory = str_of(oci_own.path),
        .cpu = {.cpus = oci_own.all, .pool = oci_own.all, .weight_milli = 100},
        .memory_max_bytes = 64 << 20,
        .kind = RUNTIME_CONTAINER,
        .container = {.rootfs = str_of(oci_own.rootfs),
                      .args = args,
                      .args_count = 3,
                      .env = env,
                      .env_count = 1,
                      .hostname = STR("web"),
                      .no_new_privs = true,
                      .capabilities = capability_default(),
                      .log_path = str_of(oci_own.log),
                      .log_max_bytes = 1 << 20,
                      .log_files = 3}};
}

static void oci_close(struct rig *r)
{
    struct err e;
    (void)r;
    loop_free(oci_own.loop);
    cr_assert_eq(cgroup_purge(oci_own.cgroups, &e), ERR_OK, "left behind: %s", e.text);
    cgroup_close(oci_own.cgroups);
    cr_assert(rmdir(oci_own.state) == 0 || errno == ENOENT, "an instance's directory is left");
    cr_assert_eq(fs_remove_tree(oci_own.directory, &e), ERR_OK, "%s", e.text);
}

#define COMMANDS                                                                                   \
    .good = {{"/bin/busybox", 12}, {"true", 4}},                                                   \
    .bad = {{"/bin/sh", 7}, {"-c", 2}, {"echo it said no; exit 1", 23}},                           \
    .endless = {{"/bin/sh", 7}, {"-c", 2}, {"busybox sleep 1000 & busybox sleep 1001", 39}}

const struct rig_kind oci_rig = {.open = oci_open,
                                 .reopen = oci_reopen,
                                 .pass = oci_pass,
                                 .fill = oci_fill,
                                 .close = oci_close,
                                 COMMANDS};
const struct rig_kind runc_rig = {.open = runc_open,
                                  .reopen = oci_reopen,
                                  .pass = oci_pass,
                                  .fill = oci_fill,
                                  .close = oci_close,
                                  COMMANDS};

const struct runtime_event *oci_run(const struct rig_kind *k, struct rig *r,
                                    const struct runtime_spec *spec)
{
    rig_ok(k, r, rig_create(r, spec));
    char id[RUNTIME_ID_MAX];
    snprintf(id, sizeof id, STR_FMT, STR_ARG(spec->id));
    return rig_wait(k, r, RUNTIME_DONE, rig_call(r, r->runtime->ops->start, id));
}
