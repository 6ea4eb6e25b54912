/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h -- the pod network on this machine.
 *
 * WHAT   A bridge per cluster; per pod a network namespace that is bound to a file, and a veth pair;
 *        per virtual machine a tap; one nft table for egress, host ports and anti-spoofing. Addresses
 *        are the Placement's, to the bit: nothing here chooses one.
 * WHY    All of it lives in the kernel and in DIR, so it outlives the agent; each function makes
 *        it so and may be called again at any time.
 * OWNS   net_open() allocates, net_close() frees and takes nothing down.
 * ASYNC  Synchronous: netlink round trips (about 1 ms for a pod, most of it the kernel's new
 *        namespace) and one `nft` (3 ms). Call on a worker (host/worker.h) where that matters. A
 *        struct net is used by one thread at a time.
 * FAILS  ERR_INVALID (an address, a name), ERR_CONFLICT (the name is taken by something not ours),
 *        ERR_LIMIT, ERR_UNAVAILABLE with the kernel's words.
 *
 * Names derive from the cluster, so that several share a machine: bridge "btXXXXXXXX", ports
 * "bvXXXXXXXXXXXXX" (veth) and "bqXXXXXXXXXXXXX" (tap), nft tables "baton-CLUSTER", tunnel "bxXXXXXXXX".
 *
 * PEERS  A route for each other node's part of the pod network: straight to a machine on the same link,
 *        through one VXLAN device (RFC 7348, without learning and without multicast) to one behind a
 *        router, which knows nothing of pods. Our routes have a metric of their own, by which they are
 *        found again. Nothing is encrypted.
 */
#ifndef NODEAGENT_HOST_NET_H
#define NODEAGENT_HOST_NET_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    NET_NAME_MAX = 16, /* IFNAMSIZ, with the NUL. */
    NET_CLUSTER_MAX = 64,
    NET_PORTS_MAX = 4096, /* Host ports on one node. */
    NET_LINKS_MAX = 2048, /* Ports of the bridge. */
    NET_QUEUES_MAX = 16,
    NET_PEERS_MAX = 50000,  /* Other nodes. */
    NET_TUNNEL_PORT = 8472, /* UDP: Linux's own VXLAN port, which flannel uses, too. */
    NET_TUNNEL_BYTES = 50,  /* What VXLAN takes of each packet (RFC 7348). */
};

struct net_address { /* IPv4 now; the Placement's list of addresses is ready for a second family. */
    uint8_t ip[4];
    uint8_t prefix;
};

struct net_config {
    struct str cluster;         /* [a-z0-9-], at most NET_CLUSTER_MAX. */
    struct str netns_directory; /* DIR/netns: one file per pod. */
    struct net_address gateway; /* The bridge's own address; its prefix is the pod network. */
    uint32_t mtu;               /* 0: 1500. */
    uint32_t tunnel_id;         /* VXLAN network identifier, 24 bits: the same on every node. */
};

struct net;

MUST_USE enum err_code net_open(const struct net_config *cfg, struct net **out, struct err *e);
void net_close(struct net *n);

const char *net_bridge(const struct net *n); /* The bridge's name. */

/* Bridge up, its address on it, ip_forward on, an nft table that masquerades. */
MUST_USE enum err_code net_setup(struct net *n, struct err *e);

struct net_pod {
    struct str id; /* The pod's uid. Names the namespace's file and the veth. */
    struct net_address address;
    struct net_address gateway; /* Default route; all zero: none. */
    uint8_t mac[6];
    uint32_t mtu; /* 0: the bridge's. */
};

/* Namespace, veth, lo and eth0 up with the address, default route. out_path (of FS_PATH_MAX bytes):
 * the namespace's file, for the container's spec. A pod with hostNetwork needs none of this. */
MUST_USE enum err_code net_pod_make(struct net *n, const struct net_pod *pod, char *out_path,
                                    struct err *e);
