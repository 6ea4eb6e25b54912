/* SPDX-License-Identifier: Apache-2.0 */
/* rtnetlink(7): routes, and who is behind a tunnel. */
#include "nodeagent/host/net_nl.h"
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* rtnetlink(7) leaves the numbers above RTPROT_STATIC to routing programs; `ip route` shows it. */
enum { ROUTE_PROTOCOL = 98 };

static struct rtmsg *begin_route(struct net_request *r, uint16_t type, uint16_t flags)
{
    net__nl_begin(r, type, flags);
    struct rtmsg *m = mnl_nlmsg_put_extra_header(r->head, sizeof *m);
    m->rtm_family = AF_INET;
    m->rtm_table = RT_TABLE_MAIN;
    m->rtm_type = RTN_UNICAST;
    m->rtm_protocol = ROUTE_PROTOCOL;
    return m;
}

static void show(char out[32], struct net_address a)
{
    snprintf(out, 32, "%u.%u.%u.%u/%u", a.ip[0], a.ip[1], a.ip[2], a.ip[3], a.prefix);
}

enum err_code net__route_put(struct net_nl *nl, const struct net_route *route, uint32_t metric,
                             struct err *e)
{
    struct net_request r;
    char whom[32];
    struct rtmsg *m = begin_route(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
    m->rtm_dst_len = route->to.prefix;
    m->rtm_scope = RT_SCOPE_UNIVERSE;
    m->rtm_flags = route->onlink ? RTNH_F_ONLINK : 0;
    mnl_attr_put(r.head, RTA_DST, 4, route->to.ip);
    if ((route->via[0] | route->via[1] | route->via[2] | route->via[3]) != 0)
        mnl_attr_put(r.head, RTA_GATEWAY, 4, route->via);
    mnl_attr_put_u32(r.head, RTA_OIF, route->link);
    mnl_attr_put_u32(r.head, RTA_PRIORITY, metric);
    show(whom, route->to);
    return net__nl_ask(nl, &r, "put route", whom, e);
}

enum err_code net__route_delete(struct net_nl *nl, struct net_address to, uint32_t metric,
                                struct err *e)
{
    struct net_request r;
    char whom[32];
    struct rtmsg *m = begin_route(&r, RTM_DELROUTE, 0);
    m->rtm_dst_len = to.prefix;
    m->rtm_scope = RT_SCOPE_NOWHERE;
    mnl_attr_put(r.head, RTA_DST, 4, to.ip);
    mnl_attr_put_u32(r.head, RTA_PRIORITY, metric);
    show(whom, to);
    enum err_code code = net__nl_ask(nl, &r, "delete route", whom, e);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

struct routes_visit {
    uint32_t metric;
    void (*visit)(void *arg, const struct net_route *r);
    void *arg;
};

struct route_parts {
    struct net_route route;
    uint32_t metric;
};

static void read_route(const struct nlmsghdr *head, struct route_parts *out)
{
    const struct rtmsg *m = mnl_nlmsg_get_payload(head);
    const struct nlattr *attr;
    *out = (struct route_parts){.route.to.prefix = m->rtm_dst_len,
                                .route.onlink = (m->rtm_flags & RTNH_F_ONLINK) != 0};
    mnl_attr_for_each(attr, head, sizeof *m)
    {
        uint16_t type = mnl_attr_get_type(attr);
        if (type == RTA_DST && mnl_attr_get_payload_len(attr) == 4)
            memcpy(out->route.to.ip, mnl_attr_get_payload(attr), 4);
        else if (type == RTA_GATEWAY && mnl_attr_get_payload_len(attr) == 4)
            memcpy(out->route.via, mnl_attr_get_payload(attr), 4);
        else if (type == RTA_OIF)
            out->route.link = mnl_attr_get_u32(attr);
        else if (type == RTA_PRIORITY)
            out->metric = mnl_attr_get_u32(attr);
    }
}

static int take_route(const struct nlmsghdr *head, void *arg)
{
    struct routes_visit *v = arg;
    const struct rtmsg *m = mnl_nlmsg_get_payload(head);
    struct route_parts parts;
    if (m->rtm_family != AF_INET || m->rtm_table != RT_TABLE_MAIN ||
        m->rtm_protocol != ROUTE_PROTOCOL)
        return MNL_CB_OK;
    read_route(head, &parts);
    if (parts.metric == v->metric)
        v->visit(v->arg, &parts.route);
    return MNL_CB_OK;
}

enum err_code net__routes_list(struct net_nl *nl, uint32_t metric,
                               void (*visit)(void *arg, const struct net_route *r), void *arg,
                               struct err *e)
{
    struct routes_visit v = {metric, visit, arg};
    struct net_request r;
    begin_route(&r, RTM_GETROUTE, NLM_F_DUMP);
    int failed = net__nl_talk(nl, &r, take_route, &v);
    if (failed != 0)
        return err_set(e, ERR_UNAVAILABLE, "list routes: %s", strerror(failed));
    return ERR_OK;
}

struct way {
    enum net_way how;
    uint32_t link;
};

static int take_way(const struct nlmsghdr *head, void *arg)
{
    static const uint8_t nobody[4];
    struct way *w = arg;
    const struct rtmsg *m = mnl_nlmsg_get_payload(head);
    struct route_parts parts;
    read_route(head, &parts);
    w->link = parts.route.link;
    if (m->rtm_type == RTN_LOCAL)
        w->how = NET_WAY_LOCAL;
    else if (m->rtm_type == RTN_UNICAST)
        w->how = memcmp(parts.route.via, nobody, 4) == 0 ? NET_WAY_DIRECT : NET_WAY_ROUTED;
    return MNL_CB_STOP;
}

enum net_way net__way(struct net_nl *nl, const uint8_t ip[4], uint32_t *out_link)
{
    struct way w = {NET_WAY_NONE, 0};
    struct net_request r;
    struct rtmsg *m = begin_route(&r, RTM_GETROUTE, 0);
    m->rtm_dst_len = 32;
    mnl_attr_put(r.head, RTA_DST, 4, ip);
    if (net__nl_talk(nl, &r, take_way, &w) != 0)
        return NET_WAY_NONE;
    *out_link = w.link;
    return w.how;
}

/* ---- the tunnel ---- */

enum err_code net__vxlan_add(struct net_nl *nl, const struct net_vxlan *v, struct err *e)
{
    struct net_request r;
    net__nl_begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    struct ifinfomsg *i = mnl_nlmsg_put_extra_header(r.head, sizeof *i);
    i->ifi_family = AF_UNSPEC;
    mnl_attr_put_strz(r.head, IFLA_IFNAME, v->name);
    mnl_attr_put(r.head, IFLA_ADDRESS, 6, v->mac);
    mnl_attr_put_u32(r.head, IFLA_MTU, v->mtu);
    struct nlattr *info = mnl_attr_nest_start(r.head, IFLA_LINKINFO);
    mnl_attr_put_strz(r.head, IFLA_INFO_KIND, "vxlan");
    struct nlattr *data = mnl_attr_nest_start(r.head, IFLA_INFO_DATA);
    mnl_attr_put_u32(r.head, IFLA_VXLAN_ID, v->vni);
    mnl_attr_put_u16(r.head, IFLA_VXLAN_PORT, htons(v->port));
    mnl_attr_put_u8(r.head, IFLA_VXLAN_LEARNING, 0); /* We are told; nobody's packets teach us. */
    mnl_attr_nest_end(r.head, data);
    mnl_attr_nest_end(r.head, info);
    return net__nl_ask(nl, &r, "make tunnel", v->name, e);
}

static struct ndmsg *begin_neighbour(struct net_request *r, uint16_t type, uint16_t flags,
                                     uint8_t family, uint32_t link)
{
    net__nl_begin(r, type, flags);
    struct ndmsg *m = mnl_nlmsg_put_extra_header(r->head, sizeof *m);
    m->ndm_family = family;
    m->ndm_ifindex = (int)link;
    m->ndm_state = NUD_PERMANENT;
    return m;
}

/* The address resolved, and the tunnel's forwarding entry for what it resolved to. */
static enum err_code neighbour(struct net_nl *nl, uint16_t type, uint16_t flags, uint32_t link,
                               const uint8_t ip[4], const uint8_t mac[6], const uint8_t *outer,
                               struct err *e)
{
    struct net_request r;
    char whom[32];
    struct net_address shown = {.prefix = 32};
    memcpy(shown.ip, ip, 4);
    show(whom, shown);
    begin_neighbour(&r, type, flags, AF_INET, link);
    mnl_attr_put(r.head, NDA_DST, 4, ip);
    mnl_attr_put(r.head, NDA_LLADDR, 6, mac);
    enum err_code code = net__nl_ask(nl, &r, "neighbour", whom, e);
    if (code != ERR_OK && code != ERR_NOT_FOUND)
        return code;
    struct ndmsg *m = begin_neighbour(&r, type, flags, AF_BRIDGE, link);
    m->ndm_flags = NTF_SELF;
    mnl_attr_put(r.head, NDA_LLADDR, 6, mac);
    if (outer != NULL)
        mnl_attr_put(r.head, NDA_DST, 4, outer);
    return net__nl_ask(nl, &r, "tunnel to", whom, e);
}

enum err_code net__neighbour_put(struct net_nl *nl, uint32_t link, const uint8_t ip[4],
                                 const uint8_t mac[6], const uint8_t outer[4], struct err *e)
{
    return neighbour(nl, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, link, ip, mac, outer, e);
}

enum err_code net__neighbour_delete(struct net_nl *nl, uint32_t link, const uint8_t ip[4],
                                    const uint8_t mac[6], struct err *e)
{
    enum err_code code = neighbour(nl, RTM_DELNEIGH, 0, link, ip, mac, NULL, e);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}
