/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resctrl.h -- ways of caches and memory bandwidth, by the kernel's resctrl.
 *
 * WHAT   What can be given away here; a group for each workload that has some: its ways and percent of each
 *        cache domain, and its cpus. What is given is taken out of the default group, in which everybody
 *        else is.
 * WHY    Cpus and not tasks are put into the group: the granted cores are the workload's alone, so whatever
 *        runs there is its own, and no thread has to be caught when it begins.
 * OWNS   Directories ROOT/PREFIX.UID; they outlive the agent, as cgroups do.
 * FAILS  ERR_NOT_FOUND: no resctrl is mounted. ERR_LIMIT: no class of service is free. ERR_UNAVAILABLE: what
 *        the kernel says (its last_cmd_status). ERR_CONFLICT: it has something else when read back.
 *
 * Ways are bits from 0 up. The default group keeps a stretch at the top: as many as the hardware shares with
 * devices, and as a mask must have; and all below it down to the highest that is given away.
 *
 * Sources: Documentation/x86/resctrl.rst.
 */
#ifndef NODEAGENT_HOST_RESCTRL_H
#define NODEAGENT_HOST_RESCTRL_H

#include "nodeagent/host/discover.h"
#include "nodeagent/host/sysfs.h"

enum { RESCTRL_DOMAINS_MAX = DISCOVER_CACHES_MAX, RESCTRL_NAME_MAX = 255 };

struct resctrl {
    uint32_t ways_total, ways; /* Of a cache; that can be given away. 0: none. */
    uint32_t step;             /* Of bandwidth, in percent, and the least of a group. 0: none. */
    uint32_t groups;           /* That can be made beside the default one. */
    uint32_t domains[RESCTRL_DOMAINS_MAX], domains_count; /* The kernel's numbers. */
};

MUST_USE enum err_code resctrl_look(const struct sysfs *s, struct resctrl *out, struct err *e);

/* Puts it into the description: ways, steps and numbers of the caches. Without resctrl there are none. */
void resctrl_describe(const struct sysfs *s, struct discover *d);

struct resctrl_grant {
    uint32_t domain;  /* The kernel's number. */
    uint32_t ways;    /* Mask; 0: the default's. */
    uint32_t percent; /* Of its bandwidth; 0: not limited. */
};

/* Level-triggered: makes the group, or changes one that is there. */
MUST_USE enum err_code resctrl_make(const struct sysfs *s, struct str group,
                                    const struct resctrl_grant *grants, uint32_t count,
                                    const struct cpuset *cpus, struct err *e);
/* Its ways are everybody's again. What is not there is removed. */
MUST_USE enum err_code resctrl_remove(const struct sysfs *s, struct str group, struct err *e);

/* Groups whose names begin with prefix. Stops at a false. */
MUST_USE enum err_code resctrl_list(const struct sysfs *s, struct str prefix,
                                    bool (*visit)(void *arg, const char *group), void *arg,
                                    struct err *e);

#endif /* NODEAGENT_HOST_RESCTRL_H */
