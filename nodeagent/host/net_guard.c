/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One port into the sets of the bridge's table and out of them, by nf_tables' own netlink: three elements in one transaction, a tenth of a
 * millisecond. net_nft.c makes the sets, and fills them again with all there is; a start cannot wait for that.
 *
 * Sources: linux/netfilter/nf_tables.h, nfnetlink.h; nft(8): a concatenation's parts are padded to four bytes each.
 */
#include "nodeagent/host/net_priv.h"
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

enum { BATCH_MAX = 4096, ELEMENTS = 3, KEY_MAX = IFNAMSIZ + 8 };

/* What is done to the elements of one port. */
struct verb {
    uint16_t type, flags;
    const char *name;
};

struct batch {
    char bytes[BATCH_MAX];
    size_t len;
    uint32_t sequence;
};

static struct nlmsghdr *begin(struct batch *b, uint16_t type, uint16_t flags, uint8_t family,
                              uint16_t resource)
{
    struct nlmsghdr *head = mnl_nlmsg_put_header(b->bytes + b->len);
    head->nlmsg_type = type;
    head->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    head->nlmsg_seq = b->sequence++;
    struct nfgenmsg *m = mnl_nlmsg_put_extra_header(head, sizeof *m);
    *m = (struct nfgenmsg){family, NFNETLINK_V0, htons(resource)};
    return head;
}

static void end(struct batch *b, const struct nlmsghdr *head)
{
    b->len += MNL_ALIGN(head->nlmsg_len);
}

/* key: the port's name, then size bytes. */
static void put_element(struct batch *b, const struct verb *v, const char *table, const char *set,
                        const char *name, const void *more, size_t size)
{
    char key[KEY_MAX] = {0};
    struct nlmsghdr *head = begin(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | v->type),
                                  (uint16_t)(v->flags | NLM_F_ACK), NFPROTO_BRIDGE, 0);
    snprintf(key, IFNAMSIZ, "%s", name);
    if (size > 0)
        memcpy(key + IFNAMSIZ, more, size);
    mnl_attr_put_strz(head, NFTA_SET_ELEM_LIST_TABLE, table);
    mnl_attr_put_strz(head, NFTA_SET_ELEM_LIST_SET, set);
    struct nlattr *list = mnl_attr_nest_start(head, NFTA_SET_ELEM_LIST_ELEMENTS);
    struct nlattr *one = mnl_attr_nest_start(head, NFTA_LIST_ELEM);
    struct nlattr *value = mnl_attr_nest_start(head, NFTA_SET_ELEM_KEY);
    mnl_attr_put(head, NFTA_DATA_VALUE, IFNAMSIZ + (size + 3) / 4 * 4, key);
    mnl_attr_nest_end(head, value);
    mnl_attr_nest_end(head, one);
    mnl_attr_nest_end(head, list);
    end(b, head);
}

struct answers {
    uint32_t count;
    int failed; /* The first errno. */
};

static void hear(struct mnl_socket *s, struct answers *out)
{
    char bytes[BATCH_MAX];
    ssize_t len = mnl_socket_recvfrom(s, bytes, sizeof bytes);
    int left = (int)len;
    for (const struct nlmsghdr *head = (const void *)bytes; len > 0 && mnl_nlmsg_ok(head, left);
         head = mnl_nlmsg_next(head, &left)) {
        const struct nlmsgerr *said = mnl_nlmsg_get_payload(head);
        if (head->nlmsg_type != NLMSG_ERROR)
            continue;
        out->count++;
        if (out->failed == 0)
            out->failed = -said->error;
    }
    if (len < 0 && out->failed == 0)
        out->failed = errno;
}

/* The kernel has answered each of them before sending returns. */
static int ask(struct mnl_socket *s, const struct batch *b)
{
    struct answers a = {0};
    if (mnl_socket_sendto(s, b->bytes, b->len) < 0)
        return errno;
    while (a.count < ELEMENTS && a.failed == 0)
        hear(s, &a);
    return a.failed;
}

static enum err_code change(const struct net *n, const struct net_link *l, const struct verb *v,
                            struct err *e)
{
    char table[NET_CLUSTER_MAX + 16];
    struct batch b = {.sequence = 1};
    snprintf(table, sizeof table, "baton-%s", n->cluster);
    end(&b, begin(&b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    put_element(&b, v, table, "guarded", l->name, NULL, 0);
    put_element(&b, v, table, "macs", l->name, l->mac, sizeof l->mac);
    put_element(&b, v, table, "addresses", l->name, l->ip, sizeof l->ip);
    end(&b, begin(&b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));

    struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (s == NULL)
        return err_set(e, ERR_UNAVAILABLE, "open netlink: %m");
    int failed = mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ? errno : ask(s, &b);
    mnl_socket_close(s);
    if (failed == 0)
        return ERR_OK;
    return err_set(e, failed == ENOENT ? ERR_NOT_FOUND : ERR_UNAVAILABLE, "%s %s: %s", v->name,
                   l->name, strerror(failed));
}

enum err_code net_guard(const struct net *n, const struct net_link *l, struct err *e)
{
    return change(n, l, &(struct verb){NFT_MSG_NEWSETELEM, NLM_F_CREATE, "guard"}, e);
}

enum err_code net_unguard(const struct net *n, const struct net_link *l, struct err *e)
{
    return change(n, l, &(struct verb){NFT_MSG_DELSETELEM, 0, "unguard"}, e);
}
