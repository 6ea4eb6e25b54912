/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder.h -- the last frames a program has to tell, in memory, so that they can be written when it dies.
 *
 * WHAT   A head that stays, then two halves to which frames are added, each behind its length (4 bytes, little endian).
 *        When a half is full the other one is forgotten and filled: at least the last half_bytes are there.
 * WHY    A fault leaves no time to encode or allocate: what is to be written lies ready, in three parts.
 * OWNS   The recorder owns the head and both halves; recorder_fini() frees them. A page of them costs memory when it is filled
 *        first, and not before.
 * ASYNC  One thread adds. A signal's handler may take the parts at any moment, on any thread: a half's length moves when the
 *        frame is whole. On another thread it stops the recorder first, or the adding one might begin the half that is being
 *        written; what is added from then on is left out.
 * FAILS  NULL from recorder_begin(): the frame is larger than RECORDER_FRAME_MAX or a half, and is left out.
 */
#ifndef BASE_RECORDER_H
#define BASE_RECORDER_H

#include "base/buf.h"
#include <stdatomic.h>

enum {
    RECORDER_PREFIX = 4,
    RECORDER_PARTS = 3,
    RECORDER_HEAD_MAX = 16 << 20,
    RECORDER_FRAME_MAX = 16 << 20,
};

struct recorder_half {
    uint8_t *at;
    size_t len;
};

struct recorder {
    struct buf head;
    struct recorder_half halves[2];
    size_t half_bytes;
    uint32_t now; /* The half being filled. */
    atomic_bool stopped;
};

/* magic: the file's first bytes. */
void recorder_init(struct recorder *r, struct str magic, size_t half_bytes);
void recorder_fini(struct recorder *r); /* Zeroed is allowed. */

/* Into the head, for good. */
void recorder_keep(struct recorder *r, struct str frame);

/* A frame as a file has it: behind its length. */
void recorder_add_frame(struct buf *to, struct str frame);

/* Would a frame of len bytes begin the other half? */
bool recorder_turns(const struct recorder *r, size_t len);

/* Forget the other half, and fill it from now on. */
void recorder_turn(struct recorder *r);

/* Where to write a frame of len bytes, and that it is written. Nothing else in between. */
uint8_t *recorder_begin(struct recorder *r, size_t len);
void recorder_end(struct recorder *r, size_t len);

/* For good. Calls nothing. */
void recorder_stop(struct recorder *r);

/* What to write to a file, in this order. Calls nothing. */
void recorder_parts(const struct recorder *r, struct str out[RECORDER_PARTS]);

/* The next frame of *rest, which moves behind it. False at the end, or at a frame that is cut or too large. */
bool recorder_next(struct str *rest, struct str *out);

#endif /* BASE_RECORDER_H */
