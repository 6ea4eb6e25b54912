/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/shell/hostwork.h"

#include "base/check.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "io/fs.h"
#include "nodeagent/host/dhcp_server.h"
#include "nodeagent/shell/hostdisk.h"
#include "nodeagent/shell/hostimages.h"
#include "nodeagent/shell/hostjobs.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    BOX_NETWORK = 1,
    BOX_CLEAN,
    BOX_TABLES,
    DNS_LEASE_MTU = 1500,
    TABLES_DELAY_MS = 5000,
    TABLES_RETRY_S = 2,
    TABLES_RETRY_MAX_S = 60,
    PEERS_LOOK_S = 30 /* A link that went down took its routes with it: how soon they are back. */
};

/* A network that is wished for: its part of the tables. */
struct attached {
    char uid[64];
    uint64_t number; /* In the order of their coming. */
    struct net_link link;
    struct net_port *ports;
    uint32_t ports_count;
    bool machine;
};

struct hostwork {
    struct hostwork_options o;
    struct loop_client client;
    struct worker *network_worker, *clean_worker, *tables_worker;
    struct hostimages *images;
    struct hostdisk *disk;
    /* One for each worker that has to do with it; NULL until the first network. */
    struct net *net, *clean_net, *tables_net;
    bool tables_running, tables_stale; /* A pass is on its way; another is due after it. */
    bool tables_urgent;                /* Host ports changed: the next pass does not wait. */
    int64_t tables_retry_s;            /* After the next failure. */
    struct net_peer *peers;            /* By rising subnet; NULL: not told yet. */
    uint32_t peers_count;
    char netns[FS_PATH_MAX];
    struct map attached; /* By uid. */
    uint64_t attached_ever;
    bool put_back; /* Into the sets, behind a pass. Who was may have left them before. */
    struct dhcp_table leases;
    struct dhcp_server *dhcp;
};

static uint32_t ip_number(const uint8_t ip[4])
{
    return (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];
}

/* ---- answers ---- */

static void job_free(struct hostjob *j)
{
    arena_free(&j->arena);
    mem_free(j);
}

static void job_drop(struct worker_job *w)
{
    job_free(CONTAINER_OF(w, struct hostjob, worker));
}

static void answer(struct hostwork *h, uint64_t op, struct hostjob *j)
{
    struct agent_host_done done = {.code = j->code, .text = j->err.text};

    if (j->code == ERR_OK && j->type == FX_NETWORK)
        done.network = str_of(j->path);
    h->o.done(h->o.owner, op, &done);
}

/* ---- the tables ---- */

static void copy_wish(struct hostwork *h, struct hostjob *j)
{
    uint32_t at = 0, ports = 0;
    for (const struct map_entry *e; (e = map_next(&h->attached, &at)) != NULL;)
        ports += ((struct attached *)e->value)->ports_count;

    struct net_link *links = arena_zalloc(&j->arena, h->attached.live + 1, sizeof *links);
    struct net_port *all = arena_zalloc(&j->arena, ports + 1, sizeof *all);
    struct net_peer *peers = arena_zalloc(&j->arena, h->peers_count + 1, sizeof *peers);
    j->wish = (struct net_wish){.ports = all, .links = links};
    if (links == NULL || all == NULL || peers == NULL)
        return; /* Nothing is opened; the next pass tries again. */
    if (h->peers != NULL) {
        memcpy(peers, h->peers, h->peers_count * sizeof *peers);
        j->wish.peers = peers;
        j->wish.peers_count = h->peers_count;
    }
    at = 0;
    for (const struct map_entry *e; (e = map_next(&h->attached, &at)) != NULL;) {
        const struct attached *one = e->value;
        links[j->wish.links_count++] = one->link;
        for (uint32_t i = 0; i < one->ports_count; i++)
            all[j->wish.ports_count++] = one->ports[i];
    }
}

static void run_tables(struct worker_job *w)
{
    hostjob_tables(CONTAINER_OF(w, struct hostjob, worker));
}

/* The tables follow what is attached; nobody who starts waits for them. However many changes there are,
 * one pass is on its way and at most one more is due. */
static void want_tables(struct hostwork *h)
{
    if (h->tables_net == NULL)
        return;
    h->tables_stale = h->tables_running;
    if (h->tables_running)
        return;
    h->tables_urgent = false;
    struct hostjob *j = mem_zalloc(1, sizeof *j);
    arena_init(&j->arena, HOSTJOB_MEMORY_MAX);
    j->worker = (struct worker_job){.run = run_tables, .drop = job_drop};
    j->tables = true;
    j->net = h->tables_net;
    j->known = h->attached_ever;
    copy_wish(h, j);
    j->wish.anew = h->put_back;
    h->put_back = false;
    h->tables_running = worker_run(h->tables_worker, 0, &j->worker) == ERR_OK;
    CHECK(h->tables_running); /* Its queue holds one job. */
}

