/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostwork.h -- the core's wishes about images, networks, volumes and their end, done off the loop.
 *
 * WHAT   Takes FX_IMAGE, FX_NETWORK, FX_VOLUMES, FX_CLEAN and answers each with one EV_HOST_DONE; FX_MEASURE, answered by
 *        EV_MEASURED; FX_GIVE_UP and FX_PEERS, which nobody answers. Workers by what may wait for what: images may take
 *        minutes, networks take 2 ms, replacing nft tables and removing links 20. Keeps what the nft tables and the
 *        guests' DHCP are to say, as a function of all networks there are.
 * WHY    host/ knows how, the core knows when; this knows which thread.
 *        The bridge is made with the first network: its address is the Placement's gateway.
 * OWNS   hostwork_new() to hostwork_free(). Effects are copied.
 * ASYNC  Never answers from inside hostwork_do().
 * FAILS  The answer carries it. A worker's queue holds more jobs than a node may have workloads: a full one is our bug.
 */
#ifndef NODEAGENT_SHELL_HOSTWORK_H
#define NODEAGENT_SHELL_HOSTWORK_H

#include "io/loop.h"
#include "nodeagent/core/agent.h"
#include "nodeagent/host/net.h"
#include "nodeagent/shell/hostimages.h"

struct hostwork;

struct hostwork_options {
    struct loop *loop;
    const char *state;
    const char *cluster;          /* Names bridge and tables (net_config.cluster). */
    uint32_t tunnel_id;           /* net_config.tunnel_id */
    struct images_options images; /* directory is ours to say. */
    struct hostimages_keep keep;
    void (*done)(void *owner, uint64_t op, const struct agent_host_done *done);
    void (*listed)(void *owner, const struct image_entry *list, uint32_t count); /* hostimages.h */
    void (*measured)(void *owner, uint64_t op, struct str bytes);                /* hostdisk.h */
    void *owner;
};

MUST_USE enum err_code hostwork_new(const struct hostwork_options *o, struct hostwork **out,
                                    struct err *e);
void hostwork_free(struct hostwork *h); /* Waits for what is being done. */
void hostwork_do(struct hostwork *h, const struct agent_effect *fx);

#endif /* NODEAGENT_SHELL_HOSTWORK_H */
