/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/dhcp.h"
#include "tests/testlib/test.h"

static const uint8_t MAC[6] = {0x02, 0, 10, 1, 0, 5};
static const uint8_t OTHER[6] = {0x02, 0, 10, 1, 0, 6};
static const uint32_t SERVER = 0x0a010001, GUEST = 0x0a010005;

static struct dhcp_row row_of(const uint8_t mac[6], uint32_t address)
{
    struct dhcp_row row = {.address = address,
                           .prefix = 16,
                           .gateway = SERVER,
                           .dns = {0x08080808, 0x01010101},
                           .dns_count = 2,
                           .mtu = 1450,
                           .hostname = "vm-1"};
    memcpy(row.mac, mac, 6);
    return row;
}

/* A client's message with the options given, as udhcpc and the kernel send them. */
struct message {
    uint8_t at[600];
    size_t len;
};

static void message_init(struct message *m, uint8_t type)
{
    *m = (struct message){.len = 240};
    m->at[0] = 1, m->at[1] = 1, m->at[2] = 6;
    memcpy(m->at + 4, "\xde\xad\xbe\xef", 4);
    memcpy(m->at + 28, MAC, 6);
    memcpy(m->at + 236, "\x63\x82\x53\x63", 4);
    memcpy(m->at + m->len, (uint8_t[]){53, 1, type}, 3);
    m->len += 3;
}

static void message_add(struct message *m, uint8_t code, uint32_t value)
{
    uint8_t option[] = {
        code,          4, (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
        (uint8_t)value};
    memcpy(m->at + m->len, option, 6);
    m->len += 6;
}

static struct str message_end(struct message *m)
{
    m->at[m->len++] = 255;
    return str_from(m->at, m->len);
}

/* The option's value in an answer, its length in *out_len; NULL when it is not there. */
static const uint8_t *option_of(const struct dhcp_answer *a, uint8_t code, uint8_t *out_len)
{
    for (uint32_t i = 240; i + 1 < a->message_len && a->message[i] != 255;
         i += 2u + a->message[i + 1])
        if (a->message[i] == code) {
            *out_len = a->message[i + 1];
            return a->message + i + 2;
        }
    return NULL;
}

static void assert_option(const struct dhcp_answer *a, uint8_t code, const char *bytes, uint8_t len)
{
    uint8_t got_len = 0;
    const uint8_t *got = option_of(a, code, &got_len);
    cr_assert_not_null(got, "option %u", code);
    cr_assert_eq(got_len, len, "option %u has %u bytes", code, got_len);
    cr_assert_eq(memcmp(got, bytes, len), 0, "option %u", code);
}

static struct dhcp_table *table(void)
{
    static struct dhcp_table t;
    dhcp_table_init(&t);
    struct dhcp_row row = row_of(MAC, GUEST);
    cr_assert_eq(dhcp_put(&t, &row, NULL), ERR_OK);
    return &t;
}

TEST(dhcp, discover_is_offered_everything)
{
    struct dhcp_table *t = table();
    struct dhcp_answer a;
    struct message m;
    message_init(&m, 1);
    memcpy(m.at + m.len, "\x3d\x07\x01\x02\x00\x0a\x01\x00\x05", 9);
    m.len += 9;
    cr_assert_eq(dhcp_answer(t, SERVER, message_end(&m), &a), DHCP_ANSWERED);

    cr_assert_eq(a.type, 2);
    cr_assert_eq(a.address, GUEST);
    cr_assert_eq(a.to, GUEST);
    cr_assert_eq(memcmp(a.mac, MAC, 6), 0);
    cr_assert_geq(a.message_len, 300);
    cr_assert_eq(a.message[0], 2);
    cr_assert_eq(memcmp(a.message + 4, "\xde\xad\xbe\xef", 4), 0, "the transaction's id");
    cr_assert_eq(memcmp(a.message + 16, "\x0a\x01\x00\x05", 4), 0, "yiaddr");
    assert_option(&a, 53, "\x02", 1);
    assert_option(&a, 54, "\x0a\x01\x00\x01", 4);
    assert_option(&a, 61, "\x01\x02\x00\x0a\x01\x00\x05", 7);
    assert_option(&a, 51, "\xff\xff\xff\xff", 4);
    assert_option(&a, 1, "\xff\xff\x00\x00", 4);
    assert_option(&a, 28, "\x0a\x01\xff\xff", 4);
    assert_option(&a, 3, "\x0a\x01\x00\x01", 4);
    assert_option(&a, 6, "\x08\x08\x08\x08\x01\x01\x01\x01", 8);
    assert_option(&a, 26, "\x05\xaa", 2);
    assert_option(&a, 12, "vm-1", 4);
    dhcp_table_fini(t);
}

TEST(dhcp, request_in_each_state)
{
    static const struct {
        const char *what;
        uint32_t requested, server, ciaddr;
        enum dhcp_verdict verdict;
        uint8_t type;
        uint32_t to;
    } cases[] = {
        {"selecting", 0x0a010005, 0x0a010001, 0, DHCP_ANSWERED, 5, 0x0a010005},
        {"selecting another server", 0x0a010005, 0x0a0100fe, 0, DHCP_NOT_OURS, 0, 0},
        {"selecting what was not offered", 0x0a010007, 0x0a010001, 0, DHCP_ANSWERED, 6, ~0u},
        {"init-reboot", 0x0a010005, 0, 0, DHCP_ANSWERED, 5, 0x0a010005},
        {"init-reboot from another net", 0xc0a80005, 0, 0, DHCP_ANSWERED, 6, ~0u},
        {"renewing", 0, 0, 0x0a010005, DHCP_ANSWERED, 5, 0x0a010005},
        {"renewing another's", 0, 0, 0x0a010009, DHCP_ANSWERED, 6, ~0u},
        {"naming nothing", 0, 0, 0, DHCP_NOT_OURS, 0, 0},
    };
    struct dhcp_table *t = table();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct dhcp_answer a = {0};
        struct message m;
        message_init(&m, 3);
        if (cases[i].requested != 0)
            message_add(&m, 50, cases[i].requested);
        if (cases[i].server != 0)
            message_add(&m, 54, cases[i].server);
        for (int b = 0; b < 4; b++)
            m.at[12 + b] = (uint8_t)(cases[i].ciaddr >> (24 - 8 * b));
        enum dhcp_verdict v = dhcp_answer(t, SERVER, message_end(&m), &a);
        cr_assert_eq(v, cases[i].verdict, "%s: %d", cases[i].what, (int)v);
        cr_assert_eq(a.type, cases[i].type, "%s: %u", cases[i].what, a.type);
        cr_assert_eq(a.to, cases[i].to, "%s: to %08x", cases[i].what, a.to);
        if (a.type == 6) {
            uint8_t len;
            cr_assert_eq(a.address, 0);
            cr_assert_null(option_of(&a, 51, &len), "a NAK carries no lease");
        }
    }
    dhcp_table_fini(t);
}