/* A host port that leads to an address somebody else may get soon is urgent; who may speak with which
 * address is not, for whoever came has been guarded as he came: a pass makes the kernel wait some 20 ms. */
static void want_tables_soon(struct hostwork *h)
{
    struct instant at = instant_add(loop_now(h->o.loop), SPAN_MS(TABLES_DELAY_MS));
    if (h->tables_urgent)
        want_tables(h);
    else if (h->tables_net != NULL)
        loop_set_deadline(&h->client, instant_earlier(h->client.deadline, at));
}

static void run_guards(struct worker_job *w)
{
    hostjob_guards(CONTAINER_OF(w, struct hostjob, worker));
}

/* A pass fills the sets anew with those that were there when it began: who came meanwhile is put back. */
static void guard_newcomers(struct hostwork *h, uint64_t known)
{
    if (h->attached_ever == known)
        return;
    struct hostjob *j = mem_zalloc(1, sizeof *j);
    arena_init(&j->arena, HOSTJOB_MEMORY_MAX);
    j->worker = (struct worker_job){.run = run_guards, .drop = job_drop};
    j->guards = true;
    j->net = h->tables_net;
    struct net_link *links = arena_zalloc(&j->arena, h->attached.live + 1, sizeof *links);
    uint32_t at = 0;
    for (const struct map_entry *e; links != NULL && (e = map_next(&h->attached, &at)) != NULL;) {
        const struct attached *one = e->value;
        if (one->number > known)
            links[j->wish.links_count++] = one->link;
    }
    j->wish.links = links;
    h->put_back = true;
    CHECK(worker_run(h->tables_worker, 0, &j->worker) == ERR_OK); /* Behind one pass at most. */
}

static void tables_done(struct hostwork *h, const struct hostjob *j)
{
    int64_t again_s = h->peers_count > 0 ? PEERS_LOOK_S : 0;
    h->tables_running = false;
    guard_newcomers(h, j->known);
    if (j->code != ERR_OK) {
        again_s = h->tables_retry_s;
        h->tables_retry_s = 2 * again_s < TABLES_RETRY_MAX_S ? 2 * again_s : TABLES_RETRY_MAX_S;
        log_event(LOG_WARN, "network.tables", "retry_s=%lld why=%s", (long long)again_s,
                  log_quote(str_of(j->err.text)).text);
    } else {
        h->tables_retry_s = TABLES_RETRY_S;
    }
    if (h->tables_stale)
        want_tables(h);
    else if (again_s > 0)
        loop_set_deadline(&h->client, instant_add(loop_now(h->o.loop), SPAN_S(again_s)));
}

static int by_subnet(const void *a, const void *b)
{
    const struct net_peer *x = a, *y = b;
    return memcmp(x->subnet.ip, y->subnet.ip, 4);
}

/* Told before the first pod is here: the first network brings them into the kernel. */
static void take_peers(struct hostwork *h, const struct agent_effect *fx)
{
    mem_free(h->peers);
    h->peers = mem_zalloc(fx->peers.count + 1, sizeof *h->peers);
    h->peers_count = 0;
    for (uint32_t i = 0; i < fx->peers.count; i++) {
        struct net_peer *to = &h->peers[h->peers_count];
        struct net_address machine;
        if (net_address_parse(fx->peers.at[i].subnet, &to->subnet) != ERR_OK ||
            to->subnet.prefix == 0 ||
            net_address_parse(fx->peers.at[i].address, &machine) != ERR_OK || machine.prefix != 32)
            continue; /* A node without an address of ours: IPv6, or no network at all. */
        memcpy(to->address, machine.ip, 4);
        h->peers_count++;
    }
    qsort(h->peers, h->peers_count, sizeof *h->peers, by_subnet);
    want_tables(h);
}

static void detach(struct hostwork *h, struct str uid)
{
    struct attached *one = map_remove(&h->attached, uid);
    if (one == NULL)
        return;
    if (one->machine)
        dhcp_remove(&h->leases, one->link.mac);
    h->tables_urgent |= one->ports_count > 0;
    mem_free(one->ports);
    mem_free(one);
}

