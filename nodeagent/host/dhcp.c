/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dhcp.c -- one message in, at most one out.
 *
 * The fixed part of a message (RFC 2131 2), offsets in bytes:
 *
 *     0 op  1 htype  2 hlen  3 hops  4 xid  8 secs  10 flags  12 ciaddr  16 yiaddr  20 siaddr
 *     24 giaddr  28 chaddr(16)  44 sname(64)  108 file(128)  236 magic cookie  240 options
 */
#include "nodeagent/host/dhcp.h"
#include "base/check.h"
#include "base/mem.h"

enum {
    AT_OP = 0,
    AT_HTYPE = 1,
    AT_HLEN = 2,
    AT_XID = 4,
    AT_FLAGS = 10,
    AT_CIADDR = 12,
    AT_YIADDR = 16,
    AT_GIADDR = 24,
    AT_CHADDR = 28,
    AT_SNAME = 44,
    AT_FILE = 108,
    AT_COOKIE = 236,
    AT_OPTIONS = 240,
    CLIENT_ID_MAX = 64, /* Longer ones are not echoed: the answer has a fixed size. */
    ANSWER_MIN = 300,   /* BOOTP's fixed size; some relays and clients drop shorter ones. */
};

static const uint32_t COOKIE = 0x63825363;
static const uint32_t BROADCAST = 0xffffffff;
static const uint32_t FOREVER = 0xffffffff;

enum option {
    OPT_PAD = 0,
    OPT_MASK = 1,
    OPT_ROUTER = 3,
    OPT_DNS = 6,
    OPT_HOSTNAME = 12,
    OPT_MTU = 26,
    OPT_BROADCAST = 28,
    OPT_REQUESTED = 50,
    OPT_LEASE = 51,
    OPT_OVERLOAD = 52,
    OPT_TYPE = 53,
    OPT_SERVER = 54,
    OPT_CLIENT = 61,
    OPT_END = 255,
};

enum type { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM };

/* What we need of a client's message. */
struct ask {
    uint8_t type;
    uint32_t requested, server, client; /* Options 50 and 54, ciaddr; 0: absent. */
    bool broadcast;
    const uint8_t *fixed; /* The message itself. */
    const uint8_t *mac;
    struct str client_id; /* Option 61; to be echoed (RFC 6842). */
};

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, (uint16_t)(value >> 16));
    put16(at + 2, (uint16_t)value);
}

