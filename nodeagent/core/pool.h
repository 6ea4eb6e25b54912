/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h -- the shared pool: every cpu that nobody holds alone.
 *
 * WHAT   pool = all cpus - the exclusive rows of every workload that holds some. Before a holder's
 *        first instance is created, everything shared was moved off its rows and read back; after
 *        its last thread is gone, everything shared may have them again.
 *        Containers move with the pool's own group, in one write (FX_POOL); a machine's threads are
 *        moved by its runtime (FX_SET_CPUS), also those of a machine with cores of its own that
 *        are not vCPUs.
 * WHY    The kernel enforces cpusets one cgroup at a time: the order of these writes is what makes
 *        an exclusive core exclusive.
 * FAILS  A move that fails is tried again each second and the holder waits, saying whom for. Rows
 *        that another holder still has, or that would empty the pool, are waited for likewise.
 *
 * A function of what is (level-triggered): called at the end of every step, it plans nothing when
 * all is well.
 */
#ifndef NODEAGENT_CORE_POOL_H
#define NODEAGENT_CORE_POOL_H

#include "nodeagent/core/workload.h"

struct agent;

/* All cpus but the held ones. */
void pool_now(const struct agent *a, struct cpuset *out);

/* Have the pool's group, and every live machine's threads, on the pool of now. */
void pool_reconcile(struct agent *a, struct agent_turn *t);

/* Take w's rows out of the pool. False: another has them, or nothing would be left. */
bool pool_take(struct agent *a, struct workload *w);

/* Nobody else is on w's rows, as read back. False: w->text says whom it waits for. */
bool pool_is_clear(const struct agent *a, struct workload *w);

#endif /* NODEAGENT_CORE_POOL_H */
