/* SPDX-License-Identifier: Apache-2.0 */
/* sim_node_priv.h -- a node's inside: its life (sim_node.c), its hardware (sim_node_hardware.c), its effects (sim_node_effects.c). */
#ifndef TESTS_SIM_SIM_NODE_PRIV_H
#define TESTS_SIM_SIM_NODE_PRIV_H

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "nodeagent/core/agent.h"
#include "nodeagent/runtime/runtime_fake.h"
#include "tests/sim/sim.h"
#include "tests/sim/sim_disk.h"

enum { SIM_ANSWERS_MAX = 65536 };

struct answer { /* A host effect being performed. */
    struct instant at;
    uint64_t op;
    enum err_code code;
    const char *text;
    bool image, machine;
    struct blob *measured; /* Not a host effect's answer, but EV_MEASURED. */
};

struct sim_node {
    struct sim *sim;
    uint32_t index;
    char name[16], where[48];
    struct agent *agent;
    struct agent_config config;
    struct agent *twin; /* Made of a snapshot of it; NULL: just now there is none. */
    uint64_t steps, twin_left;
    struct runtime *runtimes[2];
    struct map disk; /* uid -> record */
    struct sim_disk usage;
    struct answer *answers;
    uint32_t answers_count;
    uint64_t session;
    bool cut, starting, crashed;
    struct instant restart_at, due;
    struct buf hardware;
    struct cpuset cpus;
};

struct record {
    char uid[64];
    struct blob *bytes;
    bool logs; /* There are files of which nobody would know any more. */
};

void sim_node__step(struct sim_node *n, struct agent_event ev); /* And performs what comes of it. */

void sim_node__broken(struct sim_node *n,
                      const char *why); /* An invariant is: says so, and ends. */

/* sim_node_hardware.c: into n->hardware and n->cpus. */
void sim_node__describe(struct sim_node *n);

/* sim_node_effects.c */
void sim_node__perform(struct sim_node *n, const struct agent_effect *fx);
uint32_t
sim_node__earliest(const struct sim_node *n);   /* Of its answers; answers_count: there is none. */
void sim_node__answer_next(struct sim_node *n); /* If it is due. */
void sim_node__drop_answers(struct sim_node *n);

#endif /* TESTS_SIM_SIM_NODE_PRIV_H */
