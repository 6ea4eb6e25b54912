/* SPDX-License-Identifier: Apache-2.0 */
/* Things that come in an order which one would not have chosen. */
#include "tests/story/story.h"

static bool is_cleaning(struct sim *s)
{
    struct str rest = buf_str(&s->story), line;
    while (str_split(&rest, '\n', &line))
        if (str_ends(line, STR("web CLEANING")))
            return true;
    return false;
}

/* Deleted while what it left is being cleaned: its logs stood, and nobody would know of them any more. */
TEST(story, deleted_while_it_is_cleaned)
{
    struct sim *s = story_new(1, 2);
    story_pod(s, "web", "", "Never", "[\"exit-after\",\"100\",\"0\"]");
    cr_assert(sim_run_until(s, is_cleaning, SPAN_S(5)));
    sim_delete(s, "Pod", "web", 0);
    sim_run(s, SPAN_S(5));
    cr_assert_eq(sim_field(s, "Pod", "web", "metadata.name").len, 0);
    sim_free(s);
}

/* kubectl apply makes things in the order of its files. */
TEST(story, a_secret_that_comes_after_its_pod)
{
    struct sim *s = story_new(1, 2);
    sim_create(
        s, "Pod",
        "{\"metadata\":{\"name\":\"web\",\"namespace\":\"default\"},\"spec\":{\"containers\":[{"
        "\"name\":\"a\",\"image\":\"x\",\"args\":[\"run\"]}],\"volumes\":[{\"name\":\"s\","
        "\"secret\":{\"secretName\":\"late\"}}]}}");
    sim_run(s, SPAN_S(3));
    cr_assert(str_is(sim_field(s, "Pod", "web", "status.phase"), "Pending"));
    sim_create(s, "Secret", "{\"metadata\":{\"name\":\"late\",\"namespace\":\"default\"}}");
    sim_run(s, SPAN_S(10));
    cr_assert(str_is(sim_field(s, "Pod", "web", "status.phase"), "Running"));
    sim_free(s);
}
