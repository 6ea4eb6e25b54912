/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sweep.h -- takes away what is left over, and nothing else.
 *
 * WHAT   sweep_remove() removes one thing of an inventory; sweep_all() all that leftover.h names, in the order of
 *        its kinds. sweep_at_start() is the agent's: before it looks at its records.
 * WHY    A restart repairs or finishes everything (architecture.md); what no record speaks of is finished here.
 * FAILS  A thing that is gone is removed. ERR_BUSY after SWEEP_PATIENCE: its processes do not die. ERR_CONFLICT: its
 *        workload has been recorded meanwhile, so it is left alone.
 */
#ifndef NODEAGENT_DOCTOR_SWEEP_H
#define NODEAGENT_DOCTOR_SWEEP_H

#include "nodeagent/doctor/inventory.h"

enum { SWEEP_PATIENCE_MS = 5000 };

MUST_USE enum err_code sweep_remove(struct inventory *v, const struct host_thing *t, struct err *e);

/* told: once for each thing that is left over, before the next is tried. code ERR_OK: it is gone. */
void sweep_all(struct inventory *v, const struct leftover_view *view,
               void (*told)(void *arg, const struct host_thing *t, const char *why,
                            enum err_code code, const struct err *e),
               void *arg);

/* The caller holds STATE/lock. Logs of workloads that are not recorded stay: after --clean the control plane may
 * give the same workloads again. What cannot be read or removed is said in the log and left. */
void sweep_at_start(const char *state);

void sweep_pause(void); /* Some milliseconds, for what is dying. */

#endif /* NODEAGENT_DOCTOR_SWEEP_H */
