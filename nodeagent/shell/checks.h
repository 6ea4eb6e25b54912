/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checks.h -- does a pod answer? Connections and HTTP requests of probes and hooks.
 *
 * WHAT   From the node, as Kubernetes does, to the pod's address. HTTP/1.1 GET; 200 to 399 is success, and a
 *        redirect is not followed. The answer's body is not read.
 * OWNS   checks_new() to checks_free(). What is asked is copied.
 * ASYNC  done() once for each check, never from inside checks_do().
 * FAILS  The answer carries it: ERR_UNAVAILABLE with why. ERR_BUSY: CHECKS_MAX are on their way.
 */
#ifndef NODEAGENT_SHELL_CHECKS_H
#define NODEAGENT_SHELL_CHECKS_H

#include "io/loop.h"
#include "nodeagent/core/agent.h"

enum { CHECKS_MAX = 512, CHECKS_REQUEST_MAX = 16 << 10, CHECKS_HEAD_MAX = 8 << 10 };

struct checks;

struct checks *
checks_new(struct loop *l,
           void (*done)(void *owner, uint64_t op, const struct agent_host_done *done), void *owner);
void checks_free(struct checks *c); /* NULL is allowed. */
void checks_do(struct checks *c, uint64_t op, const struct agent_check *check);

#endif /* NODEAGENT_SHELL_CHECKS_H */
