/* SPDX-License-Identifier: Apache-2.0 */
/* rtnetlink(7): each function is one request and its acknowledgement. */
#include "base/mem.h"
#include "nodeagent/host/net_nl.h"
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

enum err_code net__nl_open(struct net_nl *nl, struct err *e)
{
    struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (s == NULL)
        return err_set(e, ERR_UNAVAILABLE, "open netlink: %m");
    if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
        mnl_socket_close(s);
        return err_set(e, ERR_UNAVAILABLE, "bind netlink: %m");
    }
    *nl = (struct net_nl){.socket = s};
    return ERR_OK;
}

void net__nl_close(struct net_nl *nl)
{
    if (nl->socket != NULL)
        mnl_socket_close(nl->socket);
    nl->socket = NULL;
}

void net__nl_begin(struct net_request *r, uint16_t type, uint16_t flags)
{
    r->head = mnl_nlmsg_put_header(r->bytes);
    r->head->nlmsg_type = type;
    r->head->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
}

static struct ifinfomsg *begin_link(struct net_request *r, uint16_t type, uint16_t flags)
{
    net__nl_begin(r, type, flags);
    struct ifinfomsg *i = mnl_nlmsg_put_extra_header(r->head, sizeof *i);
    i->ifi_family = AF_UNSPEC;
    return i;
}

int net__nl_talk(struct net_nl *nl, struct net_request *r, mnl_cb_t visit, void *arg)
{
    char answer[NET_ANSWER_MAX];
    unsigned int port = mnl_socket_get_portid(nl->socket);
    r->head->nlmsg_seq = ++nl->sequence;
    if (mnl_socket_sendto(nl->socket, r->head, r->head->nlmsg_len) < 0)
        return errno;
    for (;;) {
        ssize_t len = mnl_socket_recvfrom(nl->socket, answer, sizeof answer);
        if (len < 0)
            return errno;
        int more = mnl_cb_run(answer, (size_t)len, nl->sequence, port, visit, arg);
        if (more < 0)
            return errno;
        if (more == MNL_CB_STOP)
            return 0;
    }
}

enum err_code net__nl_ask(struct net_nl *nl, struct net_request *r, const char *what,
                          const char *whom, struct err *e)
{
    r->head->nlmsg_flags |= NLM_F_ACK;
    int failed = net__nl_talk(nl, r, NULL, NULL);
    if (failed == 0)
        return ERR_OK;
    enum err_code code = failed == EEXIST                                          ? ERR_CONFLICT
                         : failed == ENODEV || failed == ENOENT || failed == ESRCH ? ERR_NOT_FOUND
                         : failed == EPERM                                         ? ERR_DENIED
                                           : ERR_UNAVAILABLE;
    return err_set(e, code, "%s %s: %s", what, whom, strerror(failed));
}

struct link_answer {
    uint32_t index, master;
};

static int take_link(const struct nlmsghdr *head, void *arg)
{
    struct link_answer *a = arg;
    const struct ifinfomsg *i = mnl_nlmsg_get_payload(head);
    const struct nlattr *attr;

    a->index = (uint32_t)i->ifi_index;
    mnl_attr_for_each(attr, head, sizeof *i) if (mnl_attr_get_type(attr) == IFLA_MASTER) a->master =
        mnl_attr_get_u32(attr);
    return MNL_CB_STOP;
}

static struct link_answer get_link(struct net_nl *nl, const char *name)
{
    struct net_request r;
    struct link_answer a = {0};
    begin_link(&r, RTM_GETLINK, 0);
    mnl_attr_put_strz(r.head, IFLA_IFNAME, name);
    if (net__nl_talk(nl, &r, take_link, &a) != 0)
        return (struct link_answer){0};
    return a;
}

uint32_t net__link_find(struct net_nl *nl, const char *name)
{
    return get_link(nl, name).index;
}

uint32_t net__link_master(struct net_nl *nl, const char *name)
{
    return get_link(nl, name).master;
}

