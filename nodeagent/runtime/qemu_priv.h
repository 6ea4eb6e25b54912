/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu_priv.h -- what the files of runtime_qemu share.
 *
 * A call goes down. runtime_qemu.c: the operations, time, a process' end. qemu_attach.c: machines that another agent began.
 * qemu_session.c: what QEMU says. qemu_machine.c: what is done to a machine by any of these. qemu_launch.c: from a spec to a
 * process. qemu_spare.c: a QEMU that is loaded before it is needed.
 */
#ifndef NODEAGENT_RUNTIME_QEMU_PRIV_H
#define NODEAGENT_RUNTIME_QEMU_PRIV_H

#include "base/slots.h"
#include "io/proc.h"
#include "io/tcp.h"
#include "nodeagent/runtime/qemu_pin.h"
#include "nodeagent/runtime/qemu_record.h"
#include "nodeagent/runtime/qmp.h"
#include "nodeagent/runtime/runtime_qemu.h"

/* tests/unit/runtime/qemu_test.c draws docs/states/machine.dot from this.
 *
 *    state      may go to                                 here we are waiting for                  */
/* clang-format off */
#define MACHINE_STATES(S, TO)                                                                        \
    S(LAUNCHING, TO(CREATED) | TO(DYING))              /* QMP's handshake, then its threads        */ \
    S(ATTACHING, TO(CREATED) | TO(RUNNING) | TO(DYING)) /* the same, of one begun by another agent */ \
    S(CREATED,   TO(STARTING) | TO(DYING))             /* start                                    */ \
    S(STARTING,  TO(RUNNING) | TO(DYING))              /* the answer to cont                       */ \
    S(RUNNING,   TO(DYING))                            /* the guest's end                          */ \
    S(DYING,     TO(DEAD))                             /* the process's end                        */ \
    S(DEAD,      TO(REMOVING))                         /* destroy                                  */ \
    S(REMOVING,  0)                                    /* the kernel to let its group go           */
/* clang-format on */

#define S(name, to) MACHINE_##name,
#define TO(name)
enum machine_state { MACHINE_STATES(S, TO) MACHINE__COUNT };
#undef S
#undef TO

extern const struct sm_state machine_states[MACHINE__COUNT];

/* An op of ours that the caller waits for, at most one of each kind and machine. */
enum machine_op { OP_CREATE, OP_START, OP_STOP, OP_KILL, OP_DESTROY, OP__COUNT };

struct machine_end {
    bool known; /* It was our child: */
    int status, signo;
};

struct machine {
    struct slot_id slot;
    enum machine_state state;
    struct qemu_record record;
    char directory[QEMU_PATH_MAX];
    uint64_t ops[OP__COUNT]; /* 0: nobody waits. */
    struct proc *child;      /* Of this agent; NULL: watched, or gone. */
    struct proc_watch *watch;
    struct tcp *tcp; /* NULL: no QMP session. */
    struct qmp qmp;
    struct instant heard_since; /* Of what counts against QEMU_HEARD_MAX. */
    size_t heard_bytes;
    int32_t threads[QMP_VCPUS_MAX];  /* Of the vCPUs, once told. */
    bool threads_known, was_running; /* was_running: its end will be told as RUNTIME_EXITED. */
    bool panicked, killed;           /* How it came to be dying; record.guest_ended likewise. */
    bool end_told;                   /* RUNTIME_EXITED was posted. */
    bool unwanted;                   /* Remove it once it is dead. */
    bool found;                      /* list() is to tell of it. */
    bool paused_for_good;            /* Attached: the guest had ended while nobody looked. */
    struct instant deadline;         /* Of what is awaited; then it is killed. 0: none. */
    struct instant stop_until;       /* By then the power button must have been answered for. */
    struct err failure;              /* Why create will fail. */
    struct machine_end end;
};

/* At most one. Its process is the agent's child until a machine takes it. */
struct qemu_spare {
    char library[QEMU_PATH_MAX]; /* Empty: every machine waits for its loader. */
    struct proc *child;          /* NULL: none. */
    int socket;                  /* To it. */
    bool ready;                  /* It said so. */
    struct instant make_at;      /* 0: none is wished for. */
    struct span after; /* From a wish to it; longer the more ended unused, one after another. */
    uint32_t failures; /* That ended before they were ready, one after another. */
    struct {
        uint64_t device, inode;
        int64_t changed_ns;
    } program; /* What it was loaded from. */
};

