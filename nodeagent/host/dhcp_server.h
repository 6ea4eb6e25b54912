/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dhcp_server.h -- dhcp.h's mind on the guests' bridge.
 *
 * WHAT   Hears UDP port 67 on one bridge and nowhere else, answers with frames to the one guest that
 *        asked. The table of dhcp.h says who gets what.
 * WHY    Answers are whole frames: a guest without an address cannot be found by ARP, and a
 *        broadcast would tell every guest about every other.
 * OWNS   dhcp_server_open() allocates. The table is the caller's and outlives the server; it may be
 *        changed at any time on the loop's thread.
 * ASYNC  A client of the loop; never blocks. At most DHCP_SERVER_BURST messages a turn, so a guest
 *        that floods delays others and starves nobody.
 * FAILS  ERR_CONFLICT: another server holds the port on this bridge. ERR_UNAVAILABLE: the kernel's
 *        words. What cannot be sent is dropped: the client asks again (RFC 2131 4.1).
 */
#ifndef NODEAGENT_HOST_DHCP_SERVER_H
#define NODEAGENT_HOST_DHCP_SERVER_H

#include "io/loop.h"
#include "nodeagent/host/dhcp.h"

enum { DHCP_SERVER_BURST = 64 };

struct dhcp_server;

struct dhcp_server_stats {
    uint64_t answered, malformed, strangers, not_ours, declined, unsent;
};

/* bridge: its name; address: its own, in host byte order, which is the server's identity. */
MUST_USE enum err_code dhcp_server_open(struct loop *l, const char *bridge, uint32_t address,
                                        const struct dhcp_table *table, struct dhcp_server **out,
                                        struct err *e);
void dhcp_server_close(struct dhcp_server *s); /* NULL is allowed. */
struct dhcp_server_stats dhcp_server_stats(const struct dhcp_server *s);

#endif /* NODEAGENT_HOST_DHCP_SERVER_H */
