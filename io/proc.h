/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proc.h -- other programs.
 *
 * WHAT   proc_run() starts a child and answers with exactly one IO_PROC_DONE: its status, and what
 *        it printed up to a cap. proc_watch() tells when a process that is not (or no longer) our
 *        child is gone. Both by pidfd or SIGCHLD, never by polling.
 * WHY    Runtimes, skopeo, ip, nft and QEMU are started from one place, with one idea of what is
 *        inherited: nothing but what fds[] names.
 * OWNS   All of struct proc_request is copied or duplicated before proc_run() returns.
 * ASYNC  A child that cannot be started answers through the queue like one that ran and failed.
 *        The client must not leave its loop while a child of its is running: proc_kill() it first.
 * FAILS  By the event: started is false, or timed_out is set.
 */
#ifndef IO_PROC_H
#define IO_PROC_H

#include "io/loop.h"
#include <sys/types.h>

enum { PROC_FDS_MAX = 64, PROC_CAPTURE_DEFAULT = 64 << 10 };

struct proc_fd {
    int child, ours; /* The child's descriptor number, 0 to PROC_FDS_MAX - 1, and ours behind it. */
};

struct proc_request {
    const char *const *argv; /* NULL at the end; argv[0] is searched in PATH. */
    const char *const *env;  /* "K=V", NULL at the end; NULL: ours. */
    const char *cwd;         /* NULL: ours. */
    struct str input;        /* Given to its standard input, which then ends. Up to 64 KiB. */
    size_t capture_max;      /* Bytes kept of stdout and of stderr each; 0: the default. */
    struct span timeout;     /* Then SIGKILL, to its whole session if detached; 0: none. */
    bool detached;           /* setsid(): survives us and our terminal. */
    bool no_capture;         /* stdout and stderr go to /dev/null unless fds[] names them. */
    uid_t uid;               /* With gid, when set_ids. */
    gid_t gid;
    bool set_ids;
    struct proc_fd fds[PROC_FDS_MAX];
    uint32_t fds_count;
};

struct proc;

/* NULL when it could not be started; IO_PROC_DONE comes in any case. The handle is good until then. */
struct proc *proc_run(struct loop_client *c, uint64_t op, const struct proc_request *r);
void proc_kill(struct proc *p, int signo);

/* The child lives on without us: no IO_PROC_DONE comes, p is gone. For what outlives the program. */
void proc_forget(struct proc *p); /* NULL is allowed. */
pid_t proc_pid(const struct proc *p);

/* From here on its end is told under this op: it became somebody else's affair. */
void proc_set_op(struct proc *p, uint64_t op);

/* IO_PROC_GONE with op when pid ends; at once when it is gone already. start_time is field 22 of
 * /proc/PID/stat, as proc_start_time() gave it when the pid was noted: a reused pid counts as gone.
 * 0: any. While we are short of descriptors or memory nothing is known of it, and it is looked at again every
 * 200 ms. Stop watching with proc_unwatch() (not after IO_PROC_GONE). */
struct proc_watch;
struct proc_watch *proc_watch(struct loop_client *c, uint64_t op, pid_t pid, uint64_t start_time);
void proc_unwatch(struct proc_watch *w);

/* Clock ticks after boot, 0 when there is no such process, only its parent does not know yet, or (errno EMFILE, ENFILE,
 * ENOMEM) we are short of something. */
uint64_t proc_start_time(pid_t pid);

/* Whether pid is the process that began then. ERR_UNAVAILABLE: we are short of something, and do not know. */
MUST_USE enum err_code proc_is_here(pid_t pid, uint64_t start_time, bool *out_here, struct err *e);

/* Run and wait, for tools without a loop (CLI, start-up). out and err may be NULL. ERR_UNAVAILABLE:
 * not started or timed out; otherwise *out_status is the exit status, or 128 + signal. */
MUST_USE enum err_code proc_run_wait(const struct proc_request *r, struct buf *out, struct buf *err,
                                     int *out_status, struct err *e);

#endif /* IO_PROC_H */