static enum err_code lease(struct hostwork *h, const struct agent_fx_network *fx,
                           const struct net_pod *pod, struct err *e)
{
    struct dhcp_row row = {.address = ip_number(pod->address.ip),
                           .prefix = pod->address.prefix,
                           .gateway = ip_number(pod->gateway.ip),
                           .mtu = DNS_LEASE_MTU};
    memcpy(row.mac, fx->mac, sizeof row.mac);
    size_t len = min_size(fx->hostname.len, DHCP_HOSTNAME_MAX);
    memcpy(row.hostname, fx->hostname.at, len);
    return dhcp_put(&h->leases, &row, e);
}

static void close_nets(struct hostwork *h)
{
    net_close(h->net);
    net_close(h->clean_net);
    net_close(h->tables_net);
    h->net = h->clean_net = h->tables_net = NULL;
}

/* The node's part of the pod network is the control plane's to give; every Placement names it. */
static enum err_code open_net(struct hostwork *h, const struct net_pod *pod, struct err *e)
{
    struct net_address gateway = pod->gateway;
    gateway.prefix = pod->address.prefix;
    if (h->net != NULL)
        return ERR_OK;
    if (ip_number(gateway.ip) == 0)
        return err_set(e, ERR_INVALID, "the Placement names no gateway");
    enum err_code code = ERR_OK;
    struct net **const nets[] = {&h->net, &h->clean_net, &h->tables_net};
    for (size_t i = 0; i < COUNT_OF(nets) && code == ERR_OK; i++)
        code = net_open(&(struct net_config){.cluster = str_of(h->o.cluster),
                                             .netns_directory = str_of(h->netns),
                                             .gateway = gateway,
                                             .tunnel_id = h->o.tunnel_id},
                        nets[i], e);
    if (code == ERR_OK)
        code = net_setup(h->net, e);
    if (code == ERR_OK)
        code = dhcp_server_open(h->o.loop, net_bridge(h->net), ip_number(gateway.ip), &h->leases,
                                &h->dhcp, e);
    if (code != ERR_OK)
        close_nets(h);
    return code;
}

static enum err_code read_addresses(const struct agent_fx_network *n, struct net_pod *out,
                                    struct err *e)
{
    if (n->addresses_count == 0)
        return err_set(e, ERR_INVALID, "the Placement has no address");
    if (net_address_parse(n->addresses[0].cidr, &out->address) != ERR_OK ||
        (n->addresses[0].gateway.len > 0 &&
         net_address_parse(n->addresses[0].gateway, &out->gateway) != ERR_OK))
        return err_set(e, ERR_INVALID, "the Placement's address " STR_FMT " is none",
                       STR_ARG(n->addresses[0].cidr));
    return ERR_OK;
}

/* An address that is none opens nothing: as no address at all it would be all of the node's. */
static enum err_code read_ports(const struct agent_fx_network *n, const struct net_pod *pod,
                                struct net_port *out, struct err *e)
{
    for (uint32_t i = 0; i < n->ports_count; i++) {
        struct net_address host = {0};
        struct str ip = n->ports[i].host_ip;
        if (ip.len > 0 && net_address_parse(ip, &host) != ERR_OK)
            return err_set(e, ERR_INVALID, "hostIP \"" STR_FMT "\" is no IPv4 address",
                           STR_ARG(ip));
        out[i] = (struct net_port){.proto = n->ports[i].udp ? NET_UDP : NET_TCP,
                                   .host_port = n->ports[i].host,
                                   .port = n->ports[i].container};
        memcpy(out[i].host_ip, host.ip, 4);
        memcpy(out[i].ip, pod->address.ip, 4);
    }
    return ERR_OK;
}

static enum err_code attach(struct hostwork *h, const struct agent_effect *fx, struct hostjob *j,
                            struct err *e)
{
    const struct agent_fx_network *n = &fx->network;
    struct attached *one;

    enum err_code opened = read_addresses(n, &j->pod, e);
    if (opened == ERR_OK)
        opened = open_net(h, &j->pod, e);
    if (opened != ERR_OK)
        return opened;
    j->net = h->net;
    j->pod.id = str_of(j->uid);
    memcpy(j->pod.mac, n->mac, sizeof n->mac);

