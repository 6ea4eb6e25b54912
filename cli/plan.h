/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h -- the scheduler asked without consequences (kind Plan of baton.dev/v1), for plan and why.
 *
 * OWNS   Everything lives in the command's arena.
 * FAILS  As client_json(): what the server says is wrong with the question.
 */
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include "cli/client.h"
#include "cli/cmd.h"

/* spec is a PlanSpec; out is the whole answer. */
MUST_USE enum err_code plan_ask(struct cli *c, struct json *spec, const struct json **out,
                                struct err *e);

/* ---- plan_table.c ---- */
struct str plan_workload(struct arena *a, const struct json *ref); /* "pod/default/web" */
/* A Table as print_table() takes it, a row for each of status.steps. steps may be NULL. */
struct json *plan_table(struct arena *a, const struct json *steps);

#endif /* CLI_PLAN_H */
