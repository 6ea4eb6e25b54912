/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transcode_priv.h -- what the directions of api/transcode.h share.
 */
#ifndef API_TRANSCODE_PRIV_H
#define API_TRANSCODE_PRIV_H

#include "api/transcode.h"
#include "base/time.h"
#include "base/wire.h"

/* Numbers inside the special messages; Kubernetes'. */
enum { TIME_SECONDS = 1, TIME_NANOS = 2 };
enum { INT_OR_STRING_TYPE = 1, INT_OR_STRING_INT = 2, INT_OR_STRING_TEXT = 3 };
enum { QUANTITY_TEXT = 1, RAW_JSON_BYTES = 1, STRINGS_ITEM = 1 };

/* Nothing nests deeper, in any form. */
enum { TRANSCODE_DEPTH_MAX = 64 };

/* Instants as text and as a message's fields. Zero means: not set (Go's zero time is the year 1). */
bool transcode_time_read(struct str text, bool micro, struct wall *out, struct err *e);
void transcode_time_put(struct buf *out, struct wall at, bool micro);
bool transcode_time_get(struct str bytes, struct wall *out, bool *out_set);

/* Text that any of our strings may be: UTF-8 without NUL. */
static inline bool transcode_is_text(struct str s)
{
    return str_is_text(s);
}

/* The beginning of a client's text for a message: at most max bytes, no character cut. */
static inline struct str transcode_clip(struct str s, size_t max)
{
    size_t len = min_size(s.len, max);
    while (len < s.len && len > 0 && ((uint8_t)s.at[len] & 0xc0) == 0x80)
        len--;
    return (struct str){s.at, len};
}

/* Is an empty one of these what JSON writes as null, and so the same as none at all? */
static inline bool transcode_is_null_when_empty(const struct schema_message *m)
{
    return m->special == SCHEMA_TIME || m->special == SCHEMA_MICRO_TIME ||
           m->special == SCHEMA_RAW_JSON;
}

/* The canonical text of an amount as a Quantity's bytes. optional: none and 0 are the same. */
static inline void transcode_quantity_put(struct buf *out, struct str canonical, bool optional)
{
    if (!optional || !str_is(canonical, "0"))
        wire_put_bytes(out, QUANTITY_TEXT, canonical);
}

/* A field whose message is special, from its own bytes in any form to canonical ones, under that
 * number. False: e says why, or the arena is at its limit. */
bool transcode_put_special(const struct schema_field *f, uint32_t number, struct str bytes,
                           bool keep, struct arena *a, struct buf *out, struct err *e);

/* One entry of a map while it is put into order: bytes [begin, end) of a buffer. */
struct transcode_entry {
    struct str key;
    uint32_t begin, end;
};

struct transcode_entries {
    struct transcode_entry *at;
    uint32_t count, size;
    bool sorted; /* So far, strictly. */
};

/* False when the arena is at its limit. */
bool transcode_entries_add(struct transcode_entries *all, struct arena *a,
                           struct transcode_entry entry);

/* By key; of equal keys the last one written. Says each dropped key to drop, unless NULL. */
void transcode_entries_sort(struct transcode_entries *all,
                            void (*drop)(void *state, struct str key), void *state);

/* Puts the entries' bytes, which are out's from begin on, into the entries' order. */
void transcode_entries_apply(const struct transcode_entries *all, struct buf *out, size_t begin,
                             struct buf *scratch);

#endif /* API_TRANSCODE_PRIV_H */