/* The first row whose MAC is not below mac. */
static uint32_t lower_bound(const struct dhcp_table *t, const uint8_t mac[6])
{
    uint32_t low = 0, high = t->rows_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memcmp(t->rows[middle].mac, mac, 6) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void dhcp_table_init(struct dhcp_table *t)
{
    *t = (struct dhcp_table){0};
}

void dhcp_table_fini(struct dhcp_table *t)
{
    mem_free(t->rows);
    *t = (struct dhcp_table){0};
}

const struct dhcp_row *dhcp_find(const struct dhcp_table *t, const uint8_t mac[6])
{
    uint32_t i = lower_bound(t, mac);
    return i < t->rows_count && memcmp(t->rows[i].mac, mac, 6) == 0 ? &t->rows[i] : NULL;
}

static enum err_code row_check(const struct dhcp_table *t, const struct dhcp_row *row,
                               struct err *e)
{
    if (row->prefix > 32 || row->dns_count > DHCP_DNS_MAX || row->address == 0 ||
        row->address == BROADCAST || memchr(row->hostname, '\0', sizeof row->hostname) == NULL)
        return err_set(e, ERR_INVALID, "not a lease: address %08x/%u", row->address, row->prefix);
    for (uint32_t i = 0; i < t->rows_count; i++)
        if (t->rows[i].address == row->address && memcmp(t->rows[i].mac, row->mac, 6) != 0)
            return err_set(e, ERR_CONFLICT, "address %08x has another MAC", row->address);
    return ERR_OK;
}

enum err_code dhcp_put(struct dhcp_table *t, const struct dhcp_row *row, struct err *e)
{
    enum err_code code = row_check(t, row, e);
    if (code != ERR_OK)
        return code;
    uint32_t i = lower_bound(t, row->mac);
    bool known = i < t->rows_count && memcmp(t->rows[i].mac, row->mac, 6) == 0;
    if (!known) {
        if (t->rows_count == DHCP_ROWS_MAX)
            return err_set(e, ERR_LIMIT, "%u leases", t->rows_count);
        if (t->rows_count == t->rows_size) {
            t->rows_size = t->rows_size == 0 ? 16 : t->rows_size * 2;
            t->rows = mem_resize(t->rows, t->rows_size * sizeof *t->rows);
        }
        memmove(&t->rows[i + 1], &t->rows[i], (t->rows_count - i) * sizeof *t->rows);
        t->rows_count++;
    }
    t->rows[i] = *row;
    return ERR_OK;
}

void dhcp_remove(struct dhcp_table *t, const uint8_t mac[6])
{
    uint32_t i = lower_bound(t, mac);
    if (i == t->rows_count || memcmp(t->rows[i].mac, mac, 6) != 0)
        return;
    t->rows_count--;
    memmove(&t->rows[i], &t->rows[i + 1], (t->rows_count - i) * sizeof *t->rows);
}

/* One field of options. False: it runs over its end. Repeated options: the first one counts. */
static bool options_read(const uint8_t *at, size_t size, struct ask *ask, uint8_t *out_overload)
{
    for (size_t i = 0; i < size;) {
        uint8_t code = at[i++];
        if (code == OPT_PAD)
            continue;
        if (code == OPT_END)
            return true;
        if (i == size || at[i] > size - i - 1)
            return false;
        uint8_t len = at[i++];
        const uint8_t *value = at + i;
        i += len;
        if (code == OPT_TYPE && len == 1 && ask->type == 0)
            ask->type = value[0];
        else if (code == OPT_REQUESTED && len == 4 && ask->requested == 0)
            ask->requested = get32(value);
        else if (code == OPT_SERVER && len == 4 && ask->server == 0)
            ask->server = get32(value);
        else if (code == OPT_CLIENT && len <= CLIENT_ID_MAX)
            ask->client_id = str_from(value, len);
        else if (code == OPT_OVERLOAD && len == 1)
            *out_overload |= value[0] & 3;
    }
    return true; /* A missing end is common and harmless. */
}

static bool ask_read(struct str message, struct ask *out)
{
    const uint8_t *at = (const uint8_t *)message.at;
    if (message.len < AT_OPTIONS || message.len > DHCP_MESSAGE_MAX)
        return false;
    if (at[AT_OP] != 1 || at[AT_HTYPE] != 1 || at[AT_HLEN] != 6 || get32(at + AT_COOKIE) != COOKIE)
        return false;
    if (get32(at + AT_GIADDR) != 0 || (at[AT_CHADDR] & 1) != 0)
        return false; /* We serve one link and no relay; a group is nobody. */

    struct ask ask = {.fixed = at, .mac = at + AT_CHADDR, .client = get32(at + AT_CIADDR)};
    uint8_t overload = 0, ignored = 0;
    if (!options_read(at + AT_OPTIONS, message.len - AT_OPTIONS, &ask, &overload))
        return false;
    if ((overload & 1) != 0 && !options_read(at + AT_FILE, 128, &ask, &ignored))
        return false;
    if ((overload & 2) != 0 && !options_read(at + AT_SNAME, 64, &ask, &ignored))
        return false;
    ask.broadcast = (at[AT_FLAGS] & 0x80) != 0;
    *out = ask;
    return ask.type >= DISCOVER && ask.type <= INFORM;
}

/* The answer to a REQUEST (RFC 2131 4.3.2), 0 for silence. */
static uint8_t request_answer(const struct ask *ask, const struct dhcp_row *row, uint32_t server)
{
    if (ask->server != 0 && ask->server != server)
        return 0; /* It took another server's offer. */
    uint32_t wants = ask->requested != 0 ? ask->requested : ask->client;
    if (wants == 0)
        return 0;
    return wants == row->address ? ACK : NAK;
}

static enum dhcp_verdict type_answer(const struct ask *ask, const struct dhcp_row *row,
                                     uint32_t server, uint8_t *out_type)
{
    switch ((enum type)ask->type) {
    case DISCOVER:
        *out_type = OFFER;
        return DHCP_ANSWERED;
    case REQUEST:
        *out_type = request_answer(ask, row, server);
        return *out_type == 0 ? DHCP_NOT_OURS : DHCP_ANSWERED;
    case INFORM:
        *out_type = ACK;
        return ask->client == row->address ? DHCP_ANSWERED : DHCP_NOT_OURS;
    case DECLINE:
        return ask->server == server ? DHCP_DECLINED : DHCP_NOT_OURS;
    case OFFER:
    case ACK:
    case NAK:
        return DHCP_MALFORMED; /* A server's words from a client. */
    case RELEASE:
        return DHCP_NOT_OURS;
    }
    return DHCP_MALFORMED;
}

static void option_add(struct dhcp_answer *a, uint8_t code, const void *value, uint8_t len)
{
    CHECK(a->message_len + 2 + len <
          DHCP_ANSWER_MAX); /* All of them together are under 200 bytes. */
    a->message[a->message_len++] = code;
    a->message[a->message_len++] = len;
    memcpy(a->message + a->message_len, value, len);
    a->message_len += len;
}

static void option_add_address(struct dhcp_answer *a, uint8_t code, uint32_t address)
{
    uint8_t bytes[4];
    put32(bytes, address);
    option_add(a, code, bytes, 4);
}

static void options_of_row(struct dhcp_answer *a, const struct dhcp_row *row)
{
    uint32_t mask = row->prefix == 0 ? 0 : BROADCAST << (32 - row->prefix);
    option_add_address(a, OPT_MASK, mask);
    if (row->prefix < 31)
        option_add_address(a, OPT_BROADCAST, row->address | ~mask);
    if (row->gateway != 0)
        option_add_address(a, OPT_ROUTER, row->gateway);
    if (row->dns_count > 0) {
        uint8_t bytes[4 * DHCP_DNS_MAX];
        for (uint32_t i = 0; i < row->dns_count; i++)
            put32(bytes + 4 * i, row->dns[i]);
        option_add(a, OPT_DNS, bytes, (uint8_t)(4 * row->dns_count));
    }
    if (row->mtu != 0) {
        uint8_t bytes[2];
        put16(bytes, row->mtu);
        option_add(a, OPT_MTU, bytes, 2);
    }
    if (row->hostname[0] != '\0')
        option_add(a, OPT_HOSTNAME, row->hostname, (uint8_t)strlen(row->hostname));
}

static void answer_write(struct dhcp_answer *a, const struct ask *ask, const struct dhcp_row *row,
                         uint32_t server)
{
    uint8_t *m = a->message;
    m[AT_OP] = 2;
    m[AT_HTYPE] = 1;
    m[AT_HLEN] = 6;
    memcpy(m + AT_XID, ask->fixed + AT_XID, 4);
    memcpy(m + AT_FLAGS, ask->fixed + AT_FLAGS, 2);
    memcpy(m + AT_CHADDR, ask->mac, 6);
    put32(m + AT_COOKIE, COOKIE);
    a->message_len = AT_OPTIONS;
    option_add(a, OPT_TYPE, &a->type, 1);
    option_add_address(a, OPT_SERVER, server);
    if (ask->client_id.len > 0)
        option_add(a, OPT_CLIENT, ask->client_id.at, (uint8_t)ask->client_id.len);
    if (a->type != NAK) {
        put32(m + AT_CIADDR, a->type == ACK ? ask->client : 0);
        if (ask->type != INFORM) { /* INFORM asks for parameters, not for an address (4.3.5). */
            put32(m + AT_YIADDR, row->address);
            option_add_address(a, OPT_LEASE, FOREVER);
        }
        options_of_row(a, row);
    }
    m[a->message_len++] = OPT_END;
    a->message_len = max_u32(a->message_len, ANSWER_MIN); /* Zeros behind the end are padding. */
}

enum dhcp_verdict dhcp_answer(const struct dhcp_table *t, uint32_t server, struct str message,
                              struct dhcp_answer *out)
{
    struct ask ask;
    if (!ask_read(message, &ask))
        return DHCP_MALFORMED;
    const struct dhcp_row *row = dhcp_find(t, ask.mac);
    if (row == NULL)
        return DHCP_STRANGER;

    uint8_t type = 0;
    enum dhcp_verdict verdict = type_answer(&ask, row, server, &type);
    if (verdict != DHCP_ANSWERED)
        return verdict;
    struct dhcp_answer a = {.type = type, .address = type == NAK ? 0 : row->address};
    memcpy(a.mac, ask.mac, 6);
    answer_write(&a, &ask, row, server);
    /* RFC 2131 4.1: to ciaddr if there is one, to the given address unless the client cannot hear
     * it yet, and a NAK always to everybody (on our link: everybody with this MAC). */
    if (type == NAK || (ask.client == 0 && ask.broadcast))
        a.to = BROADCAST;
    else
        a.to = ask.client != 0 ? ask.client : row->address;
    *out = a;
    return DHCP_ANSWERED;
}

/* RFC 1071 over an even number of bytes. */
static uint16_t ip_checksum(const uint8_t *at, size_t size)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < size; i += 2)
        sum += (uint32_t)at[i] << 8 | at[i + 1];
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

size_t dhcp_frame(const struct dhcp_answer *answer, uint32_t server, const uint8_t server_mac[6],
                  uint8_t out[DHCP_FRAME_MAX])
{
    CHECK(answer->message_len <= DHCP_ANSWER_MAX);
    uint8_t *ip = out + 14, *udp = ip + 20;
    memset(out, 0, 14 + 28);
    memcpy(out, answer->mac, 6);
    memcpy(out + 6, server_mac, 6);
    put16(out + 12, 0x0800);

    ip[0] = 0x45;
    put16(ip + 2, (uint16_t)(28 + answer->message_len));
    ip[8] = 64; /* Hops. */
    ip[9] = 17; /* UDP. */
    put32(ip + 12, server);
    put32(ip + 16, answer->to);
    put16(ip + 10, ip_checksum(ip, 20));

    put16(udp, DHCP_SERVER_PORT);
    put16(udp + 2, DHCP_CLIENT_PORT);
    put16(udp + 4, (uint16_t)(8 + answer->message_len)); /* Its checksum 0 is "none" (RFC 768). */
    memcpy(udp + 8, answer->message, answer->message_len);
    return 14 + 28 + answer->message_len;
}
