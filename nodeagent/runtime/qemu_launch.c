/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu_launch.c -- from a spec to a process that has not run one instruction of QEMU yet.
 *
 * The child is a spare QEMU (qemu_spare.c), or a shell: it waits for one word, enters its group
 * through descriptors that it was handed, closes them, and becomes the machine. Meanwhile it is written
 * down: what QEMU's main() allocates is charged to the group from the first page, and an agent that dies in
 * between leaves a process that reads the end of its input and goes.
 *
 * QEMU opens nothing of ours by path: kernel, disks, taps, logs and sockets are inherited, so its user
 * needs no right on any of them and its directory may lie where it could not look.
 */
#include "io/clock.h"
#include "io/fs.h"
#include "base/cpuset.h"
#include "nodeagent/host/inroot.h"
#include "nodeagent/host/tap.h"
#include "nodeagent/runtime/qemu_args.h"
#include "nodeagent/runtime/qemu_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* 3 to 9: the group's files, which a shell can only name by one digit. */
enum { GROUP_FD = 3, FIRST_FD = 10, LOG_TAIL = 2048, HELPER_THREADS_MAX = 256 };

/* Of a kernel or initrd that others may not read. Debian's and Ubuntu's take a third of it; it is copied on the loop, and
 * held as long as the machine lives. */
#define BOOT_COPY_MAX (256ll << 20)

/* As libvirt has it: what one device maps beside the guest's memory. */
#define LOCKED_BESIDE_BYTES (1ull << 30)

static const char UID_LOCKS[] = "/run/baton-uids";

_Static_assert(CGROUP__COUNT <= FIRST_FD - GROUP_FD, "a file for each controller");

struct launch {
    struct runtime_qemu *r;
    struct machine *m;
    const struct runtime_spec *spec;
    struct qemu_plan plan;
    struct proc_fd fds[PROC_FDS_MAX];
    uint32_t fds_count, group_fds_count;
    int log, gate; /* What QEMU says; where its process waits for the word. */
    bool is_spare; /* The word is one for a spare. */
    gid_t gid;
    struct arena arena;
    struct err *e;
};

/* Hand ours to the child, and to launch_fini(). Returns the child's number for it. */
static int inherit(struct launch *l, int ours)
{
    CHECK(l->fds_count + FIRST_FD < PROC_FDS_MAX); /* qemu_machine_choose() limits devices. */
    int child = FIRST_FD + (int)(l->fds_count - l->group_fds_count);
    l->fds[l->fds_count++] = (struct proc_fd){.child = child, .ours = ours};
    return child;
}

static void launch_fini(struct launch *l)
{
    for (uint32_t i = 0; i < l->fds_count; i++)
        close(l->fds[i].ours);
    arena_free(&l->arena);
}

static bool path_in(const char *directory, const char *name, char out[FS_PATH_MAX])
{
    return fs_join(out, directory, name);
}

/* ---- a user of its own ---- */

/* The lock is inherited by QEMU and goes with it, so a uid is free again exactly when nobody runs under
 * it any more, whichever cluster's agent asks. */
static enum err_code take_uid(struct launch *l)
{
    enum err_code code = fs_mkdir(UID_LOCKS, 0700, l->e);
    for (uint32_t n = 0; code == ERR_OK && n < QEMU_UID_COUNT; n++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%u", UID_LOCKS, l->r->uid_first + n);
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            return err_set(l->e, ERR_UNAVAILABLE, "open %s: %m", path);
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            inherit(l, fd);
            l->m->record.uid = l->r->uid_first + n;
            return ERR_OK;
        }
        close(fd);
    }
    return code != ERR_OK ? code
                          : err_set(l->e, ERR_LIMIT, "all %d uids are taken", QEMU_UID_COUNT);
}