MUST_USE enum err_code net_pod_remove(struct net *n, struct str id,
                                      struct err *e); /* Gone is ok. */

struct net_tap {
    struct str id; /* "<uid>" or "<uid>.<nic>": names the interface. */
    uint32_t owner_uid, owner_gid;
    uint32_t queues; /* 0 or 1: a single queue. */
    uint32_t mtu;
};

MUST_USE enum err_code net_tap_make(struct net *n, const struct net_tap *tap,
                                    char out_name[NET_NAME_MAX], struct err *e);
MUST_USE enum err_code net_tap_remove(struct net *n, struct str id, struct err *e);
void net_tap_name(const struct net *n, struct str id, char out[NET_NAME_MAX]);

enum net_proto { NET_TCP, NET_UDP, NET_SCTP };

struct net_port { /* A host port and where it leads. */
    enum net_proto proto;
    uint8_t host_ip[4]; /* 0.0.0.0: every address of the node. */
    uint16_t host_port, port;
    uint8_t ip[4];
};

/* One port of the bridge and who may speak from it. */
struct net_link {
    char name[NET_NAME_MAX];
    uint8_t mac[6], ip[4];
};

/* Another node: where its pods are. */
struct net_peer {
    struct net_address subnet; /* Its first address. */
    uint8_t address[4];        /* The machine's. */
};

/* Everything the tables shall hold. */
struct net_wish {
    const struct net_port *ports;
    const struct net_link *links; /* Ports that may speak with their own addresses only. */
    const struct net_peer *peers; /* By rising subnet; NULL: not known, what is there stays. */
    uint32_t ports_count, links_count, peers_count;
    bool
        anew; /* Others may be in the sets than the last wish says: apply it though it be the same. */
};

/* The program for `nft -f -`: replaces both tables (ip and bridge family) in one transaction. Pure. */
void net_nft_text(struct buf *out, struct str cluster, const char *bridge,
                  struct net_address gateway, const struct net_wish *wish);

/* The same elements for tables that are there: one transaction without touching a chain. Pure. */
void net_nft_elements_text(struct buf *out, struct str cluster, const struct net_wish *wish);

/* Level-triggered: applies the whole wish; nothing is run when it is the one applied before. A peer that
 * cannot be reached now is ERR_UNAVAILABLE in the end; everything else was applied. */
MUST_USE enum err_code net_apply(struct net *n, const struct net_wish *wish, struct err *e);

/* The wish's entry for a pod or a tap made here. */
void net_pod_link(const struct net *n, const struct net_pod *pod, struct net_link *out);

/* The port is guarded from now on, until a wish is applied that does not have it. A tenth of a millisecond; of any thread.
 * ERR_NOT_FOUND: the tables are not there. */
MUST_USE enum err_code net_guard(const struct net *n, const struct net_link *l, struct err *e);
/* ERR_NOT_FOUND: it is in none of the sets, or not as it is said to be. */
MUST_USE enum err_code net_unguard(const struct net *n, const struct net_link *l, struct err *e);

/* What exists, for leaks: ids are not recoverable from interface names, so taps are given by name and
 * pods by id (their file's name). Stops at a false. */
enum net_kind { NET_POD, NET_VETH, NET_TAP };
MUST_USE enum err_code net_list(struct net *n,
                                bool (*visit)(void *arg, enum net_kind kind, struct str name),
                                void *arg, struct err *e);
MUST_USE enum err_code net_link_remove(struct net *n, const char *name,
                                       struct err *e); /* Ours only. */

/* deploy/down --purge: every namespace, port, the bridge and the tables. ip_forward stays. */
MUST_USE enum err_code net_purge(struct net *n, struct err *e);

/* "10.1.2.3/16", "10.1.2.3", "02:00:0a:01:02:03". */
MUST_USE enum err_code net_address_parse(struct str text, struct net_address *out);
MUST_USE enum err_code net_mac_parse(struct str text, uint8_t out[6]);

#endif /* NODEAGENT_HOST_NET_H */
