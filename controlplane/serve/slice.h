/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slice.h -- how long one request keeps a connection thread before the others get their turn.
 *
 * WHAT   A stop watch that is asked after every step of a long piece of work, and looks at the clock at some of them.
 * WHY    A thread serves lists of 100,000 objects and creates of one. What a step costs differs by a hundred (an
 *        object that does not match, a row of a Table, YAML), so slices are measured in time, not in steps.
 */
#ifndef CONTROLPLANE_SERVE_SLICE_H
#define CONTROLPLANE_SERVE_SLICE_H

#include "base/time.h"

enum {
    SLICE_US = 500,   /* One request in one go. */
    SLICES_US = 1000, /* All requests between two looks at the sockets. */
    SLICE_STEPS =
        8, /* Between two looks at the clock: a step costs at most some tens of microseconds. */
};

struct slice {
    struct instant (*clock)(void);
    struct instant until;
    uint32_t steps;
};

static inline struct slice slice_begin(struct instant (*clock)(void), int64_t us)
{
    return (struct slice){clock, instant_add(clock(), (struct span){us * 1000}), 0};
}

/* After each step: is it time to give way? Never before SLICE_STEPS steps, so that every slice gets on. */
static inline bool slice_over(struct slice *s)
{
    return ++s->steps % SLICE_STEPS == 0 && instant_due(s->until, s->clock());
}

#endif /* CONTROLPLANE_SERVE_SLICE_H */
