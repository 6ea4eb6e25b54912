/* SPDX-License-Identifier: Apache-2.0 */
/* An agent that says it is reached where another node lives is not believed until that node is forgotten or moves. */
#include "tests/story/story.h"

static bool is_at(struct sim *s, const char *node, const char *address)
{
    struct str type = sim_field(s, "Node", node, "status.addresses.0.type");
    bool has = str_is(type, "InternalIP");
    return has ? str_is(sim_field(s, "Node", node, "status.addresses.0.address"), address)
               : address[0] == '\0';
}

TEST(story, a_neighbours_address_is_taken_when_the_neighbour_is_gone)
{
    struct sim *s = story_new(3, 2);
    sim_move(s, 1, "192.0.2.0");
    sim_run(s, SPAN_S(5));
    cr_expect(is_at(s, "n0", "192.0.2.0"));
    cr_expect(is_at(s, "n1", ""));
    cr_expect(is_at(s, "n2", "192.0.2.2"));
    cr_expect_not_null(strstr(sim_events(s, "n1"),
                              "Warning AddressRefused x1: its agent says that it is reached at "
                              "what it cannot have: 192.0.2.0 is node n0's"),
                       "%s", sim_events(s, "n1"));
    sim_control_crash(s); /* What was believed is stored. */
    sim_run(s, SPAN_S(5));
    cr_expect(is_at(s, "n0", "192.0.2.0") && is_at(s, "n1", ""));
    sim_cut(s, 0, true);
    sim_run(s, SPAN_S(30));
    cr_expect(is_at(s, "n0", "192.0.2.0") && is_at(s, "n1", ""), "who is silent keeps it");
    sim_delete(s, "Node", "n0", 0);
    sim_run(s, SPAN_S(15));
    cr_expect(is_at(s, "n1", "192.0.2.0"), "its neighbour is forgotten");
    sim_cut(s, 0, false);
    sim_run(s, SPAN_S(15));
    cr_expect(is_at(s, "n1", "192.0.2.0") && is_at(s, "n0", ""), "who comes back comes second");
    sim_move(s, 1, "192.0.2.1");
    sim_run(s, SPAN_S(15));
    cr_expect(is_at(s, "n1", "192.0.2.1") && is_at(s, "n0", "192.0.2.0"));
    sim_free(s);
}
