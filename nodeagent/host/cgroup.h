/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.h -- the groups of processes that hold an instance to its cpus and memory.
 *
 * WHAT   One interface over cgroup v2 and over the v1 controllers cpuset, cpu, memory and pids (what
 *        a "hybrid" host has), and hugetlb where the host has it. Below each hierarchy's root:
 *
 *            baton-CLUSTER/            all cpus of the node
 *                pool/                 the shared pool's cpus: narrowed by one write
 *                    system/           the agent, shims, helpers (v1: the pool itself)
 *                    ID/               a shared instance; in v1 it has no cpuset of its own but is
 *                                      in the pool's, so there too the pool moves by one write
 *                ID/                   an instance with exclusive cpus: beside the pool, because a
 *                                      v1 child's cpus must lie within its parent's
 *
 *        A leaf has the whole instance's name and no level for the pod: its weight among all others
 *        is then what it asked for, and creating it costs one mkdir per hierarchy.
 * WHY    We make the group and the runtime's command is started inside it. crun never touches cgroups,
 *        runc none of these: every write is ours to read back, and a third of `crun run` is saved.
 * OWNS   cgroup_open() allocates, cgroup_close() frees and leaves the groups in place: they outlive
 *        the agent.
 * ASYNC  Every call is a few small file operations (tens of microseconds) and never waits. What the
 *        kernel has not finished (a group whose last thread is dying) is ERR_BUSY: call again later.
 * FAILS  ERR_INVALID (a name, an empty set), ERR_NOT_FOUND (no such group, no such controller),
 *        ERR_CONFLICT (read back something else than was written), ERR_BUSY, ERR_UNAVAILABLE.
 *
 * Sources: Documentation/admin-guide/cgroup-v1/{cpusets,memory,pids,hugetlb}.rst, cgroup-v2.rst.
 */
#ifndef NODEAGENT_HOST_CGROUP_H
#define NODEAGENT_HOST_CGROUP_H

#include "base/buf.h"
#include "base/err.h"
#include "nodeagent/runtime/runtime.h"

enum {
    CGROUP_PATH_MAX = 512,
    CGROUP_NAME_MAX = 200, /* Of the cluster's parent; of an instance RUNTIME_ID_MAX. */
    CGROUP_KILL_ROUNDS_MAX = 16,
    CGROUP_V1_MAX = 20,      /* Linux has 14 controllers, and hierarchies without one are named. */
    CGROUP_PIDS_MAX = 65536, /* Processes of one group we are willing to read. */
    CGROUP_SIZES_MAX = 8,    /* Sizes of huge pages that a kernel has. */
};

enum cgroup_controller {
    CGROUP_CPUSET,
    CGROUP_CPU,
    CGROUP_MEMORY,
    CGROUP_PIDS,
    CGROUP_CPUACCT, /* v1 only, and only where it is mounted apart from cpu. */
    CGROUP_DEVICES, /* v1 only. Groups here are made by runc; we kill and remove them, no more. */
    CGROUP_HUGETLB, /* Of hosts that have it; without it nobody is held to his huge pages. */
    CGROUP__COUNT
};

/* Where the hierarchies are mounted. v2: the first holds all. */
struct cgroup_layout {
    bool unified;                 /* v2 holds the controllers. */
    bool hugetlb;                 /* This one among them, or in v1. */
    char beside[CGROUP_PATH_MAX]; /* Hybrid: where v2 is mounted beside v1; empty: nowhere. */
    char mount[CGROUP__COUNT][CGROUP_PATH_MAX]; /* Empty: not a hierarchy of its own. */
    char v1[CGROUP_V1_MAX][CGROUP_PATH_MAX];    /* Every v1 mount there is. */
    uint32_t v1_count;
};

/* From the text of /proc/self/mountinfo and, for v2, of cgroup.controllers of the v2 mount. Pure.
 * ERR_NOT_FOUND names the controller that is nowhere. */
MUST_USE enum err_code cgroup_layout_parse(struct str mountinfo, struct str v2_controllers,
                                           struct cgroup_layout *out, struct err *e);
MUST_USE enum err_code cgroup_layout_read(struct cgroup_layout *out, struct err *e);

/* What holds an instance. */
struct cgroup_limits {
    bool exclusive;        /* Beside the pool, with cpus of its own. */
    struct cpuset cpus;    /* exclusive: its cpus (for a VM: granted and the pool's). */
    struct cpuset mems;    /* NUMA nodes; empty: all. exclusive only. */
    uint32_t weight_milli; /* Millicores asked for; 0: the least there is. */
    uint64_t quota_us;     /* Per 100 ms; 0: none. */
    uint64_t memory_bytes; /* 0: none; else of no swap either. */
    int64_t pids_max;      /* 0: none. */
    /* Huge pages it may have; of other sizes none. Nobody has what he did not ask for, as in Kubernetes. */
    uint64_t huge_2m_bytes, huge_1g_bytes;
    bool any_huge; /* As many as there are: what became of it before this was written down. */
};

