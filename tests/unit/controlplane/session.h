/* SPDX-License-Identifier: Apache-2.0 */
/* session.h -- an agent's end of a session with a world's core, driven by hand. */
#ifndef UNIT_CONTROLPLANE_SESSION_H
#define UNIT_CONTROLPLANE_SESSION_H

#include "proto/baton/agent/v1.pb-c.h"
#include "tests/unit/controlplane/world.h"

void session_event(struct world *w, enum core_event_type type, uint64_t session, const char *node,
                   struct str bytes);
void session_says(struct world *w, uint64_t session, Agent__AgentMessage *m);
void session_hello(struct world *w, uint64_t session, const char *node); /* Opened, and Hello. */
/* Likewise, from another machine than the control plane's, which has these addresses (EV_AGENT_OPENED). */
void session_from(struct world *w, uint64_t session, const char *node, struct str addresses);

/* One core of one NUMA node; the core says that it is in numa. subnet: what the agent says is its part; NULL: nothing. */
void session_claims(struct world *w, uint64_t session, uint32_t numa, const char *subnet);
void session_work(struct world *w); /* All that can be done before the lease ends. */

#endif /* UNIT_CONTROLPLANE_SESSION_H */
