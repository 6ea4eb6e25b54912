/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/runtime/runtime_fake.h"
#include "tests/conformance/runtime/suite.h"
#include "tests/testlib/test.h"

struct fake_time {
    struct instant now;
};

static struct fake_time fake_time; /* Each test is a process of its own. */

static bool fake_open(struct rig *r)
{
    static const struct runtime_fake_options options = {.kind = RUNTIME_CONTAINER};
    fake_time.now = (struct instant){1};
    r->own = &fake_time;
    r->runtime = runtime_fake_open((struct runtime_sink){rig_post, r}, &options);
    runtime_fake_set_pool(r->runtime, &(struct cpuset){.bits = {3}});
    return true;
}

static void fake_reopen(struct rig *r)
{
    runtime_fake_orphan(r->runtime, (struct runtime_sink){rig_post, r});
}

static void fake_pass(struct rig *r, uint32_t ms)
{
    struct fake_time *t = r->own;
    t->now = instant_add(t->now, SPAN_MS(ms));
    runtime_fake_turn(r->runtime, t->now, (struct wall){t->now.ns});
}

static void fake_fill(struct rig *r, struct runtime_spec *spec, const char *id, enum rig_deed deed)
{
    static const struct str runs[] = {{"run", 3}}, exits[] = {{"exit", 4}, {"3", 1}},
                            soon[] = {{"exit-after", 10}, {"100", 3}, {"5", 1}};
    const struct str *const deeds[] = {runs, exits, soon};
    (void)r;
    *spec = (struct runtime_spec){.id = str_of(id), .kind = RUNTIME_CONTAINER};
    spec->cpu.cpus.bits[0] = 3;
    spec->container.args = deeds[deed];
    spec->container.args_count = (uint32_t)deed + 1;
}

static void fake_close(struct rig *r)
{
    (void)r;
}

static const struct rig_kind fake_rig = {.open = fake_open,
                                         .reopen = fake_reopen,
                                         .pass = fake_pass,
                                         .fill = fake_fill,
                                         .close = fake_close,
                                         .good = {{"true", 4}},
                                         .bad = {{"fail", 4}},
                                         .endless = {{"hang", 4}}};

CONFORMANCE(fake)
