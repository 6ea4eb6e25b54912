/* SPDX-License-Identifier: Apache-2.0 */
/* net_priv.h -- the parts of net: links (rtnetlink), namespaces, and what they share. */
#ifndef NODEAGENT_HOST_NET_PRIV_H
#define NODEAGENT_HOST_NET_PRIV_H

#include "nodeagent/host/net.h"

struct mnl_socket;

/* One rtnetlink conversation, in the namespace in which it was opened. */
struct net_nl {
    struct mnl_socket *socket;
    uint32_t sequence;
};

struct net {
    struct net_config config;
    char cluster[NET_CLUSTER_MAX + 1], netns_directory[4000];
    char bridge[NET_NAME_MAX], tunnel[NET_NAME_MAX];
    uint32_t routes_tag; /* The metric of our routes, by which they are known. */
    struct net_nl host;
    struct buf applied; /* The nft program that was run last; empty: none by us. */
};

MUST_USE enum err_code net__nl_open(struct net_nl *nl, struct err *e);
void net__nl_close(struct net_nl *nl);

/* 0: there is no such link. */
uint32_t net__link_find(struct net_nl *nl, const char *name);
uint32_t net__link_master(struct net_nl *nl, const char *name);

struct net_link_change { /* What is zero stays as it is. */
    uint32_t master, mtu;
    const uint8_t *mac;
    bool up;
    bool hairpin; /* A bridge's port: frames may go back where they came from. */
};
MUST_USE enum err_code net__link_change(struct net_nl *nl, uint32_t link,
                                        const struct net_link_change *c, struct err *e);
MUST_USE enum err_code net__bridge_add(struct net_nl *nl, const char *name, const uint8_t mac[6],
                                       struct err *e);

struct net_veth {
    const char *name, *peer;
    uint32_t master, mtu;
    const uint8_t *peer_mac;
    int peer_netns; /* Descriptor of the namespace the peer is born in. */
};
MUST_USE enum err_code net__veth_add(struct net_nl *nl, const struct net_veth *v, struct err *e);
MUST_USE enum err_code net__link_delete(struct net_nl *nl, const char *name, struct err *e);
MUST_USE enum err_code net__address_add(struct net_nl *nl, uint32_t link, struct net_address a,
                                        struct err *e);
MUST_USE enum err_code net__default_route_add(struct net_nl *nl, uint32_t link,
                                              const uint8_t gateway[4], struct err *e);
/* Names of all links whose master is bridge. */
MUST_USE enum err_code net__ports_list(struct net_nl *nl, uint32_t bridge,
                                       bool (*visit)(void *arg, const char *name), void *arg,
                                       struct err *e);

struct net_route {
    struct net_address to;
    uint8_t via[4]; /* All zero: none. */
    uint32_t link;
    bool onlink; /* via is behind link whatever the addresses say. */
};
/* Of the main table and with this metric; put replaces, delete finds by destination. */
MUST_USE enum err_code net__route_put(struct net_nl *nl, const struct net_route *r, uint32_t metric,
                                      struct err *e);
MUST_USE enum err_code net__route_delete(struct net_nl *nl, struct net_address to, uint32_t metric,
                                         struct err *e);
MUST_USE enum err_code net__routes_list(struct net_nl *nl, uint32_t metric,
                                        void (*visit)(void *arg, const struct net_route *r),
                                        void *arg, struct err *e);
enum net_way { NET_WAY_NONE, NET_WAY_LOCAL, NET_WAY_DIRECT, NET_WAY_ROUTED };
/* How the kernel reaches an address now; *out_link over which link. */
enum net_way net__way(struct net_nl *nl, const uint8_t ip[4], uint32_t *out_link);

struct net_vxlan {
    const char *name;
    uint32_t vni, mtu;
    uint16_t port;
    const uint8_t *mac;
};
MUST_USE enum err_code net__vxlan_add(struct net_nl *nl, const struct net_vxlan *v, struct err *e);
/* ip has mac on link, and mac is behind the machine outer; both for good. */
MUST_USE enum err_code net__neighbour_put(struct net_nl *nl, uint32_t link, const uint8_t ip[4],
                                          const uint8_t mac[6], const uint8_t outer[4],
                                          struct err *e);
MUST_USE enum err_code net__neighbour_delete(struct net_nl *nl, uint32_t link, const uint8_t ip[4],
                                             const uint8_t mac[6], struct err *e);

/* net_peer.c */
MUST_USE enum err_code net__peers_apply(struct net *n, const struct net_wish *wish, struct err *e);
MUST_USE enum err_code net__peers_purge(struct net *n, struct err *e);

bool net__nft_exists(const struct net *n);
MUST_USE enum err_code net__nft_purge(struct net *n, struct err *e);

/* The file becomes (or is) a bound network namespace; *out_fd is the namespace. */
MUST_USE enum err_code net__netns_make(const char *path, int *out_fd, struct err *e);
MUST_USE enum err_code net__netns_remove(const char *path, struct err *e);
/* A conversation inside a namespace. The calling thread is back in its own afterwards. */
MUST_USE enum err_code net__nl_open_in(int netns, struct net_nl *nl, struct err *e);

#endif /* NODEAGENT_HOST_NET_PRIV_H */
