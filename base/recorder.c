/* SPDX-License-Identifier: Apache-2.0 */
#include "base/recorder.h"

#include "base/check.h"
#include "base/mem.h"

static void put_length(uint8_t out[RECORDER_PREFIX], size_t len)
{
    for (int i = 0; i < RECORDER_PREFIX; i++)
        out[i] = (uint8_t)(len >> 8 * i);
}

void recorder_init(struct recorder *r, struct str magic, size_t half_bytes)
{
    *r = (struct recorder){.half_bytes = half_bytes};
    for (int i = 0; i < 2; i++)
        r->halves[i].at = mem_alloc(half_bytes);
    buf_init(&r->head, RECORDER_HEAD_MAX);
    buf_add(&r->head, magic);
}

void recorder_fini(struct recorder *r)
{
    buf_free(&r->head);
    for (int i = 0; i < 2; i++)
        mem_free(r->halves[i].at);
    *r = (struct recorder){0};
}

void recorder_add_frame(struct buf *to, struct str frame)
{
    uint8_t *at = (uint8_t *)buf_reserve(to, RECORDER_PREFIX + frame.len);
    if (at == NULL)
        return;
    put_length(at, frame.len);
    str_put(at + RECORDER_PREFIX, frame);
    atomic_signal_fence(memory_order_seq_cst);
    buf_commit(to, RECORDER_PREFIX + frame.len);
}

void recorder_keep(struct recorder *r, struct str frame)
{
    recorder_add_frame(&r->head, frame);
}

bool recorder_turns(const struct recorder *r, size_t len)
{
    return r->halves[r->now].len + RECORDER_PREFIX + len > r->half_bytes;
}

void recorder_stop(struct recorder *r)
{
    atomic_store(&r->stopped, true);
}

void recorder_turn(struct recorder *r)
{
    if (atomic_load(&r->stopped))
        return;
    r->halves[!r->now].len = 0;
    atomic_signal_fence(memory_order_seq_cst); /* Never the old bytes behind the new ones. */
    r->now = !r->now;
}

uint8_t *recorder_begin(struct recorder *r, size_t len)
{
    if (len > RECORDER_FRAME_MAX || RECORDER_PREFIX + len > r->half_bytes ||
        atomic_load(&r->stopped))
        return NULL;
    if (recorder_turns(r, len))
        recorder_turn(r);
    struct recorder_half *half = &r->halves[r->now];
    put_length(half->at + half->len, len);
    return half->at + half->len + RECORDER_PREFIX;
}

void recorder_end(struct recorder *r, size_t len)
{
    struct recorder_half *half = &r->halves[r->now];
    atomic_signal_fence(memory_order_seq_cst);
    half->len += RECORDER_PREFIX + len;
    CHECK(half->len <= r->half_bytes);
}

void recorder_parts(const struct recorder *r, struct str out[RECORDER_PARTS])
{
    const struct recorder_half *older = &r->halves[!r->now], *newer = &r->halves[r->now];
    out[0] = (struct str){r->head.at, r->head.len};
    out[1] = (struct str){(const char *)older->at, older->len};
    out[2] = (struct str){(const char *)newer->at, newer->len};
}

bool recorder_next(struct str *rest, struct str *out)
{
    size_t len = 0;
    if (rest->len < RECORDER_PREFIX)
        return false;
    for (int i = 0; i < RECORDER_PREFIX; i++)
        len |= (size_t)(uint8_t)rest->at[i] << 8 * i;
    if (len > RECORDER_FRAME_MAX || len > rest->len - RECORDER_PREFIX)
        return false;
    *out = str_slice(*rest, RECORDER_PREFIX, RECORDER_PREFIX + len);
    *rest = str_slice(*rest, RECORDER_PREFIX + len, rest->len);
    return true;
}
