/* SPDX-License-Identifier: Apache-2.0 */
/* Records that cannot be carried out are told, and nothing is begun of them. */
#include "tests/testlib/test.h"
#include "tests/unit/nodeagent/talk.h"

#include <stdio.h>

static struct agent *agent_of(void)
{
    struct agent_config config = {.state_dir = STR("/s"), .cpus = {{0xff}}};
    return agent_new(&config);
}

/* What the agent says when it is given a record. */
static void said_of(struct agent *a, struct str record, char out[256])
{
    struct agent_event ev = {.type = EV_SAVED, .now = {1}, .wall = {1}, .bytes = record};
    struct agent_effects fx = agent_step(a, &ev);
    out[0] = '\0';
    cr_assert_leq(fx.count, 1);
    if (fx.count == 1) {
        cr_assert_eq(fx.at[0].type, FX_TELL);
        snprintf(out, 256, "%s", fx.at[0].text);
    }
}

static struct str record_of(const char *placement_uid, uint8_t room[256])
{
    static uint8_t noise[] = "k8s\0noise";
    Agent__Record r = AGENT__RECORD__INIT;
    Agent__Assign assign = AGENT__ASSIGN__INIT;
    assign.placement_uid = (char *)(uintptr_t)placement_uid;
    assign.has_placement = assign.has_workload = true;
    assign.placement = assign.workload = (ProtobufCBinaryData){sizeof noise, noise};
    r.assign = &assign;
    return str_from(room, agent__record__pack(&r, room));
}

TEST(records, what_cannot_be_carried_out_is_told)
{
    char said[256];
    uint8_t room[256];
    struct agent *a = agent_of();
    said_of(a, STR("\xff\xff"), said);
    cr_assert_str_eq(said, "the record of Placement without a name is not carried out: "
                           "it does not decode");
    said_of(a, record_of("p-1", room), said);
    cr_assert_str_eq(said, "the record of Placement p-1 is not carried out: "
                           "the placement does not decode");
    const char *why;
    cr_assert(agent_invariant(a, &why), "%s", why);
    agent_free(a);
}
