/* SPDX-License-Identifier: Apache-2.0 */
/* Names, and what is made so from the parts. */
#include "nodeagent/host/net.h"
#include "base/fnv.h"
#include "base/mem.h"
#include "io/fs.h"
#include "nodeagent/host/net_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MTU_DEFAULT = 1500, NFT_TEXT_MAX = 4 << 20 };

static bool id_ok(struct str s, size_t max)
{
    if (s.len == 0 || s.len > max || s.at[0] == '.')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            return false;
    }
    return true;
}

/* Names must be the same in every life of the agent. */
static uint64_t name_hash(struct str a, struct str b)
{
    return fnv_add(fnv_add(fnv_add(FNV_BASIS, a), STR("/")), b);
}

static void port_name(const struct net *n, const char *kind, struct str id, char out[NET_NAME_MAX])
{
    uint64_t h = name_hash(str_of(n->cluster), id) & 0xfffffffffffff;
    snprintf(out, NET_NAME_MAX, "%s%013llx", kind, (unsigned long long)h);
}

static bool pod_path(const struct net *n, struct str id, char out[FS_PATH_MAX])
{
    return snprintf(out, FS_PATH_MAX, "%s/" STR_FMT, n->netns_directory, STR_ARG(id)) < FS_PATH_MAX;
}

enum err_code net_open(const struct net_config *cfg, struct net **out, struct err *e)
{
    if (!id_ok(cfg->cluster, NET_CLUSTER_MAX) || str_find(cfg->cluster, '.', 0) < cfg->cluster.len)
        return err_set(e, ERR_INVALID, "\"" STR_FMT "\" cannot name a network",
                       STR_ARG(cfg->cluster));
    struct net *n = mem_zalloc(1, sizeof *n);
    if (cfg->netns_directory.len >= sizeof n->netns_directory) {
        mem_free(n);
        return err_set(e, ERR_LIMIT, "the directory of namespaces has too long a name");
    }
    str_put(n->cluster, cfg->cluster);
    str_put(n->netns_directory, cfg->netns_directory);
    n->config = *cfg;
    n->config.cluster = str_of(n->cluster);
    n->config.netns_directory = str_of(n->netns_directory);
    if (n->config.mtu == 0)
        n->config.mtu = MTU_DEFAULT;
    snprintf(n->bridge, sizeof n->bridge, "bt%08x",
             (uint32_t)name_hash(str_of(n->cluster), STR("bridge")));
    snprintf(n->tunnel, sizeof n->tunnel, "bx%08x",
             (uint32_t)name_hash(str_of(n->cluster), STR("bridge")));
    n->routes_tag = (uint32_t)name_hash(str_of(n->cluster), STR("routes"));
    buf_init(&n->applied, NFT_TEXT_MAX);
    enum err_code code = net__nl_open(&n->host, e);
    if (code != ERR_OK) {
        net_close(n);
        return code;
    }
    *out = n;
    return ERR_OK;
}

void net_close(struct net *n)
{
    if (n == NULL)
        return;
    net__nl_close(&n->host);
    buf_free(&n->applied);
    mem_free(n);
}

const char *net_bridge(const struct net *n)
{
    return n->bridge;
}

static enum err_code sysctl(const char *path, const char *value, struct err *e)
{
    return fs_poke(path, str_of(value), e);
}

static enum err_code make_bridge(struct net *n, uint32_t *out_link, struct err *e)
{
    uint64_t h = name_hash(str_of(n->cluster), STR("mac"));
    uint8_t mac[6] = {
        0x02,      (uint8_t)(h >> 32), (uint8_t)(h >> 24), (uint8_t)(h >> 16), (uint8_t)(h >> 8),
        (uint8_t)h}; /* Locally administered, IEEE 802. */
    uint32_t link = net__link_find(&n->host, n->bridge);
    if (link == 0) {
        enum err_code code = net__bridge_add(&n->host, n->bridge, mac, e);
        if (code != ERR_OK)
            return code;
        link = net__link_find(&n->host, n->bridge);
    }
    *out_link = link;
    struct net_link_change change = {.mtu = n->config.mtu, .up = true};
    return net__link_change(&n->host, link, &change, e);
}