/* Its group: the one /dev/kvm is open to, where the machine needs that. */
static enum err_code take_gid(struct launch *l)
{
    struct stat st;
    l->gid = l->m->record.uid;
    if (!str_is(l->spec->vm.accelerator, "kvm"))
        return ERR_OK;
    if (stat("/dev/kvm", &st) != 0)
        return err_set(l->e, ERR_UNAVAILABLE, "/dev/kvm: %m");
    if ((st.st_mode & 0060) == 0060 && st.st_gid != 0)
        l->gid = st.st_gid;
    else if ((st.st_mode & 0006) != 0006)
        return err_set(l->e, ERR_DENIED, "/dev/kvm is open to root alone; give it to a group");
    return ERR_OK;
}

/* ---- what it inherits ---- */

/* A listening socket at DIRECTORY/name or at an absolute path. Bound through a descriptor of its
 * directory: paths of sockets end at 107 bytes, directories of ours do not. */
static enum err_code open_socket(struct launch *l, const char *path, int *out)
{
    char directory[FS_PATH_MAX];
    const char *name = strrchr(path, '/') + 1;
    snprintf(directory, sizeof directory, "%.*s", (int)(name - path), path);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    CLEANUP(fs_close) int dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    CLEANUP(fs_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (dir < 0 || fd < 0)
        return err_set(l->e, ERR_UNAVAILABLE, "socket %s: %m", path);
    int len = snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/%s", dir, name);
    if (len < 0 || (size_t)len >= sizeof at.sun_path)
        return err_set(l->e, ERR_LIMIT, "socket %s: its name is too long", path);
    unlinkat(dir, name, 0);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || fchmodat(dir, name, 0600, 0) != 0 ||
        listen(fd, 8) != 0)
        return err_set(l->e, ERR_UNAVAILABLE, "listen on %s: %m", path);
    *out = inherit(l, fd);
    fd = -1;
    return ERR_OK;
}

static enum err_code open_log(struct launch *l, const char *path, int *out)
{
    char parent[FS_PATH_MAX];
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(path, '/') - path), path);
    enum err_code code = fs_mkdir(parent, 0700, l->e);
    if (code != ERR_OK)
        return code;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(l->e, ERR_UNAVAILABLE, "open %s: %m", path);
    *out = inherit(l, fd);
    return ERR_OK;
}

/* An image's file: below its root when the path goes through one ("/rootfs/"), a plain path else. */
static enum err_code open_image(struct launch *l, struct str path, int flags, int *out_fd)
{
    static const char ROOT[] = "/rootfs/";
    char text[FS_PATH_MAX];
    if (path.len >= sizeof text || path.len == 0 || path.at[0] != '/')
        return err_set(l->e, ERR_INVALID, "not a path: " STR_FMT, STR_ARG(path));
    snprintf(text, sizeof text, STR_FMT, STR_ARG(path));
    char *root = strstr(text, ROOT);
    if (root == NULL)
        return inroot_open("/", text, flags, out_fd, l->e);
    root[sizeof ROOT - 2] = '\0'; /* The slash behind "rootfs". */
    enum err_code code = inroot_open(text, root + sizeof ROOT - 1, flags, out_fd, l->e);
    return code == ERR_OK ? code : err_wrap(l->e, "in the image");
}

/* QEMU opens kernel and initrd anew through /proc/self/fd, which asks for the file's own permission:
 * one that others may not read is copied into memory. */
static enum err_code make_readable(struct launch *l, int *fd)
{
    struct stat st;
    if (fstat(*fd, &st) != 0)
        return err_set(l->e, ERR_UNAVAILABLE, "stat: %m");
    if ((st.st_mode & 0004) != 0)
        return ERR_OK;
    if (st.st_size > BOOT_COPY_MAX)
        return err_set(l->e, ERR_LIMIT,
                       "a kernel or initrd of %lld bytes that others may not read; up to %lld are "
                       "copied",
                       (long long)st.st_size, BOOT_COPY_MAX);
    int copy = memfd_create("boot", MFD_CLOEXEC);
    if (copy < 0)
        return err_set(l->e, ERR_UNAVAILABLE, "memory file: %m");
    for (off_t left = st.st_size; left > 0;) {
        ssize_t got = sendfile(copy, *fd, NULL, (size_t)left);
        if (got <= 0) {
            err_set(l->e, ERR_UNAVAILABLE, "copy the kernel: %m");
            close(copy);
            return l->e->code;
        }
        left -= got;
    }
    fchmod(copy, 0444);
    close(*fd);
    *fd = copy;
    return ERR_OK;
}

