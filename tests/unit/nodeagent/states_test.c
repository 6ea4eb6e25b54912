/* SPDX-License-Identifier: Apache-2.0 */
/* The drawings in docs/states/ are the tables that the code obeys. To redraw: run with
 * BATON_REDRAW=1 and look at the difference. */
#include "nodeagent/core/agent_priv.h"
#include "tests/testlib/test.h"

#include <stdio.h>
#include <stdlib.h>

static void same_as_golden(const char *name, const struct sm_state *states, uint32_t count)
{
    char path[512];
    struct buf drawn, golden;
    buf_init(&drawn, 64 << 10);
    buf_init(&golden, 64 << 10);
    sm_dot(&drawn, name, states, count);
    snprintf(path, sizeof path, TESTS_DIR "/../docs/states/%s.dot", name);
    FILE *f = fopen(path, getenv("BATON_REDRAW") != NULL ? "w" : "r");
    cr_assert_not_null(f, "%s", path);
    if (getenv("BATON_REDRAW") != NULL) {
        fwrite(drawn.at, 1, drawn.len, f);
    } else {
        char *to = buf_reserve(&golden, 32 << 10);
        buf_commit(&golden, fread(to, 1, 32 << 10, f));
        cr_expect(str_eq(buf_str(&drawn), buf_str(&golden)), "%s differs from its table", path);
    }
    fclose(f);
    buf_free(&drawn);
    buf_free(&golden);
}

TEST(states, drawings_are_what_the_code_obeys)
{
    same_as_golden("workload", workload_states, WORKLOAD__COUNT);
    same_as_golden("instance", instance_states, INSTANCE__COUNT);
    same_as_golden("probe", probe_states, PROBE__COUNT);
    same_as_golden("session", session_states, SESSION__COUNT);
}

TEST(cpus, printed_as_the_kernel_does)
{
    struct cpuset s = {0};
    struct buf out;
    buf_init(&out, 256);
    cpuset_print(&s, &out);
    cr_assert(str_is(buf_str(&out), ""));
    for (uint32_t cpu = 0; cpu < 4; cpu++)
        cpuset_add(&s, cpu);
    cpuset_add(&s, 8);
    cpuset_add(&s, RUNTIME_CPUS_MAX - 1);
    cpuset_add(&s, RUNTIME_CPUS_MAX); /* Outside: left out. */
    cpuset_print(&s, &out);
    cr_assert(str_is(buf_str(&out), "0-3,8,1023"));
    cr_assert_eq(cpuset_count(&s), 6);
    struct cpuset other = {0};
    cpuset_add(&other, 2);
    cr_assert(cpuset_overlaps(&s, &other) && cpuset_within(&other, &s) &&
              !cpuset_within(&s, &other));
    cpuset_drop(&s, &other);
    cr_assert_not(cpuset_overlaps(&s, &other));
    buf_free(&out);
}
