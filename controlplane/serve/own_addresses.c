/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/own_addresses.h"

/* "192.0.2.1:4711", "[::ffff:192.0.2.1]:4711", "[2001:db8::1]:4711": without port and brackets; IPv4 as such. */
static struct str address_of(const char *end)
{
    static const struct str mapped = {"::ffff:", 7};
    struct str s = str_of(end);
    while (s.len > 0 && s.at[s.len - 1] != ':')
        s.len--;
    s = str_slice(s, 0, s.len > 0 ? s.len - 1 : 0);
    if (s.len >= 2 && s.at[0] == '[')
        s = str_slice(s, 1, s.len - 1);
    bool is_mapped = str_starts(s, mapped) && str_find(s, '.', 0) < s.len;
    return is_mapped ? str_slice(s, mapped.len, s.len) : s;
}

void own_addresses_bar(struct str named, const char *peer, const char *came_to, struct buf *out)
{
    struct str from = address_of(peer), to = address_of(came_to);
    bool is_here = str_eq(from, to) || str_starts(from, STR("127.")) || str_is(from, "::1");
    if (!is_here)
        buf_printf(out, STR_FMT "%s" STR_FMT, STR_ARG(named), named.len > 0 ? " " : "",
                   STR_ARG(to));
}
