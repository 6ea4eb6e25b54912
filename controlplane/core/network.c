/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/core/network.h"

#include "controlplane/core/sched_view.h"

#include <stdio.h>

enum err_code network_parse(struct str cidr, uint32_t part_prefix, struct network *out,
                            struct err *e)
{
    struct network n = {.part_prefix =
                            part_prefix == 0 ? NETWORK_PART_PREFIX_DEFAULT : part_prefix};
    struct str text = cidr.len == 0 ? STR(NETWORK_DEFAULT) : cidr;
    char canonical[32];

    if (sched_view_subnet(text, &n.first, &n.prefix) != ERR_OK)
        return err_set(e, ERR_INVALID, STR_FMT " is not ADDRESS/PREFIX of an IPv4 network",
                       STR_ARG(text));
    snprintf(canonical, sizeof canonical, "%u.%u.%u.%u/%u", n.first >> 24, n.first >> 16 & 255,
             n.first >> 8 & 255, n.first & 255, n.prefix);
    if (!str_is(text, canonical))
        return err_set(e, ERR_INVALID, STR_FMT " is no network: do you mean %s?", STR_ARG(text),
                       canonical);
    if (n.prefix < NETWORK_PREFIX_MIN || n.part_prefix < n.prefix ||
        n.part_prefix > NETWORK_PART_PREFIX_MAX)
        return err_set(e, ERR_INVALID,
                       "%s with /%u for a node: wants at least /%d for the whole, and from /%u to "
                       "/%d for a node",
                       canonical, n.part_prefix, NETWORK_PREFIX_MIN, n.prefix,
                       NETWORK_PART_PREFIX_MAX);
    if (n.part_prefix - n.prefix > 16)
        return err_set(e, ERR_INVALID, "%s has more than %d parts of /%u", canonical,
                       NETWORK_PARTS_MAX, n.part_prefix);
    n.parts = 1u << (n.part_prefix - n.prefix);
    *out = n;
    return ERR_OK;
}

bool network_is_loopback(struct str address)
{
    return str_starts(address, STR("127."));
}
