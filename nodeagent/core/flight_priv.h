/* SPDX-License-Identifier: Apache-2.0 */
/* flight_priv.h -- structs of the core as frames and back (flight_event.c), for flight.c. */
#ifndef NODEAGENT_CORE_FLIGHT_PRIV_H
#define NODEAGENT_CORE_FLIGHT_PRIV_H

#include "nodeagent/core/flight.h"

/* What out points to is the event's, the configuration's or the arena's. */
void flight__config_from(struct arena *a, const struct agent_config *from, Flight__Config *out);
void flight__event_from(struct arena *a, const struct agent_event *from, Flight__Event *out);

/* flight_snapshot.c: the agent between two steps. False: it cannot be written, or the arena is at its limit. */
bool flight__snapshot_from(struct arena *a, const struct agent *agent, Flight__Snapshot *out);

/* Its bytes; one of no use when the arena is at its limit. */
struct str flight__packed(struct arena *a, const ProtobufCMessage *m);

/* flight_secret.c: a session message or a record with every Secret's values overwritten. */
struct str flight__without_secrets(struct arena *a, enum agent_event_type type, struct str bytes);

#endif /* NODEAGENT_CORE_FLIGHT_PRIV_H */
