/* SPDX-License-Identifier: Apache-2.0 */
/* A pod that its node never heard of, and that is gone before the node is back. */
#include "tests/story/story.h"

static struct sim *unheard(bool restart, bool graceful_first)
{
    struct sim *s = story_new(1, 3);
    sim_cut(s, 0, true);
    story_pod(s, "web", "1", "Always", "");
    sim_run(s, SPAN_MS(100));
    cr_expect(str_is(sim_field(s, "Placement", "pods.web", "spec.node"), "n0"));
    if (graceful_first)
        sim_delete(s, "Pod", "web", -1);
    sim_run(s, SPAN_S(5));
    if (restart) {
        sim_control_crash(s);
        sim_run(s, SPAN_S(5));
    }
    sim_delete(s, "Pod", "web", 0);
    sim_run(s, SPAN_S(5));
    if (restart) {
        sim_control_crash(s);
        sim_run(s, SPAN_S(5));
    }
    sim_cut(s, 0, false);
    sim_run(s, SPAN_S(120));
    cr_expect(str_is(sim_field(s, "Pod", "web", "metadata.name"), ""));
    cr_expect(str_is(sim_field(s, "Placement", "pods.web", "spec.node"), ""));
    cr_expect_eq(sim_holds(s), 0u);
    return s;
}

TEST(unheard, a_force_delete_gives_the_rows_back)
{
    for (uint32_t i = 0; i < 4; i++)
        sim_free(unheard(i & 1, i & 2));
}
