/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sm.h -- a state machine is a table.
 *
 * WHAT   The arrows of a machine as bit sets per state. sm_move() refuses an arrow that is not in
 *        the table; sm_dot() draws it, and a test compares the drawing with docs/states/NAME.dot.
 * WHY    Nobody has to trust a diagram: it is made from what the code obeys.
 *
 * A machine is written as
 *
 *     #define POD_STATES(S, TO)                                                     \
 *         S(PENDING,  TO(CREATING))               what we are waiting for here      \
 *         S(CREATING, TO(RUNNING) | TO(BACKOFF))
 *     enum pod_state { ... POD__COUNT };
 *     static const struct sm_state pod_states[POD__COUNT] = { ... };
 *
 * with the expansion spelled out beside it (nodeagent/core/workload.h shows it).
 */
#ifndef BASE_SM_H
#define BASE_SM_H

#include "base/buf.h"
#include "base/check.h"

struct sm_state {
    const char *name;
    uint32_t to; /* Bit n: state n may follow. */
};

static inline bool sm_may(const struct sm_state *states, uint32_t from, uint32_t to)
{
    return (states[from].to >> to & 1) != 0;
}

static inline void sm_check(const struct sm_state *states, uint32_t from, uint32_t to)
{
    CHECK(sm_may(states, from, to));
}

/* Graphviz text of the machine, states and arrows in table order. */
void sm_dot(struct buf *out, const char *name, const struct sm_state *states, uint32_t count);

#endif /* BASE_SM_H */