struct runtime_qemu {
    struct runtime base;
    struct loop_client client;
    char command[QEMU_PATH_MAX], state[QEMU_PATH_MAX];
    struct cgroup_tree *cgroups;
    uint32_t uid_first;
    bool numa; /* Several memory nodes. */
    struct qemu_spare spare;
    struct slots slots;
    struct machine *machines[RUNTIME_INSTANCES_MAX];
    struct runtime_event *posts; /* In order; given to the sink from the loop. */
    uint32_t posts_count, posts_size;
    uint64_t list_op, close_op; /* 0: nobody waits. */
    bool unlisted;              /* The last list failed: whoever ended is told of after the next. */
    struct instant logs_at;     /* When to look at the serial logs again. */
};

/* ---- qemu_machine.c ---- */

void machine__move(struct machine *m, enum machine_state next);
bool machine__id_ok(struct str id);
struct machine *machine__new(struct runtime_qemu *r, struct str id); /* NULL: all slots taken. */
void machine__free(struct runtime_qemu *r, struct machine *m);
struct machine *machine__find(const struct runtime_qemu *r, struct str id);

/* Queue an event. The machine may be NULL. */
struct runtime_event *machine__post(struct runtime_qemu *r, const struct machine *m,
                                    enum runtime_event_type type, uint64_t op);
void machine__post_failure(struct runtime_qemu *r, const struct machine *m, uint64_t op,
                           enum err_code code, const char *text);
/* Answer the waiting op of this kind, if there is one. e NULL: it succeeded. */
void machine__answer(struct runtime_qemu *r, struct machine *m, enum machine_op op,
                     const struct err *e);
void machine__kill(struct machine *m, bool now);
struct qemu_pins machine__pins(const struct machine *m);

/* What was begun cannot be finished: kill it, and let create or start fail with this. */
void machine__fail(struct runtime_qemu *r, struct machine *m, enum err_code code, const char *what);

/* FOUND, once it is known whether it can be asked. */
void machine__tell_found(struct runtime_qemu *r, struct machine *m);
/* Files and group; ERR_BUSY: not yet. */
MUST_USE enum err_code machine__remove(struct runtime_qemu *r, struct machine *m, struct err *e);

void machine__connect(struct runtime_qemu *r, struct machine *m);
void machine__disconnect(struct machine *m);
void machine__ask(struct machine *m, enum qmp_command command);
void machine__flush(struct machine *m); /* Writes what its codec has for QEMU. */

/* ---- qemu_session.c ---- */

void machine__hear(struct runtime_qemu *r, struct machine *m, struct str bytes);
void machine__session_over(struct runtime_qemu *r, struct machine *m);
void machine__guest_over(struct runtime_qemu *r, struct machine *m, bool by_guest);
void machine__trim_logs(const struct machine *m); /* The guest's and QEMU's, to their limits. */

/* ---- qemu_launch.c ---- */

/* Directory, files, group, process. On failure some of it may be there: machine__remove(). */
MUST_USE enum err_code machine__launch(struct runtime_qemu *r, struct machine *m,
                                       const struct runtime_spec *spec, struct err *e);
MUST_USE enum err_code machine__save(const struct machine *m, struct err *e); /* The record. */
MUST_USE enum err_code machine__group(struct runtime_qemu *r, const struct machine *m,
                                      struct err *e);
void machine__last_words(const struct machine *m, struct err *e); /* Of QEMU, from its log. */

/* ---- qemu_spare.c ---- */

enum { SPARE_OP = 1 }; /* Of its end. No machine's: generations begin with 1, in the upper half. */

/* What QEMU gets beside its arguments; TMPDIR is its working directory. */
extern const char *const qemu_environment[];

/* Names the program and the library; library may be empty. */
void spare__init(struct runtime_qemu *r, struct str library);
void spare__wish(struct runtime_qemu *r);                     /* Soon, unless there is one. */
void spare__tick(struct runtime_qemu *r, struct instant now); /* Makes it, when nobody starts. */
void spare__ended(struct runtime_qemu *r);
void spare__close(struct runtime_qemu *r);

/* It becomes m's child, its socket the caller's. False: none is ready. */
bool spare__take(struct runtime_qemu *r, struct machine *m, int *out_socket);

/* What the caller's machine is to be. fds: first the working directory, then the groups' files. */
struct spare_order {
    uint32_t uid, gid;
    const char *const *argv;
    int directory;
    const int *groups;
    uint32_t groups_count;
    const struct proc_fd *fds;
    uint32_t fds_count;
};
MUST_USE enum err_code spare__tell(int socket, const struct spare_order *o, struct err *e);

/* ---- qemu_attach.c ---- */

/* Fails as a whole: what could not be looked at may be running. */
MUST_USE enum err_code machine__list(struct runtime_qemu *r, struct err *e);
/* The record of an instance that is on disk only, as a machine. ERR_NOT_FOUND: there is none. */
MUST_USE enum err_code machine__adopt(struct runtime_qemu *r, struct str id, struct machine **out,
                                      struct err *e);

#endif /* NODEAGENT_RUNTIME_QEMU_PRIV_H */
