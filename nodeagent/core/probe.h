/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h -- is a running container started, ready, alive? Asked again and again.
 *
 * WHAT   Each instance has up to three probes: startup, liveness, readiness (Kubernetes: Container.startupProbe,
 *        ...). When to ask, how often in a row an answer counts, what follows from it. How one asks is the
 *        shell's (FX_EXEC, FX_CHECK).
 * WHY    A table and counters: everything about them can be tried without a container.
 * OWNS   Lives in its instance; the probes' fields are read from the workload's object each time.
 * ASYNC  One question of a probe at a time. A late answer finds another op and is dropped.
 * FAILS  A question that could not be asked at all (ERR_BUSY: the node asks too much) counts neither way.
 *
 * Ready is: started, and the readiness probe holds. Started is: the postStart hook is done and the startup
 * probe has held once. Without a probe each is true at once. A liveness or startup probe that fails
 * failureThreshold times in a row stops the container, and its restartPolicy says what then.
 */
#ifndef NODEAGENT_CORE_PROBE_H
#define NODEAGENT_CORE_PROBE_H

#include "base/sm.h"
#include "base/time.h"
#include "proto/k8s/core_v1.pb-c.h"

/* tests/unit/nodeagent/states_test.c draws docs/states/probe.dot from this. */
/* clang-format off */
#define PROBE_STATES(S, TO)                                                          \
    S(IDLE,    TO(WAITING))             /* its instance to run and to have started */ \
    S(WAITING, TO(ASKING) | TO(IDLE))   /* next_at                                 */ \
    S(ASKING,  TO(WAITING) | TO(IDLE))  /* the answer                              */
/* clang-format on */

#define S(name, to) PROBE_##name,
#define TO(name)
enum probe_state { PROBE_STATES(S, TO) PROBE__COUNT };
#undef S
#undef TO

extern const struct sm_state probe_states[PROBE__COUNT];

enum probe_kind { PROBE_STARTUP, PROBE_LIVENESS, PROBE_READINESS, PROBE_KINDS };

struct probe {
    enum probe_state state;
    bool holds; /* As last decided; readiness and startup begin with no, liveness with yes. */
    uint64_t op;
    struct instant asked_at, next_at;
    int32_t successes, failures; /* In a row. */
};

enum probe_verdict {
    PROBE_SAME,    /* Nothing follows. */
    PROBE_CHANGED, /* holds is another now. */
    PROBE_FATAL,   /* Liveness or startup: the container is to be stopped. */
};

/* One answer counted. Pure. */
enum probe_verdict probe_count(struct probe *p, enum probe_kind kind, const Core__Probe *spec,
                               bool success);

#endif /* NODEAGENT_CORE_PROBE_H */
