/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices_given.h -- what became of the devices that were given away at the agent's start.
 *
 * WHAT   At its start the agent writes down each device with what the kernel said of it: NUMA node, IOMMU group, driver,
 *        a node's number. Whoever asks later is told what is not so any more, and what the operator's file
 *        would mean today.
 * WHY    The cluster goes on with what it was told at the start; a card that was pulled, bound elsewhere or moved
 *        shows only when a workload fails on it.
 * OWNS   Results live in the arena given.
 * FAILS  devices_given_judge(): ERR_NOT_FOUND no agent gave anything away here, ERR_CORRUPT, ERR_LIMIT.
 */
#ifndef NODEAGENT_HOST_DEVICES_GIVEN_H
#define NODEAGENT_HOST_DEVICES_GIVEN_H

#include "nodeagent/host/devices.h"

enum { DEVICES_TROUBLES_MAX = 64 }; /* More are counted. */

/* Where things are. */
struct devices_given {
    const char *state; /* devices.given below it, and devices/ADDRESS: bound for a workload. */
    struct devices_roots roots; /* Kept with the rest. */
};

/* file: the operator's; NULL: there is none, and nothing is kept. */
MUST_USE enum err_code devices_given_put(const struct devices_given *g, const char *file,
                                         const struct devices *d, struct err *e);

struct devices_trouble {
    bool is_failure; /* Else it is worth knowing. */
    struct str text;
};

struct devices_judged {
    struct str file;
    uint32_t count; /* Devices that were given away. */
    struct devices_trouble *at;
    uint32_t troubles_count, troubles_lost;
};

MUST_USE enum err_code devices_given_judge(struct arena *a, const char *state,
                                           struct devices_judged *out, struct err *e);

#endif /* NODEAGENT_HOST_DEVICES_GIVEN_H */
