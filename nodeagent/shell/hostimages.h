/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostimages.h -- the images of this node, for the loop: who waits for the network, and who does not.
 *
 * WHAT   Performs FX_IMAGE: what is here already is mounted by one worker, in order; what has to come from
 *        a registry is fetched by another worker first.
 * WHY    A registry that hangs or trickles must keep neither what is here from starting nor other registries' images from
 *        coming. All images of one registry are fetched one after another, those of HOSTIMAGES_PULLS registries at a time.
 *        Images that nothing mounted needs are removed when the disk fills (images_collect()), while no pull is under way:
 *        what it brought would be taken for rubbish. The disk is looked at after every pull and every
 *        HOSTIMAGES_LOOK_S; only when it is too full pulls that are asked for wait for those under way, and no longer
 *        than keep.hold_max.
 * OWNS   A job is this module's until its answer, then freed behind done().
 * ASYNC  One done() for each hostimages_do(), never from inside it.
 * FAILS  By the answer.
 */
#ifndef NODEAGENT_SHELL_HOSTIMAGES_H
#define NODEAGENT_SHELL_HOSTIMAGES_H

#include "io/loop.h"
#include "nodeagent/core/agent.h"
#include "nodeagent/host/image.h"

/* The first look tells what is here; by then what runs is attached to again. TOLD_MAX: Kubernetes' nodeStatusMaxImages. */
enum {
    HOSTIMAGES_PULLS = 4,
    HOSTIMAGES_LOOK_S = 300,
    HOSTIMAGES_FIRST_S = 5,
    HOSTIMAGES_TOLD_MAX = 50
};

struct hostimages;

/* When images that nothing uses are removed. */
struct hostimages_keep {
    uint32_t high_percent, low_percent; /* As images_surplus(). */
    struct span age_min;                /* As images_collect(). */
    struct span
        hold_max; /* How long pulls wait for room, while another is under way. 0: a minute. */
};

struct hostimages_options {
    struct loop *loop;
    struct images_options store;
    struct hostimages_keep keep;
    void (*done)(void *owner, uint64_t op, const struct agent_host_done *done);
    /* The images that are here, the largest first, whenever they are others. May be NULL. */
    void (*listed)(void *owner, const struct image_entry *list, uint32_t count);
    void *owner;
};

MUST_USE enum err_code hostimages_new(const struct hostimages_options *o, struct hostimages **out,
                                      struct err *e);
void hostimages_free(struct hostimages *h); /* Waits for what is being done. */
void hostimages_do(struct hostimages *h, const struct agent_effect *fx); /* FX_IMAGE */

/* FX_GIVE_UP: a pull under way ends within a second, one that has not begun never begins; what needs no
 * registry is finished. Its done() comes all the same. An op that is over is nobody's. */
void hostimages_give_up(struct hostimages *h, uint64_t op);

void hostimages_collect(struct hostimages *h); /* Look at the disk now: somebody lacks room. */

#endif /* NODEAGENT_SHELL_HOSTIMAGES_H */