TEST(dhcp, a_client_that_cannot_hear_unicast_is_told_by_broadcast_on_its_own_link)
{
    struct dhcp_table *t = table();
    struct dhcp_answer a;
    struct message m;
    message_init(&m, 1);
    m.at[10] = 0x80;
    cr_assert_eq(dhcp_answer(t, SERVER, message_end(&m), &a), DHCP_ANSWERED);
    cr_assert_eq(a.to, 0xffffffff);

    uint8_t frame[DHCP_FRAME_MAX];
    size_t len = dhcp_frame(&a, SERVER, OTHER, frame);
    cr_assert_eq(len, 42 + a.message_len);
    cr_assert_eq(memcmp(frame, MAC, 6), 0, "to the client's MAC, not to everybody");
    cr_assert_eq(memcmp(frame + 12, "\x08\x00\x45", 3), 0);
    cr_assert_eq(memcmp(frame + 26, "\x0a\x01\x00\x01\xff\xff\xff\xff\x00\x43\x00\x44", 12), 0);
    uint32_t sum = 0;
    for (int i = 14; i < 34; i += 2)
        sum += (uint32_t)frame[i] << 8 | frame[i + 1];
    cr_assert_eq((sum & 0xffff) + (sum >> 16), 0xffff, "the IP header's checksum");
    dhcp_table_fini(t);
}

TEST(dhcp, inform_gets_parameters_and_no_address)
{
    struct dhcp_table *t = table();
    struct dhcp_answer a;
    struct message m;
    uint8_t len;
    message_init(&m, 8);
    memcpy(m.at + 12, "\x0a\x01\x00\x05", 4);
    cr_assert_eq(dhcp_answer(t, SERVER, message_end(&m), &a), DHCP_ANSWERED);
    cr_assert_eq(a.type, 5);
    cr_assert_eq(memcmp(a.message + 16, "\0\0\0\0", 4), 0);
    cr_assert_null(option_of(&a, 51, &len));
    assert_option(&a, 3, "\x0a\x01\x00\x01", 4);
    dhcp_table_fini(t);
}

