/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime_fake.h -- containers and machines that exist in memory only.
 *
 * WHAT   Keeps runtime.h's promises without a process, over a clock that is told to it, and has a
 *        dial for each way of keeping them badly. What a container "does" is read from its first
 *        argument: "exit CODE" ends at once, "exit-after MS CODE" later; all else runs until told.
 *        A command inside: "fail" fails, "ok-after MS" and "fail-after MS" count from the instance's start,
 *        "hang" never ends by itself; all else succeeds.
 * WHY    The simulator, the agent's unit tests, and `baton-agent --runtime fake` for machines that
 *        are only described (--topology).
 * OWNS   runtime_fake_open() allocates; close() frees at its DONE. Instances live as long as it.
 * ASYNC  Events wait in a queue ordered by time; runtime_fake_turn() posts those that are due.
 */
#ifndef NODEAGENT_RUNTIME_RUNTIME_FAKE_H
#define NODEAGENT_RUNTIME_RUNTIME_FAKE_H

#include "nodeagent/runtime/runtime.h"

/* Every way this runtime may disappoint. The simulator's long run fails if one never fired. */
/* clang-format off */
#define RUNTIME_FAULTS(X)                                                \
    X(CREATE_FAILS)   /* ENOSPC, a bad root, seccomp                 */ \
    X(CREATE_SLOW)    /* a cold page cache                           */ \
    X(START_FAILS)    /* no such command                             */ \
    X(EXITS)          /* dies as soon as it is up                    */ \
    X(STOP_IGNORED)   /* SIGTERM has no effect                       */ \
    X(DESTROY_FAILS)  /* EBUSY: someone still holds the cgroup       */ \
    X(SET_CPUS_FAILS) /* the kernel read back something else         */ \
    X(EXEC_HANGS)     /* a command that never ends                   */ \
    X(LIST_FAILS)
/* clang-format on */

enum runtime_fault {
#define X(name) RUNTIME_FAULT_##name,
    RUNTIME_FAULTS(X)
#undef X
        RUNTIME_FAULT__COUNT
};

struct runtime_fake_options {
    enum runtime_kind kind;
    bool (*fault)(void *state, enum runtime_fault fault); /* NULL: none. */
    void *fault_state;
};

struct runtime *runtime_fake_open(struct runtime_sink sink, const struct runtime_fake_options *o);

/* Calls into the runtime that follow happen at now. Posts nothing. */
void runtime_fake_now(struct runtime *r, struct instant now, struct wall wall);

/* The same, and post what is due. */
void runtime_fake_turn(struct runtime *r, struct instant now, struct wall wall);
struct instant runtime_fake_deadline(const struct runtime *r); /* ns 0: nothing waits. */

/* The agent died: answers on their way are lost, instances live on. sink is the next agent's. */
void runtime_fake_orphan(struct runtime *r, struct runtime_sink sink);

/* For who ends without a close op. */
void runtime_fake_free(struct runtime *r);

/* Shared containers move with the pool's own group. */
void runtime_fake_set_pool(struct runtime *r, const struct cpuset *pool);

struct runtime_fake_instance {
    char id[RUNTIME_ID_MAX];
    enum runtime_state state;
    bool exclusive;
    struct cpuset cpus;   /* Where its own threads run. */
    struct cpuset helper; /* A machine's other threads. */
};

/* The i-th instance, in order of creation; false: there are no more. */
bool runtime_fake_at(const struct runtime *r, uint32_t i, struct runtime_fake_instance *out);

#endif /* NODEAGENT_RUNTIME_RUNTIME_FAKE_H */
