/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostimages.h -- the images of this node, for the loop: who waits for the network, and who does not.
 *
 * WHAT   Performs FX_IMAGE: what is here already is mounted by one worker, in order; what has to come from
 *        a registry is fetched by another worker first.
 * WHY    A registry that hangs must not keep what is here from starting. All images of one registry are
 *        fetched one after another by one of HOSTIMAGES_PULLS workers, so that it holds up nobody else
 *        but those who share its worker, and no longer than limits.stall.
 * OWNS   A job is this module's until its answer, then freed behind done().
 * ASYNC  One done() for each hostimages_do(), never from inside it.
 * FAILS  By the answer.
 */
#ifndef NODEAGENT_HOSTIMAGES_H
#define NODEAGENT_HOSTIMAGES_H

#include "io/loop.h"
#include "nodeagent/core/agent.h"
#include "nodeagent/host/image.h"

enum { HOSTIMAGES_PULLS = 4 };

struct hostimages;

struct hostimages_options {
    struct loop *loop;
    struct images_options store;
    void (*done)(void *owner, uint64_t op, const struct agent_host_done *done);
    void *owner;
};

MUST_USE enum err_code hostimages_new(const struct hostimages_options *o, struct hostimages **out,
                                      struct err *e);
void hostimages_free(struct hostimages *h); /* Waits for what is being done. */
void hostimages_do(struct hostimages *h, const struct agent_effect *fx); /* FX_IMAGE */

#endif /* NODEAGENT_HOSTIMAGES_H */
