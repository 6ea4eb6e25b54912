/* SPDX-License-Identifier: Apache-2.0 */
#include "io/grpc.h"

#include "base/check.h"

#include <stdio.h>

enum { UNCOMPRESSED = 0 };

struct blob *grpc_frame_reserve(uint32_t len)
{
    struct blob *b = blob_reserve(GRPC_FRAME_HEAD + len);

    b->at[0] = UNCOMPRESSED;
    b->at[1] = (char)(len >> 24);
    b->at[2] = (char)(len >> 16);
    b->at[3] = (char)(len >> 8);
    b->at[4] = (char)len;
    return b;
}

struct blob *grpc_frame(struct str message)
{
    CHECK(message.len < UINT32_MAX - GRPC_FRAME_HEAD);
    struct blob *b = grpc_frame_reserve((uint32_t)message.len);
    if (message.len > 0)
        memcpy(b->at + GRPC_FRAME_HEAD, message.at, message.len);
    return b;
}

void grpc_reader_init(struct grpc_reader *r, size_t message_max)
{
    buf_init(&r->held, message_max + GRPC_FRAME_HEAD);
    r->message_max = message_max;
}

void grpc_reader_free(struct grpc_reader *r)
{
    buf_free(&r->held);
}

bool grpc_reader_is_cut(const struct grpc_reader *r)
{
    return r->held.len > 0;
}

/* How long the frame at the front of bytes is, head included; 0: the head is not there yet. */
static enum err_code frame_size(struct str bytes, size_t message_max, size_t *out, struct err *e)
{
    *out = 0;
    if (bytes.len < GRPC_FRAME_HEAD)
        return ERR_OK;
    const unsigned char *at = (const unsigned char *)bytes.at;
    uint32_t len = (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 8 | at[4];
    if (at[0] != UNCOMPRESSED)
        return err_set(e, ERR_INVALID, "gRPC: compressed messages were not agreed on");
    if (len > message_max)
        return err_set(e, ERR_LIMIT, "gRPC: message of %u bytes, the limit is %zu", len,
                       message_max);
    *out = GRPC_FRAME_HEAD + (size_t)len;
    return ERR_OK;
}

/* Fills held from bytes up to its frame's end. True: it is complete. */
static enum err_code complete_held(struct grpc_reader *r, struct str *bytes, bool *out_done,
                                   struct err *e)
{
    size_t size = 0, want = GRPC_FRAME_HEAD;

    for (;;) {
        enum err_code code = frame_size(buf_str(&r->held), r->message_max, &size, e);
        if (code != ERR_OK)
            return code;
        want = size == 0 ? GRPC_FRAME_HEAD : size;
        if (r->held.len == want || bytes->len == 0)
            break;
        size_t step = min_size(want - r->held.len, bytes->len);
        buf_add(&r->held, str_slice(*bytes, 0, step));
        *bytes = str_slice(*bytes, step, bytes->len);
    }
    *out_done = size != 0 && r->held.len == size;
    return ERR_OK;
}

enum err_code grpc_reader_feed(struct grpc_reader *r, struct str bytes,
                               bool (*message)(void *arg, struct str bytes), void *arg,
                               struct err *e)
{
    bool done = false, more = true;
    size_t size;

    if (r->held.len > 0) {
        enum err_code code = complete_held(r, &bytes, &done, e);
        if (code != ERR_OK || !done)
            return code;
        more = message(arg, str_slice(buf_str(&r->held), GRPC_FRAME_HEAD, r->held.len));
        buf_free(&r->held);
    }
    while (more && bytes.len > 0) { /* Whole frames are not copied. */
        enum err_code code = frame_size(bytes, r->message_max, &size, e);
        if (code != ERR_OK)
            return code;
        if (size == 0 || size > bytes.len) {
            buf_add(&r->held, bytes);
            return ERR_OK;
        }
        more = message(arg, str_slice(bytes, GRPC_FRAME_HEAD, size));
        bytes = str_slice(bytes, size, bytes.len);
    }
    return ERR_OK;
}

/* ---- status ---- */

/* Percent-encoding as gRPC's grpc-message has it: everything but printable ASCII, and "%". */
static struct str escape(struct str text, char *out, size_t size)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t len = 0;

