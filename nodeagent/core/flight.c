/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/core/flight.h"
#include "api/typed.h"
#include "nodeagent/core/flight_priv.h"

/* Images before they are made small: of every workload there may be, and the agent itself. */
enum { AGENT_IMAGES_MAX = 64 << 20 };

const char *const flight_event_names[EV_MEASURED + 1] = {
    [EV_SAVED] = "SAVED",
    [EV_STARTED] = "STARTED",
    [EV_SESSION_OPENED] = "SESSION_OPENED",
    [EV_SESSION_MESSAGE] = "SESSION_MESSAGE",
    [EV_SESSION_CLOSED] = "SESSION_CLOSED",
    [EV_HOST_DONE] = "HOST_DONE",
    [EV_RUNTIME] = "RUNTIME",
    [EV_DEADLINE] = "DEADLINE",
    [EV_IMAGES] = "IMAGES",
    [EV_MEASURED] = "MEASURED",
};

/* ---- frames ---- */

static void put(struct flight *f, const Flight__Frame *frame, size_t len)
{
    uint8_t *at = recorder_begin(&f->frames, len);
    if (at == NULL)
        return;
    flight__frame__pack(frame, at);
    recorder_end(&f->frames, len);
}

/* At most half of a half: the rest is for what happens. */
static void put_snapshot(struct flight *f, const struct agent *agent, uint64_t stepped)
{
    Flight__Frame frame = FLIGHT__FRAME__INIT;
    Flight__Snapshot s;
    struct arena a;

    arena_init(&a, 2 * f->frames.half_bytes + AGENT_IMAGES_MAX);
    if (flight__snapshot_from(&a, agent, &s)) {
        s.has_sequence = true;
        s.sequence = stepped;
        frame.frame_case = FLIGHT__FRAME__FRAME_SNAPSHOT;
        frame.snapshot = &s;
        size_t len = flight__frame__get_packed_size(&frame);
        if (len <= f->frames.half_bytes / 2)
            put(f, &frame, len);
    }
    arena_free(&a);
}

/* stepped: the last event that the agent has had. */
static void add(struct flight *f, const struct agent *a, uint64_t stepped,
                const Flight__Frame *frame)
{
    size_t len = flight__frame__get_packed_size(frame);
    if (recorder_turns(&f->frames, len)) {
        recorder_turn(&f->frames);
        put_snapshot(f, a, stepped);
    }
    put(f, frame, len);
}

void flight_init(struct flight *f, const struct agent_config *config, size_t bytes)
{
    Flight__Frame frame = FLIGHT__FRAME__INIT;
    Flight__Config c;
    struct arena a;

    *f = (struct flight){0};
    recorder_init(&f->frames, STR(FLIGHT_MAGIC), bytes / 2);
    arena_init(&a, RECORDER_HEAD_MAX);
    flight__config_from(&a, config, &c);
    frame.frame_case = FLIGHT__FRAME__FRAME_CONFIG;
    frame.config = &c;
    size_t len = flight__frame__get_packed_size(&frame);
    uint8_t *at = arena_alloc(&a, len);
    if (at != NULL) {
        flight__frame__pack(&frame, at);
        recorder_keep(&f->frames, str_from((const char *)at, len));
    }
    arena_free(&a);
}

void flight_fini(struct flight *f)
{
    recorder_fini(&f->frames);
}

void flight_event(struct flight *f, const struct agent *agent, const struct agent_event *ev)
{
    Flight__Frame frame = FLIGHT__FRAME__INIT;
    Flight__Event e;
    struct arena a;

    arena_init(&a, 4 * AGENT_MESSAGE_MAX);
    f->sequence++;
    flight__event_from(&a, ev, &e);
    e.has_sequence = true;
    e.sequence = f->sequence;
    frame.frame_case = FLIGHT__FRAME__FRAME_EVENT;
    frame.event = &e;
    if (!a.overflow)
        add(f, agent, f->sequence - 1, &frame);
    arena_free(&a);
}

void flight_done(struct flight *f, const struct agent *agent, const struct agent_effects *fx)
{
    Flight__Frame frame = FLIGHT__FRAME__INIT;
    Flight__Done done = FLIGHT__DONE__INIT;
    struct arena a;

    arena_init(&a, 1 << 20);
    done.has_sequence = done.has_effects_count = done.has_effects_hash = true;
    done.sequence = f->sequence;
    done.effects_count = fx->count;
    done.effects_hash = flight_hash(fx);
    done.trace = arena_dup(&a, agent_trace(agent));
    frame.frame_case = FLIGHT__FRAME__FRAME_DONE;
    frame.done = &done;
    add(f, agent, f->sequence, &frame);
    arena_free(&a);
}

struct str flight_snapshot(struct arena *arena, const struct agent *a)
{
    Flight__Snapshot s;
    if (!flight__snapshot_from(arena, a, &s))
        return (struct str){NULL, 0};
    return flight__packed(arena, &s.base);
}

/* FNV-1a: the same in every life, which str_hash() is not made for. */
static uint64_t mix(uint64_t h, struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        h = (h ^ (uint8_t)bytes.at[i]) * 0x100000001b3;
    return (h ^ 0xff) * 0x100000001b3;
}

static uint64_t mix_number(uint64_t h, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        h = (h ^ (number >> 8 * i & 0xff)) * 0x100000001b3;
    return h;
}

uint64_t flight_hash(const struct agent_effects *fx)
{
    uint64_t h = 0xcbf29ce484222325;
    for (uint32_t i = 0; i < fx->count; i++) {
        const struct agent_effect *one = &fx->at[i];
        h = mix_number(mix_number(h, one->type), one->op);
        h = mix_number(mix_number(h, one->kind), one->logs + 2u * one->unsynced);
        h = mix(mix(h, one->uid), one->id);
        h = mix_number(h, one->bytes.len);
    }
    return h;
}

/* ---- reading ---- */

bool flight_next(struct str *rest, struct arena *a, Flight__Frame **out)
{
    ProtobufCAllocator allocator = typed_allocator(a);
    struct str frame;
    if (!recorder_next(rest, &frame))
        return false;
    *out = flight__frame__unpack(&allocator, frame.len, (const uint8_t *)frame.at);
    return *out != NULL;
}
