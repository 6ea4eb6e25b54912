/* SPDX-License-Identifier: Apache-2.0 */
/* A flight recording that may be anything: frames, configuration, events. */
#include "nodeagent/core/flight.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_from((const char *)data, size);
    struct agent_config config;
    struct agent_event ev;
    Flight__Frame *frame;
    struct arena a;

    arena_init(&a, 16 << 20);
    while (flight_next(&rest, &a, &frame)) {
        if (frame->frame_case == FLIGHT__FRAME__FRAME_CONFIG)
            (void)flight_config_of(frame->config, &config);
        else if (frame->frame_case == FLIGHT__FRAME__FRAME_EVENT)
            (void)flight_event_of(frame->event, &a, &ev);
    }
    arena_free(&a);
    return 0;
}