    detach(h, fx->uid);
    one = mem_zalloc(1, sizeof *one);
    memcpy(one->uid, j->uid, sizeof one->uid);
    one->number = ++h->attached_ever;
    one->machine = n->machine;
    one->ports = mem_zalloc(n->ports_count, sizeof *one->ports);
    one->ports_count = n->ports_count;
    h->tables_urgent |= n->ports_count > 0;
    if (n->machine) {
        net_tap_name(h->net, fx->uid, one->link.name);
        memcpy(one->link.mac, n->mac, 6);
        memcpy(one->link.ip, j->pod.address.ip, 4);
    } else {
        net_pod_link(h->net, &j->pod, &one->link);
    }
    j->link = one->link;
    enum err_code code = read_ports(n, &j->pod, one->ports, e);
    if (code == ERR_OK && map_put(&h->attached, str_of(one->uid), one) != ERR_OK)
        code = err_set(e, ERR_LIMIT, "too many networks on this node");
    if (code != ERR_OK) {
        mem_free(one->ports);
        mem_free(one);
        return code;
    }
    return n->machine ? lease(h, n, &j->pod, e) : ERR_OK;
}

static void on_event(struct loop_client *self, const struct io_event *ev)
{
    struct hostwork *h = CONTAINER_OF(self, struct hostwork, client);
    if (ev->type == IO_DEADLINE)
        want_tables(h);
    if (ev->type != IO_MAIL)
        return;
    struct hostjob *j = CONTAINER_OF((struct worker_job *)ev->mail.body, struct hostjob, worker);
    if (j->tables)
        tables_done(h, j);
    else if (j->guards && j->code != ERR_OK)
        log_event(LOG_WARN, "network.guards", "why=%s", log_quote(str_of(j->err.text)).text);
    else if (!j->guards)
        answer(h, ev->mail.op, j);
    if (!j->tables && !j->guards && (j->type == FX_NETWORK || j->type == FX_CLEAN))
        want_tables_soon(h); /* After the answer: the start that waits for it comes first. */
    job_free(j);
}

/* ---- wishes ---- */

static void run_other(struct worker_job *w)
{
    struct hostjob *j = CONTAINER_OF(w, struct hostjob, worker);
    if (j->type == FX_NETWORK)
        hostjob_network(j);
    else if (j->type == FX_VOLUMES)
        hostjob_volumes(j);
    else
        hostjob_clean(j);
}

/* A job that cannot be queued is answered too, and in the same way: by mail, later. */
static void run_refused(struct worker_job *w)
{
    (void)w;
}

static void submit(struct hostwork *h, uint64_t op, struct hostjob *j)
{
    if (j->code == ERR_OK && j->arena.overflow)
        j->code = arena_status(&j->arena, &j->err);
    if (j->code != ERR_OK)
        j->worker.run = run_refused;
    struct worker *to = j->type == FX_CLEAN ? h->clean_worker : h->network_worker;
    if (worker_run(to, op, &j->worker) == ERR_OK)
        return;
    /* The queue holds more jobs than the node may have workloads: our own bug. */
    CHECK(!"a worker's queue is full");
}

static void copy_volumes(struct hostjob *j, const struct agent_effect *fx)
{
    struct agent_volume *all = arena_zalloc(&j->arena, fx->volumes.count + 1, sizeof *all);
    for (uint32_t i = 0; all != NULL && i < fx->volumes.count; i++) {
        const struct agent_volume *v = &fx->volumes.at[i];
        struct agent_file *files = arena_zalloc(&j->arena, v->files_count + 1, sizeof *files);
        all[i] = *v;
        all[i].path = arena_str(&j->arena, v->path);
        all[i].host_path = arena_str(&j->arena, v->host_path);
        all[i].host_type = arena_str(&j->arena, v->host_type);
        all[i].files = files;
        for (uint32_t k = 0; files != NULL && k < v->files_count; k++)
            files[k] = (struct agent_file){.path = arena_str(&j->arena, v->files[k].path),
                                           .bytes = arena_str(&j->arena, v->files[k].bytes),
                                           .mode = v->files[k].mode};
    }
    j->volumes = all;
    j->volumes_count = fx->volumes.count;
    struct str *functions = arena_zalloc(&j->arena, fx->volumes.vfio_count + 1, sizeof *functions);
    for (uint32_t i = 0; functions != NULL && i < fx->volumes.vfio_count; i++)
        functions[i] = arena_str(&j->arena, fx->volumes.vfio[i]);
    j->functions = functions;
    j->functions_count = fx->volumes.vfio_count;
    struct resctrl_grant *caches =
        arena_zalloc(&j->arena, fx->volumes.caches_count + 1, sizeof *caches);
    for (uint32_t i = 0; caches != NULL && i < fx->volumes.caches_count; i++)
        caches[i] =
            (struct resctrl_grant){fx->volumes.caches[i].domain, fx->volumes.caches[i].ways_mask,
                                   fx->volumes.caches[i].bandwidth_percent};
    j->caches = caches;
    j->caches_count = fx->volumes.caches_count;
    if (j->caches_count > 0)
        j->cpus = *fx->volumes.cpus;
}

