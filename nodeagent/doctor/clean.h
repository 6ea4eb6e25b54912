/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clean.h -- `baton-agent --clean`: as if this node had never run anything.
 *
 * WHAT   Ends every process in the cluster's cgroups, then takes away groups, mounts, namespaces, bridge,
 *        nft tables and what lay in STATE/{pods,run,records}. Images, logs and the identity stay.
 *        Running it again, or on a node that never joined, is fine.
 * FAILS  Exit status 1: something could not be taken away, said on stderr; the rest was.
 */
#ifndef NODEAGENT_DOCTOR_CLEAN_H
#define NODEAGENT_DOCTOR_CLEAN_H

#include "nodeagent/start/options.h"

int clean(const struct options *o);

#endif /* NODEAGENT_DOCTOR_CLEAN_H */
