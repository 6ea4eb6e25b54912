/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim.h -- the small program that stands by one container for the whole of its life.
 *
 * WHAT   baton-shim DIRECTORY reads DIRECTORY/shim.conf, starts the runtime's `run` inside the
 *        container's cgroup, becomes the container's parent (subreaper), writes its output in the CRI
 *        format, and at its end DIRECTORY/exit. One poll loop, libc and base/ only.
 * WHY    The agent may be killed, upgraded or restarted: pipes, logs and the exit code belong to
 *        somebody who is not.
 * OWNS   shim.conf is the agent's; DIRECTORY/shim and DIRECTORY/exit are the shim's, each written
 *        beside and renamed, so that a reader finds all of it or none.
 * FAILS  Before the container runs: exit status 1 and the reason on stdout. After: nothing stops it;
 *        what cannot be logged (a full disk) is dropped and the container goes on. How it ended has its room from the start.
 *
 * shim.conf, one "key=value" a line:
 *   runtime=PATH  id=ID  log=PATH  log_max=BYTES  log_files=N  tty=0|1  stdin=0|1
 *   cgroup=FILE  hide=MOUNT  (repeated: each cgroup.procs file to enter, each mount to hide)
 *   part=MAKE LENGTH PATH  (repeated: the n-th is mounted at DIRECTORY/parts/N; LENGTH: of PATH's volume)
 * DIRECTORY/shim:  "CONTAINER_PID START SHIM_PID START WALL_NS\n" (START: field 22 of /proc/PID/stat)
 * DIRECTORY/lock: locked (fcntl) by the shim as long as it lives.
 * DIRECTORY/exit:  "CODE SIGNAL WALL_NS\n"
 */
#ifndef NODEAGENT_SHIM_SHIM_H
#define NODEAGENT_SHIM_SHIM_H

#include "base/buf.h"
#include "base/err.h"
#include "base/time.h"
#include <sys/types.h>

enum {
    SHIM_PATH_MAX = 4096,
    SHIM_CGROUPS_MAX = 8,
    SHIM_HIDES_MAX = 24,
    SHIM_PARTS_MAX = 256,      /* As many mounts as a container may have. */
    SHIM_CONF_MAX = 256 << 10, /* More than an agent writes. */
    SHIM_LINE_MAX = 16 << 10,  /* Longer ones are cut into partial entries (tag P). */
};

struct shim_conf {
    char text[SHIM_CONF_MAX]; /* What everything below points into, each value NUL-terminated. */
    const char *directory, *runtime, *id, *log;
    const char *hides[SHIM_HIDES_MAX]; /* Mounts the runtime's command must not see. */
    const char *cgroups[SHIM_CGROUPS_MAX];
    const char *parts[SHIM_PARTS_MAX];
    uint32_t cgroups_count, hides_count, parts_count, log_files;
    uint64_t log_max;
    bool tty, has_stdin;
};

MUST_USE enum err_code shim_conf_read(const char *directory, struct shim_conf *out, struct err *e);

/* --- log.c: the writer of one log --- */

/* A stream's unfinished line. */
struct shim_line {
    char at[SHIM_LINE_MAX];
    uint32_t len;
};

struct shim_log {
    const char *path;
    int fd;
    uint64_t size, max;
    uint32_t files;           /* The live one included. */
    struct shim_line line[2]; /* stdout, stderr */
};

MUST_USE enum err_code shim_log_open(struct shim_log *l, const struct shim_conf *conf,
                                     struct err *e);
void shim_log_add(struct shim_log *l, int stream, struct str bytes, struct wall now);
void shim_log_close(struct shim_log *l, struct wall now); /* An unfinished line becomes one. */

/* --- part.c: parts of volumes --- */

/* In a mount namespace of our own: each part at its place, to which nothing led but folders and names, whatever is put
 * there afterwards. A part: see shim.conf. */
MUST_USE enum err_code shim_mount_parts(const struct shim_conf *conf, struct err *e);

/* --- launch.c: from a configuration to a running container --- */

struct shim_child {
    pid_t pid;  /* The container's first process. */
    int out[2]; /* stdout and stderr, ours to read; with a tty out[0] is its master, out[1] -1. */
    int in;     /* Held open so that the container's stdin does not end; -1: none. */
};

MUST_USE enum err_code shim_launch(const struct shim_conf *conf, struct shim_child *out,
                                   struct err *e);

/* In a child: into the container's groups, away from what its runtime must not see. Or it ends the process with
 * CHILD_FAILED and a sentence on stderr and in DIRECTORY/runtime.log. */
void shim_enter(const struct shim_conf *conf);
bool shim_is_crun(const char *runtime);

/* --- exec.c: `baton-shim --exec DIRECTORY MS COMMAND...`: a command in the container, with all that it starts
 * killed after MS milliseconds. The exit status is the command's, or 124 and TIMED_OUT on stderr. --- */
int shim_exec(int argc, char **argv);

/* Replace DIRECTORY/name by text. */
MUST_USE enum err_code shim_write(const char *directory, const char *name, struct str text,
                                  struct err *e);

/* Room for DIRECTORY/name on a disk that may be full when it is known what stands there: a descriptor, which is given to
 * shim_write_reserved(); -1: there is none. */
enum { SHIM_RESERVED = 96 };
int shim_reserve(const char *directory, const char *name);
bool shim_write_reserved(int fd, const char *directory, const char *name, struct str text);

uint64_t shim_start_time(pid_t pid); /* Field 22 of /proc/PID/stat; 0: gone. */

#endif /* NODEAGENT_SHIM_SHIM_H */