static enum err_code open_boot_file(struct launch *l, struct str path, int *out)
{
    CLEANUP(fs_close) int fd = -1;
    enum err_code code = open_image(l, path, O_RDONLY, &fd);
    if (code == ERR_OK)
        code = make_readable(l, &fd);
    if (code != ERR_OK)
        return code;
    *out = inherit(l, fd);
    fd = -1;
    return ERR_OK;
}

/* Looked at whole, through a mapping: where its notes lie is the file's to say. */
static enum err_code look_at_kernel(struct launch *l, int fd, enum qemu_kernel *out)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size == 0)
        return err_set(l->e, ERR_INVALID, "the kernel is an empty file");
    void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED)
        return err_set(l->e, ERR_UNAVAILABLE, "map the kernel: %m");
    *out = qemu_kernel_kind(str_from(at, (size_t)st.st_size));
    munmap(at, (size_t)st.st_size);
    return ERR_OK;
}

static enum err_code open_kernel(struct launch *l, enum qemu_kernel *out_kind)
{
    const struct runtime_vm *vm = &l->spec->vm;
    *out_kind = QEMU_KERNEL_NONE;
    if (vm->kernel.len == 0)
        return ERR_OK;
    enum err_code code = open_boot_file(l, vm->kernel, &l->plan.kernel);
    if (code == ERR_OK)
        code = look_at_kernel(l, l->fds[l->fds_count - 1].ours, out_kind);
    if (code == ERR_OK && vm->initrd.len > 0)
        code = open_boot_file(l, vm->initrd, &l->plan.initrd);
    return code;
}

/* An empty disk is a sparse file of the machine's own. */
static enum err_code make_disk(struct launch *l, uint32_t i, uint64_t size)
{
    char path[FS_PATH_MAX], name[32];
    snprintf(name, sizeof name, "work/disk-%u.raw", i);
    if (!path_in(l->m->directory, name, path))
        return err_set(l->e, ERR_LIMIT, "path of %s", name);
    CLEANUP(fs_close) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)((size + 511) & ~511ull)) != 0 ||
        fchown(fd, l->m->record.uid, l->gid) != 0)
        return err_set(l->e, ERR_UNAVAILABLE, "empty disk of %llu bytes: %m",
                       (unsigned long long)size);
    return ERR_OK;
}

static enum err_code open_disk(struct launch *l, uint32_t i)
{
    const struct runtime_disk *d = &l->spec->vm.disks[i];
    char head[512];
    CLEANUP(fs_close) int fd = -1;

    l->plan.disks[i] = -1;
    if (d->path.len == 0)
        return make_disk(l, i, d->size_bytes);
    bool writes = !d->read_only && !d->ephemeral && !d->cdrom;
    enum err_code code = open_image(l, d->path, writes ? O_RDWR : O_RDONLY, &fd);
    if (code != ERR_OK)
        return err_wrap(l->e, "disk " STR_FMT, STR_ARG(d->name));
    ssize_t got = pread(fd, head, sizeof head, 0);
    if (got < 0)
        return err_set(l->e, ERR_UNAVAILABLE, "disk " STR_FMT ": %m", STR_ARG(d->name));
    /* A disk the guest writes through is raw, whatever it says: the guest could say it. */
    if (!writes)
        code = qemu_disk_is_qcow2(str_from(head, (size_t)got), &l->plan.disks_qcow2[i], l->e);
    if (code != ERR_OK)
        return code;
    l->plan.disks[i] = inherit(l, fd);
    fd = -1;
    return ERR_OK;
}

/* VFIO's nodes are root's; this one is the machine's user's until it is given back (host/vfio.h). */
static enum err_code open_group_node(struct launch *l, const struct runtime_hostdev *d)
{
    char path[64];
    snprintf(path, sizeof path, "/dev/vfio/%u", d->group);
    if (chown(path, l->m->record.uid, l->gid) != 0)
        return err_set(l->e, ERR_UNAVAILABLE, "device " STR_FMT ": %s: %m", STR_ARG(d->address),
                       path);
    return ERR_OK;
}

