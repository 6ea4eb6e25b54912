/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cluster's two nft tables as a function of the wish. "add, delete, define" in one file is one
 * transaction (nft(8)): there is no instant without rules, and no memory of rules before.
 */
#include "io/fs.h"
#include "io/proc.h"
#include "nodeagent/host/net_priv.h"
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { NFT_TEXT_MAX = 4 << 20, NFT_LIMIT_S = 30 };

static const char *const protos[] = {"tcp", "udp", "sctp"};

static void add_ip(struct buf *out, const uint8_t ip[4])
{
    buf_printf(out, "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
}

static bool is_any(const uint8_t ip[4])
{
    return (ip[0] | ip[1] | ip[2] | ip[3]) == 0;
}

static void add_network(struct buf *out, struct net_address a)
{
    for (uint32_t bit = a.prefix; bit < 32; bit++)
        a.ip[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    add_ip(out, a.ip);
    buf_printf(out, "/%u", a.prefix);
}

/* Elements of the map of one protocol, for ports at every address or at one. Of two ports that are
 * the same the first counts; the ledger never hands out two. */
static void add_ports(struct buf *out, const struct net_wish *w, uint32_t proto, bool at_one,
                      const char *begin)
{
    const char *comma = begin;
    for (uint32_t i = 0; i < w->ports_count; i++) {
        const struct net_port *p = &w->ports[i];
        if ((uint32_t)p->proto != proto || is_any(p->host_ip) == at_one)
            continue;
        buf_add(out, str_of(comma));
        if (at_one) {
            add_ip(out, p->host_ip);
            buf_add(out, STR(" . "));
        }
        buf_printf(out, "%u : ", p->host_port);
        add_ip(out, p->ip);
        buf_printf(out, " . %u", p->port);
        comma = ", ";
    }
    if (comma != begin)
        buf_add(out, STR(" }\n"));
}

static void add_maps(struct buf *out, const struct net_wish *w)
{
    for (uint32_t p = 0; p < COUNT_OF(protos); p++) {
        buf_printf(out, "\tmap ports_%s {\n\t\ttype inet_service : ipv4_addr . inet_service\n",
                   protos[p]);
        add_ports(out, w, p, false, "\t\telements = { ");
        buf_printf(out,
                   "\t}\n\tmap ports_%s_at {\n\t\ttype ipv4_addr . inet_service : ipv4_addr . "
                   "inet_service\n",
                   protos[p]);
        add_ports(out, w, p, true, "\t\telements = { ");
        buf_add(out, STR("\t}\n"));
    }
}

static void add_dnat_chain(struct buf *out, const char *hook)
{
    buf_printf(out, "\tchain %s {\n\t\ttype nat hook %s priority -100; policy accept;\n", hook,
               hook);
    for (uint32_t p = 0; p < COUNT_OF(protos); p++) {
        const char *t = protos[p];
        buf_printf(out,
                   "\t\tfib daddr type local meta l4proto %s dnat ip to ip daddr . %s dport map "
                   "@ports_%s_at\n",
                   t, t, t);
        buf_printf(out,
                   "\t\tfib daddr type local meta l4proto %s dnat ip to %s dport map @ports_%s\n",
                   t, t, t);
    }
    buf_add(out, STR("\t}\n"));
}

static void add_peers(struct buf *out, const struct net_wish *w, const char *begin, const char *end)
{
    for (uint32_t i = 0; i < w->peers_count; i++) {
        buf_add(out, i == 0 ? str_of(begin) : STR(", "));
        add_network(out, w->peers[i].subnet);
    }
    if (w->peers_count > 0)
        buf_add(out, str_of(end));
}

static void add_ip_table(struct buf *out, struct str cluster, const char *bridge,
                         struct net_address gateway, const struct net_wish *w)
{
    buf_printf(out, "table ip baton-" STR_FMT " {\n", STR_ARG(cluster));
    add_maps(out, w);
    /* auto-merge: of two nodes that claim the same addresses neither may take our tables away. */
    buf_add(out, STR("\tset peers {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\tauto-merge\n"));
    add_peers(out, w, "\t\telements = { ", " }\n");
    buf_add(out, STR("\t}\n"));
    add_dnat_chain(out, "prerouting");
    add_dnat_chain(out, "output");
    buf_add(out, STR("\tchain postrouting {\n\t\ttype nat hook postrouting priority 100; policy "
                     "accept;\n\t\tip saddr "));
    /* Egress: whatever leaves the pod network takes the node's address. */
    add_network(out, gateway);
    buf_printf(out, " ip daddr != @peers oifname != \"%s\" masquerade\n\t\t", bridge);
    /* A pod that meets itself or a neighbour through a host port, and the node through 127.0.0.1:
     * the answer must come back this way. */
    buf_add(out, STR("ct status dnat ip saddr "));
    add_network(out, gateway);
    buf_printf(out, " oifname \"%s\" masquerade\n", bridge);
    buf_printf(out, "\t\tip saddr 127.0.0.0/8 oifname \"%s\" masquerade\n\t}\n", bridge);
    /* route_localnet lets the node reach host ports through 127.0.0.1; a pod must not reach the
     * node's own loopback by it (CVE-2020-8558). */
    buf_printf(out,
               "\tchain guard {\n\t\ttype filter hook prerouting priority -300; policy accept;\n"
               "\t\tiifname \"%s\" ip daddr 127.0.0.0/8 drop\n\t}\n}\n",
               bridge);
}

static void add_set(struct buf *out, const char *name, const char *type, const struct net_wish *w,
                    void (*element)(struct buf *out, const struct net_link *l))
{
    buf_printf(out, "\tset %s {\n\t\ttype %s\n", name, type);
    for (uint32_t i = 0; i < w->links_count; i++) {
        buf_add(out, i == 0 ? STR("\t\telements = { ") : STR(", "));
        element(out, &w->links[i]);
    }
    buf_add(out, w->links_count > 0 ? STR(" }\n\t}\n") : STR("\t}\n"));
}

static void name_element(struct buf *out, const struct net_link *l)
{
    buf_printf(out, "\"%s\"", l->name);
}

static void mac_element(struct buf *out, const struct net_link *l)
{
    buf_printf(out, "\"%s\" . %02x:%02x:%02x:%02x:%02x:%02x", l->name, l->mac[0], l->mac[1],
               l->mac[2], l->mac[3], l->mac[4], l->mac[5]);
}

static void ip_element(struct buf *out, const struct net_link *l)
{
    buf_printf(out, "\"%s\" . ", l->name);
    add_ip(out, l->ip);
}

/* Who is in the sets speaks with its own addresses only; net_guard() puts a new port there before anybody is behind it.
 * 0.0.0.0 is a guest that asks for its address (RFC 2131 4.1, RFC 5227); it asks a few times, for
 * the socket that hears it is everybody's. What is neither ARP nor IPv4 cannot be guarded and is nobody's: not IPv6, whose
 * router advertisements would turn the neighbours' traffic, and no tag of a VLAN, behind which these rules see no head. */
static void add_bridge_table(struct buf *out, struct str cluster, const struct net_wish *w)
{
    buf_printf(out, "table bridge baton-" STR_FMT " {\n", STR_ARG(cluster));
    add_set(out, "guarded", "ifname", w, name_element);
    add_set(out, "macs", "ifname . ether_addr", w, mac_element);
    add_set(out, "addresses", "ifname . ipv4_addr", w, ip_element);
    buf_printf(out,
               "\tset asking {\n\t\ttype ifname\n\t\tsize %d\n\t\tflags dynamic,timeout\n"
               "\t\ttimeout 1m\n\t}\n",
               NET_LINKS_MAX);
    buf_add(out,
            STR("\tchain prerouting {\n\t\ttype filter hook prerouting priority -300; policy "
                "accept;\n"
                "\t\tiifname @guarded iifname . ether saddr != @macs drop\n"
                "\t\tiifname @guarded ether type != { ip, arp } drop\n"
                "\t\tiifname @guarded ether type arp arp saddr ip != 0.0.0.0 iifname . arp saddr "
                "ip != @addresses drop\n"
                "\t\tiifname @guarded ether type ip ip saddr != 0.0.0.0 iifname . ip saddr != "
                "@addresses drop\n"
                "\t\tiifname @guarded udp dport 67 add @asking { iifname limit rate over 20/second "
                "burst 40 packets } drop\n\t}\n}\n"));
}

static void refill_map(struct buf *out, struct str cluster, const struct net_wish *w,
                       uint32_t proto, bool at_one)
{
    char begin[NET_CLUSTER_MAX + 64];
    const char *end = at_one ? "_at" : "";
    snprintf(begin, sizeof begin, "add element ip baton-" STR_FMT " ports_%s%s { ",
             STR_ARG(cluster), protos[proto], end);
    buf_printf(out, "flush map ip baton-" STR_FMT " ports_%s%s\n", STR_ARG(cluster), protos[proto],
               end);
    add_ports(out, w, proto, at_one, begin);
}

static void refill_set(struct buf *out, struct str cluster, const struct net_wish *w,
                       const char *name, void (*element)(struct buf *out, const struct net_link *l))
{
    buf_printf(out, "flush set bridge baton-" STR_FMT " %s\n", STR_ARG(cluster), name);
    if (w->links_count == 0)
        return;
    buf_printf(out, "add element bridge baton-" STR_FMT " %s { ", STR_ARG(cluster), name);
    for (uint32_t i = 0; i < w->links_count; i++) {
        buf_add(out, i == 0 ? STR("") : STR(", "));
        element(out, &w->links[i]);
    }
    buf_add(out, STR(" }\n"));
}

void net_nft_elements_text(struct buf *out, struct str cluster, const struct net_wish *wish)
{
    char begin[NET_CLUSTER_MAX + 64];
    for (uint32_t p = 0; p < COUNT_OF(protos); p++) {
        refill_map(out, cluster, wish, p, false);
        refill_map(out, cluster, wish, p, true);
    }
    if (wish->peers != NULL) {
        buf_printf(out, "flush set ip baton-" STR_FMT " peers\n", STR_ARG(cluster));
        snprintf(begin, sizeof begin, "add element ip baton-" STR_FMT " peers { ",
                 STR_ARG(cluster));
        add_peers(out, wish, begin, " }\n");
    }
    refill_set(out, cluster, wish, "guarded", name_element);
    refill_set(out, cluster, wish, "macs", mac_element);
    refill_set(out, cluster, wish, "addresses", ip_element);
}

void net_nft_text(struct buf *out, struct str cluster, const char *bridge,
                  struct net_address gateway, const struct net_wish *wish)
{
    static const char *const families[] = {"ip", "bridge"};
    for (uint32_t f = 0; f < COUNT_OF(families); f++)
        buf_printf(out, "add table %s baton-" STR_FMT "\ndelete table %s baton-" STR_FMT "\n",
                   families[f], STR_ARG(cluster), families[f], STR_ARG(cluster));
    add_ip_table(out, cluster, bridge, gateway, wish);
    add_bridge_table(out, cluster, wish);
}

bool net__nft_exists(const struct net *n)
{
    char table[NET_CLUSTER_MAX + 16];
    const char *const argv[] = {"nft", "list", "chain", "ip", table, "guard", NULL};
    struct proc_request r = {.argv = argv, .timeout = SPAN_S(NFT_LIMIT_S), .no_capture = true};
    int status = 1;
    snprintf(table, sizeof table, "baton-%s", n->cluster);
    return proc_run_wait(&r, NULL, NULL, &status, NULL) == ERR_OK && status == 0;
}

/* Through a file in memory: a pipe's input is limited, and this is not. */
static enum err_code run_nft(struct str program, struct err *e)
{
    static const char *const argv[] = {"nft", "-f", "-", NULL};
    struct buf said;
    int status = 0;
    CLEANUP(fs_close) int fd = memfd_create("nft", MFD_CLOEXEC);
    if (fd < 0 || write(fd, program.at, program.len) != (ssize_t)program.len ||
        lseek(fd, 0, SEEK_SET) != 0)
        return err_set(e, ERR_UNAVAILABLE, "memory for the nft program: %m");

    struct proc_request r = {.argv = argv, .timeout = SPAN_S(NFT_LIMIT_S), .fds_count = 1};
    r.fds[0] = (struct proc_fd){.child = 0, .ours = fd};
    buf_init(&said, PROC_CAPTURE_DEFAULT);
    enum err_code code = proc_run_wait(&r, NULL, &said, &status, e);
    if (code == ERR_OK && status != 0)
        code = err_set(e, ERR_UNAVAILABLE, "nft ended with %d: " STR_FMT, status,
                       STR_ARG(str_trim(buf_str(&said))));
    buf_free(&said);
    return code;
}

/* Chains that stay cost nothing: taking a hook out and putting it back makes the kernel wait, and with
 * it whatever starts meanwhile. So once the tables are ours only their elements are replaced; when
 * that fails (somebody flushed the ruleset), all of it is. */
static enum err_code run_program(struct net *n, const struct net_wish *wish, struct str whole,
                                 struct err *e)
{
    struct buf elements;
    enum err_code code = ERR_NOT_FOUND;
    if (n->applied.len > 0) {
        buf_init(&elements, NFT_TEXT_MAX);
        net_nft_elements_text(&elements, str_of(n->cluster), wish);
        code = buf_status(&elements, e);
        if (code == ERR_OK)
            code = run_nft(buf_str(&elements), e);
        buf_free(&elements);
    }
    return code == ERR_OK ? ERR_OK : run_nft(whole, e);
}

enum err_code net_apply(struct net *n, const struct net_wish *wish, struct err *e)
{
    struct buf program;
    if (wish->ports_count > NET_PORTS_MAX || wish->links_count > NET_LINKS_MAX ||
        wish->peers_count > NET_PEERS_MAX)
        return err_set(e, ERR_LIMIT, "over %d host ports, %d links or %d nodes", NET_PORTS_MAX,
                       NET_LINKS_MAX, NET_PEERS_MAX);
    buf_init(&program, NFT_TEXT_MAX);
    net_nft_text(&program, str_of(n->cluster), n->bridge, n->config.gateway, wish);
    enum err_code code = buf_status(&program, e);
    if (code == ERR_OK && (wish->anew || !str_eq(buf_str(&program), buf_str(&n->applied))))
        code = run_program(n, wish, buf_str(&program), e);
    if (code == ERR_OK) {
        buf_clear(&n->applied);
        buf_add(&n->applied, buf_str(&program));
    }
    buf_free(&program);
    return code == ERR_OK ? net__peers_apply(n, wish, e) : code;
}

enum err_code net__nft_purge(struct net *n, struct err *e)
{
    struct buf program;
    buf_init(&program, NFT_TEXT_MAX);
    buf_printf(&program,
               "add table ip baton-%s\ndelete table ip baton-%s\nadd table bridge baton-%s\n"
               "delete table bridge baton-%s\n",
               n->cluster, n->cluster, n->cluster, n->cluster);
    enum err_code code = run_nft(buf_str(&program), e);
    buf_free(&program);
    buf_clear(&n->applied);
    return code;
}