void hostwork_do(struct hostwork *h, const struct agent_effect *fx)
{
    if (fx->type == FX_IMAGE) {
        hostimages_do(h->images, fx);
        return;
    }
    if (fx->type == FX_GIVE_UP) {
        hostimages_give_up(h->images, fx->op);
        return;
    }
    if (fx->type == FX_MEASURE) {
        hostdisk_do(h->disk, fx);
        if (fx->measure.collect)
            hostimages_collect(h->images);
        return;
    }
    if (fx->type == FX_PEERS) {
        take_peers(h, fx);
        return;
    }
    struct hostjob *j = mem_zalloc(1, sizeof *j);
    arena_init(&j->arena, HOSTJOB_MEMORY_MAX);
    j->worker = (struct worker_job){.run = run_other, .drop = job_drop};
    j->type = fx->type;
    j->state = h->o.state;
    j->sysfs = sysfs_real();
    snprintf(j->group, sizeof j->group, "baton-%s." STR_FMT, h->o.cluster, STR_ARG(fx->uid));
    j->net = h->net;
    snprintf(j->uid, sizeof j->uid, STR_FMT, STR_ARG(fx->uid));
    if (fx->type == FX_NETWORK) {
        j->machine = fx->network.machine;
        j->code = attach(h, fx, j, &j->err);
    } else if (fx->type == FX_VOLUMES) {
        copy_volumes(j, fx);
    } else {
        /* After our own restart this may be the first we hear of networks, and there is one to remove. */
        if (fx->network.addresses_count > 0 &&
            read_addresses(&fx->network, &j->pod, &j->err) == ERR_OK)
            j->code = open_net(h, &j->pod, &j->err);
        j->net = h->clean_net;
        const struct attached *one = map_find(&h->attached, fx->uid);
        if (one != NULL)
            j->link = one->link;
        detach(h, fx->uid);
        j->logs = fx->bytes.len > 0 ? arena_dup(&j->arena, fx->bytes) : NULL;
    }
    submit(h, fx->op, j);
}

/* ---- life ---- */

static enum err_code open_images(struct hostwork *h, struct err *e)
{
    char directory[FS_PATH_MAX];
    if (!fs_join(directory, h->o.state, "images"))
        return err_set(e, ERR_LIMIT, "the path of the images is too long");
    struct hostimages_options o = {.loop = h->o.loop,
                                   .store = h->o.images,
                                   .keep = h->o.keep,
                                   .done = h->o.done,
                                   .listed = h->o.listed,
                                   .owner = h->o.owner};
    o.store.directory = str_of(directory);
    return hostimages_new(&o, &h->images, e);
}

enum err_code hostwork_new(const struct hostwork_options *o, struct hostwork **out, struct err *e)
{
    struct hostwork *h = mem_zalloc(1, sizeof *h);

    h->o = *o;
    h->tables_retry_s = TABLES_RETRY_S;
    h->client.event = on_event;
    map_init(&h->attached, AGENT_WORKLOADS_MAX);
    dhcp_table_init(&h->leases);
    loop_join(o->loop, &h->client);
    enum err_code code = open_images(h, e);
    if (code == ERR_OK && !fs_join(h->netns, o->state, "netns"))
        code = err_set(e, ERR_LIMIT, "the path of the network namespaces is too long");
    if (code != ERR_OK) {
        hostwork_free(h);
        return code;
    }
    h->disk = hostdisk_new(&(struct hostdisk_options){o->loop, o->state, o->measured, o->owner});
    h->network_worker = worker_start(&h->client, BOX_NETWORK, "network");
    h->clean_worker = worker_start(&h->client, BOX_CLEAN, "clean");
    h->tables_worker = worker_start(&h->client, BOX_TABLES, "tables");
    *out = h;
    return ERR_OK;
}

void hostwork_free(struct hostwork *h)
{
    uint32_t at = 0;

    if (h == NULL)
        return;
    hostimages_free(h->images);
    hostdisk_free(h->disk);
    worker_stop(h->network_worker);
    worker_stop(h->clean_worker);
    worker_stop(h->tables_worker);
    dhcp_server_close(h->dhcp);
    close_nets(h);
    loop_leave(&h->client);
    for (const struct map_entry *e; (e = map_next(&h->attached, &at)) != NULL;) {
        mem_free(((struct attached *)e->value)->ports);
        mem_free(e->value);
    }
    mem_free(h->peers);
    map_fini(&h->attached);
    dhcp_table_fini(&h->leases);
    mem_free(h);
}
