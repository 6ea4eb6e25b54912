/* SPDX-License-Identifier: Apache-2.0 */
/*
 * directory.h -- on which connection a node's agent is, for all connection threads.
 *
 * WHAT   Node name to session name (letters.h). A thread that is asked for a pod's log finds here whom to
 *        send the agent's OpenStream through.
 * WHY    The core need not carry bytes that it decides nothing about.
 * SAFE   Any thread. A name found may be gone the moment after: its thread ignores it, and the asker's
 *        time limit ends the wait.
 */
#ifndef CONTROLPLANE_SERVE_DIRECTORY_H
#define CONTROLPLANE_SERVE_DIRECTORY_H

#include "base/str.h"

enum { DIRECTORY_MAX = 65536 };

struct directory;

struct directory *directory_new(void);
void directory_free(struct directory *d);
void directory_put(struct directory *d, struct str node, uint64_t session); /* The latest counts. */
void directory_remove(struct directory *d, struct str node, uint64_t session); /* If it still is. */
uint64_t directory_find(struct directory *d, struct str node); /* 0: not connected. */

#endif /* CONTROLPLANE_SERVE_DIRECTORY_H */
