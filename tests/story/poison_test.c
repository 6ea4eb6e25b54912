/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored is broken while the control plane is down: it starts, marks what it cannot believe, and goes on. */
#include "api/typed.h"
#include "base/check.h"
#include "proto/baton/v1.pb-c.h"
#include "tests/story/story.h"

#include <stdio.h>

static struct blob *noise(struct str value)
{
    struct blob *b = blob_new(value);
    for (uint32_t i = 0; i < b->len; i++)
        b->at[i] = (char)(i * 37 + 11);
    return b;
}

/* In order as far as the metadata goes, and then not. */
static struct blob *broken_spec(struct str value)
{
    struct blob *b = blob_new(value);
    for (uint32_t i = b->len - 40; i < b->len; i++)
        b->at[i] = (char)0xff;
    return b;
}

/* The same cores as the pod that was there before it. */
static struct blob *on_taken_cores(struct str value)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    Baton__Placement *p = typed_open(&a, &baton__placement__descriptor, value);
    CHECK(p != NULL && p->spec->exclusive != NULL && p->spec->exclusive->n_cpus == 1);
    p->spec->exclusive->cpus[0] = p->spec->exclusive->cores[0] = 1;
    struct blob *b = blob_new(typed_wrap(&a, "baton.dev/v1", "Placement", &p->base));
    arena_free(&a);
    return b;
}

static struct blob *of_another_version(struct str value)
{
    struct blob *b = blob_new(value);
    char *at = memmem(b->at, b->len, "baton.dev/v1", 12);
    CHECK(at != NULL);
    at[11] = '7';
    return b;
}

/* A condition's status; "" when it is not there. The messages of a node are few: a text search does. */
static const char *condition(struct sim *s, const char *node, const char *type)
{
    char path[64];
    for (uint32_t i = 0; i < 12; i++) {
        snprintf(path, sizeof path, "status.conditions.%u.type", i);
        if (!str_is(sim_field(s, "Node", node, path), type))
            continue;
        snprintf(path, sizeof path, "status.conditions.%u.status", i);
        return str_is(sim_field(s, "Node", node, path), "True") ? "True" : "False";
    }
    return "";
}

static const char *phase_of(struct sim *s, const char *pod)
{
    static char text[32];
    struct str is = sim_field(s, "Pod", pod, "status.phase");
    snprintf(text, sizeof text, STR_FMT, STR_ARG(is));
    return text;
}

static void rot(struct sim *s, const char *kind, const char *name,
                struct blob *(*decay)(struct str))
{
    sim_control_crash(s);
    sim_rot(s, kind, name, decay);
    sim_run(s, SPAN_S(30));
    cr_assert(sim_control_is_up(s));
}

/* Nobody can say which rows it has: it is ended, says so, and its name is free again. */
static void placement_rots(struct blob *(*decay)(struct str))
{
    struct sim *s = story_new(1, 4);
    story_pod(s, "web", "1", "Always", "");
    sim_run(s, SPAN_S(5));
    cr_assert_str_eq(phase_of(s, "web"), "Running");
    rot(s, "Placement", "pods.web", decay);
    cr_assert_str_eq(phase_of(s, "web"), "Failed");
    cr_assert(str_is(sim_field(s, "Pod", "web", "status.reason"), "PlacementLost"));
    cr_assert_eq(sim_field(s, "Placement", "pods.web", "metadata.name").len, 0);
    sim_delete(s, "Pod", "web", -1);
    sim_run(s, SPAN_S(5));
    story_pod(s, "web", "1", "Always", "");
    sim_run(s, SPAN_S(20));
    cr_assert_str_eq(phase_of(s, "web"), "Running");
    sim_free(s);
}

TEST(poison, a_placement_that_is_noise)
{
    placement_rots(noise);
}

TEST(poison, a_placement_whose_spec_is_noise)
{
    placement_rots(broken_spec);
}

TEST(poison, a_placement_of_a_version_nobody_knows)
{
    placement_rots(of_another_version);
}

static bool is_stored;