enum err_code net_setup(struct net *n, struct err *e)
{
    char path[128];
    uint32_t link;
    struct net_wish nothing = {0};

    enum err_code code = fs_mkdir(n->netns_directory, 0700, e);
    if (code == ERR_OK)
        code = make_bridge(n, &link, e);
    if (code == ERR_OK)
        code = net__address_add(&n->host, link, n->config.gateway, e);
    if (code == ERR_OK)
        code = sysctl("/proc/sys/net/ipv4/ip_forward", "1", e);
    snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/route_localnet", n->bridge);
    if (code == ERR_OK) /* So that 127.0.0.1:hostPort works on the node; see net_nft.c's guard. */
        code = sysctl(path, "1", e);
    /* The pods have no IPv6, and none of them shall be the node's router. */
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", n->bridge);
    if (code == ERR_OK && fs_exists(path))
        code = sysctl(path, "1", e);
    if (code == ERR_OK &&
        !net__nft_exists(n)) /* What an earlier life left holds until the first wish. */
        code = net_apply(n, &nothing, e);
    return code == ERR_OK ? ERR_OK : (err_wrap(e, "network %s", n->bridge), code);
}

/* --- pods --- */

static enum err_code make_veth(struct net *n, const struct net_pod *pod, int netns, uint32_t mtu,
                               struct err *e)
{
    char name[NET_NAME_MAX];
    uint32_t bridge = net__link_find(&n->host, n->bridge);
    port_name(n, "bv", pod->id, name);
    if (bridge == 0)
        return err_set(e, ERR_NOT_FOUND, "no bridge %s", n->bridge);
    struct net_veth veth = {.name = name,
                            .peer = "eth0",
                            .master = bridge,
                            .mtu = mtu,
                            .peer_mac = pod->mac,
                            .peer_netns = netns};
    enum err_code code = net__veth_add(&n->host, &veth, e);
    if (code != ERR_CONFLICT)
        return code;
    /* One end without the other: of an earlier namespace that is still being taken down. */
    code = net__link_delete(&n->host, name, e);
    return code != ERR_OK ? code : net__veth_add(&n->host, &veth, e);
}

static enum err_code raise_host_end(struct net *n, const struct net_pod *pod, struct err *e)
{
    char name[NET_NAME_MAX];
    /* With br_netfilter a pod's frame to its own host port is turned around inside the bridge. */
    struct net_link_change up = {.up = true, .hairpin = true};
    port_name(n, "bv", pod->id, name);
    return net__link_change(&n->host, net__link_find(&n->host, name), &up, e);
}

static enum err_code dress_namespace(struct net *n, struct net_nl *in, const struct net_pod *pod,
                                     int netns, struct err *e)
{
    uint32_t mtu = pod->mtu != 0 ? pod->mtu : n->config.mtu;
    uint32_t eth0 = net__link_find(in, "eth0"), lo = net__link_find(in, "lo");
    struct net_link_change lo_up = {.up = true};
    struct net_link_change change = {.up = true, .mtu = mtu, .mac = pod->mac};
    enum err_code code = ERR_OK;

    if (eth0 == 0) {
        code = make_veth(n, pod, netns, mtu, e);
        if (code == ERR_OK)
            eth0 = net__link_find(in, "eth0");
    }
    if (code == ERR_OK)
        code = net__link_change(in, eth0, &change, e);
    if (code == ERR_OK)
        code = net__link_change(in, lo, &lo_up, e);
    if (code == ERR_OK)
        code = raise_host_end(n, pod, e);
    if (code == ERR_OK)
        code = net__address_add(in, eth0, pod->address, e);
    bool routed = (pod->gateway.ip[0] | pod->gateway.ip[3]) != 0;
    if (code == ERR_OK && routed)
        code = net__default_route_add(in, eth0, pod->gateway.ip, e);
    return code;
}

enum err_code net_pod_make(struct net *n, const struct net_pod *pod, char *out_path, struct err *e)
{
    char path[FS_PATH_MAX];
    struct net_nl in;
    CLEANUP(fs_close) int netns = -1;

