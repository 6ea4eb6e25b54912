/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h -- protobuf's encoding, field by field.
 *
 * WHAT   Varints, tags and lengths (protobuf.dev, Encoding), read from bytes and appended to a
 *        buffer. Knows no schema: api/transcode.h does.
 * WHY    Stored objects are looked into, rewritten and checked without being unpacked.
 * OWNS   Nothing: what is read is borrowed from the bytes.
 * FAILS  A reader that met something impossible says false and sets broken; groups are refused.
 */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include "base/buf.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

enum { WIRE_VARINT_MAX = 10, WIRE_FIELD_MAX = (1 << 29) - 1 };

struct wire_reader {
    const uint8_t *at, *end;
    bool broken; /* Sticky. */
};

struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;   /* WIRE_VARINT, WIRE_FIXED64, WIRE_FIXED32. */
    struct str bytes; /* WIRE_BYTES. */
};

static inline struct wire_reader wire_read(struct str bytes)
{
    const uint8_t *at = (const uint8_t *)(bytes.at == NULL ? "" : bytes.at);
    return (struct wire_reader){at, at + bytes.len, false};
}

bool wire_next_any(struct wire_reader *r,
                   struct wire_field *out); /* The slow half of wire_next(). */

/* The next field; false at the end or when broken. */
static inline bool wire_next(struct wire_reader *r, struct wire_field *out)
{
    const uint8_t *at = r->at;
    /* Nearly all are text or a message of less than 128 bytes under a number below 16. */
    if (r->end - at < 2 || (at[0] & 0x87) != WIRE_BYTES || at[0] < 8 || at[1] >= 0x80 ||
        at[1] > r->end - at - 2 || r->broken)
        return wire_next_any(r, out);
    *out = (struct wire_field){at[0] >> 3, WIRE_BYTES, 0, {(const char *)at + 2, at[1]}};
    r->at = at + 2 + at[1];
    return true;
}

/* The next bare varint, as a packed list holds them; false at the end or when broken. */
bool wire_varint(struct wire_reader *r, uint64_t *out);

/* The first field of that number and type WIRE_BYTES; {NULL, 0} when there is none. */
struct str wire_find_bytes(struct str message, uint32_t number);

/* The first field of that number and type WIRE_VARINT; 0 when there is none. */
uint64_t wire_find_u64(struct str message, uint32_t number);

/* The next field of that number and type WIRE_BYTES: the elements of a list. False at the end. */
bool wire_next_bytes(struct wire_reader *r, uint32_t number, struct str *out);

void wire_put_varint(struct buf *out, uint64_t value);
void wire_put_tag(struct buf *out, uint32_t number, enum wire_type type);
void wire_put_u64(struct buf *out, uint32_t number, uint64_t value); /* Also bool and int64. */
void wire_put_bytes(struct buf *out, uint32_t number, struct str bytes);

/* Bytes that value takes as a varint: 1 to 10. */
static inline uint32_t wire_varint_len(uint64_t value)
{
    return (uint32_t)((63 - __builtin_clzll(value | 1)) * 9 + 73) / 64;
}

/* Bytes that wire_put_bytes() appends for len bytes under that number. */
static inline size_t wire_bytes_len(uint32_t number, size_t len)
{
    return wire_varint_len((uint64_t)number << 3) + wire_varint_len(len) + len;
}

/* A message whose length is not known yet: begin, append its fields to out, end. begin returns
 * where its length goes; end may move what was appended by a few bytes. */
size_t wire_begin(struct buf *out, uint32_t number);
void wire_end(struct buf *out, size_t begin);

#endif /* BASE_WIRE_H */