    for (size_t i = 0; i < text.len && len + 3 <= size; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c >= ' ' && c <= '~' && c != '%') {
            out[len++] = (char)c;
        } else {
            out[len++] = '%';
            out[len++] = hex[c >> 4];
            out[len++] = hex[c & 15];
        }
    }
    return str_from(out, len);
}

static const struct str status_digits[] = {
    STR("0"), STR("1"),  STR("2"),  STR("3"),  STR("4"),  STR("5"),  STR("6"),  STR("7"),  STR("8"),
    STR("9"), STR("10"), STR("11"), STR("12"), STR("13"), STR("14"), STR("15"), STR("16"),
};

uint32_t grpc_trailers(enum grpc_status status, struct str message, char *scratch,
                       size_t scratch_size, struct http_header out[2])
{
    out[0] = (struct http_header){STR("grpc-status"), status_digits[status]};
    if (message.len == 0)
        return 1;
    out[1] = (struct http_header){STR("grpc-message"), escape(message, scratch, scratch_size)};
    return 2;
}

enum grpc_status grpc_status_of(const struct http_headers *h, struct str *out_message)
{
    struct str digits = http_header(h, "grpc-status");
    uint64_t value = GRPC_UNKNOWN;

    *out_message = http_header(h, "grpc-message");
    if (digits.len == 0 || str_parse_u64(digits, &value) != ERR_OK || value > GRPC_UNAUTHENTICATED)
        return GRPC_UNKNOWN;
    return (enum grpc_status)value;
}

enum err_code grpc_reason(const struct http_headers *h, struct err *e)
{
    char text[sizeof e->text];
    struct str message;
    size_t len = 0;

    if (http_header(h, "grpc-status").len == 0)
        return ERR_OK;
    enum grpc_status status = grpc_status_of(h, &message);
    if (status == GRPC_OK)
        return ERR_OK;
    if (message.len > sizeof text || !http_unescape(message, false, text, &len))
        len = 0;
    return err_set(e, grpc_to_err(status), "%.*s", (int)len, text);
}

enum grpc_status grpc_from_err(enum err_code code)
{
    static const enum grpc_status of[] = {
        [ERR_OK] = GRPC_OK,
        [ERR_INVALID] = GRPC_INVALID_ARGUMENT,
        [ERR_DENIED] = GRPC_PERMISSION_DENIED,
        [ERR_NOT_FOUND] = GRPC_NOT_FOUND,
        [ERR_CONFLICT] = GRPC_ABORTED,
        [ERR_LIMIT] = GRPC_RESOURCE_EXHAUSTED,
        [ERR_BUSY] = GRPC_UNAVAILABLE,
        [ERR_UNAVAILABLE] = GRPC_UNAVAILABLE,
        [ERR_CORRUPT] = GRPC_DATA_LOSS,
    };
    return of[code];
}

enum err_code grpc_to_err(enum grpc_status status)
{
    switch (status) {
    case GRPC_OK:
        return ERR_OK;
    case GRPC_INVALID_ARGUMENT:
    case GRPC_OUT_OF_RANGE:
    case GRPC_UNIMPLEMENTED:
        return ERR_INVALID;
    case GRPC_PERMISSION_DENIED:
    case GRPC_UNAUTHENTICATED:
        return ERR_DENIED;
    case GRPC_NOT_FOUND:
        return ERR_NOT_FOUND;
    case GRPC_ALREADY_EXISTS:
    case GRPC_FAILED_PRECONDITION:
    case GRPC_ABORTED:
        return ERR_CONFLICT;
    case GRPC_RESOURCE_EXHAUSTED:
        return ERR_LIMIT;
    case GRPC_INTERNAL:
    case GRPC_DATA_LOSS:
        return ERR_CORRUPT;
    case GRPC_CANCELLED:
    case GRPC_UNKNOWN:
    case GRPC_DEADLINE_EXCEEDED:
    case GRPC_UNAVAILABLE:
        break;
    }
    return ERR_UNAVAILABLE;
}
