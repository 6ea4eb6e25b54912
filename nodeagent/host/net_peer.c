/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to other nodes' pods. What the kernel has is read each time and made what it shall be: a link that
 * went down took its routes with it, and a machine may have moved behind a router.
 */
#include "base/mem.h"
#include "nodeagent/host/net_priv.h"

#include <stdio.h>
#include <stdlib.h>

struct peers {
    struct net *n;
    struct net_route *have; /* Ours, by rising destination. */
    uint32_t have_count, have_size, lost;
    uint32_t tunnel; /* 0: not looked for yet. */
};

static struct net_address base_of(struct net_address a)
{
    for (uint32_t bit = a.prefix; bit < 32; bit++)
        a.ip[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    return a;
}

/* By the subnet's first address: nobody has to tell it. 'b', locally administered (IEEE 802). */
static void mac_of(const uint8_t ip[4], uint8_t out[6])
{
    out[0] = 0x02;
    out[1] = 0x62;
    memcpy(out + 2, ip, 4);
}

static void take(void *arg, const struct net_route *r)
{
    struct peers *p = arg;
    if (p->have_count == p->have_size) {
        p->have_size = p->have_size == 0 ? 64 : 2 * p->have_size;
        p->have = mem_resize(p->have, p->have_size * sizeof *p->have);
    }
    p->have[p->have_count++] = *r;
}

static int by_destination(const void *a, const void *b)
{
    const struct net_route *x = a, *y = b;
    int order = memcmp(x->to.ip, y->to.ip, 4);
    return order != 0 ? order : x->to.prefix - y->to.prefix;
}

static bool is_tunnelled(const struct net_route *r)
{
    return memcmp(r->via, r->to.ip, 4) == 0;
}

static enum err_code drop(struct peers *p, const struct net_route *r, struct err *e)
{
    uint8_t mac[6];
    enum err_code code = net__route_delete(&p->n->host, r->to, p->n->routes_tag, e);
    mac_of(r->to.ip, mac);
    if (code == ERR_OK && is_tunnelled(r))
        code = net__neighbour_delete(&p->n->host, r->link, r->to.ip, mac, e);
    return code;
}

static enum err_code open_tunnel(struct peers *p, struct err *e)
{
    struct net *n = p->n;
    struct net_address own = base_of(n->config.gateway);
    struct net_link_change up = {.up = true};
    uint8_t mac[6];
    enum err_code code = ERR_OK;
    if (p->tunnel != 0)
        return ERR_OK;
    mac_of(own.ip, mac);
    own.prefix = 32;
    p->tunnel = net__link_find(&n->host, n->tunnel);
    if (p->tunnel == 0) {
        code = net__vxlan_add(&n->host,
                              &(struct net_vxlan){.name = n->tunnel,
                                                  .vni = n->config.tunnel_id,
                                                  .mtu = n->config.mtu - NET_TUNNEL_BYTES,
                                                  .port = NET_TUNNEL_PORT,
                                                  .mac = mac},
                              e);
        p->tunnel = code == ERR_OK ? net__link_find(&n->host, n->tunnel) : 0;
    }
    if (code == ERR_OK)
        code = net__address_add(&n->host, p->tunnel, own, e);
    return code == ERR_OK ? net__link_change(&n->host, p->tunnel, &up, e) : code;
}

static enum err_code through_tunnel(struct peers *p, const struct net_peer *peer,
                                    struct net_route *wanted, struct err *e)
{
    uint8_t mac[6];
    enum err_code code = open_tunnel(p, e);
    mac_of(wanted->to.ip, mac);
    wanted->link = p->tunnel;
    wanted->onlink = true;
    memcpy(wanted->via, wanted->to.ip, 4);
    if (code == ERR_OK)
        code = net__neighbour_put(&p->n->host, p->tunnel, wanted->to.ip, mac, peer->address, e);
    return code;
}

static bool is_same(const struct net_route *a, const struct net_route *b)
{
    return a->link == b->link && a->onlink == b->onlink && memcmp(a->via, b->via, 4) == 0;
}

/* have: the route there is now; NULL: none. */
static enum err_code lead(struct peers *p, const struct net_peer *peer,
                          const struct net_route *have, struct err *e)
{
    struct net_route wanted = {.to = base_of(peer->subnet)};
    enum err_code code = ERR_OK;
    switch (net__way(&p->n->host, peer->address, &wanted.link)) {
    case NET_WAY_NONE: /* What is there may be right again soon. */
        p->lost++;
        return ERR_OK;
    case NET_WAY_LOCAL: /* An agent beside us: its bridge leads there. */
        return have == NULL ? ERR_OK : drop(p, have, e);
    case NET_WAY_DIRECT:
        memcpy(wanted.via, peer->address, 4);
        break;
    case NET_WAY_ROUTED:
        code = through_tunnel(p, peer, &wanted, e);
        break;
    }
    if (code != ERR_OK || (have != NULL && is_same(have, &wanted)))
        return code;
    return net__route_put(&p->n->host, &wanted, p->n->routes_tag, e);
}

/* Both lists rise: one walk. */
static enum err_code walk(struct peers *p, const struct net_wish *wish, struct err *e)
{
    struct net_address own = base_of(p->n->config.gateway);
    enum err_code code = ERR_OK;
    uint32_t at = 0;
    for (uint32_t i = 0; i < wish->peers_count && code == ERR_OK; i++) {
        struct net_route key = {.to = base_of(wish->peers[i].subnet)};
        if (by_destination(&key, &(struct net_route){.to = own}) == 0)
            continue; /* Somebody claims what is ours. */
        while (at < p->have_count && by_destination(&p->have[at], &key) < 0 && code == ERR_OK)
            code = drop(p, &p->have[at++], e);
        bool is_there = at < p->have_count && by_destination(&p->have[at], &key) == 0;
        if (code == ERR_OK)
            code = lead(p, &wish->peers[i], is_there ? &p->have[at++] : NULL, e);
    }
    while (at < p->have_count && code == ERR_OK)
        code = drop(p, &p->have[at++], e);
    return code;
}

static enum err_code read_routes(struct peers *p, struct err *e)
{
    enum err_code code = net__routes_list(&p->n->host, p->n->routes_tag, take, p, e);
    if (p->have_count > 0)
        qsort(p->have, p->have_count, sizeof *p->have, by_destination);
    return code;
}

enum err_code net__peers_apply(struct net *n, const struct net_wish *wish, struct err *e)
{
    struct peers p = {.n = n};
    if (wish->peers == NULL)
        return ERR_OK;
    enum err_code code = read_routes(&p, e);
    if (code == ERR_OK)
        code = walk(&p, wish, e);
    mem_free(p.have);
    if (code == ERR_OK && p.lost > 0)
        code = err_set(e, ERR_UNAVAILABLE, "no route to %u of %u other nodes", p.lost,
                       wish->peers_count);
    return code;
}

enum err_code net__peers_purge(struct net *n, struct err *e)
{
    struct peers p = {.n = n};
    enum err_code code = read_routes(&p, e);
    for (uint32_t i = 0; i < p.have_count && code == ERR_OK; i++)
        code = drop(&p, &p.have[i], e);
    mem_free(p.have);
    return code == ERR_OK ? net__link_delete(&n->host, n->tunnel, e) : code;
}
