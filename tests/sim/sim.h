/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h -- the whole cluster in one process and one thread, from a seed.
 *
 * WHAT   The production cores of control plane, scheduler and agent over a simulated clock, network,
 *        store, disk and runtime. Messages cross as the same protobuf bytes that cross HTTP/2.
 * WHY    A simulated hour costs what its events cost, every fault can be had at will, and a seed
 *        is a complete bug report.
 * OWNS   sim_new() allocates, sim_free() frees. What is returned is the simulator's.
 * FAILS  An invariant that does not hold ends the program with the trace's end and the seed.
 *
 * Events are ordered by time, then by arrival. Nothing else moves time.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "base/buf.h"
#include "base/rng.h"
#include "base/time.h"

/* Every way the world may disappoint. The sweep trips each point once; the long run rolls dice. */
/* clang-format off */
#define SIM_FAULTS(X)                                                          \
    X(REPORT_LOST)     /* the control plane was gone for a moment           */ \
    X(REPORT_DOUBLED)  /* sent again, because the answer was lost           */ \
    X(SESSION_BREAKS)  /* a cable: what is on its way is lost               */ \
    X(AGENT_CRASHES)   /* kill -9 while an effect is being performed        */ \
    X(CONTROL_CRASHES) /* kill -9 of batond                                 */ \
    X(SAVE_FAILS)      /* the node's disk is full                           */ \
    X(IMAGE_FAILS)     /* the registry is not there                         */ \
    X(IMAGE_SLOW)                                                              \
    X(NETWORK_FAILS)   /* no more namespaces                                */ \
    X(VOLUMES_FAIL)                                                            \
    X(CLEAN_FAILS)     /* EBUSY                                             */ \
    X(POOL_FAILS)      /* the kernel read back something else               */ \
    X(CREATE_FAILS)    /* here and below: runtime_fake.h                    */ \
    X(CREATE_SLOW)                                                             \
    X(START_FAILS)                                                             \
    X(EXITS)                                                                   \
    X(STOP_IGNORED)                                                            \
    X(DESTROY_FAILS)                                                           \
    X(SET_CPUS_FAILS)                                                          \
    X(EXEC_HANGS)                                                              \
    X(LIST_FAILS)
/* clang-format on */

enum sim_fault {
#define X(name) SIM_##name,
    SIM_FAULTS(X)
#undef X
        SIM_FAULT__COUNT
};

enum { SIM_NODES_MAX = 256, SIM_STORY_MAX = 4 << 20 };

struct sim_options {
    uint64_t seed;
    uint32_t nodes, cores, threads_per_core; /* Of each node; one core is never exclusive. */
    uint64_t trip;                           /* The fault point that fails, from 1; 0: none. */
    uint32_t per_mille;                      /* Of all other points. */
    uint32_t always;                         /* Bits by enum sim_fault: every one of these fails. */
    bool story;                              /* Keep the trace as text, not only its hash. */
    uint64_t disk_bytes;  /* Of each node's; a tenth is its reserve. 0: nobody looks at disks. */
    uint32_t names_max;   /* Of the scheduler; 0: its default. */
    const char *hardware; /* JSON of a NodeHardwareSpec that every node has instead; or NULL. */
};

struct sim_control;
struct sim_node;
struct sim_packet;

struct sim {
    struct sim_options options;
    struct instant now;
    struct wall wall;
    struct rng rng;
    bool healed;     /* No more faults: now it must converge. */
    uint64_t points; /* Fault points passed. */
    uint64_t hit[SIM_FAULT__COUNT];
    uint64_t steps, hash;
    struct buf story;
    struct sim_control *control;
    struct sim_node *nodes[SIM_NODES_MAX];
    struct sim_packet *packets; /* By time, then by arrival. */
    uint64_t packets_sequence, sessions;
};

struct sim *sim_new(const struct sim_options *o);
void sim_free(struct sim *s);

bool sim_step(struct sim *s); /* False: nothing will ever happen again. */
void sim_run(struct sim *s, struct span by);
bool sim_run_until(struct sim *s, bool (*done)(struct sim *s), struct span at_most);

