/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h -- `baton-agent --doctor [--fix] [--record]`: how this node is, and what on it belongs to nobody.
 *
 * WHAT   One JSON object on stdout, which `baton doctor` prints for people:
 *            {"node", "cluster", "state",
 *             "checks":    [{"name", "status": "ok"|"warn"|"fail", "text"}],
 *             "leftovers": [{"kind", "name", "workload", "since", "why", "removed", "error"}],
 *             "record":    {"name", "error"}, with --record: the file the agent wrote
 *             "refused":   why nothing is said of leftovers, and nothing removed}
 *        With --fix the leftovers are removed: those named, nothing else.
 * WHY    The agent's program knows its names and how to remove what has them; the command line, which also runs
 *        where there is no node, stays without that.
 * FAILS  Exit status 1: a check failed, something is left over (or stays after --fix), it was refused, or nothing was recorded.
 *
 * Beside an agent that runs, leftovers are as safe to remove as without one (core/leftover.h). An agent that is away
 * is kept away by STATE/lock meanwhile. stdin, when it is no terminal: uids that belong here, a line each.
 */
#ifndef NODEAGENT_DOCTOR_DOCTOR_H
#define NODEAGENT_DOCTOR_DOCTOR_H

#include "base/json.h"
#include "nodeagent/doctor/inventory.h"
#include "nodeagent/start/options.h"

int doctor(const struct options *o);

/* doctor_checks.c: each appends what it found to checks. */
struct doctor_findings {
    struct arena *arena;
    struct json *checks;
    bool failed;
};

void doctor_say(struct doctor_findings *f, const char *name, const char *status, struct str text);
void doctor_check_node(struct doctor_findings *f, const struct inventory *v);

#endif /* NODEAGENT_DOCTOR_DOCTOR_H */
