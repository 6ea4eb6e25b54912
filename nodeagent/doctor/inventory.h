/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inventory.h -- everything on this host that carries the name of one agent.
 *
 * WHAT   Reads /proc, mountinfo, the cgroup hierarchies, the bridge's ports, the nft tables and the agent's folders,
 *        and the records of what should be there. Decides nothing: core/leftover.h does.
 * WHY    --clean, `baton doctor` and the agent's own start look at the same host with the same eyes.
 * OWNS   inventory_read() fills the struct, also when it fails; inventory_free() ends all of it.
 * ASYNC  Blocks for some milliseconds and two runs of nft.
 * FAILS  ERR_NOT_FOUND: this state folder never joined a cluster. ERR_UNAVAILABLE, ERR_DENIED, ERR_CORRUPT: something
 *        could not be read, and so nothing is known. ERR_LIMIT: over HOST_THINGS_MAX things.
 *
 * Only names that this agent gives are looked at, all made of cluster and node: other clusters' and the host's own
 * things are never in it.
 */
#ifndef NODEAGENT_DOCTOR_INVENTORY_H
#define NODEAGENT_DOCTOR_INVENTORY_H

#include "base/arena.h"
#include "nodeagent/core/leftover.h"
#include "nodeagent/host/cgroup.h"
#include "nodeagent/host/net.h"
#include "nodeagent/start/identity.h"

struct inventory {
    const char *state; /* Borrowed. */
    struct identity identity;
    char group[CGROUP_NAME_MAX]; /* "baton-CLUSTER-NODE": parent group and nft tables. */
    struct arena arena;
    struct cgroup_layout layout;
    struct cgroup_tree *cgroups; /* NULL: there are none of ours. */
    struct net *net;
    struct host_thing *things;
    struct str *wanted;
    uint32_t things_count, things_size, wanted_count, wanted_size;
    uint32_t records_count;
    enum err_code full; /* ERR_LIMIT: it did not fit. */
};

/* What there is; and then, behind it, what should be. */
MUST_USE enum err_code inventory_read(const char *state, struct inventory *out, struct err *e);
MUST_USE enum err_code inventory_read_wanted(struct inventory *v, struct err *e);
void inventory_free(struct inventory *v);

/* One more workload that should be here, whatever is recorded. Copied. */
void inventory_want(struct inventory *v, struct str uid);

/* Out of the inventory with them: after --clean the control plane may give the same workloads again. */
void inventory_drop_logs(struct inventory *v);

/* For leftover_why(). agent_runs: somebody holds STATE/lock. */
struct leftover_view inventory_view(struct inventory *v, bool agent_runs);

/* Is a record of it there now? */
bool inventory_is_recorded(const struct inventory *v, struct str uid);

/* For its own files. */
void inventory__add(struct inventory *v, struct host_thing thing); /* uid and name are copied. */
MUST_USE enum err_code inventory__links(struct inventory *v, struct err *e);
void inventory__name_links(struct inventory *v); /* Whose they are, by the wanted ones' names. */
MUST_USE enum err_code inventory__processes(struct inventory *v, struct err *e);

#endif /* NODEAGENT_DOCTOR_INVENTORY_H */
