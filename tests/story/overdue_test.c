/* SPDX-License-Identifier: Apache-2.0 */
/* A pod that may be active for so long is ended after that, whatever it did and whoever was restarted meanwhile. */
#include "tests/story/story.h"

#include <stdio.h>

static void pod(struct sim *s, const char *name, int deadline_s, const char *args)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{"
             "\"activeDeadlineSeconds\":%d,\"terminationGracePeriodSeconds\":2,"
             "\"containers\":[{\"name\":\"main\",\"image\":\"x\",\"args\":[%s]}]}}",
             name, deadline_s, args);
    sim_create(s, "Pod", json);
}

static bool is(struct sim *s, const char *name, const char *path, const char *expected)
{
    struct str have = sim_field(s, "Pod", name, path);
    if (!str_is(have, expected))
        fprintf(stderr, "%s %s: " STR_FMT "\n", name, path, STR_ARG(have));
    return str_is(have, expected);
}

static void is_overdue(struct sim *s, const char *name)
{
    cr_expect(is(s, name, "status.phase", "Failed"));
    cr_expect(is(s, name, "status.reason", "DeadlineExceeded"));
    cr_expect(is(s, name, "status.message",
                 "Pod was active on the node longer than the specified deadline"));
    cr_expect_not_null(strstr(sim_events(s, name), "Warning DeadlineExceeded x1"));
}

TEST(story, a_pod_is_ended_at_its_deadline)
{
    struct sim *s = story_new(1, 4);
    pod(s, "slow", 30, "");
    pod(s, "late", 600, "");
    sim_run(s, SPAN_S(29));
    cr_expect(is(s, "slow", "status.phase", "Running"));
    sim_run(s, SPAN_S(5));
    is_overdue(s, "slow");
    cr_expect(is(s, "late", "status.phase", "Running"));
    sim_patch(s, "Pod", "late",
              "{\"metadata\":{\"generation\":2},\"spec\":{\"activeDeadlineSeconds\":60}}");
    sim_run(s, SPAN_S(30));
    is_overdue(s, "late");
    sim_free(s);
}

/* Written down, so that the next agent does not begin it again; and counted on while there was none. */
TEST(story, a_deadline_outlives_the_agent)
{
    struct sim *s = story_new(1, 4);
    pod(s, "slow", 30, "");
    sim_run(s, SPAN_S(20));
    sim_agent_crash(s, 0);
    sim_run(s, SPAN_S(20));
    is_overdue(s, "slow");
    sim_agent_crash(s, 0);
    sim_run(s, SPAN_S(60));
    is_overdue(s, "slow");
    const char *after = strstr(s->story.at == NULL ? "" : s->story.at, "slow DeadlineExceeded");
    cr_expect(after == NULL || strstr(after, "STARTING") == NULL, "it was begun again");
    sim_free(s);
}

/* Nothing of it is there whose end could be written down. */
TEST(story, a_deadline_ends_a_pod_in_its_back_off)
{
    struct sim *s = story_new(1, 4);
    s->options.story = true;
    pod(s, "loops", 30, "\"exit 1\"");
    sim_run(s, SPAN_S(40));
    is_overdue(s, "loops");
    sim_agent_crash(s, 0);
    sim_run(s, SPAN_S(40));
    is_overdue(s, "loops");
    sim_free(s);
}

/* Numbers that no clock reaches are as good as never; they are not added up. */
TEST(story, a_grace_of_all_time_is_a_long_one)
{
    static const char *const graces[] = {"9223372036854775807", "10000000000"};
    struct sim *s = story_new(1, 4);
    for (size_t i = 0; i < COUNT_OF(graces); i++) {
        char json[512];
        snprintf(json, sizeof json,
                 "{\"metadata\":{\"name\":\"p%zu\",\"namespace\":\"default\"},\"spec\":{"
                 "\"terminationGracePeriodSeconds\":%s,\"containers\":[{\"name\":\"main\","
                 "\"image\":\"x\",\"lifecycle\":{\"preStop\":{\"sleep\":{\"seconds\":"
                 "5000000000}}}}]}}",
                 i, graces[i]);
        sim_create(s, "Pod", json);
    }
    sim_run(s, SPAN_S(5));
    cr_expect(is(s, "p0", "status.phase", "Running"));
    sim_delete(s, "Pod", "p0", -1);
    sim_delete(s, "Pod", "p1", -1);
    sim_run(s, SPAN_S(60));
    cr_expect(is(s, "p0", "status.phase", "Running"), "its preStop hook has years");
    cr_expect(is(s, "p1", "status.phase", "Running"));
    sim_delete(s, "Pod", "p0", 0);
    sim_delete(s, "Pod", "p1", 1);
    sim_run(s, SPAN_S(60));
    cr_expect(is(s, "p0", "status.phase", ""));
    cr_expect(is(s, "p1", "status.phase", ""));
    sim_free(s);
}
