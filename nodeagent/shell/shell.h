/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell.h -- performs the core's effects on this machine.
 *
 * WHAT   Feeds every event to agent_step() and does what comes back: the session over link.h, images and
 *        networks over hostwork.h, instances over the runtimes, records on disk, the pool.
 * WHY    There is no decision in here: a switch over effects, and mail.
 * OWNS   shell_new() takes what it is given until shell_free(), which leaves workloads running.
 * ASYNC  What can be answered at once is answered in this turn, never inside the step that asked.
 */
#ifndef NODEAGENT_SHELL_SHELL_H
#define NODEAGENT_SHELL_SHELL_H

#include "nodeagent/core/flight.h"
#include "nodeagent/host/cgroup.h"
#include "nodeagent/shell/hostwork.h"
#include "nodeagent/shell/link.h"
#include "nodeagent/shell/recordwork.h"
#include "nodeagent/shell/renewal.h"

struct shell;

struct shell_options {
    struct loop *loop;
    const char *state;
    struct agent *agent;
    struct flight *flight;       /* NULL: nothing is recorded, for many agents in one process. */
    struct cgroup_tree *cgroups; /* NULL with the fake runtime. */
    struct runtime *runtimes[2]; /* By enum runtime_kind; made with shell_sink(). */
};

struct shell *shell_new(const struct shell_options *o);
void shell_free(struct shell *s);

/* What a runtime of that kind posts to. */
struct runtime_sink shell_sink(struct shell *s, enum runtime_kind kind);
void shell_set_runtime(struct shell *s, enum runtime_kind kind, struct runtime *r);
void shell_set_link(struct shell *s, struct link *l);
void shell_set_renewal(struct shell *s, struct renewal *r);
void shell_set_hostwork(struct shell *s, struct hostwork *h); /* NULL: answered with success. */

void shell_set_recordwork(struct shell *s, struct recordwork *r); /* NULL: written in the step. */

/* For link_options, hostwork_options and renewal_options; owner is the shell. */
void shell_on_link(void *owner, const struct link_event *ev);
void shell_on_images(void *owner, const struct image_entry *list, uint32_t count);
void shell_on_disk(void *owner, uint64_t op, struct str bytes);
void shell_on_hostwork(void *owner, uint64_t op, const struct agent_host_done *done);
void shell_on_renewal(void *owner, uint64_t op, const struct agent_host_done *done);
void shell_on_record(void *owner, uint64_t op, const struct agent_host_done *done);

/* The records on disk, then EV_STARTED. */
MUST_USE enum err_code shell_begin(struct shell *s, struct err *e);

#endif /* NODEAGENT_SHELL_SHELL_H */
