/* SPDX-License-Identifier: Apache-2.0 */
/*
 * story.h -- a narrated run of the small simulator, asserted word for word.
 *
 * WHAT   story_new() is a cluster whose nodes have joined; what happens from there on is the story.
 *        About thirty of these are enough: invariants belong into the simulator.
 */
#ifndef TESTS_STORY_STORY_H
#define TESTS_STORY_STORY_H

#include "tests/sim/sim.h"
#include "tests/testlib/test.h"

struct sim *story_new(uint32_t nodes, uint32_t cores);

/* A pod of one container. cpu: its request and limit, "" for none; args: JSON array, "" for none. */
void story_pod(struct sim *s, const char *name, const char *cpu, const char *policy,
               const char *args);
void story_machine(struct sim *s, const char *name, uint32_t cores, bool dedicated);

/* The story so far is exactly this; a new chapter begins. */
void story_is(struct sim *s, const char *expected);

#endif /* TESTS_STORY_STORY_H */