static enum err_code open_devices(struct launch *l)
{
    const struct runtime_vm *vm = &l->spec->vm;
    enum err_code code = ERR_OK;
    for (uint32_t i = 0; code == ERR_OK && i < vm->disks_count; i++)
        code = open_disk(l, i);
    for (uint32_t i = 0; code == ERR_OK && i < vm->nics_count; i++) {
        int fd;
        code = tap_open(vm->nics[i].tap, &fd, l->e);
        if (code == ERR_OK)
            l->plan.nics[i] = inherit(l, fd);
    }
    for (uint32_t i = 0; code == ERR_OK && i < vm->hostdevs_count; i++)
        code = open_group_node(l, &vm->hostdevs[i]);
    return code;
}

static enum err_code open_streams(struct launch *l)
{
    char path[FS_PATH_MAX];
    const char *console = l->m->record.serial_socket;
    if (!path_in(l->m->directory, "qmp.sock", path))
        return err_set(l->e, ERR_LIMIT, "path of qmp.sock");
    enum err_code code = open_socket(l, path, &l->plan.qmp);
    if (code == ERR_OK && console[0] == '\0' && !path_in(l->m->directory, "serial.sock", path))
        code = err_set(l->e, ERR_LIMIT, "path of serial.sock");
    if (code == ERR_OK)
        code = open_socket(l, console[0] == '\0' ? path : console, &l->plan.serial);
    if (code == ERR_OK && l->m->record.serial_log[0] != '\0')
        code = open_log(l, l->m->record.serial_log, &l->plan.serial_log);
    return code;
}

/* ---- its directory, its group ---- */

static enum err_code make_directory(struct launch *l)
{
    char work[FS_PATH_MAX];
    if (!path_in(l->m->directory, "work", work))
        return err_set(l->e, ERR_LIMIT, "path of work");
    enum err_code code = fs_mkdir(work, 0700, l->e);
    if (code == ERR_OK && chmod(l->m->directory, 0700) != 0)
        return err_set(l->e, ERR_UNAVAILABLE, "%s: %m", l->m->directory);
    if (code == ERR_OK && chown(work, l->m->record.uid, l->gid) != 0)
        return err_set(l->e, ERR_UNAVAILABLE, "%s: %m", work);
    return code;
}

enum err_code machine__group(struct runtime_qemu *r, const struct machine *m, struct err *e)
{
    const struct qemu_record *rec = &m->record;
    struct cgroup_limits limits = {.exclusive = rec->exclusive,
                                   .weight_milli = rec->weight_milli,
                                   .quota_us = rec->quota_us,
                                   .memory_bytes = rec->memory_bytes,
                                   .huge_2m_bytes = rec->huge_2m_bytes,
                                   .huge_1g_bytes = rec->huge_1g_bytes,
                                   .any_huge = rec->any_huge,
                                   .pids_max = (int64_t)rec->vcpus + HELPER_THREADS_MAX};
    if (r->cgroups == NULL)
        return ERR_OK;
    if (rec->exclusive)
        limits.cpus = cpuset_union(&rec->cpus, &rec->pool);
    return cgroup_make(r->cgroups, str_of(rec->id), &limits, e);
}

/* The files through which the child enters its group, as descriptors 3 and on. */
static enum err_code open_group(struct launch *l)
{
    struct buf files;
    struct str rest, path;
    if (l->r->cgroups == NULL)
        return ERR_OK;
    buf_init(&files, 8 * FS_PATH_MAX);
    enum err_code code = cgroup_procs_files(l->r->cgroups, str_of(l->m->record.id), &files, l->e);
    rest = str_trim(buf_str(&files));
    while (code == ERR_OK && str_split(&rest, '\n', &path)) {
        char text[FS_PATH_MAX];
        snprintf(text, sizeof text, STR_FMT, STR_ARG(path));
        int fd = open(text, O_WRONLY | O_CLOEXEC);
        CHECK(l->group_fds_count < FIRST_FD - GROUP_FD); /* CGROUP__COUNT of them. */
        if (fd < 0) {
            code = err_set(l->e, ERR_UNAVAILABLE, "open %s: %m", text);
        } else {
            int child = GROUP_FD + (int)l->group_fds_count++;
            l->fds[l->fds_count++] = (struct proc_fd){.child = child, .ours = fd};
        }
    }
    buf_free(&files);
    return code;
}

