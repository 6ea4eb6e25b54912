/* SPDX-License-Identifier: Apache-2.0 */
/* peers.h -- where other nodes' pods are, as the control plane told it. FX_PEERS says all of it at each change. */
#ifndef NODEAGENT_CORE_PEERS_H
#define NODEAGENT_CORE_PEERS_H

#include "nodeagent/core/agent_priv.h"

void peers_told(struct agent *a, struct agent_turn *t, const Agent__Peers *peers);
void peers_forget(struct agent *a); /* Nobody is told. */

#endif /* NODEAGENT_CORE_PEERS_H */
