/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flight.h -- the agent's flight recorder: what its core was told, and what it did.
 *
 * WHAT   Keeps the encoded configuration and the last events in memory, each as a frame (proto/baton/flight_v1.proto) behind
 *        its length (4 bytes, little endian); reads such frames back as the events they were.
 * WHY    The core is a function of its events, so they are a complete bug report: baton-sim --replay steps the same
 *        object code through them and compares every step's effects.
 * OWNS   flight_init() allocates both halves, untouched until used; flight_fini() frees them. base/recorder.h says how a crash
 *        handler gets at them.
 * FAILS  Nothing to report: an event that does not fit is left out, and the gap in the sequence tells of it.
 *
 * A half begins with a snapshot of the agent, so that what is left when the beginning is forgotten can still be stepped:
 *
 *   a recording that begins with     is
 *   sequence 1                       the agent's life from its start
 *   a snapshot, and what follows it  the same from there on (the snapshot fits the build that made it)
 *   neither                          shown, not stepped: the agent was larger than half of a half, or a Secret could not be blanked
 *
 * No Secret is written: the values of every Secret in a message or record are overwritten by as many 'x', and messages that do not
 * decode are left out. Effects are recorded by names and sizes.
 */
#ifndef NODEAGENT_CORE_FLIGHT_H
#define NODEAGENT_CORE_FLIGHT_H

#include "base/arena.h"
#include "base/recorder.h"
#include "nodeagent/core/agent.h"
#include "proto/baton/flight_v1.pb-c.h"

enum { FLIGHT_BYTES_DEFAULT = 2 << 20, FLIGHT_BYTES_MIN = 64 << 10 };

#define FLIGHT_MAGIC "baton-flight 1\n"

struct flight {
    struct recorder frames;
    uint64_t sequence;
};

/* bytes: of both halves; at least FLIGHT_BYTES_MIN. */
void flight_init(struct flight *f, const struct agent_config *config, size_t bytes);
void flight_fini(struct flight *f);

/* Before the step, with the agent that is about to take it; and after it. */
void flight_event(struct flight *f, const struct agent *a, const struct agent_event *ev);
void flight_done(struct flight *f, const struct agent *a, const struct agent_effects *fx);

/* The agent between two steps as a Snapshot's bytes, in the arena; {NULL, 0}: it cannot be written, or is too large for it. */
struct str flight_snapshot(struct arena *arena, const struct agent *a);

/* By type, op, names and sizes: the same in every life of the same events. */
uint64_t flight_hash(const struct agent_effects *fx);

/* ---- reading ---- */

/* The next frame of *rest, which moves behind it. False at the end, or at a frame that is cut or none. */
bool flight_next(struct str *rest, struct arena *a, Flight__Frame **out);

/* Everything lives in the arena. False: it holds what no agent could have told. */
bool flight_config_of(const Flight__Config *from, struct agent_config *out);
bool flight_event_of(const Flight__Event *from, struct arena *a, struct agent_event *out);

/* The agent that a snapshot was taken of. NULL: another build's, or damaged. Whoever steps it trusts the recording. */
struct agent *flight_agent_of(const struct agent_config *config, const Flight__Snapshot *from);

extern const char *const flight_event_names[EV_MEASURED + 1];

#endif /* NODEAGENT_CORE_FLIGHT_H */
