/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A QEMU in the hands of its guest (tests/enemies/hostile_qemu.c) on the agent's own loop: what becomes of it, what it costs,
 * and that a real machine beside it comes up, runs and goes meanwhile. Needs root and QEMU; without them it says so and passes.
 */
#include "io/clock.h"
#include "io/fs.h"
#include "io/process.h"
#include "nodeagent/host/cgroup.h"
#include "nodeagent/runtime/runtime_qemu.h"
#include "tests/conformance/runtime/suite.h"
#include "tests/testlib/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { GROWTH_MAX = 64 << 20, TURN_MAX_MS = 500 };

static struct {
    struct loop *loop;
    struct cgroup_tree *cgroups;
    struct cpuset all;
    char directory[64], parent[64];
    int64_t longest_ns; /* Of the loop's turns. */
} lab;

static bool lab_open(void)
{
    if (geteuid() != 0 || access("/usr/bin/qemu-system-x86_64", X_OK) != 0) {
        fputs("skipped: needs root and qemu-system-x86\n", stderr);
        return false;
    }
    signal(SIGPIPE, SIG_IGN);
    snprintf(lab.directory, sizeof lab.directory, "/tmp/baton-hostile-XXXXXX");
    cr_assert(mkdtemp(lab.directory) != NULL);
    snprintf(lab.parent, sizeof lab.parent, "baton-confh-%d", (int)getpid());
    rig_cgroups(lab.parent, &lab.cgroups, &lab.all);
    lab.loop = loop_new();
    return true;
}

static void lab_close(void)
{
    struct err e;
    loop_free(lab.loop);
    cr_assert_eq(cgroup_purge(lab.cgroups, &e), ERR_OK, "left behind: %s", e.text);
    cgroup_close(lab.cgroups);
    cr_assert_eq(fs_remove_tree(lab.directory, &e), ERR_OK, "%s", e.text);
}

static void lab_step(void)
{
    loop_step(lab.loop, SPAN_MS(20));
    struct instant before = clock_now();
    loop_step(lab.loop, (struct span){0}); /* What is there already: this is work, not waiting. */
    int64_t took = instant_sub(clock_now(), before).ns;
    lab.longest_ns = took > lab.longest_ns ? took : lab.longest_ns;
}

static void runtime_make(struct rig *r, const char *name, const char *command)
{
    char state[128];
    struct err e;
    snprintf(state, sizeof state, "%s/%s", lab.directory, name);
    struct runtime_qemu_options o = {
        .state = str_of(state), .command = str_of(command), .cgroups = lab.cgroups};
    *r = (struct rig){0};
    cr_assert_eq(
        runtime_qemu_open(lab.loop, &o, (struct runtime_sink){rig_post, r}, &r->runtime, &e),
        ERR_OK, "%s", e.text);
    r->own = strdup(state);
}

static uint64_t create(struct rig *r, const char *id, const char *words)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", (const char *)r->own, id);
    struct runtime_spec spec = {.id = str_of(id),
                                .directory = str_of(path),
                                .cpu = {.cpus = lab.all, .pool = lab.all, .weight_milli = 1000},
                                .memory_max_bytes = 256 << 20,
                                .kind = RUNTIME_VM,
                                .vm = {.vcpus = 1,
                                       .memory_bytes = 32 << 20,
                                       .kernel = STR(PVH),
                                       .kernel_args = str_of(words),
                                       .machine = STR("q35"),
                                       .accelerator = STR("tcg")}};
    return rig_create(r, &spec);
}

static const struct runtime_event *answer(struct rig *r, uint64_t op)
{
    struct instant limit = instant_add(clock_now(), SPAN_S(30));
    for (;;) {
        for (uint32_t i = 0; i < r->events_count; i++)
            if (r->events[i].type == RUNTIME_DONE && r->events[i].op == op)
                return &r->events[i];
        cr_assert_lt(clock_now().ns, limit.ns, "no answer to %lu of %s", (unsigned long)op,
                     (const char *)r->own);
        lab_step();
    }
}

static void must(struct rig *r, uint64_t op)
{
    const struct runtime_event *ev = answer(r, op);
    cr_assert_eq(ev->code, ERR_OK, "%s", ev->text);
}

static void runtime_end(struct rig *r)
{
    r->runtime->ops->close(r->runtime, ++r->last_op);
    must(r, r->last_op);
    free(r->own);
}

/* A real machine beside it: made, started, killed and gone. */
static void live_beside(struct rig *honest)
{
    must(honest, create(honest, "honest.guest.0", "rounds=0 hold"));
    must(honest, rig_call(honest, honest->runtime->ops->start, "honest.guest.0"));
    must(honest, rig_call(honest, honest->runtime->ops->destroy, "honest.guest.0"));
}

static uint64_t resident(void)
{
    struct process_usage u;
    process_usage(&u);
    return u.resident_bytes;
}

TEST(qemu_hostile, a_monitor_that_lies_fails_its_own_machine)
{
    static const char *const lies[] = {"garbage", "endless-line", "deep"};
    struct rig hostile, honest;
    if (!lab_open())
        return;
    runtime_make(&hostile, "hostile", HOSTILE_QEMU);
    runtime_make(&honest, "honest", "");
    uint64_t before = resident();
    for (size_t i = 0; i < COUNT_OF(lies); i++) {
        char id[64];
        snprintf(id, sizeof id, "%s.guest.0", lies[i]);
        uint64_t op = create(&hostile, id, lies[i]);
        live_beside(&honest);
        cr_assert_neq(answer(&hostile, op)->code, ERR_OK, "%s", lies[i]);
        hostile.events_count = honest.events_count = 0;
    }
    cr_assert_lt(resident(), before + GROWTH_MAX);
    cr_assert_lt(lab.longest_ns, SPAN_MS(TURN_MAX_MS).ns);
    runtime_end(&hostile);
    runtime_end(&honest);
    lab_close();
}

/* It may take QEMU long to touch its memory; saying nothing costs nobody anything, and it can be taken away. */
TEST(qemu_hostile, one_that_says_nothing_can_be_ended)
{
    struct rig hostile, honest;
    if (!lab_open())
        return;
    runtime_make(&hostile, "hostile", HOSTILE_QEMU);
    runtime_make(&honest, "honest", "");
    uint64_t op = create(&hostile, "still.guest.0", "silence");
    live_beside(&honest);
    must(&hostile, rig_call(&hostile, hostile.runtime->ops->destroy, "still.guest.0"));
    cr_assert_neq(answer(&hostile, op)->code, ERR_OK);
    runtime_end(&hostile);
    runtime_end(&honest);
    lab_close();
}

TEST(qemu_hostile, a_flood_of_events_delays_nobody_and_can_be_ended)
{
    struct rig hostile, honest;
    if (!lab_open())
        return;
    runtime_make(&hostile, "hostile", HOSTILE_QEMU);
    runtime_make(&honest, "honest", "");
    must(&hostile, create(&hostile, "flood.guest.0", "events"));
    must(&hostile, rig_call(&hostile, hostile.runtime->ops->start, "flood.guest.0"));
    uint64_t before = resident();
    struct instant end = instant_add(clock_now(), SPAN_S(2));
    while (clock_now().ns < end.ns)
        lab_step();
    live_beside(&honest);
    cr_assert_lt(resident(), before + GROWTH_MAX);
    cr_assert_lt(lab.longest_ns, SPAN_MS(TURN_MAX_MS).ns);
    must(&hostile, rig_call(&hostile, hostile.runtime->ops->destroy, "flood.guest.0"));
    runtime_end(&hostile);
    runtime_end(&honest);
    lab_close();
}
