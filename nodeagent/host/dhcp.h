/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dhcp.h -- gives guests the addresses their Placements name.
 *
 * WHAT   A DHCP server's mind: a table from MAC to address, and a function from a client's message to
 *        the answer. No pool, nothing is chosen or remembered: who is in the table is answered with
 *        what the table says, everybody else with silence. RFC 2131, options of RFC 2132.
 * WHY    Apart from the socket (dhcp_server.h), so that a hostile guest's bytes meet only this.
 * OWNS   The table copies its rows. dhcp_answer() writes into the caller's buffer.
 * FAILS  A message that is not for us, not well-formed or of an unknown client gives no answer, and
 *        enum dhcp_verdict says which. dhcp_put(): ERR_LIMIT when full, ERR_CONFLICT when the
 *        address belongs to another MAC.
 * LEASE  Without end (RFC 2131 3.3): the address is the guest's as long as the guest lives, also
 *        while the agent is away. Nothing must be renewed for it to keep its network.
 */
#ifndef NODEAGENT_HOST_DHCP_H
#define NODEAGENT_HOST_DHCP_H

#include "base/err.h"
#include "base/str.h"

enum {
    DHCP_ROWS_MAX = 4096,
    DHCP_DNS_MAX = 3,
    DHCP_HOSTNAME_MAX = 63,  /* One DNS label. */
    DHCP_MESSAGE_MAX = 1500, /* Longer ones are refused. */
    DHCP_ANSWER_MAX = 576,   /* What every client must take (RFC 2131 2). */
    DHCP_FRAME_MAX = 14 + 28 + DHCP_ANSWER_MAX,
    DHCP_SERVER_PORT = 67,
    DHCP_CLIENT_PORT = 68,
};

/* Addresses are in host byte order. 0: none. */
struct dhcp_row {
    uint8_t mac[6];
    uint32_t address;
    uint8_t prefix; /* 0 to 32 */
    uint32_t gateway;
    uint32_t dns[DHCP_DNS_MAX], dns_count;
    uint16_t mtu; /* 0: not told. */
    char hostname[DHCP_HOSTNAME_MAX + 1];
};

struct dhcp_table {
    struct dhcp_row *rows; /* By MAC, ascending. */
    uint32_t rows_count, rows_size;
};

void dhcp_table_init(struct dhcp_table *t);
void dhcp_table_fini(struct dhcp_table *t);

/* Adds the row or replaces the MAC's own. */
MUST_USE enum err_code dhcp_put(struct dhcp_table *t, const struct dhcp_row *row, struct err *e);
void dhcp_remove(struct dhcp_table *t, const uint8_t mac[6]); /* Not there is fine. */
const struct dhcp_row *dhcp_find(const struct dhcp_table *t, const uint8_t mac[6]);

enum dhcp_verdict {
    DHCP_ANSWERED,
    DHCP_MALFORMED, /* Not a client's DHCP message over Ethernet. */
    DHCP_STRANGER,  /* Its MAC is not in the table. */
    DHCP_NOT_OURS,  /* For another server, or one that needs no answer (RELEASE). */
    DHCP_DECLINED,  /* The client found its address in use: somebody should hear of it. */
};

struct dhcp_answer {
    uint8_t message[DHCP_ANSWER_MAX];
    uint32_t message_len;
    uint32_t to;      /* Address to send to; 0xffffffff for a client that has none yet. */
    uint8_t mac[6];   /* Link-level receiver: the answer is nobody else's business. */
    uint8_t type;     /* DHCPOFFER 2, DHCPACK 5, DHCPNAK 6. */
    uint32_t address; /* Given; 0 with DHCPNAK. */
};

/* server: our address on the guests' bridge. out is written with DHCP_ANSWERED only. */
enum dhcp_verdict dhcp_answer(const struct dhcp_table *t, uint32_t server, struct str message,
                              struct dhcp_answer *out);

/* The answer as an Ethernet frame from server's MAC: a client without an address cannot be asked
 * for its MAC by ARP. Returns its length, at most DHCP_FRAME_MAX. */
size_t dhcp_frame(const struct dhcp_answer *answer, uint32_t server, const uint8_t server_mac[6],
                  uint8_t out[DHCP_FRAME_MAX]);

#endif /* NODEAGENT_HOST_DHCP_H */
