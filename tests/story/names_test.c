/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler's table of names: what comes and goes does not fill it, and who finds it full waits for who leaves. */
#include "tests/story/story.h"

#include <stdio.h>

enum { NAMES_MAX = 64 };

static struct sim *small_table(uint32_t cores)
{
    struct sim *s = sim_new(&(struct sim_options){
        .seed = 1, .nodes = 2, .cores = cores, .threads_per_core = 1, .names_max = NAMES_MAX});
    sim_run(s, SPAN_S(1));
    return s;
}

/* As a Job makes them: several labels that no other workload has. */
static void job_pod(struct sim *s, uint32_t i)
{
    char json[1024];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"job-%u\",\"namespace\":\"default\",\"labels\":{"
             "\"controller-uid\":\"uid-%u\",\"job-name\":\"name-%u\"}},\"spec\":{"
             "\"restartPolicy\":\"Never\",\"terminationGracePeriodSeconds\":1,"
             "\"tolerations\":[{\"key\":\"only-%u\",\"operator\":\"Exists\"}],"
             "\"topologySpreadConstraints\":[{\"maxSkew\":5,\"topologyKey\":"
             "\"kubernetes.io/hostname\",\"whenUnsatisfiable\":\"DoNotSchedule\",\"labelSelector\":"
             "{\"matchLabels\":{\"job-name\":\"name-%u\"}}}],"
             "\"containers\":[{\"name\":\"a\",\"image\":\"x\"}]}}",
             i, i, i, i, i);
    sim_create(s, "Pod", json);
}

static bool is_placed(struct sim *s, uint32_t i)
{
    char name[32];
    snprintf(name, sizeof name, "pods.job-%u", i);
    return sim_field(s, "Placement", name, "spec.node").len > 0;
}

static void forget(struct sim *s, uint32_t i)
{
    char name[32];
    snprintf(name, sizeof name, "job-%u", i);
    sim_delete(s, "Pod", name, 0);
}

TEST(names, jobs_without_end_do_not_fill_the_table)
{
    struct sim *s = small_table(4);
    for (uint32_t i = 0; i < 200; i++) {
        job_pod(s, i);
        sim_run(s, SPAN_MS(300));
        cr_assert(is_placed(s, i), "pod %u", i);
        if (i >= 3)
            forget(s, i - 3);
    }
    sim_free(s);
}

TEST(names, a_full_table_is_waited_for)
{
    struct sim *s = small_table(16);
    char name[32];
    uint32_t last = 0;
    for (; last == 0 || is_placed(s, last); sim_run(s, SPAN_MS(300))) {
        job_pod(s, ++last);
        cr_assert_lt(last, (uint32_t)NAMES_MAX);
    }
    cr_assert_gt(last, 5u);
    snprintf(name, sizeof name, "job-%u", last);
    struct str why = sim_field(s, "Pod", name, "status.conditions.0.message");
    cr_expect(str_starts(why, STR("scheduler holds ")), STR_FMT, STR_ARG(why));
    forget(s, 1);
    forget(s, 2);
    sim_run(s, SPAN_S(12)); /* Rested, at the most. */
    cr_expect(is_placed(s, last));
    sim_free(s);
}
