/* SPDX-License-Identifier: Apache-2.0 */
/* Two ledgers, and what is drawn for both: nodes of which anything may change, and wishes of every kind. */
#ifndef TESTS_UNIT_SCHEDULER_WILD_H
#define TESTS_UNIT_SCHEDULER_WILD_H

#include "tests/testlib/test.h"
#include "tests/unit/scheduler/world.h"

enum { NODES = 14, HOLDS = 300, WISHES = 160, GANG = 4 };

/* All that is said of a node, so that one thing of it may change. */
struct place {
    struct machine m;
    struct topology_device devices[6];
    struct topology_scalar scalars[2];
    struct topology_taint taints[2];
    struct topology_image images[3];
    uint32_t capabilities[2];
    bool is_there;
};

struct wish {
    struct request r;
    struct topology_label labels[2], selector[1];
    struct request_expression pods[2], nodes[2], field;
    uint32_t values[2], number, zones[2], spaces[2], name, models[2], capability, images[2];
    struct request_node_term required[2], preferred[2];
    struct request_toleration tolerations[2];
    struct request_spread spreads[3];
    struct request_pod_term terms[4];
    struct request_device devices[3];
    struct request_scalar scalars[2];
    struct request_port ports[2];
};

struct held_pair {
    uint64_t fast, plain;
    uint32_t wish;         /* Of its rows. */
    struct placement rows; /* As they were granted. */
};

struct wild {
    struct rng rng;
    struct ledger *fast, *plain;
    struct place places[NODES];
    struct wish wishes[WISHES];
    struct held_pair holds[HOLDS];
    uint32_t holds_count, wishes_count;
    uint64_t serial;
    bool is_each_alone; /* No rules between workloads: lists outlive what changes of nodes. */
    uint32_t placed, refused, preempted, kept, gangs, plans;
};

static inline uint32_t pick(struct wild *w, uint32_t below)
{
    return (uint32_t)rng_below(&w->rng, below);
}

/* ---- of a node; it is not put ---- */
void wild_draw_machine(struct wild *w, uint32_t i); /* All of it. */
void wild_draw_labels(struct wild *w, struct place *p);
void wild_draw_taints(struct wild *w, struct place *p);
void wild_draw_images(struct wild *w, struct place *p);
void wild_draw_devices(struct wild *w, struct place *p);

/* One more, while there is room. */
void wild_make_wish(struct wild *w);

#endif /* TESTS_UNIT_SCHEDULER_WILD_H */
