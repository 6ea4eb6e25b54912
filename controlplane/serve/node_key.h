/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_key.h -- which key a node's name belongs to.
 *
 * WHAT   The Secret node-key-NAME in kube-system, of type baton.dev/node-key, holds the fingerprint of the
 *        key that joined first under the name. Deleting it (baton node forget) frees the name.
 * WHY    A certificate lives for months; a Secret can be deleted now, and then its key opens no session.
 */
#ifndef CONTROLPLANE_SERVE_NODE_KEY_H
#define CONTROLPLANE_SERVE_NODE_KEY_H

#include "base/arena.h"
#include "controlplane/core/index.h"

enum { NODE_NAME_MAX = 200 };

/* The index's key of the binding; false: node is no name a node may have. */
bool node_key_print(struct str node, char out[INDEX_KEY_MAX + 1], size_t *out_len);

/* The fingerprint, in the arena; {NULL, 0}: the name is not bound. */
struct str node_key_find(const struct index_snapshot *objects, struct str node, struct arena *a);
bool node_key_is(const struct index_snapshot *objects, struct str node, struct str fingerprint);

/* The Secret's envelope: one reference. */
struct blob *node_key_object(struct str node, struct str fingerprint);

#endif /* CONTROLPLANE_SERVE_NODE_KEY_H */