enum err_code net__link_change(struct net_nl *nl, uint32_t link, const struct net_link_change *c,
                               struct err *e)
{
    struct net_request r;
    char whom[16];
    struct ifinfomsg *i = begin_link(&r, RTM_NEWLINK, 0);

    i->ifi_index = (int)link;
    if (c->up) {
        i->ifi_flags = IFF_UP;
        i->ifi_change = IFF_UP;
    }
    if (c->master != 0)
        mnl_attr_put_u32(r.head, IFLA_MASTER, c->master);
    if (c->mtu != 0)
        mnl_attr_put_u32(r.head, IFLA_MTU, c->mtu);
    if (c->mac != NULL)
        mnl_attr_put(r.head, IFLA_ADDRESS, 6, c->mac);
    if (c->hairpin) {
        struct nlattr *info = mnl_attr_nest_start(r.head, IFLA_LINKINFO);
        mnl_attr_put_strz(r.head, IFLA_INFO_SLAVE_KIND, "bridge");
        struct nlattr *data = mnl_attr_nest_start(r.head, IFLA_INFO_SLAVE_DATA);
        mnl_attr_put_u8(r.head, IFLA_BRPORT_MODE, 1);
        mnl_attr_nest_end(r.head, data);
        mnl_attr_nest_end(r.head, info);
    }
    snprintf(whom, sizeof whom, "%u", link);
    return net__nl_ask(nl, &r, "change link", whom, e);
}