    if (!id_ok(pod->id, 128) || pod->address.prefix == 0 || pod->address.prefix > 32)
        return err_set(e, ERR_INVALID, "pod network of \"" STR_FMT "\"", STR_ARG(pod->id));
    if (!pod_path(n, pod->id, path))
        return err_set(e, ERR_LIMIT, "%s is too long", n->netns_directory);
    enum err_code code = net__netns_make(path, &netns, e);
    if (code == ERR_OK)
        code = net__nl_open_in(netns, &in, e);
    if (code != ERR_OK)
        return code;
    code = dress_namespace(n, &in, pod, netns, e);
    net__nl_close(&in);
    if (code != ERR_OK) {
        err_wrap(e, "network of " STR_FMT, STR_ARG(pod->id));
        return code;
    }
    snprintf(out_path, FS_PATH_MAX, "%s", path);
    return ERR_OK;
}

/* Only what is a port of our bridge is ours to delete. */
enum err_code net_link_remove(struct net *n, const char *name, struct err *e)
{
    uint32_t master = net__link_master(&n->host, name);
    if (net__link_find(&n->host, name) == 0)
        return ERR_OK;
    if (master == 0 || master != net__link_find(&n->host, n->bridge))
        return err_set(e, ERR_DENIED, "%s is not a port of %s", name, n->bridge);
    return net__link_delete(&n->host, name, e);
}

enum err_code net_pod_remove(struct net *n, struct str id, struct err *e)
{
    char path[FS_PATH_MAX], name[NET_NAME_MAX];
    if (!id_ok(id, 128) || !pod_path(n, id, path))
        return err_set(e, ERR_INVALID, "pod network of \"" STR_FMT "\"", STR_ARG(id));
    port_name(n, "bv", id, name);
    enum err_code code = net_link_remove(n, name, e);
    return code != ERR_OK ? code : net__netns_remove(path, e);
}

void net_pod_link(const struct net *n, const struct net_pod *pod, struct net_link *out)
{
    port_name(n, "bv", pod->id, out->name);
    memcpy(out->mac, pod->mac, 6);
    memcpy(out->ip, pod->address.ip, 4);
}

/* --- taps --- */

void net_tap_name(const struct net *n, struct str id, char out[NET_NAME_MAX])
{
    port_name(n, "bq", id, out);
}

static enum err_code make_tap(const struct net_tap *tap, const char *name, struct err *e)
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    CLEANUP(fs_close) int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "open /dev/net/tun: %m");
    if (tap->queues > 1)
        r.ifr_flags |= IFF_MULTI_QUEUE;
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    if (ioctl(fd, TUNSETIFF, &r) != 0) {
        if (errno == EBUSY) /* Its machine has it open: it is as it was made. */
            return ERR_OK;
        return err_set(e, ERR_UNAVAILABLE, "make tap %s: %m", name);
    }
    if (ioctl(fd, TUNSETOWNER, (unsigned long)tap->owner_uid) != 0 ||
        ioctl(fd, TUNSETGROUP, (unsigned long)tap->owner_gid) != 0 ||
        ioctl(fd, TUNSETPERSIST, 1UL) != 0)
        return err_set(e, ERR_UNAVAILABLE, "give away tap %s: %m", name);
    return ERR_OK;
}

enum err_code net_tap_make(struct net *n, const struct net_tap *tap, char out_name[NET_NAME_MAX],
                           struct err *e)
{
    char name[NET_NAME_MAX];
    if (!id_ok(tap->id, 128) || tap->queues > NET_QUEUES_MAX)
        return err_set(e, ERR_INVALID, "tap of \"" STR_FMT "\"", STR_ARG(tap->id));
    net_tap_name(n, tap->id, name);
    enum err_code code = make_tap(tap, name, e);
    if (code != ERR_OK)
        return code;
    struct net_link_change change = {.master = net__link_find(&n->host, n->bridge),
                                     .mtu = tap->mtu != 0 ? tap->mtu : n->config.mtu,
                                     .up = true};
    code = net__link_change(&n->host, net__link_find(&n->host, name), &change, e);
    if (code != ERR_OK)
        return code;
    snprintf(out_name, NET_NAME_MAX, "%s", name);
    return ERR_OK;
}

