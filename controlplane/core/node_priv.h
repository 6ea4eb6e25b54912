/* SPDX-License-Identifier: Apache-2.0 */
/* node_priv.h -- the object Node (node_object.c, node_amounts.c), for who decides when it is written (nodes.c). */
#ifndef CONTROLPLANE_CORE_NODE_PRIV_H
#define CONTROLPLANE_CORE_NODE_PRIV_H

#include "controlplane/core/cluster.h"

void *node__message(struct core *c, size_t size, const ProtobufCMessageDescriptor *type);
Meta__ObjectMeta *node__meta(struct core *c, const struct node_state *n); /* With a new uid. */

/* All that is ours in it, in memory of the turn; what is somebody else's stays. */
void node__fill(struct core *c, const struct node_state *n, const Baton__NodeHardwareSpec *hw,
                Core__Node *node);
void node__amounts(struct core *c, const Baton__NodeHardwareSpec *hw, Core__NodeStatus *st);

#endif /* CONTROLPLANE_CORE_NODE_PRIV_H */
