/* SPDX-License-Identifier: Apache-2.0 */
/* peers.h -- where other nodes' pods are, as the control plane told it. FX_PEERS says all of it at each change. */
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
