/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leftover.h -- of what is on the host, what belongs to nobody any more.
 *
 * WHAT   Takes an inventory of everything that carries this agent's names (inventory.h makes it) and the
 *        workloads that should be here, and says of each thing whether it is left over, and why.
 * WHY    A pure function of what is and what should be: the agent's start, `baton doctor` and --clean ask the
 *        same one, and its tests need no host.
 * OWNS   Nothing; everything is borrowed for the call.
 *
 * What should be is what is recorded. A record is on disk before the first thing of its workload is made and
 * goes after the last one is removed, so a thing that was seen before the records were read, and of which no
 * record speaks, is nobody's: also beside an agent that works on. Whoever removes it looks for the record once more.
 */
#ifndef NODEAGENT_CORE_LEFTOVER_H
#define NODEAGENT_CORE_LEFTOVER_H

#include "base/str.h"
#include "base/time.h"

enum { HOST_THINGS_MAX = 65536 };

/* In the order of removal: what runs, what holds it, what it used, where it lay. */
/* clang-format off */
#define HOST_KINDS(X)                                                                   \
    X(PROCESS,   "process")   /* a container's, its shim, QEMU                       */ \
    X(CGROUP,    "cgroup")    /* of an instance, in every hierarchy                  */ \
    X(MOUNT,     "mount")     /* an overlay root or a tmpfs below STATE/pods         */ \
    X(NETNS,     "netns")     /* a file below STATE/netns with a namespace behind it */ \
    X(LINK,      "link")      /* a veth or tap on the cluster's bridge               */ \
    X(NFT,       "nft")       /* an element of one of the cluster's sets or maps     */ \
    X(DEVICE,    "device")    /* a PCI function that was bound for a workload        */ \
    X(CACHE,     "cache")     /* a group below resctrl, with ways or bandwidth       */ \
    X(INSTANCE,  "instance")  /* STATE/run/ID: a runtime's state                     */ \
    X(SOCKET,    "socket")    /* STATE/run/ID.console                                */ \
    X(WORKLOAD,  "workload")  /* STATE/pods/UID: upper layers, volumes               */ \
    X(LOGS,      "logs")      /* STATE/logs/NAMESPACE_NAME_UID                       */ \
    X(TEMPORARY, "temporary") /* a write or an unpacking that was cut off            */
/* clang-format on */

enum host_kind {
#define X(name, text) HOST_##name,
    HOST_KINDS(X)
#undef X
        HOST_KIND__COUNT
};

extern const char *const host_kind_names[HOST_KIND__COUNT];

struct host_thing {
    enum host_kind kind;
    struct str uid;    /* The workload's; empty: no recorded workload has such a name. */
    struct str name;   /* A path, a group, an interface, an nft element, a command line. */
    struct wall since; /* 0: not known. */
    struct str link;   /* LINK, NFT: the interface it is about, from whose name uid is found. */
    int32_t pid;       /* PROCESS, and its start time as proc_start_time() has it. */
    uint64_t start;
};

struct leftover_view {
    const struct host_thing *things;
    const struct str *wanted; /* uids of the workloads that should be here. */
    uint32_t things_count, wanted_count;
    bool agent_runs; /* It may be writing just now. */
    struct wall now;
};

bool leftover_wants(const struct leftover_view *v, struct str uid);

/* Why things[i] is left over; NULL: it is not. */
const char *leftover_why(const struct leftover_view *v, uint32_t i);

#endif /* NODEAGENT_CORE_LEFTOVER_H */
