/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostjobs.h -- what hostwork.c has done on a worker: plain synchronous functions.
 *
 * WHAT   One struct per wish with copies of everything it needs, and a function that does it. No state of
 *        the loop's thread is touched; a struct net is used by one worker alone.
 * WHY    hostwork.c decides which thread and in which order, and has no system call; these have them all and decide nothing.
 * OWNS   The job is its asker's from the answer on, its arena ends with it. Over HOSTJOB_MEMORY_MAX bytes of copies the wish is
 *        refused with ERR_LIMIT.
 * ASYNC  Each blocks: milliseconds for networks and volumes, as long as the disk takes for removals.
 * FAILS  j->code and j->err; what was done until then stays, and asking again goes on from there.
 */
#ifndef NODEAGENT_SHELL_HOSTJOBS_H
#define NODEAGENT_SHELL_HOSTJOBS_H

#include "base/arena.h"
#include "nodeagent/core/agent.h"
#include "nodeagent/host/image.h"
#include "nodeagent/host/net.h"
#include "nodeagent/host/resctrl.h"
#include "nodeagent/host/sysfs.h"
#include "nodeagent/host/worker.h"

enum { HOSTJOB_MEMORY_MAX = 64 << 20 };

struct hostjob {
    struct worker_job worker;
    struct arena arena; /* Copies in, results out; freed with the job. */
    enum agent_effect_type type;
    const char *state;
    char uid[64];
    enum err_code code;
    struct err err;
    /* FX_NETWORK, FX_CLEAN, and the tables, which answer no wish of the core's */
    bool tables, guards;
    struct net *net;
    bool machine;
    struct net_pod pod;
    struct net_link link;
    struct net_wish wish; /* Everything, after this; for guards who is to be guarded. */
    uint64_t known;       /* Networks that were attached when the wish was copied. */
    char path[4096];      /* Result: namespace or tap. */
    /* FX_VOLUMES */
    const struct agent_volume *volumes;
    uint32_t volumes_count;
    const struct str *functions; /* For vfio-pci. */
    uint32_t functions_count;
    const struct resctrl_grant *caches;
    uint32_t caches_count;
    struct cpuset cpus;
    char group[256]; /* In resctrl. */
    const struct sysfs *sysfs;
    /* FX_CLEAN */
    const char *logs; /* Directory to remove too; NULL: none. */
};

void hostjob_network(struct hostjob *j);
void hostjob_volumes(struct hostjob *j);
void hostjob_clean(struct hostjob *j);
void hostjob_tables(struct hostjob *j);
void hostjob_guards(struct hostjob *j);

#endif /* NODEAGENT_SHELL_HOSTJOBS_H */
