/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.h -- what workloads hold of the node's disk, and who has to leave because of it.
 *
 * WHAT   Asks for measurements (FX_MEASURE) and decides by them. A pod over a limit of its own (a container's
 *        ephemeral-storage, their sum, an emptyDir's sizeLimit) is evicted. With less free than the reserve the node
 *        takes nothing new (DiskPressure), asks for unused images to go, and evicts one workload after another, the
 *        worst first, until there is room.
 * WHY    One pod that writes without end must not take the disk from everybody else (docs/decisions/0210).
 * ASYNC  One measurement is under way at a time. The fuller the disk, the sooner the next: none is filled faster than
 *        DISK_FILLS_PER_S. Only who has a limit is looked into while there is room, everybody when there is none.
 * FAILS  A measurement that failed or does not decode is asked for again. A workload that could not be counted whole
 *        counts as the largest when somebody has to leave, and against its limits with what was counted.
 *
 * Facts: Kubernetes' kubelet, eviction manager: order, messages, grace of one second, critical priorities stay.
 */
#ifndef NODEAGENT_CORE_DISK_H
#define NODEAGENT_CORE_DISK_H

#include "base/str.h"
#include "base/time.h"
#include <stdbool.h>
#include <stdint.h>

enum { EVICTED_MAX = 320 };

#define DISK_FILLS_PER_S (2ull << 30)

/* Of a workload. */
struct disk_use {
    struct instant at; /* When it was asked for; ns 0: never. */
    uint64_t bytes, inodes;
    bool partial; /* There is more than was counted. */
};

/* Of the node, as it was last told. inodes 0: as many as it needs. */
struct disk_room {
    uint64_t size_bytes, free_bytes, inodes, inodes_free;
};

enum disk_state { DISK_ROOMY, DISK_SHORT, DISK_NEARLY_GONE };

struct disk {
    struct disk_room room;
    uint64_t op; /* FX_MEASURE in flight; 0: none. */
    struct instant asked_at, look_at, walk_at, collect_at;
    bool known;   /* room was told once. */
    bool pressed; /* DiskPressure. */
    struct instant since,
        calm_at; /* pressed: from when; when it will have been calm for long enough. */
};

/* How short the disk is. A state that holds already ends only a quarter of the reserve later. */
enum disk_state disk_judge(const struct disk_room *room, uint64_t reserve_bytes, bool pressed);

/* When to look again. */
struct span disk_pause(const struct disk_room *room, uint64_t reserve_bytes, bool pressed);

/* Somebody who could be evicted. */
struct disk_tenant {
    int64_t priority;
    uint64_t request_bytes;
    const struct disk_use *use;
};

/* Is a to leave before b? by_inodes: they are what is short. */
bool disk_worse(const struct disk_tenant *a, const struct disk_tenant *b, bool by_inodes);

struct agent;
struct agent_turn;
struct agent_event;

void disk_tick(struct agent *a, struct agent_turn *t);
void disk_measured(struct agent *a, struct agent_turn *t, const struct agent_event *ev);
struct instant disk_deadline(const struct agent *a);

#endif /* NODEAGENT_CORE_DISK_H */
