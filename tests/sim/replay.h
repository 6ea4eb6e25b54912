/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.h -- a flight recording, stepped again.
 *
 * WHAT   Reads what nodeagent/core/flight.h or controlplane/core/recording.h wrote, makes the core it was, gives it the same events,
 *        shows event, effects and trace of each step, and compares the effects with those that were recorded.
 *        A control plane's that lost its beginning: replay_control.h.
 * FAILS  1: a step did something else than then (another version, or our core is not a function of its events), or the file is
 *        none. A recording without its beginning is shown and not stepped: 0.
 */
#ifndef TESTS_SIM_REPLAY_H
#define TESTS_SIM_REPLAY_H

#include "base/str.h"

int replay(const char *path, const char *rows); /* rows: a file of batond rows; NULL: none. */

/* What both forms count, and how it ends. */
struct replay_sum {
    uint64_t steps, compared, different;
};

/* Each plays the frames behind the magic. False: they are not that core's, or not to their end. */
bool replay_agent(struct str frames, struct replay_sum *sum);
bool replay_control(struct str frames, struct str rows, struct replay_sum *sum);

#endif /* TESTS_SIM_REPLAY_H */