enum err_code net_tap_remove(struct net *n, struct str id, struct err *e)
{
    char name[NET_NAME_MAX];
    net_tap_name(n, id, name);
    return net_link_remove(n, name, e);
}

/* --- what there is --- */

struct list_visit {
    bool (*visit)(void *arg, enum net_kind kind, struct str name);
    void *arg;
    bool go_on;
};

static bool visit_port(void *arg, const char *name)
{
    struct list_visit *v = arg;
    enum net_kind kind = strncmp(name, "bq", 2) == 0 ? NET_TAP : NET_VETH;
    v->go_on = v->visit(v->arg, kind, str_of(name));
    return v->go_on;
}

static bool visit_pod(void *arg, const char *name)
{
    struct list_visit *v = arg;
    v->go_on = v->visit(v->arg, NET_POD, str_of(name));
    return v->go_on;
}

enum err_code net_list(struct net *n, bool (*visit)(void *arg, enum net_kind kind, struct str name),
                       void *arg, struct err *e)
{
    struct list_visit v = {visit, arg, true};
    uint32_t bridge = net__link_find(&n->host, n->bridge);
    enum err_code code = fs_list(n->netns_directory, visit_pod, &v, e);
    if (code == ERR_NOT_FOUND)
        code = ERR_OK;
    if (code == ERR_OK && v.go_on && bridge != 0)
        code = net__ports_list(&n->host, bridge, visit_port, &v, e);
    return code;
}

struct purge_visit {
    struct net *n;
    struct err *e;
    enum err_code code;
};

static bool purge_one(void *arg, enum net_kind kind, struct str name)
{
    struct purge_visit *v = arg;
    char link[NET_NAME_MAX];
    if (kind == NET_POD)
        v->code = net_pod_remove(v->n, name, v->e);
    else {
        snprintf(link, sizeof link, STR_FMT, STR_ARG(name));
        v->code = net_link_remove(v->n, link, v->e);
    }
    return v->code == ERR_OK;
}

enum err_code net_purge(struct net *n, struct err *e)
{
    struct purge_visit v = {.n = n, .e = e};
    enum err_code code = net_list(n, purge_one, &v, e);
    if (code == ERR_OK)
        code = v.code;
    if (code == ERR_OK)
        code = net__peers_purge(n, e);
    if (code == ERR_OK)
        code = net__link_delete(&n->host, n->bridge, e);
    return code != ERR_OK ? code : net__nft_purge(n, e);
}

/* --- texts --- */

enum err_code net_address_parse(struct str text, struct net_address *out)
{
    struct net_address a = {.prefix = 32};
    struct str rest = text, ip, part;
    uint64_t number;
    uint32_t count = 0;

    if (!str_split(&rest, '/', &ip))
        return ERR_INVALID;
    if (rest.at != NULL) {
        if (str_parse_u64(rest, &number) != ERR_OK || number > 32)
            return ERR_INVALID;
        a.prefix = (uint8_t)number;
    }
    while (str_split(&ip, '.', &part)) {
        if (count == 4 || str_parse_u64(part, &number) != ERR_OK || number > 255)
            return ERR_INVALID;
        a.ip[count++] = (uint8_t)number;
    }
    if (count != 4)
        return ERR_INVALID;
    *out = a;
    return ERR_OK;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

enum err_code net_mac_parse(struct str text, uint8_t out[6])
{
    uint8_t mac[6];
    if (text.len != 17)
        return ERR_INVALID;
    for (uint32_t i = 0; i < 6; i++) {
        int high = hex_digit(text.at[3 * i]), low = hex_digit(text.at[3 * i + 1]);
        if (high < 0 || low < 0 || (i < 5 && text.at[3 * i + 2] != ':'))
            return ERR_INVALID;
        mac[i] = (uint8_t)(high * 16 + low);
    }
    memcpy(out, mac, 6);
    return ERR_OK;
}
