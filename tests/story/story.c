/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/story/story.h"

#include <stdio.h>

struct sim *story_new(uint32_t nodes, uint32_t cores)
{
    struct sim *s = sim_new(
        &(struct sim_options){.seed = 1, .nodes = nodes, .cores = cores, .threads_per_core = 1});
    sim_run(s, SPAN_S(1));
    s->options.story = true;
    return s;
}

void story_pod(struct sim *s, const char *name, const char *cpu, const char *policy,
               const char *args)
{
    char json[768], resources[256] = "";
    if (cpu[0] != '\0')
        snprintf(resources, sizeof resources,
                 ",\"resources\":{\"requests\":{\"cpu\":\"%s\",\"memory\":\"16Mi\"},"
                 "\"limits\":{\"cpu\":\"%s\",\"memory\":\"16Mi\"}}",
                 cpu, cpu);
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{"
             "\"restartPolicy\":\"%s\",\"terminationGracePeriodSeconds\":2,\"containers\":[{"
             "\"name\":\"a\",\"image\":\"x\"%s%s%s}]}}",
             name, policy, args[0] == '\0' ? "" : ",\"args\":", args, resources);
    sim_create(s, "Pod", json);
}

void story_machine(struct sim *s, const char *name, uint32_t cores, bool dedicated)
{
    char json[768];
    snprintf(json, sizeof json,
             "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"},\"spec\":{"
             "\"terminationGracePeriodSeconds\":2,\"domain\":{\"cpu\":{\"cores\":%u,"
             "\"dedicatedCpuPlacement\":%s},\"memory\":{\"guest\":\"64Mi\"},\"devices\":{},"
             "\"firmware\":{\"kernelBoot\":{\"container\":{\"image\":\"k\",\"kernelPath\":"
             "\"/vmlinuz\"}}}}}}",
             name, cores, dedicated ? "true" : "false");
    sim_create(s, "VirtualMachineInstance", json);
}

void story_is(struct sim *s, const char *expected)
{
    struct str have = buf_str(&s->story);
    if (!str_is(have, expected))
        fprintf(stderr, "the story is:\n" STR_FMT, STR_ARG(have));
    cr_expect(str_is(have, expected), "the story is another one");
    buf_clear(&s->story);
}
