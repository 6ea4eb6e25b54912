/* SPDX-License-Identifier: Apache-2.0 */
/* A flight recording that may be anything: frames, configuration, events. */
#include "nodeagent/core/flight.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An image of another layout is refused at once: none of a corpus would get further. */
static uint64_t layout_of_this_build(const struct agent_config *config)
{
    struct agent *agent = agent_new(config);
    struct arena a;
    arena_init(&a, 64 << 20);
    struct str bytes = flight_snapshot(&a, agent);
    Flight__Snapshot *s = flight__snapshot__unpack(NULL, bytes.len, (const uint8_t *)bytes.at);
    uint64_t layout = s->layout;
    flight__snapshot__free_unpacked(s, NULL);
    arena_free(&a);
    agent_free(agent);
    return layout;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_from((const char *)data, size);
    const struct agent_config mine = {.node_name = STR("n")};
    struct agent_config config;
    struct agent_event ev;
    Flight__Frame *frame;
    struct arena a;

    arena_init(&a, 64 << 20);
    uint64_t layout = layout_of_this_build(&mine);
    while (flight_next(&rest, &a, &frame)) {
        if (frame->frame_case == FLIGHT__FRAME__FRAME_CONFIG)
            (void)flight_config_of(frame->config, &config);
        else if (frame->frame_case == FLIGHT__FRAME__FRAME_EVENT)
            (void)flight_event_of(frame->event, &a, &ev);
        else if (frame->frame_case == FLIGHT__FRAME__FRAME_SNAPSHOT) {
            frame->snapshot->layout = layout;
            agent_free(flight_agent_of(&mine, frame->snapshot));
        }
    }
    arena_free(&a);
    return 0;
}
