/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake.h -- the fake runtimes on a real loop, for machines that are only described.
 */
#ifndef NODEAGENT_SHELL_FAKE_H
#define NODEAGENT_SHELL_FAKE_H

#include "io/loop.h"
#include "nodeagent/runtime/runtime_fake.h"
#include "nodeagent/shell/shell.h"

/* Both kinds, driven by the loop's turns from now on; they live as long as the program. */
void fake_runtimes(struct loop *l, struct shell *s, struct runtime *out[2]);

#endif /* NODEAGENT_SHELL_FAKE_H */
