/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_addresses.h -- which addresses are the control plane's, for an agent that is not on its machine.
 *
 * WHAT   What the operator named (--listen, --san) and what this connection came to, as EV_AGENT_OPENED has them. None for
 *        an agent on this machine, which may well be reached where the control plane is: it comes from the
 *        very address that it goes to, or from loopback, and no other machine can.
 * WHY    A node that tells the control plane's address would have other nodes' packets sent there (docs/decisions/0250).
 * FAILS  Never. Pure.
 */
#ifndef CONTROLPLANE_SERVE_OWN_ADDRESSES_H
#define CONTROLPLANE_SERVE_OWN_ADDRESSES_H

#include "base/buf.h"

/* named: a space between. peer, came_to: the ends of its connection, as tcp_peer() has them. Adds to out. */
void own_addresses_bar(struct str named, const char *peer, const char *came_to, struct buf *out);

#endif /* CONTROLPLANE_SERVE_OWN_ADDRESSES_H */
