/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay.h -- an agent's flight recording, stepped again.
 *
 * WHAT   Reads what nodeagent/core/flight.h wrote, makes the agent it was, gives it the same events, shows event, effects and
 *        trace of each step, and compares the effects with those that were recorded.
 * FAILS  1: a step did something else than then (another version, or our core is not a function of its events), or the file is
 *        none. A recording without its beginning is shown and not stepped: 0.
 */
#ifndef TESTS_SIM_REPLAY_H
#define TESTS_SIM_REPLAY_H

int replay(const char *path);

#endif /* TESTS_SIM_REPLAY_H */
