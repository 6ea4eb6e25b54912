/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_priv.h -- what the files about the disk share.
 */
#ifndef NODEAGENT_CORE_DISK_PRIV_H
#define NODEAGENT_CORE_DISK_PRIV_H

#include "api/quantity.h"
#include "nodeagent/core/workload.h"

enum { DISK_PLACES_MAX = 2 * AGENT_INSTANCES_MAX + AGENT_VOLUMES_MAX }; /* Of one workload. */

/* What was found in the places of one workload. */
struct disk_found {
    Agent__DiskUse *const *at;
    size_t count;
};

/* disk_limits.c */
bool disk__is_limited(const struct workload *w);  /* It said what it will need at most. */
uint64_t disk__request(const struct workload *w); /* What was set aside for it, in bytes. */
uint32_t disk__places(struct agent_turn *t, const struct workload *w, struct agent_place *out);
bool disk__over(const struct workload *w, const struct disk_found *f, char *text, size_t size);
void disk__bytes_text(uint64_t bytes, char out[QUANTITY_TEXT_MAX]);

#endif /* NODEAGENT_CORE_DISK_PRIV_H */
