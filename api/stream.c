/* SPDX-License-Identifier: Apache-2.0 */
#include "api/stream.h"

#include "base/wire.h"
#include "proto/baton/agent/v1.pb-c.h"

/* Numbers of proto/baton/agent/v1.proto. */
enum { SERVER_OPEN_STREAM = 6, AGENT_STREAM_ERROR = 8 };
enum { OPEN_ID = 1, OPEN_KIND = 2, OPEN_PLACEMENT = 3, OPEN_CONTAINER = 4, OPEN_LOGS = 5 };
enum { LOGS_FOLLOW = 1, LOGS_PREVIOUS, LOGS_TIMESTAMPS, LOGS_TAIL, LOGS_LIMIT, LOGS_SINCE };
enum { FRAME_ID = 1, FRAME_CHANNEL = 2, FRAME_DATA = 3 };
enum { ERROR_ID = 1, ERROR_CODE = 2, ERROR_TEXT = 3 };

void stream_frame_read(struct str bytes, struct stream_frame *out)
{
    struct wire_reader r = wire_read(bytes);
    struct wire_field f;
    *out = (struct stream_frame){.channel = STREAM_STDOUT};
    while (wire_next(&r, &f)) {
        if (f.number == FRAME_ID && f.type == WIRE_VARINT)
            out->id = f.value;
        else if (f.number == FRAME_CHANNEL && f.type == WIRE_VARINT)
            out->channel = f.value;
        else if (f.number == FRAME_DATA && f.type == WIRE_BYTES)
            out->data = f.bytes;
    }
}

void stream_data_put(struct buf *out, struct str data)
{
    wire_put_bytes(out, FRAME_DATA, data);
}

bool stream_refusal_read(struct str message, struct stream_refusal *out)
{
    struct wire_reader whole = wire_read(message);
    struct wire_field f;
    uint64_t code = 0;
    if (!wire_next(&whole, &f) || f.number != AGENT_STREAM_ERROR || f.type != WIRE_BYTES)
        return false;
    struct wire_reader r = wire_read(f.bytes);
    *out = (struct stream_refusal){.text = {NULL, 0}};
    while (wire_next(&r, &f)) {
        if (f.number == ERROR_ID && f.type == WIRE_VARINT)
            out->id = f.value;
        else if (f.number == ERROR_CODE && f.type == WIRE_VARINT)
            code = f.value;
        else if (f.number == ERROR_TEXT && f.type == WIRE_BYTES)
            out->text = f.bytes;
    }
    out->code = code >= 400 && code <= 599 ? (uint32_t)code : 500;
    return true;
}

static void put_logs(struct buf *out, const struct stream_wish *w)
{
    size_t logs = wire_begin(out, OPEN_LOGS);
    wire_put_u64(out, LOGS_FOLLOW, w->follow);
    wire_put_u64(out, LOGS_PREVIOUS, w->previous);
    wire_put_u64(out, LOGS_TIMESTAMPS, w->timestamps);
    if (w->tail_lines >= 0)
        wire_put_u64(out, LOGS_TAIL, (uint64_t)w->tail_lines);
    if (w->limit_bytes > 0)
        wire_put_u64(out, LOGS_LIMIT, (uint64_t)w->limit_bytes);
    if (w->since_ns > 0)
        wire_put_u64(out, LOGS_SINCE, (uint64_t)w->since_ns);
    wire_end(out, logs);
}

void stream_open_put(struct buf *out, uint64_t id, const struct stream_wish *w)
{
    size_t open = wire_begin(out, SERVER_OPEN_STREAM);
    wire_put_u64(out, OPEN_ID, id);
    wire_put_u64(out, OPEN_KIND,
                 w->console ? AGENT__STREAM_KIND__STREAM_KIND_CONSOLE
                            : AGENT__STREAM_KIND__STREAM_KIND_LOGS);
    wire_put_bytes(out, OPEN_PLACEMENT, w->placement_uid);
    wire_put_bytes(out, OPEN_CONTAINER, w->container);
    if (!w->console)
        put_logs(out, w);
    wire_end(out, open);
}