static struct blob *look(struct str value)
{
    is_stored = value.at != NULL;
    return is_stored ? blob_new(value) : NULL;
}

/* Of a pod that has ended nothing is lost by it. It says nothing to anybody any more, and goes with the pod. */
TEST(poison, a_placement_of_a_pod_that_has_ended)
{
    struct sim *s = story_new(1, 4);
    story_pod(s, "once", "1", "Never", "[\"exit-after\",\"100\",\"0\"]");
    sim_run(s, SPAN_S(20));
    cr_assert_str_eq(phase_of(s, "once"), "Succeeded");
    rot(s, "Placement", "pods.once", broken_spec);
    cr_assert_str_eq(phase_of(s, "once"), "Succeeded");
    rot(s, "Placement", "pods.once", look);
    cr_assert(is_stored);
    sim_delete(s, "Pod", "once", -1);
    sim_run(s, SPAN_S(5));
    rot(s, "Placement", "pods.once", look);
    cr_assert_not(is_stored);
    sim_free(s);
}

/* Both go on, the node says so, nobody else gets rows that are in doubt; the end of one of them ends it. */
TEST(poison, two_placements_with_the_same_core)
{
    struct sim *s = story_new(1, 4);
    story_pod(s, "one", "1", "Always", "");
    sim_run(s, SPAN_S(3));
    story_pod(s, "two", "1", "Always", "");
    sim_run(s, SPAN_S(3));
    cr_assert_str_eq(condition(s, "n0", "baton.dev/LedgerConflict"), "");
    rot(s, "Placement", "pods.two", on_taken_cores);
    cr_assert_str_eq(phase_of(s, "one"), "Running");
    cr_assert_str_eq(phase_of(s, "two"), "Running");
    cr_assert_str_eq(condition(s, "n0", "baton.dev/LedgerConflict"), "True");
    sim_delete(s, "Pod", "two", -1);
    sim_run(s, SPAN_S(40));
    cr_assert_str_eq(condition(s, "n0", "baton.dev/LedgerConflict"), "False");
    cr_assert_str_eq(phase_of(s, "one"), "Running");
    sim_free(s);
}

/* The agent tells its hardware again, and what was placed on it has its rows again before anybody else. */
TEST(poison, hardware_that_does_not_decode)
{
    struct sim *s = story_new(1, 2);
    story_pod(s, "one", "1", "Always", "");
    sim_run(s, SPAN_S(3));
    cr_assert_str_eq(phase_of(s, "one"), "Running");
    rot(s, "NodeHardware", "n0", noise);
    cr_assert_str_eq(phase_of(s, "one"), "Running");
    cr_assert_str_eq(condition(s, "n0", "Ready"), "True");
    story_pod(s, "next", "1", "Always", "");
    sim_run(s, SPAN_S(5));
    cr_assert_str_eq(phase_of(s, "next"), "Pending"); /* The only core is taken. */
    sim_delete(s, "Pod", "one", -1);
    sim_run(s, SPAN_S(40));
    cr_assert_str_eq(phase_of(s, "next"), "Running");
    sim_free(s);
}

TEST(poison, a_node_that_does_not_decode)
{
    struct sim *s = story_new(1, 2);
    story_pod(s, "one", "1", "Always", "");
    sim_run(s, SPAN_S(3));
    rot(s, "Node", "n0", noise);
    cr_assert_str_eq(condition(s, "n0", "Ready"), "True");
    cr_assert_str_eq(phase_of(s, "one"), "Running");
    sim_free(s);
}

/* Its Placement keeps the rows; it cannot be shown, and can be deleted. */
TEST(poison, a_pod_that_does_not_decode)
{
    struct sim *s = story_new(1, 2);
    story_pod(s, "one", "1", "Always", "");
    sim_run(s, SPAN_S(3));
    rot(s, "Pod", "one", noise);
    sim_delete(s, "Pod", "one", 0);
    sim_run(s, SPAN_S(40));
    story_pod(s, "one", "1", "Always", "");
    sim_run(s, SPAN_S(20));
    cr_assert_str_eq(phase_of(s, "one"), "Running");
    sim_free(s);
}
