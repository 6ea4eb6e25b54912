/* SPDX-License-Identifier: Apache-2.0 */
/*
 * renewal.h -- performs FX_RENEW: a new certificate for this node's key.
 *
 * WHAT   Asks the control plane over a connection of its own, shown the certificate there is; keeps the
 *        answer on disk, in the identity, and for the link's next connection, in this order.
 * OWNS   The identity is the caller's, changed in place. renewal_new() to renewal_free().
 * ASYNC  One done() for each renewal_do(), never from inside it. One at a time: the core asks no second.
 * FAILS  By the answer, as join.h and identity_renewed(); what there was stays in use.
 */
#ifndef NODEAGENT_SHELL_RENEWAL_H
#define NODEAGENT_SHELL_RENEWAL_H

#include "nodeagent/core/agent.h"
#include "nodeagent/shell/link.h"

struct renewal;

struct renewal_options {
    struct loop *loop;
    const char *state, *host;
    uint16_t port;
    struct identity *identity;
    struct link *link;
    void (*done)(void *owner, uint64_t op, const struct agent_host_done *done);
    void *owner;
};

struct renewal *renewal_new(const struct renewal_options *o);
void renewal_free(struct renewal *r); /* NULL is allowed. */
void renewal_do(struct renewal *r, uint64_t op);

#endif /* NODEAGENT_SHELL_RENEWAL_H */
