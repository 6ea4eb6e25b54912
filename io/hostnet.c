/* SPDX-License-Identifier: Apache-2.0 */
#include "io/hostnet.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

static uint32_t address_of(const struct sockaddr *from)
{
    struct sockaddr_in in;
    memcpy(&in, from, sizeof in);
    return ntohl(in.sin_addr.s_addr);
}

uint32_t hostnet_list(struct hostnet *out, uint32_t max)
{
    struct ifaddrs *all;
    uint32_t count = 0;

    if (getifaddrs(&all) != 0)
        return 0;
    for (const struct ifaddrs *i = all; i != NULL && count < max; i = i->ifa_next) {
        if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET || i->ifa_netmask == NULL)
            continue;
        struct hostnet at = {address_of(i->ifa_addr), address_of(i->ifa_netmask)};
        if (at.ip >> 24 != IN_LOOPBACKNET)
            out[count++] = at;
    }
    freeifaddrs(all);
    return count;
}