static const char *script_of(struct launch *l)
{
    struct buf text;
    buf_init(&text, 1024);
    buf_add(&text, STR("read -r go"));
    for (uint32_t i = 0; i < l->group_fds_count; i++)
        buf_printf(&text, " && echo 0 >&%u && exec %u>&-", GROUP_FD + i, GROUP_FD + i);
    buf_add(&text, STR(" && exec \"$@\" </dev/null"));
    const char *script = arena_dup(&l->arena, buf_str(&text));
    buf_free(&text);
    return script;
}

enum err_code machine__save(const struct machine *m, struct err *e)
{
    char path[FS_PATH_MAX], next[FS_PATH_MAX];
    struct buf text;
    if (!path_in(m->directory, "vm", path) || !path_in(m->directory, "vm.new", next))
        return err_set(e, ERR_LIMIT, "path of vm");
    buf_init(&text, QEMU_RECORD_MAX);
    qemu_record_print(&text, &m->record);
    enum err_code code = buf_status(&text, e);
    /* Not synced: after a power cut there is no process that it could be about. */
    CLEANUP(fs_close) int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (code == ERR_OK &&
        (fd < 0 || write(fd, text.at, text.len) != (ssize_t)text.len || rename(next, path) != 0))
        code = err_set(e, ERR_UNAVAILABLE, "write %s: %m", path);
    buf_free(&text);
    return code;
}

/* For people and scripts. */
static void write_pid_file(const struct machine *m)
{
    char path[FS_PATH_MAX];
    if (!path_in(m->directory, "qemu.pid", path))
        return;
    CLEANUP(fs_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0)
        dprintf(fd, "%d\n", m->record.pid);
}

/* ---- the process ---- */

/* A shell that reads its gate. */
static enum err_code spawn(struct launch *l, const char *const *argv)
{
    const char *const shell[] = {"/bin/sh", "-c", script_of(l), "sh"};
    const char *whole[COUNT_OF(shell) + QEMU_ARGS_MAX + 1];
    char work[FS_PATH_MAX];
    uint32_t count = 0;
    int gate[2];

    memcpy(whole, shell, sizeof shell);
    for (count = 0; argv[count] != NULL; count++)
        whole[COUNT_OF(shell) + count] = argv[count];
    whole[COUNT_OF(shell) + count] = NULL;
    if (!path_in(l->m->directory, "work", work))
        return err_set(l->e, ERR_LIMIT, "path of work");
    if (pipe2(gate, O_CLOEXEC) != 0)
        return err_set(l->e, ERR_UNAVAILABLE, "pipe: %m");
    struct proc_request request = {.argv = whole,
                                   .env = qemu_environment,
                                   .cwd = work,
                                   .detached = true,
                                   .no_capture = true,
                                   .uid = l->m->record.uid,
                                   .gid = l->gid,
                                   .set_ids = true,
                                   .fds = {{0, gate[0]}, {1, l->log}, {2, l->log}},
                                   .fds_count = 3 + l->fds_count};
    memcpy(request.fds + 3, l->fds, l->fds_count * sizeof l->fds[0]);
    l->m->child = proc_run(&l->r->client, slot_pack(l->m->slot), &request);
    close(gate[0]);
    l->gate = gate[1];
    if (l->m->child == NULL) /* IO_PROC_DONE comes all the same, for nobody. */
        return err_set(l->e, ERR_UNAVAILABLE, "/bin/sh cannot be started");
    return ERR_OK;
}

/* The process that will be the machine. It waits at its gate. */
static enum err_code take_process(struct launch *l, const char *const *argv)
{
    l->is_spare = spare__take(l->r, l->m, &l->gate);
    enum err_code code = l->is_spare ? ERR_OK : spawn(l, argv);
    if (code == ERR_OK) {
        l->m->record.pid = proc_pid(l->m->child);
        l->m->record.start_time = proc_start_time(l->m->record.pid);
    }
    return code;
}

