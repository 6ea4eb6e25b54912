/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h -- one event of a watch, as it stands in the stream.
 *
 * WHAT   JSON: a line {"type":..., "object":...}, whose object the caller writes. Protobuf: four bytes of
 *        length, then a WatchEvent whose object is an envelope of its own.
 * WHY    As list.h: the server knows who gets an event, not how it is written.
 * OWNS   Appended to the caller's buffer.
 *
 * Facts: meta/v1 WatchEvent {type = 1, object = 2 {raw = 1}}; stream=watch framing of the Kubernetes API.
 */
#ifndef API_WATCH_H
#define API_WATCH_H

#include "api/transcode.h"

enum watch_type { WATCH_ADDED, WATCH_MODIFIED, WATCH_DELETED, WATCH_BOOKMARK, WATCH_ERROR };

void watch_json_begin(struct buf *out, enum watch_type type);
void watch_json_end(struct buf *out);

void watch_protobuf(struct buf *out, enum watch_type type, const struct transcode_envelope *object);

/* The bytes of an object that says nothing but a resourceVersion: what a bookmark carries. */
void watch_bookmark(uint64_t revision, struct buf *out);

#endif /* API_WATCH_H */
