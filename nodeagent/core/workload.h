/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workload.h -- one Placement being carried out: a pod or a virtual machine.
 *
 * WHAT   Record on disk, network, volumes, the shared pool narrowed, then its instances run; at the
 *        end they are stopped within the grace, every trace removed, the record forgotten.
 * WHY    A machine and a pod compete for the same rows by the same rules; what differs (which
 *        instances, when one is run again, what the guest is told) is in pod.c and vm.c, behind
 *        struct workload_kind.
 * OWNS   The decoded Placement and object live in arena and are replaced whole by the next Assign.
 */
#ifndef NODEAGENT_CORE_WORKLOAD_H
#define NODEAGENT_CORE_WORKLOAD_H

#include "base/arena.h"
#include "nodeagent/core/disk.h"
#include "nodeagent/core/instance.h"
#include "proto/baton/agent/v1.pb-c.h"
#include "proto/baton/v1.pb-c.h"
#include "proto/k8s/core_v1.pb-c.h"
#include "proto/kubevirt/v1.pb-c.h"

/* tests/unit/nodeagent/states_test.c draws docs/states/workload.dot from this.
 *
 *    state       may go to                                here we are waiting for             */
/* clang-format off */
#define WORKLOAD_STATES(S, TO)                                                                     \
    S(LISTING,    TO(NETWORK) | TO(STOPPING))          /* restored: what the runtimes still have */ \
    S(SAVING,     TO(NETWORK) | TO(CLEANING))          /* the record to be on disk               */ \
    S(NETWORK,    TO(VOLUMES) | TO(BACKOFF) | TO(STOPPING)) /* namespace or tap, address, ports  */ \
    S(VOLUMES,    TO(POOL) | TO(BACKOFF) | TO(STOPPING)) /* directories and files                */ \
    S(POOL,       TO(RUNNING) | TO(STOPPING))          /* its rows: the pool to leave them       */ \
    S(BACKOFF,    TO(NETWORK) | TO(STOPPING))          /* retry_at                               */ \
    S(RUNNING,    TO(STOPPING))                        /* the last instance to end               */ \
    S(STOPPING,   TO(CLEANING))                        /* the instances to end                   */ \
    S(CLEANING,   TO(ENDED) | TO(FORGETTING))          /* network, roots, volumes to be gone     */ \
    S(ENDED,      TO(CLEANING) | TO(GONE))              /* to be unwanted; it holds no rows       */ \
    S(FORGETTING, TO(GONE))                            /* the record to be off the disk          */ \
    S(GONE,       0)                                   /* the control plane to have heard of it  */
/* clang-format on */

#define S(name, to) WORKLOAD_##name,
#define TO(name)
enum workload_state { WORKLOAD_STATES(S, TO) WORKLOAD__COUNT };
#undef S
#undef TO

extern const struct sm_state workload_states[WORKLOAD__COUNT];

enum { WORKLOAD_UID_MAX = 64, WORKLOAD_PATH_MAX = 256, WORKLOAD_HAPPENINGS_MAX = 24 };

/* What people read as an Event; kept until a report with it was acknowledged. */
struct happening {
    int64_t at_ns;
    const char *reason; /* A constant. */
    char *message;      /* Allocated. */
    uint32_t instance;  /* WORKLOAD_ITSELF: the whole. */
    bool warning;
};

enum { WORKLOAD_ITSELF = UINT16_MAX };

struct workload {
    enum workload_state state;
    struct slot_id slot;
    char uid[WORKLOAD_UID_MAX];           /* The workload object's. */
    char placement_uid[WORKLOAD_UID_MAX]; /* The decision's: what the control plane calls it. */
    const struct workload_kind *kind;

    struct arena arena; /* Everything below that is a pointer. */
    Agent__Assign *assign;
    Baton__Placement *placement;
    Core__Pod *pod; /* One of these two. */
    Kubevirt__VirtualMachineInstance *machine;
    struct instance *instances;
    uint32_t instances_count;

    struct cpuset exclusive; /* The granted threads and their idle siblings; empty: shared. */
    struct cpuset run_cpus;  /* Of these, where it runs. */
    bool holds;              /* Its exclusive rows are out of the pool. */
    bool unwanted;           /* To be stopped. */
    bool removed;            /* ...and its logs and record too. */
    bool cleans_logs;        /* CLEANING: what FX_CLEAN in flight was told. */
    bool ended;              /* Never to be run again: Succeeded or Failed. */
    bool failed;             /* ended: it failed. */
    struct span grace;
    struct disk_use disk;
    char evicted[EVICTED_MAX]; /* Why it has to leave the node, for people; empty: it has not. */
    struct instant evicted_at;
    bool
        unsaved; /* Ended by us, and that is not written down: there is no room, or nobody to do it for. */
    bool overdue;               /* ended: it was active for longer than it may. */
    struct instant active_from; /* started, on the other clock. */

    uint64_t op; /* The one host call in flight; 0 if none. */
    struct instant retry_at;
    struct span backoff;
    char network[WORKLOAD_PATH_MAX]; /* Network namespace's path, or tap; empty: the host's. */
    const char *reason;              /* Why it does not go on, CamelCase; NULL: it does. */
    char text[200];
    struct wall started;

    uint64_t sequence, acked;   /* Reports given a number; heard of. */
    bool dirty;                 /* Something changed since the last report. */
    struct instant report_from; /* When dirty began. */
    struct instant report_at;   /* When to repeat it. */

    struct happening happenings[WORKLOAD_HAPPENINGS_MAX]; /* Oldest first. */
    uint32_t happenings_count;
    int64_t happened_ns, told_ns; /* The latest; the latest that was sent. */
};

struct agent_turn;

/* What a pod and a machine do differently. All pure but for the turn's arena. */
struct workload_kind {
    /* Instances of the object, in order; false: text says what cannot be carried out. */
    bool (*plan)(struct workload *w, char *text, size_t size);
    /* May instance i begin now? Its turn, for an init container. */
    bool (*ready)(const struct workload *w, uint32_t i);
    /* It ended: is it run again? Sets w->ended and w->failed when that decides the whole. */
    bool (*again)(struct workload *w, uint32_t i);
    /* The n-th image of instance i; false: there are no more. */
    bool (*image)(struct agent_turn *t, const struct workload *w, uint32_t i, uint32_t n,
                  struct agent_fx_image *out);
    /* What to create. image: what the last FX_IMAGE said. False: text says why not. */
    bool (*spec)(struct agent_turn *t, const struct workload *w, uint32_t i,
                 const struct agent_image *image, struct runtime_spec *out, char *text,
                 size_t size);
    enum runtime_kind runtime;
};

extern const struct workload_kind workload_pod, workload_vm;

static inline bool workload_exclusive(const struct workload *w)
{
    return w->placement != NULL && w->placement->spec != NULL &&
           w->placement->spec->exclusive != NULL;
}

static inline void workload_move(struct workload *w, enum workload_state next)
{
    sm_check(workload_states, w->state, next);
    w->state = next;
}

#endif /* NODEAGENT_CORE_WORKLOAD_H */