struct cgroup_stats {
    uint64_t cpu_us, throttled_us;
    uint64_t memory_bytes, memory_peak_bytes,
        memory_working_bytes; /* working: without cold file cache. */
    uint64_t oom_kills;
    uint64_t pids_count;
};

struct cgroup_tree;

/* Makes the parent and the pool with all cpus of the node in them, if they are not there; a pool that
 * is there keeps its cpus. parent: "baton-CLUSTER", one path component. */
MUST_USE enum err_code cgroup_open(const struct cgroup_layout *layout, struct str parent,
                                   struct cgroup_tree **out, struct err *e);
void cgroup_close(struct cgroup_tree *t);
const struct cgroup_layout *cgroup_layout(const struct cgroup_tree *t);

/* The shared pool. Set writes and reads back; ERR_CONFLICT says what the kernel has instead. */
MUST_USE enum err_code cgroup_pool_set(struct cgroup_tree *t, const struct cpuset *cpus,
                                       struct err *e);
MUST_USE enum err_code cgroup_pool_get(struct cgroup_tree *t, struct cpuset *out, struct err *e);

/* A process with its threads into the pool's cpus: the agent itself, helpers. */
MUST_USE enum err_code cgroup_pool_join(struct cgroup_tree *t, int32_t pid, struct err *e);

/* Make it so: creates the group or changes one that is there. cpus are read back. */
MUST_USE enum err_code cgroup_make(struct cgroup_tree *t, struct str id,
                                   const struct cgroup_limits *l, struct err *e);

/* The files a process of one thread writes "0" to in order to enter id's group, one a line: for a
 * launcher, which enters before it becomes what it launches. In v1 they are the "tasks": to move itself
 * a thread takes no lock, while moving a process waits for an RCU grace period (10 to 20 ms here). */
MUST_USE enum err_code cgroup_procs_files(struct cgroup_tree *t, struct str id, struct buf *out,
                                          struct err *e);
MUST_USE enum err_code cgroup_join(struct cgroup_tree *t, struct str id, int32_t pid,
                                   struct err *e);

/* id's group as a path below the hierarchy's root, "/baton-CLUSTER/pool/ID": OCI's cgroupsPath. */
MUST_USE enum err_code cgroup_path(struct cgroup_tree *t, struct str id, struct buf *out,
                                   struct err *e);

/* The weight alone, as limits.weight_milli. */
MUST_USE enum err_code cgroup_set_weight(struct cgroup_tree *t, struct str id, uint32_t milli,
                                         struct err *e);

MUST_USE enum err_code cgroup_get_cpus(struct cgroup_tree *t, struct str id, struct cpuset *out,
                                       struct err *e);
MUST_USE enum err_code cgroup_get_stats(struct cgroup_tree *t, struct str id,
                                        struct cgroup_stats *out, struct err *e);

/* Processes in the group now; *out_count up to pids_size, more is ERR_LIMIT. */
MUST_USE enum err_code cgroup_get_pids(struct cgroup_tree *t, struct str id, int32_t *pids,
                                       uint32_t pids_size, uint32_t *out_count, struct err *e);

/* SIGKILL to all of it (v2: cgroup.kill; v1: rounds over cgroup.procs until a round finds nobody new).
 * Groups that it made in its own included, here and in remove. ERR_BUSY: some are still dying. A group that is not there is ERR_OK,
 * here and in remove. */
MUST_USE enum err_code cgroup_kill(struct cgroup_tree *t, struct str id, struct err *e);

/* Removes what is left of the group in every hierarchy. ERR_BUSY: not empty yet. */
MUST_USE enum err_code cgroup_remove(struct cgroup_tree *t, struct str id, struct err *e);

/* Every instance's group, by name, once: for leaks. Stops at a false. */
MUST_USE enum err_code cgroup_list(struct cgroup_tree *t, bool (*visit)(void *arg, struct str id),
                                   void *arg, struct err *e);

/* deploy/down --purge: kills and removes every group of the cluster, the parent last. ERR_BUSY: call
 * again. The tree is useless afterwards; close it. */
MUST_USE enum err_code cgroup_purge(struct cgroup_tree *t, struct err *e);

/* File contents, pure. v2 weight from millicores as Kubernetes maps it (shares 2..262144 to weight
 * 1..10000: KEP-2254); v1 shares = milli * 1024 / 1000, at least 2. */
uint64_t cgroup_shares(uint32_t milli);
uint64_t cgroup_weight(uint32_t milli);
MUST_USE enum err_code cgroup_field(struct str flat_keyed, const char *key, uint64_t *out);

#endif /* NODEAGENT_HOST_CGROUP_H */
