/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h -- the messages of an agent's streams that pass through batond.
 *
 * WHAT   Reads and writes baton.agent.v1 StreamFrame, reads StreamError, writes OpenStream, without
 *        unpacking: a log's bytes are borrowed from the frame they came in.
 * WHY    batond passes on a log or a console at the speed of its copies, and looks only at the ends.
 * OWNS   What is read is borrowed; what is written goes to the caller's buffer.
 * FAILS  A frame is a peer's: what is broken reads as absent.
 */
#ifndef API_STREAM_H
#define API_STREAM_H

#include "base/buf.h"

enum { STREAM_STDIN = 0, STREAM_STDOUT = 1, STREAM_STDERR = 2, STREAM_ERROR = 3 };

struct stream_frame {
    uint64_t id;      /* In the first of each direction; 0 afterwards. */
    uint64_t channel; /* STREAM_STDIN ...; nothing said: STREAM_STDOUT. */
    struct str data;
};

void stream_frame_read(struct str bytes, struct stream_frame *out);
void stream_data_put(struct buf *out, struct str data); /* To the agent: stdin. */

/* An AgentMessage that is a StreamError: a stream that was asked for and does not come. */
struct stream_refusal {
    uint64_t id;
    uint32_t code; /* As HTTP has it, 400 to 599. */
    struct str text;
};

/* False: the message says something else. */
bool stream_refusal_read(struct str message, struct stream_refusal *out);

struct stream_wish {
    struct str placement_uid, container;
    bool console; /* Otherwise logs: */
    bool follow, previous, timestamps;
    int64_t tail_lines, limit_bytes, since_ns; /* -1, 0, 0: not asked for. */
};

/* A ServerMessage that asks the agent to open a stream. */
void stream_open_put(struct buf *out, uint64_t id, const struct stream_wish *w);

#endif /* API_STREAM_H */
