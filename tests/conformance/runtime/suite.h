/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suite.h -- what every runtime promises, asked of each in the same words.
 *
 * WHAT   A rig opens one runtime and makes time pass for it; the conform_ functions ask it the same
 *        things and check runtime.h's promises. Each *_test.c names a rig and runs all of them.
 */
#ifndef TESTS_CONFORMANCE_RUNTIME_SUITE_H
#define TESTS_CONFORMANCE_RUNTIME_SUITE_H

#include "nodeagent/runtime/runtime.h"

enum { RIG_EVENTS_MAX = 256 };

/* What the instance's first process does. */
enum rig_deed { RIG_RUNS, RIG_EXITS_3, RIG_EXITS_SOON };

struct rig {
    struct runtime *runtime;
    struct runtime_event events[RIG_EVENTS_MAX];
    uint32_t events_count;
    uint64_t last_op;
    bool inside; /* A call into the runtime is on the stack: nothing may be posted. */
    void *own;
};

struct rig_kind {
    bool (*open)(struct rig *r);              /* False: cannot be tried on this machine. */
    void (*reopen)(struct rig *r);            /* The agent died without a word and came back. */
    void (*pass)(struct rig *r, uint32_t ms); /* Time passes, or until something was posted. */
    void (*fill)(struct rig *r, struct runtime_spec *spec, const char *id, enum rig_deed deed);
    void (*close)(
        struct rig *r); /* After the runtime's close() is done; checks that nothing is left. */
    bool machine;       /* A guest that ends has no exit code: it is 0. It runs no commands. */
    struct str good[4], bad[4],
        endless[4]; /* Commands that succeed, fail with 1, go on; empty words end. */
};

void rig_post(void *state, const struct runtime_event *ev); /* The runtime's sink. */

/* Takes away what failed tests of earlier runs left in the cgroup hierarchies. */
struct cgroup_layout;
void rig_sweep(const struct cgroup_layout *layout);

/* A tree of groups of the test's own below parent, after a sweep, and the cpus of its pool. */
struct cgroup_tree;
struct cpuset;
void rig_cgroups(const char *parent, struct cgroup_tree **out, struct cpuset *out_pool);

/* Turns the loop for so long, or until the runtime posts something. */
struct loop;
void rig_turn(const struct rig *r, struct loop *loop, uint32_t ms);

/* Runs all of it. */
#define CONFORMANCE(kind)                                                                          \
    TEST(kind, lives_and_dies)                                                                     \
    {                                                                                              \
        conform_lives_and_dies(&kind##_rig);                                                       \
    }                                                                                              \
    TEST(kind, tells_the_exit_code_once)                                                           \
    {                                                                                              \
        conform_tells_the_exit_code_once(&kind##_rig);                                             \
    }                                                                                              \
    TEST(kind, stop_asks)                                                                          \
    {                                                                                              \
        conform_stop_asks(&kind##_rig);                                                            \
    }                                                                                              \
    TEST(kind, refuses_by_name)                                                                    \
    {                                                                                              \
        conform_refuses_by_name(&kind##_rig);                                                      \
    }                                                                                              \
    TEST(kind, destroys_what_runs)                                                                 \
    {                                                                                              \
        conform_destroys_what_runs(&kind##_rig);                                                   \
    }                                                                                              \
    TEST(kind, is_found_again)                                                                     \
    {                                                                                              \
        conform_is_found_again(&kind##_rig);                                                       \
    }                                                                                              \
    TEST(kind, died_while_nobody_looked)                                                           \
    {                                                                                              \
        conform_died_while_nobody_looked(&kind##_rig);                                             \
    }                                                                                              \
    TEST(kind, runs_commands)                                                                      \
    {                                                                                              \
        conform_runs_commands(&kind##_rig);                                                        \
    }                                                                                              \
    TEST(kind, reads_cpus_back)                                                                    \
    {                                                                                              \
        conform_reads_cpus_back(&kind##_rig);                                                      \
    }

void conform_lives_and_dies(const struct rig_kind *k);
void conform_tells_the_exit_code_once(const struct rig_kind *k);
void conform_stop_asks(const struct rig_kind *k);
void conform_refuses_by_name(const struct rig_kind *k);
void conform_destroys_what_runs(const struct rig_kind *k);
void conform_is_found_again(const struct rig_kind *k);
void conform_died_while_nobody_looked(const struct rig_kind *k);
void conform_runs_commands(const struct rig_kind *k);
void conform_reads_cpus_back(const struct rig_kind *k);

/* Of those that look for their instances on the host. */
void conform_a_list_that_fails_ends_nobody(const struct rig_kind *k);

/* For the tests of one runtime alone. */
const struct runtime_event *rig_wait(const struct rig_kind *k, struct rig *r,
                                     enum runtime_event_type type, uint64_t op);
uint32_t rig_count(const struct rig *r, enum runtime_event_type type, const char *id);
uint64_t rig_create(struct rig *r, const struct runtime_spec *spec);
uint64_t rig_call(struct rig *r, void (*verb)(struct runtime *, uint64_t, struct str),
                  const char *id);
void rig_ok(const struct rig_kind *k, struct rig *r, uint64_t op);
void rig_close(const struct rig_kind *k, struct rig *r);

#endif /* TESTS_CONFORMANCE_RUNTIME_SUITE_H */
