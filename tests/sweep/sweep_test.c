/* SPDX-License-Identifier: Apache-2.0 */
/* Trouble at any single point is survived. The first run counts the points; the sweep needs no list
 * of them, so the next fault somebody adds is covered the day it is added. */
#include "tests/story/story.h"

static bool all_is_gone(struct sim *s)
{
    return sim_is_quiet(s) && sim_field(s, "Pod", "web", "metadata.name").len == 0 &&
           sim_field(s, "VirtualMachineInstance", "vm", "metadata.name").len == 0 &&
           sim_field(s, "Placement", "pods.web", "metadata.name").len == 0;
}

/* A guest that dies has failed, and is not run again. */
static bool machine_is_as_it_should(struct sim *s)
{
    struct str phase = sim_field(s, "VirtualMachineInstance", "vm", "status.phase");
    return str_is(phase, "Running") || (str_is(phase, "Failed") && s->hit[SIM_EXITS] > 0);
}

static bool all_runs(struct sim *s)
{
    return sim_is_quiet(s) && str_is(sim_field(s, "Pod", "web", "status.phase"), "Running") &&
           machine_is_as_it_should(s) &&
           str_is(sim_field(s, "Pod", "job", "status.phase"), "Succeeded");
}

static void ask_until(struct sim *s, const char *what, void (*ask)(struct sim *s))
{
    for (uint32_t i = 0; i < 20 && sim_field(s, "Pod", what, "metadata.name").len == 0; i++) {
        if (sim_control_is_up(s))
            ask(s);
        sim_run(s, SPAN_MS(600)); /* A client that was not answered asks again. */
    }
}

static void ask_web(struct sim *s)
{
    story_pod(s, "web", "1", "Always", "");
}

static void ask_job(struct sim *s)
{
    story_pod(s, "job", "", "OnFailure", "[\"exit-after\",\"50\",\"0\"]");
}

static void live(struct sim *s, uint64_t k)
{
    ask_until(s, "web", ask_web);
    ask_until(s, "job", ask_job);
    while (sim_field(s, "VirtualMachineInstance", "vm", "metadata.name").len == 0) {
        if (sim_control_is_up(s))
            story_machine(s, "vm", 1, true);
        sim_run(s, SPAN_MS(600));
    }
    cr_assert(sim_run_until(s, all_runs, SPAN_S(120)), "never all up, point %llu",
              (unsigned long long)k);
    for (uint32_t i = 0; i < 20 && !all_is_gone(s); i++) {
        if (sim_control_is_up(s)) {
            sim_delete(s, "Pod", "web", -1);
            if (sim_control_is_up(s))
                sim_delete(s, "VirtualMachineInstance", "vm", -1);
        }
        sim_run(s, SPAN_S(6));
    }
    cr_assert(sim_run_until(s, all_is_gone, SPAN_S(120)), "never all gone, point %llu",
              (unsigned long long)k);
}

/* Each part in a process of its own: on a machine that is busy one of them would not have its turns in a minute. */
enum { PARTS = 4 };

static void sweep(uint64_t part)
{
    uint64_t points = 1;
    for (uint64_t k = 0; k <= points; k += k == 0 ? 1 + part : PARTS) {
        struct sim *s = sim_new(&(struct sim_options){
            .seed = 1, .nodes = 1, .cores = 3, .threads_per_core = 1, .trip = k});
        sim_run(s, SPAN_S(2));
        live(s, k);
        if (k == 0)
            points = s->points;
        sim_free(s);
    }
    cr_assert_gt(points, 100);
}

TEST(sweep, any_one_fault_converges)
{
    sweep(0);
}

TEST(sweep, any_one_fault_converges_2)
{
    sweep(1);
}

TEST(sweep, any_one_fault_converges_3)
{
    sweep(2);
}

TEST(sweep, any_one_fault_converges_4)
{
    sweep(3);
}

static bool job_is_over(struct sim *s)
{
    return sim_is_quiet(s) && str_is(sim_field(s, "Pod", "job", "status.phase"), "Succeeded");
}

/* It ends while the agent is away, and whatever else fails (the machines' list, and so the moment at which all
 * lists are in), its end is heard of. */
TEST(sweep, an_end_while_the_agent_is_away)
{
    uint64_t points = 1;
    for (uint64_t k = 0; k <= points; k++) {
        struct sim *s = sim_new(&(struct sim_options){
            .seed = 1, .nodes = 1, .cores = 3, .threads_per_core = 1, .trip = k});
        sim_run(s, SPAN_S(2));
        while (sim_field(s, "Pod", "job", "metadata.name").len == 0) {
            if (sim_control_is_up(s))
                story_pod(s, "job", "", "OnFailure", "[\"exit-after\",\"80\",\"0\"]");
            sim_run(s, SPAN_MS(70));
        }
        sim_agent_crash(s, 0);
        cr_assert(sim_run_until(s, job_is_over, SPAN_S(120)), "never over, point %llu",
                  (unsigned long long)k);
        if (k == 0)
            points = s->points;
        sim_free(s);
    }
}
