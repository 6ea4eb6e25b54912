/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instance.h -- one container or one machine, from its image to its end.
 *
 * WHAT   The order of the runtime's calls for one instance, its restarts and their back-off. What is
 *        run and whether it is run again is for its workload to say (pod.h, vm.h).
 * WHY    Containers and machines end, restart and are stopped alike: one table, one pool rule.
 * OWNS   Lives in its workload. id names one attempt; a late answer for an earlier one is dropped.
 * FAILS  What cannot be made is tried again: 10 s, doubling to 5 min, as Kubernetes does; the first
 *        restart is at once, and ten minutes of running forgive everything.
 */
#ifndef NODEAGENT_CORE_INSTANCE_H
#define NODEAGENT_CORE_INSTANCE_H

#include "base/sm.h"
#include "nodeagent/core/agent.h"
#include "nodeagent/core/probe.h"

/* The table is the machine: instance_move() refuses an arrow that is not here, and
 * tests/unit/nodeagent/states_test.c draws docs/states/instance.dot from it.
 *
 *    state     may go to                                  here we are waiting for             */
/* clang-format off */
#define INSTANCE_STATES(S, TO)                                                                    \
    S(WAITING,  TO(IMAGE) | TO(RUNNING) | TO(SAVING) | TO(CLEARING) | TO(ENDED))                  \
                                                       /* its turn; after a restart: the list   */ \
    S(IMAGE,    TO(CREATING) | TO(BACKOFF) | TO(ENDED)) /* the images and their roots */ \
    S(CREATING, TO(STARTING) | TO(CLEARING))           /* the runtime's answer to create        */ \
    S(STARTING, TO(RUNNING) | TO(CLEARING))            /* to start: read back from the kernel   */ \
    S(RUNNING,  TO(PRESTOP) | TO(STOPPING) | TO(KILLING) | TO(SAVING)) \
                                                       /* an exit, or to be unwanted            */ \
    S(PRESTOP,  TO(STOPPING) | TO(KILLING) | TO(SAVING)) /* its preStop hook, or the grace's end */ \
    S(STOPPING, TO(KILLING) | TO(SAVING))              /* an exit, until the grace is over      */ \
    S(KILLING,  TO(SAVING))                            /* an exit                               */ \
    S(SAVING,   TO(CLEARING))                          /* how it ended to be on disk            */ \
    S(CLEARING, TO(BACKOFF) | TO(ENDED))               /* the runtime's answer to destroy       */ \
    S(BACKOFF,  TO(IMAGE) | TO(ENDED))                 /* retry_at, or to be unwanted           */ \
    S(ENDED,    0)                                     /* nothing: it is never run again        */
/* clang-format on */

#define S(name, to) INSTANCE_##name,
#define TO(name)
enum instance_state { INSTANCE_STATES(S, TO) INSTANCE__COUNT };
#undef S
#undef TO

extern const struct sm_state instance_states[INSTANCE__COUNT];

enum { INSTANCE_NAME_MAX = 64, INSTANCE_IMAGE_ID_MAX = 256, INSTANCE_IMAGES_MAX = 17 };

/* How one attempt ended. */
struct instance_end {
    bool happened;
    int32_t exit_code, signal;
    bool oom_killed;
    struct wall started, finished;
    char id[RUNTIME_ID_MAX];
};

struct instance {
    enum instance_state state;
    char name[INSTANCE_NAME_MAX]; /* The container's; "guest" for a machine. */
    uint32_t attempt;             /* From 0; part of the id, and the restart count. */
    char id[RUNTIME_ID_MAX];      /* "<workload uid>.<name>.<attempt>" */
    bool init, sidecar;           /* An init container; one that goes on running. */

    uint64_t op;          /* The one call in flight; 0 if none. */
    uint64_t cpus_op;     /* set_cpus in flight, beside it. */
    struct cpuset asked;  /* What cpus_op or create was told. */
    struct cpuset cpus;   /* Where it runs now, as read back; meaningful when live. */
    struct cpuset helper; /* A machine's other threads: the pool it was last told. */
    struct instant cpus_retry_at;

    uint32_t image_next; /* Images that are there. */
    char image_id[INSTANCE_IMAGE_ID_MAX];
    struct instant image_asked;
    struct instant
        retry_at; /* BACKOFF; IMAGE: when to tell of it; CLEARING, SAVING after a failure. */
    struct instant kill_at; /* STOPPING. */
    struct span backoff;    /* Of the last failure; 0: none yet. */
    struct instant running_since;
    struct wall started;
    int32_t pid;
    bool again;                    /* CLEARING: to be run again. */
    bool found;                    /* The runtime's list had it. */
    bool found_ended;              /* ...and it was not running any more. */
    struct instance_end found_end; /* ...and it ended before every list was in. */
    const char *trouble; /* Reason as Kubernetes words it, "ImagePullBackOff"; NULL: none. */
    char text[200];      /* Its sentence. */
    struct instance_end end, last; /* Of this attempt; of the one before. */

    struct probe probes[PROBE_KINDS];
    bool is_started, is_ready; /* As its probes and its hook say; while it runs. */
    bool hooking, hook_failed; /* A hook is under way; the last one failed. */
    uint64_t hook_op;
    struct instant hook_until; /* A hook that only sleeps. */
};

/* Something of it is or may be running on its cpus. */
static inline bool instance_live(const struct instance *i)
{
    return i->state >= INSTANCE_CREATING && i->state <= INSTANCE_CLEARING;
}

/* True of every instance between steps. */
static inline bool instance_invariant(const struct instance *i)
{
    bool in_flight = i->state == INSTANCE_IMAGE || i->state == INSTANCE_CREATING ||
                     i->state == INSTANCE_STARTING;
    bool retries = i->state == INSTANCE_BACKOFF;
    return (!in_flight || i->op != 0) && (!retries || i->retry_at.ns != 0) &&
           (i->op == 0 || (i->state != INSTANCE_WAITING && i->state != INSTANCE_RUNNING &&
                           i->state != INSTANCE_BACKOFF && i->state != INSTANCE_ENDED));
}

static inline void instance_move(struct instance *i, enum instance_state next)
{
    sm_check(instance_states, i->state, next);
    i->state = next;
}

#endif /* NODEAGENT_CORE_INSTANCE_H */
