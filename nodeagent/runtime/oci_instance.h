/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci_instance.h -- one container as the OCI runtime's files see it, and the table of all.
 *
 * WHAT   Shared by runtime_oci.c (the ops), oci_list.c (finding again) and oci_open.c (loop, opening, closing).
 *        A container is its shim's child: what is known of it is the shim's report, its pidfd and files in its directory.
 * OWNS   struct oci has a slot per instance, up to RUNTIME_INSTANCES_MAX; oci__take() to oci__give(). A slot's name goes
 *        stale with it, so a late word of io/ finds nobody.
 * ASYNC  oci__later() and oci__done() queue; the loop's next turn posts. An op has one oci__done(), a started instance
 *        one oci__tell_exit().
 * FAILS  oci__take(): ERR_INVALID, a name that cannot be one; ERR_LIMIT, all slots are taken. A destroy that is not through in DESTROY_LIMIT_S answers ERR_BUSY and
 *        may be asked again.
 */
#ifndef NODEAGENT_RUNTIME_OCI_INSTANCE_H
#define NODEAGENT_RUNTIME_OCI_INSTANCE_H

#include "base/map.h"
#include "base/slots.h"
#include "base/sm.h"
#include "io/proc.h"
#include "nodeagent/runtime/oci_priv.h"

enum {
    PENDING_MAX = 4 * RUNTIME_INSTANCES_MAX, /* Answers that wait for the loop. */
    START_LIMIT_S = 60,                      /* Of the shim's launch. */
    DESTROY_LIMIT_S = 30,                    /* Then destroy answers ERR_BUSY. */
    /* While the runtime's own command works in the group, which it is in from its first instruction: a
     * pod that asked for nothing would else be set up with the least share of a busy machine. */
    START_WEIGHT_MILLI = 1000,
    RETRY_FIRST_MS = 1,
    RETRY_MAX_MS = 100,
    IO_START = 1, /* What an io op of an instance is about, in its low byte. */
    IO_SHIM = 2,
    IO_EXEC = 3, /* Not an instance's: the exec's index is in the next byte. */
};

/* clang-format off */
#define OCI_STATES(S, TO)                                                                     \
    S(FREE,       TO(CREATED) | TO(RUNNING) | TO(STOPPED) | TO(DESTROYING)) /* nobody      */ \
    S(CREATED,    TO(STARTING) | TO(DESTROYING) | TO(FREE))        /* start                */ \
    S(STARTING,   TO(RUNNING) | TO(CREATED) | TO(DESTROYING))      /* the shim's report    */ \
    S(RUNNING,    TO(STOPPED) | TO(DESTROYING))                    /* the shim's end       */ \
    S(STOPPED,    TO(DESTROYING))                                  /* destroy              */ \
    S(DESTROYING, TO(FREE))                                        /* nothing to be left   */
/* clang-format on */

#define S(name, to) OCI_##name,
enum oci_state { OCI_STATES(S, TO) OCI__COUNT };
#undef S

extern const struct sm_state oci__states[OCI__COUNT];

struct instance {
    char id[RUNTIME_ID_MAX];
    char *directory; /* Its own copy. */
    enum oci_state state;
    struct slot_id name;
    struct oci_record record;
    struct oci_shim shim;                /* RUNNING and after. */
    struct proc *launch;                 /* STARTING. */
    struct proc_watch *watch;            /* On the shim. */
    uint64_t start_op, end_op;           /* In flight: start, destroy. */
    struct instant retry_at, give_up_at; /* DESTROYING. */
    struct span retry_in;
    bool owes_exit; /* A started one whose EXITED was not posted yet. */
};

/* One command inside an instance, which may be gone before it. */
struct oci_exec {
    uint64_t op; /* 0: free. */
    struct proc *proc;
};

struct oci {
    struct runtime runtime;
    struct loop_client client;
    struct cgroup_tree *cgroups;
    char command[OCI_PATH_MAX], shim[OCI_PATH_MAX], state[OCI_PATH_MAX];
    bool is_runc;
    struct oci_host host;
    int64_t pids_max;
    struct slots slots;
    struct instance *instances;
    struct map by_id;
    struct runtime_event *pending; /* A queue: posted from the loop. */
    uint32_t pending_count, destroying_count;
    struct oci_exec execs[RUNTIME_EXECS_MAX];
    uint32_t execs_count;
    uint64_t close_op;
    bool closing;
    bool unlisted; /* The last list failed: whoever ended is told of after the next. */
};

/* Queue an event, or the answer to op, for the next turn of the loop. */
void oci__later(struct oci *o, const struct runtime_event *ev);
void oci__done(struct oci *o, uint64_t op, struct str id, enum err_code code, const struct err *e);
struct runtime_event oci__event(enum runtime_event_type type, uint64_t op, struct str id);

/* Slots: NULL and a reason when there is none, or the names are too long. */
struct instance *oci__find(struct oci *o, struct str id);
struct instance *oci__take(struct oci *o, struct str id, struct str directory, struct err *e);
void oci__give(struct oci *o, struct instance *i);
void oci__move(struct instance *i, enum oci_state next);
uint64_t oci__io_op(const struct instance *i, uint64_t about);

/* A file in a directory of an instance. */
MUST_USE enum err_code oci__get(const char *directory, const char *file, struct buf *out,
                                struct err *e);

/* oci_make.c. Whatever it left is the caller's to remove. */
MUST_USE enum err_code oci__make(struct oci *o, struct instance *i, const struct runtime_spec *spec,
                                 struct err *e);

/* oci_shim.c */
void oci__watch_shim(struct oci *o, struct instance *i);
MUST_USE enum err_code oci__read_back(struct oci *o, const struct instance *i, struct cpuset *out,
                                      struct err *e);
void oci__tell_exit(struct oci *o, struct instance *i);

/* What io/ told, and a destroy's next try. */
void oci__shim_reported(struct oci *o, struct instance *i, const struct io_event *ev);
void oci__shim_is_gone(struct oci *o, struct instance *i);
void oci__step_destroy(struct oci *o, struct instance *i);

/* oci_exec.c */
void oci__exec(struct runtime *r, uint64_t op, struct str id, const struct runtime_exec *x);
void oci__exec_done(struct oci *o, const struct io_event *ev);
void oci__exec_kill(struct oci *o); /* All of them; each is answered. */

/* oci_list.c */
void oci__list(struct runtime *r, uint64_t op);

/* oci_loop.c */
void oci__on_event(struct loop_client *c, const struct io_event *ev);
void oci__on_turn(struct loop_client *c, struct instant now);
void oci__close(struct runtime *r, uint64_t op);

extern const struct runtime_ops oci__ops; /* runtime_oci.c */

#endif /* NODEAGENT_RUNTIME_OCI_INSTANCE_H */
