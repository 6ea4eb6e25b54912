/* SPDX-License-Identifier: Apache-2.0 */
/*
 * discover_system.h -- what the operating system calls itself; discover.c's second half.
 *
 * FAILS  Never: what a system does not tell stays empty.
 */
#ifndef NODEAGENT_HOST_DISCOVER_SYSTEM_H
#define NODEAGENT_HOST_DISCOVER_SYSTEM_H

#include "base/str.h"
#include "nodeagent/host/discover.h"

void discover_system(const char *state_dir, struct discover *out);

/* text cut to its room, without what is not printable. */
void discover_text(char out[DISCOVER_TEXT_MAX], struct str text);

#endif /* NODEAGENT_HOST_DISCOVER_SYSTEM_H */