TEST(dhcp, who_is_not_in_the_table_hears_nothing)
{
    struct dhcp_table *t = table();
    struct dhcp_answer a;
    struct message m;
    message_init(&m, 1);
    memcpy(m.at + 28, OTHER, 6);
    cr_assert_eq(dhcp_answer(t, SERVER, message_end(&m), &a), DHCP_STRANGER);
    dhcp_remove(t, MAC);
    message_init(&m, 1);
    cr_assert_eq(dhcp_answer(t, SERVER, message_end(&m), &a), DHCP_STRANGER);
    dhcp_table_fini(t);
}

TEST(dhcp, release_and_decline)
{
    struct dhcp_table *t = table();
    struct dhcp_answer a;
    struct message m;
    message_init(&m, 7);
    cr_assert_eq(dhcp_answer(t, SERVER, message_end(&m), &a), DHCP_NOT_OURS);
    message_init(&m, 4);
    message_add(&m, 54, SERVER);
    cr_assert_eq(dhcp_answer(t, SERVER, message_end(&m), &a), DHCP_DECLINED);
    dhcp_table_fini(t);
}

TEST(dhcp, malformed_messages)
{
    struct dhcp_table *t = table();
    struct dhcp_answer a;
    struct message m;
    static const struct {
        size_t at;
        uint8_t value;
    } spoilt[] = {{0, 2},  {1, 6},   {2, 16},  {236, 0},  {27, 1},
                  {28, 3}, {242, 9}, {242, 2}, {241, 200}};
    for (size_t i = 0; i < COUNT_OF(spoilt); i++) {
        message_init(&m, 1);
        m.at[spoilt[i].at] = spoilt[i].value;
        cr_assert_eq(dhcp_answer(t, SERVER, message_end(&m), &a), DHCP_MALFORMED, "case %zu", i);
    }
    message_init(&m, 1);
    for (size_t len = 0; len < 243; len++)
        cr_assert_eq(dhcp_answer(t, SERVER, str_from(m.at, len), &a), DHCP_MALFORMED);
    static uint8_t large[DHCP_MESSAGE_MAX + 1];
    memcpy(large, m.at, m.len);
    cr_assert_eq(dhcp_answer(t, SERVER, str_from(large, sizeof large), &a), DHCP_MALFORMED);
    dhcp_table_fini(t);
}

TEST(dhcp, options_may_overflow_into_the_file_field)
{
    struct dhcp_table *t = table();
    struct dhcp_answer a;
    struct message m;
    message_init(&m, 1);
    memcpy(m.at + 240, (uint8_t[]){52, 1, 1, 255}, 4);
    m.len = 244;
    memcpy(m.at + 108, (uint8_t[]){53, 1, 1, 255}, 4);
    cr_assert_eq(dhcp_answer(t, SERVER, str_from(m.at, m.len), &a), DHCP_ANSWERED);
    cr_assert_eq(a.type, 2);
    dhcp_table_fini(t);
}

TEST(dhcp, the_table_is_sorted_bounded_and_unambiguous)
{
    struct dhcp_table t;
    struct err e;
    dhcp_table_init(&t);
    for (uint32_t i = 0; i < DHCP_ROWS_MAX; i++) {
        uint32_t n = i * 2654435761u; /* Every value once, in no order. */
        uint8_t mac[6] = {2,         0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
                          (uint8_t)n};
        struct dhcp_row row = row_of(mac, 0x0a020000 + i);
        cr_assert_eq(dhcp_put(&t, &row, &e), ERR_OK);
        cr_assert_eq(dhcp_put(&t, &row, &e), ERR_OK, "again is the same row");
    }
    cr_assert_eq(t.rows_count, DHCP_ROWS_MAX);
    for (uint32_t i = 1; i < t.rows_count; i++)
        cr_assert_lt(memcmp(t.rows[i - 1].mac, t.rows[i].mac, 6), 0);
    struct dhcp_row more = row_of(MAC, GUEST), taken = row_of(MAC, 0x0a020000);
    cr_assert_eq(dhcp_put(&t, &more, &e), ERR_LIMIT);
    cr_assert_eq(dhcp_put(&t, &taken, &e), ERR_CONFLICT);
    more.prefix = 33;
    cr_assert_eq(dhcp_put(&t, &more, &e), ERR_INVALID);
    dhcp_table_fini(&t);
}
