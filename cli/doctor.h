/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h -- what `baton doctor` finds, gathered and printed.
 *
 * WHAT   Sections of findings: the cluster as its API shows it (doctor_cluster.c), this node as its agent's program
 *        reports it (nodeagent/doctor/doctor.h says in which form). Both are the same JSON, so -o json prints what is drawn.
 * OWNS   Everything lives in the command's arena.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "cli/cmd.h"

/* {"server": ..., "checks": [{"name", "status", "text"}]}; placed: uids with a Placement, a line each, for the node's
 * part. False: a check failed. */
bool doctor_cluster(struct cli *c, struct json **out, struct buf *placed);

/* For people. fix: things were to be removed. */
void doctor_print(struct cli *c, const struct json *cluster, const struct json *node, bool fix);

#endif /* CLI_DOCTOR_H */
