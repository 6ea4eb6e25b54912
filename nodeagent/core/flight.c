/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/core/flight.h"
#include "base/mem.h"
#include "nodeagent/core/flight_priv.h"

enum { PREFIX = 4 };

const char *const flight_event_names[EV_DEADLINE + 1] = {
    [EV_SAVED] = "SAVED",
    [EV_STARTED] = "STARTED",
    [EV_SESSION_OPENED] = "SESSION_OPENED",
    [EV_SESSION_MESSAGE] = "SESSION_MESSAGE",
    [EV_SESSION_CLOSED] = "SESSION_CLOSED",
    [EV_HOST_DONE] = "HOST_DONE",
    [EV_RUNTIME] = "RUNTIME",
    [EV_DEADLINE] = "DEADLINE",
};

/* ---- frames ---- */

static void put_length(uint8_t out[PREFIX], size_t len)
{
    for (int i = 0; i < PREFIX; i++)
        out[i] = (uint8_t)(len >> 8 * i);
}

/* The half's length moves last: what a crash finds is whole. */
static void add(struct flight *f, const Flight__Frame *frame)
{
    struct flight_half *half = &f->halves[f->now];
    size_t len = flight__frame__get_packed_size(frame);
    if (PREFIX + len > FLIGHT_HALF_BYTES)
        return;
    if (half->len + PREFIX + len > FLIGHT_HALF_BYTES) {
        f->now = !f->now;
        half = &f->halves[f->now];
        half->len = 0;
    }
    put_length(half->at + half->len, len);
    flight__frame__pack(frame, half->at + half->len + PREFIX);
    half->len += PREFIX + len;
}

void flight_init(struct flight *f, const struct agent_config *config)
{
    Flight__Frame frame = FLIGHT__FRAME__INIT;
    Flight__Config c;
    uint8_t prefix[PREFIX];
    struct arena a;

    *f = (struct flight){0};
    for (int i = 0; i < 2; i++)
        f->halves[i].at = mem_alloc(FLIGHT_HALF_BYTES);
    arena_init(&a, FLIGHT_HALF_BYTES);
    flight__config_from(&a, config, &c);
    frame.frame_case = FLIGHT__FRAME__FRAME_CONFIG;
    frame.config = &c;
    size_t len = flight__frame__get_packed_size(&frame);
    uint8_t *bytes = arena_alloc(&a, len);
    buf_init(&f->head, FLIGHT_HALF_BYTES);
    buf_add(&f->head, STR(FLIGHT_MAGIC));
    if (bytes != NULL) {
        flight__frame__pack(&frame, bytes);
        put_length(prefix, len);
        buf_add(&f->head, str_from((const char *)prefix, PREFIX));
        buf_add(&f->head, str_from((const char *)bytes, len));
    }
    arena_free(&a);
}

void flight_fini(struct flight *f)
{
    buf_free(&f->head);
    for (int i = 0; i < 2; i++)
        mem_free(f->halves[i].at);
}

void flight_event(struct flight *f, const struct agent_event *ev)
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
        add(f, &frame);
    arena_free(&a);
}

void flight_done(struct flight *f, const struct agent_effects *fx, struct str trace)
{
    Flight__Frame frame = FLIGHT__FRAME__INIT;
    Flight__Done done = FLIGHT__DONE__INIT;
    struct arena a;

    arena_init(&a, 1 << 20);
    done.has_sequence = done.has_effects_count = done.has_effects_hash = true;
    done.sequence = f->sequence;
    done.effects_count = fx->count;
    done.effects_hash = flight_hash(fx);
    done.trace = arena_dup(&a, trace);
    frame.frame_case = FLIGHT__FRAME__FRAME_DONE;
    frame.done = &done;
    add(f, &frame);
    arena_free(&a);
}

void flight_parts(const struct flight *f, struct str out[FLIGHT_PARTS])
{
    const struct flight_half *older = &f->halves[!f->now], *newer = &f->halves[f->now];
    out[0] = (struct str){f->head.at, f->head.len};
    out[1] = (struct str){(const char *)older->at, older->len};
    out[2] = (struct str){(const char *)newer->at, newer->len};
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
        h = mix_number(mix_number(h, one->kind), one->logs);
        h = mix(mix(h, one->uid), one->id);
        h = mix_number(h, one->bytes.len);
    }
    return h;
}

/* ---- reading ---- */

static void *take(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void keep(void *arena, void *at)
{
    (void)arena;
    (void)at;
}

bool flight_next(struct str *rest, struct arena *a, Flight__Frame **out)
{
    ProtobufCAllocator allocator = {take, keep, a};
    size_t len = 0;
    if (rest->len < PREFIX)
        return false;
    for (int i = 0; i < PREFIX; i++)
        len |= (size_t)(uint8_t)rest->at[i] << 8 * i;
    if (len > FLIGHT_FRAME_MAX || len > rest->len - PREFIX)
        return false;
    *out = flight__frame__unpack(&allocator, len, (const uint8_t *)rest->at + PREFIX);
    *rest = str_slice(*rest, PREFIX + len, rest->len);
    return *out != NULL;
}
