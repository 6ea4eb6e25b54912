/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images.h -- which nodes have which images (Kubernetes: Node.status.images, the ImageLocality score).
 *
 * WHAT   What an agent told, at most every ten seconds, becomes facts of its node in the ledger and Node.status.images. A pod's request names an image only where having it could matter.
 * WHY    A request that names images is a class of its own, which the search by the order of nodes cannot serve
 *        (docs/decisions/0164). So an image that every node has, or that is small or rare, is left out: Kubernetes' score
 *        gives nothing for it, either.
 * OWNS   A count per name, while some node has it, and each node's list. Nothing is restored: agents tell again.
 */
#ifndef CONTROLPLANE_CORE_IMAGES_H
#define CONTROLPLANE_CORE_IMAGES_H

#include "controlplane/core/cluster.h"

struct images;

struct images *images_new(void);
void images_free(struct images *all);

void images_told(struct core *c, struct node_state *n, const Agent__Images *list);
void images_forget(struct core *c, struct node_state *n); /* The node is nobody's any more. */
/* The node's description was put anew: its images, too. */
void images_describe(struct core *c, struct node_state *n);
void images_fill(struct core *c, const struct node_state *n, Core__NodeStatus *out);
/* In the turn's memory. */
void images_wanted(struct core *c, const Core__PodSpec *spec, struct request *out);

#endif /* CONTROLPLANE_CORE_IMAGES_H */