/* One line of the trace: "[   123ms] ..." */
void sim_trace(struct sim *s, const char *fmt, ...) PRINTF(2, 3);
bool sim_fault(struct sim *s, enum sim_fault which);

/* ---- what stories do; all by the control plane's own write path ---- */

void sim_create(struct sim *s, const char *kind, const char *json); /* "Pod" */
/* A merge patch (RFC 7396) of what is there. */
void sim_patch(struct sim *s, const char *kind, const char *name, const char *json);
void sim_delete(struct sim *s, const char *kind, const char *name, int64_t grace_s);
void sim_evict(struct sim *s, const char *pod); /* pods/eviction. */
void sim_agent_crash(struct sim *s, uint32_t node);
void sim_move(struct sim *s, uint32_t node,
              const char *address); /* Its agent is killed, and says that next. */
void sim_control_crash(struct sim *s);
/* While it is down its store's bytes of an object become what decay makes of them. */
void sim_rot(struct sim *s, const char *kind, const char *name,
             struct blob *(*decay)(struct str value));
void sim_cut(struct sim *s, uint32_t node, bool cut); /* No way there or back until cut is false. */

/* From now on the node has so much free, and containers and volumes of that name hold so much each. */
void sim_disk(struct sim *s, uint32_t node, uint64_t free_bytes, const char *place, uint64_t bytes);

/* ---- what stories ask ---- */

struct str sim_field(struct sim *s, const char *kind, const char *name, const char *path);
/* The same of the answer to the last create, replace or delete; empty: it was refused. */
struct str sim_answer(struct sim *s, const char *kind, const char *path);
/* The Events about an object by when they were written last: "Normal Started x1 spec.containers{a}: text"
 * a line. The simulator's, until the next call. */
const char *sim_events(struct sim *s, const char *name);
/* The workload waits, and some node has room for it as things are. Of a pod group's members nothing is said. */
bool sim_fits(struct sim *s, const char *kind, const char *name);
uint32_t sim_holds(struct sim *s); /* Of the ledger. */
bool sim_is_quiet(struct sim *s);  /* No report, write or packet is on its way. */

/* ---- the network (sim_net.c) ---- */

enum sim_packet_type { SIM_OPEN, SIM_MESSAGE, SIM_CLOSE };

struct sim_packet {
    struct instant at;
    uint64_t sequence, session;
    enum sim_packet_type type;
    bool up; /* From the node to the control plane. */
    uint32_t node;
    struct blob *bytes;
    struct sim_packet *next;
};

uint64_t sim_net_connect(struct sim *s, uint32_t node);
void sim_net_send(struct sim *s, uint32_t node, uint64_t session, bool up, struct str bytes);
void sim_net_close(struct sim *s, uint32_t node, uint64_t session, bool tell_node);
void sim_net_deliver(struct sim *s);
struct instant sim_net_deadline(const struct sim *s);
void sim_net_free(struct sim *s);

/* ---- its two ends ---- */

struct sim_control *sim_control_new(struct sim *s);
void sim_control_free(struct sim_control *k);
void sim_control_turn(struct sim *s);
struct instant sim_control_deadline(const struct sim *s);
void sim_control_packet(struct sim *s, const struct sim_packet *p);
bool sim_control_is_up(const struct sim *s);
void sim_control_check(struct sim *s);

struct sim_node *sim_node_new(struct sim *s, uint32_t index);
void sim_node_free(struct sim_node *n);
void sim_node_turn(struct sim *s, uint32_t node);
struct instant sim_node_deadline(const struct sim *s, uint32_t node);
void sim_node_packet(struct sim *s, const struct sim_packet *p);
uint64_t sim_node_session(const struct sim *s, uint32_t node); /* 0: none. */
bool sim_node_is_cut(const struct sim *s, uint32_t node);
void sim_node_check(struct sim *s, uint32_t node);
void sim_node_name(uint32_t index, char out[16]);

#endif /* TESTS_SIM_SIM_H */