static enum err_code tell_spare(struct launch *l, const char *const *argv)
{
    char work[FS_PATH_MAX];
    int groups[CGROUP__COUNT];
    struct spare_order o = {.uid = l->m->record.uid, .gid = l->gid, .argv = argv};
    struct proc_fd fds[PROC_FDS_MAX] = {{1, l->log}, {2, l->log}};

    o.groups = groups;
    o.fds = fds;
    o.fds_count = 2;
    for (uint32_t i = 0; i < l->fds_count; i++)
        if (l->fds[i].child < FIRST_FD)
            groups[o.groups_count++] = l->fds[i].ours;
        else
            fds[o.fds_count++] = l->fds[i];
    if (!path_in(l->m->directory, "work", work))
        return err_set(l->e, ERR_LIMIT, "path of work");
    CLEANUP(fs_close) int directory = open(work, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return err_set(l->e, ERR_UNAVAILABLE, "%s: %m", work);
    o.directory = directory;
    return spare__tell(l->gate, &o, l->e);
}

static enum err_code open_gate(struct launch *l, const char *const *argv)
{
    if (l->is_spare)
        return tell_spare(l, argv);
    if (write(l->gate, "\n", 1) == 1)
        return ERR_OK;
    return err_set(l->e, ERR_UNAVAILABLE, "QEMU's shell is gone: %m");
}

/* VFIO locks all of the guest's memory, and its page tables beside it, on QEMU's account. The process waits
 * still; what it becomes inherits. */
static enum err_code let_lock(struct launch *l)
{
    rlim_t bytes = (rlim_t)l->spec->vm.memory_bytes + LOCKED_BESIDE_BYTES;
    struct rlimit limit = {bytes, bytes};
    if (prlimit(l->m->record.pid, RLIMIT_MEMLOCK, &limit, NULL) == 0)
        return ERR_OK;
    return err_set(l->e, ERR_UNAVAILABLE, "the memory that a device needs locked: %m");
}

static enum err_code begin(struct launch *l, const char *const *argv)
{
    char path[FS_PATH_MAX];
    if (!path_in(l->m->directory, "qemu.log", path))
        return err_set(l->e, ERR_LIMIT, "path of qemu.log");
    CLEANUP(fs_close) int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0)
        return err_set(l->e, ERR_UNAVAILABLE, "%s: %m", path);
    l->log = log;
    enum err_code code = take_process(l, argv);
    if (code == ERR_OK && l->spec->vm.hostdevs_count > 0)
        code = let_lock(l);
    if (code == ERR_OK)
        code = machine__save(l->m, l->e);
    if (code == ERR_OK)
        code = open_gate(l, argv);
    fs_close(&l->gate); /* Without the word, the process goes. */
    if (code == ERR_OK)
        write_pid_file(l->m);
    return code;
}

static enum err_code order_check(const struct qemu_record *rec, struct err *e)
{
    struct cpuset seen = {0};
    for (uint32_t i = 0; i < rec->order_count; i++)
        if (rec->order[i] < RUNTIME_CPUS_MAX)
            cpuset_add(&seen, rec->order[i]);
    if (rec->order_count > 0 && (!rec->exclusive || !cpuset_eq(&seen, &rec->cpus) ||
                                 cpuset_count(&seen) != rec->order_count))
        return err_set(e, ERR_INVALID, "the order of the cpus is not that of those granted");
    return ERR_OK;
}

