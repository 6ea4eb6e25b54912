/* SPDX-License-Identifier: Apache-2.0 */
/* A guest may send anything to port 67. */
#include "nodeagent/host/dhcp.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dhcp_table t;
    struct dhcp_row row = {.mac = {2, 0, 10, 1, 0, 5},
                           .address = 0x0a010005,
                           .prefix = 24,
                           .gateway = 0x0a010001,
                           .dns = {1, 2, 3},
                           .dns_count = 3,
                           .mtu = 1500};
    memset(row.hostname, 'h', DHCP_HOSTNAME_MAX);
    dhcp_table_init(&t);
    CHECK(dhcp_put(&t, &row, NULL) == ERR_OK);

    struct dhcp_answer a;
    if (dhcp_answer(&t, 0x0a010001, str_from(data, size), &a) == DHCP_ANSWERED) {
        uint8_t frame[DHCP_FRAME_MAX];
        CHECK(a.message_len >= 300 && a.message_len <= DHCP_ANSWER_MAX);
        CHECK(a.address == 0 || a.address == row.address);
        CHECK(dhcp_frame(&a, 0x0a010001, row.mac, frame) == 42 + a.message_len);
    }
    dhcp_table_fini(&t);
    return 0;
}