enum err_code net__bridge_add(struct net_nl *nl, const char *name, const uint8_t mac[6],
                              struct err *e)
{
    struct net_request r;
    begin_link(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    mnl_attr_put_strz(r.head, IFLA_IFNAME, name);
    /* An address of its own: without, it is its lowest port's and changes under the pods. */
    mnl_attr_put(r.head, IFLA_ADDRESS, 6, mac);
    struct nlattr *info = mnl_attr_nest_start(r.head, IFLA_LINKINFO);
    mnl_attr_put_strz(r.head, IFLA_INFO_KIND, "bridge");
    struct nlattr *data = mnl_attr_nest_start(r.head, IFLA_INFO_DATA);
    mnl_attr_put_u32(r.head, IFLA_BR_FORWARD_DELAY, 0); /* There are no loops to wait for. */
    mnl_attr_nest_end(r.head, data);
    mnl_attr_nest_end(r.head, info);
    return net__nl_ask(nl, &r, "make bridge", name, e);
}

enum err_code net__veth_add(struct net_nl *nl, const struct net_veth *v, struct err *e)
{
    struct net_request r;
    begin_link(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    mnl_attr_put_strz(r.head, IFLA_IFNAME, v->name);
    mnl_attr_put_u32(r.head, IFLA_MASTER, v->master);
    mnl_attr_put_u32(r.head, IFLA_MTU, v->mtu);
    struct nlattr *info = mnl_attr_nest_start(r.head, IFLA_LINKINFO);
    mnl_attr_put_strz(r.head, IFLA_INFO_KIND, "veth");
    struct nlattr *data = mnl_attr_nest_start(r.head, IFLA_INFO_DATA);
    struct nlattr *peer = mnl_attr_nest_start(r.head, VETH_INFO_PEER);
    /* Both are born down: an end opens only once the other is there (else ENOTCONN). */
    mnl_nlmsg_put_extra_header(r.head, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(r.head, IFLA_IFNAME, v->peer);
    mnl_attr_put(r.head, IFLA_ADDRESS, 6, v->peer_mac);
    mnl_attr_put_u32(r.head, IFLA_MTU, v->mtu);
    mnl_attr_put_u32(r.head, IFLA_NET_NS_FD, (uint32_t)v->peer_netns);
    mnl_attr_nest_end(r.head, peer);
    mnl_attr_nest_end(r.head, data);
    mnl_attr_nest_end(r.head, info);
    return net__nl_ask(nl, &r, "make veth", v->name, e);
}

enum err_code net__link_delete(struct net_nl *nl, const char *name, struct err *e)
{
    struct net_request r;
    begin_link(&r, RTM_DELLINK, 0);
    mnl_attr_put_strz(r.head, IFLA_IFNAME, name);
    enum err_code code = net__nl_ask(nl, &r, "delete link", name, e);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

enum err_code net__address_add(struct net_nl *nl, uint32_t link, struct net_address a,
                               struct err *e)
{
    struct net_request r;
    char whom[32];
    net__nl_begin(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
    struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(r.head, sizeof *m);
    m->ifa_family = AF_INET;
    m->ifa_prefixlen = a.prefix;
    m->ifa_scope = RT_SCOPE_UNIVERSE;
    m->ifa_index = link;
    mnl_attr_put(r.head, IFA_LOCAL, 4, a.ip);
    mnl_attr_put(r.head, IFA_ADDRESS, 4, a.ip);
    snprintf(whom, sizeof whom, "%u.%u.%u.%u/%u", a.ip[0], a.ip[1], a.ip[2], a.ip[3], a.prefix);
    enum err_code code = net__nl_ask(nl, &r, "add address", whom, e);
    return code == ERR_CONFLICT ? ERR_OK : code; /* It is there. */
}

enum err_code net__default_route_add(struct net_nl *nl, uint32_t link, const uint8_t gateway[4],
                                     struct err *e)
{
    struct net_request r;
    net__nl_begin(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
    struct rtmsg *m = mnl_nlmsg_put_extra_header(r.head, sizeof *m);
    m->rtm_family = AF_INET;
    m->rtm_table = RT_TABLE_MAIN;
    m->rtm_protocol = RTPROT_STATIC;
    m->rtm_scope = RT_SCOPE_UNIVERSE;
    m->rtm_type = RTN_UNICAST;
    mnl_attr_put(r.head, RTA_GATEWAY, 4, gateway);
    mnl_attr_put_u32(r.head, RTA_OIF, link);
    return net__nl_ask(nl, &r, "add route", "default", e);
}

struct ports_visit {
    uint32_t bridge;
    char (*names)[NET_NAME_MAX];
    uint32_t count;
};

static int take_port(const struct nlmsghdr *head, void *arg)
{
    struct ports_visit *v = arg;
    const struct ifinfomsg *i = mnl_nlmsg_get_payload(head);
    const struct nlattr *attr;
    const char *name = NULL;
    uint32_t master = 0;

    mnl_attr_for_each(attr, head, sizeof *i)
    {
        if (mnl_attr_get_type(attr) == IFLA_MASTER)
            master = mnl_attr_get_u32(attr);
        if (mnl_attr_get_type(attr) == IFLA_IFNAME)
            name = mnl_attr_get_str(attr);
    }
    if (master == v->bridge && name != NULL && v->count < NET_LINKS_MAX)
        snprintf(v->names[v->count++], NET_NAME_MAX, "%s", name);
    return MNL_CB_OK;
}

/* Visited after the dump: a visitor may talk over the same socket. */
enum err_code net__ports_list(struct net_nl *nl, uint32_t bridge,
                              bool (*visit)(void *arg, const char *name), void *arg, struct err *e)
{
    struct ports_visit v = {.bridge = bridge, .names = mem_zalloc(NET_LINKS_MAX, NET_NAME_MAX)};
    struct net_request r;

    begin_link(&r, RTM_GETLINK, NLM_F_DUMP);
    int failed = net__nl_talk(nl, &r, take_port, &v);
    for (uint32_t n = 0; n < v.count && failed == 0; n++)
        if (!visit(arg, v.names[n]))
            break;
    mem_free(v.names);
    if (failed != 0)
        return err_set(e, ERR_UNAVAILABLE, "list links: %s", strerror(failed));
    return ERR_OK;
}
