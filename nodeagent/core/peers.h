/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.h -- where other nodes' pods are, as the control plane told it.
 *
 * WHAT   A map from node to its part of the pod network and its address. FX_PEERS says all of it after each message, so
 *        that the host's routes are a function of it. The digest of what is known goes up in Hello: who knows is not told again.
 * OWNS   The agent owns the map; what FX_PEERS points at lives in the turn.
 * FAILS  A peer that is not understood is left out. Over AGENT_PEERS_MAX: the ones beyond are not reached.
 */
#ifndef NODEAGENT_CORE_PEERS_H
#define NODEAGENT_CORE_PEERS_H

#include "nodeagent/core/agent_priv.h"
#include "proto/baton/flight_v1.pb-c.h"

void peers_told(struct agent *a, struct agent_turn *t, const Agent__Peers *peers);
void peers_forget(struct agent *a); /* Nobody is told. */

/* In the order they came, for a snapshot; NULL-terminated, in the arena. NULL: it is at its limit. */
Flight__Neighbour **peers_snapshot(struct arena *arena, const struct agent *a, size_t *out_count);
void peers_restore(struct agent *a, Flight__Neighbour *const *from, size_t count);

#endif /* NODEAGENT_CORE_PEERS_H */
