/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay_control.h -- a control plane's recording without its beginning, stepped from what was stored.
 *
 * WHAT   A core that has loaded the rows up to a recorded revision, takes the recorded numbers and is given the events behind them.
 *        It asks for its own commits: they are answered, in order, when the recording has an answer of a store. A session that was
 *        open already is opened when its agent is first heard, with the hardware that is stored.
 * WHY    What a core remembers beside what is stored cannot be had from outside (docs/decisions/0183), so its turns cannot be compared;
 *        what clients were told can.
 * FAILS  NULL from resumed_new(): the rows do not decode, or the core does not come to rest.
 */
#ifndef TESTS_SIM_REPLAY_CONTROL_H
#define TESTS_SIM_REPLAY_CONTROL_H

#include "controlplane/core/recording.h"
#include "tests/sim/replay.h"

/* The next row of a rows file up to a revision, as an event of op; false: there is none. */
bool rows_next(struct str *rows, struct arena *a, uint64_t up_to, uint64_t op,
               struct recording_parts *parts, struct core_event *out);

struct resumed;

struct resumed *resumed_new(const struct core_config *config, struct str rows,
                            const Flight__Numbers *numbers, struct instant now, struct wall wall);
void resumed_free(struct resumed *r);

void resumed_event(struct resumed *r, const struct core_event *ev);
struct core_effects resumed_flush(struct resumed *r, struct instant now, struct wall wall);
void resumed_done(struct resumed *r, const Flight__Done *done); /* What was answered there. */

/* Says which answers differ; adds what was compared. */
void resumed_compare(struct resumed *r, struct replay_sum *sum);

#endif /* TESTS_SIM_REPLAY_CONTROL_H */
