/* SPDX-License-Identifier: Apache-2.0 */
/* A control plane's flight recording that may be anything: frames, configuration, events. */
#include "controlplane/core/recording.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_from((const char *)data, size);
    struct recording_parts parts;
    struct core_config config;
    struct core_event ev;
    Flight__Frame *frame;
    struct arena a;

    arena_init(&a, 16 << 20);
    while (recording_next(&rest, &a, &frame)) {
        if (frame->frame_case == FLIGHT__FRAME__FRAME_CONTROL) {
            recording_config_of(frame->control, &config);
        } else if (frame->frame_case == FLIGHT__FRAME__FRAME_TURN) {
            (void)recording_event_of(frame->turn, &parts, &ev);
            recording_parts_free(&parts);
        }
    }
    arena_free(&a);
    return 0;
}
