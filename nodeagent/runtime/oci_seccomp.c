/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default seccomp profile: everything is allowed but what stands here.
 *
 * The set denied is the one that Docker's and containerd's default profiles deny to a container with
 * the default capabilities: what acts on the whole kernel (modules, clocks, swap, keys, accounting),
 * what makes or enters namespaces and mounts, what reads other processes' memory layout or the
 * kernel's, and what has been a way out before (userfaultfd, io_uring, open_by_handle_at). A list of
 * what is denied compiles in 0.3 ms of crun's start and costs a syscall less; a list of what is
 * allowed costs 2.5 ms (docs/decisions/0036-seccomp-as-a-list-of-denials.md). A capability that was granted on purpose
 * opens what it is for. Names are libseccomp's; one that the host's does not know is skipped by crun
 * and runc alike.
 */
#include "nodeagent/runtime/oci_priv.h"
#include <linux/capability.h>

enum { ALWAYS = -1 };

static const struct {
    int capability; /* Granted: these are allowed. */
    const char *names;
} denied[] = {
    {CAP_SYS_ADMIN, "\"mount\",\"umount\",\"umount2\",\"move_mount\",\"open_tree\",\"fsopen\","
                    "\"fsconfig\",\"fsmount\",\"fspick\",\"mount_setattr\",\"pivot_root\","
                    "\"unshare\",\"setns\",\"quotactl\",\"quotactl_fd\",\"swapon\",\"swapoff\","
                    "\"lookup_dcookie\",\"fanotify_init\",\"vhangup\""},
    {CAP_SYS_MODULE, "\"create_module\",\"delete_module\",\"finit_module\",\"init_module\","
                     "\"query_module\",\"get_kernel_syms\""},
    {CAP_SYS_BOOT, "\"reboot\",\"kexec_load\",\"kexec_file_load\""},
    {CAP_SYS_TIME, "\"settimeofday\",\"clock_settime\",\"clock_settime64\",\"clock_adjtime\","
                   "\"clock_adjtime64\",\"adjtimex\",\"stime\""},
    {CAP_SYS_RAWIO, "\"iopl\",\"ioperm\""},
    {CAP_SYS_PACCT, "\"acct\""},
    {CAP_DAC_READ_SEARCH, "\"open_by_handle_at\""},
    {CAP_BPF, "\"bpf\""},
    {CAP_PERFMON, "\"perf_event_open\""},
    {CAP_SYS_PTRACE, "\"kcmp\",\"userfaultfd\",\"process_madvise\""},
    {CAP_SYSLOG, "\"syslog\""},
    {ALWAYS, "\"add_key\",\"request_key\",\"keyctl\",\"io_uring_setup\",\"io_uring_enter\","
             "\"io_uring_register\",\"nfsservctl\",\"_sysctl\",\"sysfs\",\"uselib\",\"ustat\","
             "\"vm86\",\"vm86old\",\"move_pages\""},
};

/* clone(2)'s flags for new namespaces (CLONE_NEWNS .. CLONE_NEWNET and CLONE_NEWCGROUP); clone3(2)
 * hides them behind a pointer, so it is not there at all and libc falls back to clone. */
static const char clones[] =
    ",{\"names\":[\"clone\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":1,\"args\":["
    "{\"index\":0,\"value\":%u,\"valueTwo\":%u,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}";

static const uint32_t clone_flags[] = {0x00020000, 0x02000000, 0x04000000, 0x08000000,
                                       0x10000000, 0x20000000, 0x40000000};

void oci_seccomp_print(struct buf *out, uint64_t capabilities)
{
    const char *comma = "";
    buf_add(out,
            STR(",\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":["));
    for (uint32_t i = 0; i < COUNT_OF(denied); i++) {
        if (denied[i].capability != ALWAYS && (capabilities >> denied[i].capability & 1) != 0)
            continue;
        buf_printf(out, "%s%s", comma, denied[i].names);
        comma = ",";
    }
    buf_add(out, STR("],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":1}"));
    if ((capabilities >> CAP_SYS_ADMIN & 1) == 0) {
        for (uint32_t i = 0; i < COUNT_OF(clone_flags); i++)
            buf_printf(out, clones, clone_flags[i], clone_flags[i]);
        buf_add(out,
                STR(",{\"names\":[\"clone3\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":38}"));
    }
    buf_add(out, STR("]}"));
}