static enum err_code record_of(struct machine *m, const struct runtime_spec *spec, struct err *e)
{
    struct qemu_record *rec = &m->record;
    if (spec->vm.serial_log.len >= sizeof rec->serial_log ||
        spec->vm.serial_socket.len >= sizeof rec->serial_socket ||
        (spec->vm.serial_log.len > 0 && spec->vm.serial_log.at[0] != '/') ||
        (spec->vm.serial_socket.len > 0 && spec->vm.serial_socket.at[0] != '/'))
        return err_set(e, ERR_INVALID, "serial log and socket are absolute paths");
    snprintf(rec->serial_log, sizeof rec->serial_log, STR_FMT, STR_ARG(spec->vm.serial_log));
    snprintf(rec->serial_socket, sizeof rec->serial_socket, STR_FMT,
             STR_ARG(spec->vm.serial_socket));
    rec->vcpus = spec->vm.vcpus;
    rec->exclusive = spec->cpu.exclusive;
    rec->cpus = spec->cpu.exclusive ? spec->cpu.cpus : spec->cpu.pool;
    rec->pool = spec->cpu.pool;
    /* A group's weight is spread over the cpus it is busy on: without one for each vCPU and one for
     * QEMU's own threads, those starve in a busy pool while the guest computes. */
    rec->weight_milli = spec->cpu.exclusive ? 1000 * (rec->vcpus + 1) : spec->cpu.weight_milli;
    rec->quota_us = spec->cpu.quota_us;
    rec->memory_bytes = spec->memory_max_bytes;
    rec->huge_2m_bytes = spec->huge_2m_bytes;
    rec->huge_1g_bytes = spec->huge_1g_bytes;
    rec->created = clock_wall();
    for (uint32_t i = 0; i < spec->vm.order_count && i < RUNTIME_CPUS_MAX; i++)
        rec->order[rec->order_count++] = (uint16_t)spec->vm.order[i];
    if (cpuset_is_empty(&rec->pool))
        return err_set(e, ERR_INVALID, "no cpus for QEMU's own threads");
    if (rec->exclusive && cpuset_count(&rec->cpus) < rec->vcpus)
        return err_set(e, ERR_INVALID, "%u vCPUs on %u granted cpus", rec->vcpus,
                       cpuset_count(&rec->cpus));
    return order_check(rec, e);
}

static enum err_code prepare(struct launch *l, const char *const **out_argv)
{
    enum qemu_kernel kernel;
    enum err_code code = record_of(l->m, l->spec, l->e);
    if (code == ERR_OK)
        code = take_uid(l);
    if (code == ERR_OK)
        code = take_gid(l);
    if (code == ERR_OK)
        code = make_directory(l);
    if (code == ERR_OK)
        code = open_kernel(l, &kernel);
    if (code == ERR_OK)
        code = qemu_machine_choose(&l->spec->vm, kernel, &l->plan.machine, l->e);
    if (code == ERR_OK)
        code = open_streams(l);
    if (code == ERR_OK)
        code = open_devices(l);
    if (code == ERR_OK)
        code = qemu_args_make(&l->arena, &l->plan, l->r->command, out_argv, l->e);
    if (code == ERR_OK)
        code = machine__group(l->r, l->m, l->e);
    return code == ERR_OK ? open_group(l) : code;
}

enum err_code machine__launch(struct runtime_qemu *r, struct machine *m,
                              const struct runtime_spec *spec, struct err *e)
{
    struct launch l = {.r = r, .m = m, .spec = spec, .log = -1, .gate = -1, .e = e};
    const char *const *argv;
    l.plan = (struct qemu_plan){
        .spec = spec, .kernel = -1, .initrd = -1, .serial_log = -1, .numa = r->numa};
    arena_init(&l.arena, 1 << 20);
    enum err_code code = prepare(&l, &argv);
    if (code == ERR_OK)
        code = begin(&l, argv);
    launch_fini(&l);
    return code;
}

void machine__last_words(const struct machine *m, struct err *e)
{
    char path[FS_PATH_MAX], text[LOG_TAIL];
    struct str rest, line, last = {0};
    CLEANUP(fs_close) int fd = -1;
    if (path_in(m->directory, "qemu.log", path))
        fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    ssize_t got = fd < 0 ? 0 : pread(fd, text, sizeof text, end > LOG_TAIL ? end - LOG_TAIL : 0);
    rest = str_from(text, got > 0 ? (size_t)got : 0);
    while (str_split(&rest, '\n', &line))
        if (str_trim(line).len > 0)
            last = str_trim(line);
    err_set(e, ERR_INVALID, "QEMU: " STR_FMT,
            STR_ARG(last.len > 0 ? last : STR("it ended and said nothing")));
}
