/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recordwork.h -- records.h's writes, behind the loop's back.
 *
 * WHAT   Takes FX_SAVE and FX_FORGET and answers each once it is durable, in the order in which they came. What comes while
 *        some are being written is written together after them; what was forgotten in one go is synced once.
 * WHY    On a disk that somebody keeps busy an fsync takes seconds: the loop would answer no probe meanwhile, and
 *        renew no lease.
 * OWNS   recordwork_new() to recordwork_free(). Effects are copied.
 * ASYNC  Never answers from inside recordwork_do().
 * FAILS  The answer carries it, and the log.
 */
#ifndef NODEAGENT_SHELL_RECORDWORK_H
#define NODEAGENT_SHELL_RECORDWORK_H

#include "io/loop.h"
#include "nodeagent/core/agent.h"

struct recordwork;

struct recordwork_options {
    struct loop *loop;
    const char *state;
    void (*done)(void *owner, uint64_t op, const struct agent_host_done *done);
    void *owner;
};

struct recordwork *recordwork_new(const struct recordwork_options *o);
/* Whatever was asked for is written first; who still waits is not told. */
void recordwork_free(struct recordwork *r);
void recordwork_do(struct recordwork *r, const struct agent_effect *fx);
/* Something of uid is yet to be written: what comes must stand behind it. */
bool recordwork_has(const struct recordwork *r, struct str uid);

#endif /* NODEAGENT_SHELL_RECORDWORK_H */
