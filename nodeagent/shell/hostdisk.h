/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostdisk.h -- the node's disk measured off the loop.
 *
 * WHAT   Performs FX_MEASURE: what is free on the file system of the state directory, and what each place holds, in
 *        the order they were asked for and for at most HOSTDISK_TURN_MS; a workload that was not reached by then is
 *        left out of the answer, one that was begun is told as partial. Before that, for as long, what
 *        their processes hold open that has no name any more.
 * WHY    A pod may have a million files; neither the loop nor who starts meanwhile waits for them to be counted.
 * OWNS   Copies what it is asked. One job at a time: the core asks again when it was answered.
 * ASYNC  One done() for each hostdisk_do(), never from inside it; bytes: a baton.agent.v1 Disk.
 * FAILS  A file system that does not say how full it is: a Disk without a size.
 */
#ifndef NODEAGENT_SHELL_HOSTDISK_H
#define NODEAGENT_SHELL_HOSTDISK_H

#include "io/loop.h"
#include "nodeagent/core/agent.h"

enum { HOSTDISK_TURN_MS = 2000 };

struct hostdisk;

struct hostdisk_options {
    struct loop *loop;
    const char *state;
    void (*done)(void *owner, uint64_t op, struct str bytes);
    void *owner;
};

struct hostdisk *hostdisk_new(const struct hostdisk_options *o);
void hostdisk_free(struct hostdisk *h); /* Waits for what is being done. */
void hostdisk_do(struct hostdisk *h, const struct agent_effect *fx); /* FX_MEASURE */

#endif /* NODEAGENT_SHELL_HOSTDISK_H */
