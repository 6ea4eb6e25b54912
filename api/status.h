/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.h -- what a client of the API is told when it does not get what it asked for.
 *
 * WHAT   Kubernetes' reasons with their HTTP code, and the causes of an Invalid: type, field, text.
 * WHY    Eight ERR_ codes serve our own decisions; clients decide by reason, details and code, which
 *        are another, larger table (Kubernetes API conventions, "Response Status Kind").
 * OWNS   Texts live in the arena that the caller passes; a status dies with its request.
 * FAILS  Nothing here fails: what does not fit into the arena is left out, and the arena's own
 *        overflow is found where the answer is sent.
 */
#ifndef API_STATUS_H
#define API_STATUS_H

#include "base/arena.h"
#include "base/buf.h"

/* clang-format off */
/*    row                   code reason                   retry after, s (0: no use) */
#define STATUS_TABLE(X)                                               \
    X(STATUS_SUCCESS,        200, "",                      0)         \
    X(STATUS_BAD_REQUEST,    400, "BadRequest",            0)         \
    X(STATUS_UNAUTHORIZED,   401, "Unauthorized",          0)         \
    X(STATUS_FORBIDDEN,      403, "Forbidden",             0)         \
    X(STATUS_NOT_FOUND,      404, "NotFound",              0)         \
    X(STATUS_METHOD,         405, "MethodNotAllowed",      0)         \
    X(STATUS_NOT_ACCEPTABLE, 406, "NotAcceptable",         0)         \
    X(STATUS_EXISTS,         409, "AlreadyExists",         0)         \
    X(STATUS_CONFLICT,       409, "Conflict",              0)         \
    X(STATUS_EXPIRED,        410, "Expired",               0)         \
    X(STATUS_TOO_LARGE,      413, "RequestEntityTooLarge", 0)         \
    X(STATUS_MEDIA_TYPE,     415, "UnsupportedMediaType",  0)         \
    X(STATUS_INVALID,        422, "Invalid",               0)         \
    X(STATUS_TOO_MANY,       429, "TooManyRequests",       1)         \
    X(STATUS_INTERNAL,       500, "InternalError",         0)         \
    X(STATUS_UNAVAILABLE,    503, "ServiceUnavailable",    1)         \
    X(STATUS_TIMEOUT,        504, "Timeout",               1)         \
    X(STATUS_STORE_FULL,     507, "InsufficientStorage",   0)

/*    cause                  reason                      first words of its message */
#define CAUSE_TABLE(X)                                                        \
    X(CAUSE_REQUIRED,        "FieldValueRequired",       "Required value")    \
    X(CAUSE_INVALID,         "FieldValueInvalid",        "Invalid value")     \
    X(CAUSE_NOT_SUPPORTED,   "FieldValueNotSupported",   "Unsupported value") \
    X(CAUSE_DUPLICATE,       "FieldValueDuplicate",      "Duplicate value")   \
    X(CAUSE_FORBIDDEN,       "FieldValueForbidden",      "Forbidden")         \
    X(CAUSE_TOO_LONG,        "FieldValueTooLong",        "Too long")          \
    X(CAUSE_TOO_MANY,        "FieldValueTooMany",        "Too many")          \
    X(CAUSE_NOT_FOUND,       "FieldValueNotFound",       "Not found")         \
    X(CAUSE_NO_ROOM,         "ResourceVersionTooLarge",  "")                  \
    X(CAUSE_TERMINATING,     "NamespaceTerminating",     "")                  \
    X(CAUSE_DISRUPTION,      "DisruptionBudget",         "")                  \
    X(CAUSE_PLAIN,           "",                         "")
/* clang-format on */

enum status_row {
#define X(row, code, reason, retry) row,
    STATUS_TABLE(X)
#undef X
};

enum cause_type {
#define X(cause, reason, words) cause,
    CAUSE_TABLE(X)
#undef X
};

/* Where in an object something is, built on the stack while going down and printed only when there
 * is something to say: spec.containers[0].resources.requests[cpu]. */
struct field {
    const struct field *up;
    const char *name; /* NULL: an element of up. */
    struct str key;   /* Of a map's element; at is NULL for a list's. */
    uint32_t index;   /* Of a list's element. */
};

struct field field_name(const struct field *up, const char *name);
struct field field_index(const struct field *up, size_t index);
struct field field_key(const struct field *up, struct str key);
struct str field_print(const struct field *f, struct arena *a);

struct cause {
    enum cause_type type;
    struct str field, message; /* message with its first words: "Required value: ...". */
    struct cause *next;
};

enum { CAUSES_MAX = 256 }; /* Of one request; further ones are counted and not told. */

struct causes {
    struct arena *arena;
    struct cause *first, **last;
    uint32_t count;
};

void causes_init(struct causes *c, struct arena *a);

/* What was found wrong with a part of the object, which stands at f. */
void causes_take(struct causes *c, const struct field *f, const struct causes *from);

/* The message is the type's first words, then ": " and the text where there is one. What was sent is
 * quoted with status_quote() by the caller, as in "Invalid value: \"x\": must not be ...". */
void causes_add(struct causes *c, enum cause_type type, const struct field *f, const char *fmt, ...)
    PRINTF(4, 5);

/* The usual three, with the value quoted as text or written as a number. */
void causes_invalid(struct causes *c, const struct field *f, struct str value, const char *why);
void causes_invalid_i64(struct causes *c, const struct field *f, int64_t value, const char *why);

/* values: the supported ones, sorted, NULL at the end. */
void causes_unsupported(struct causes *c, const struct field *f, struct str value,
                        const char *const *values);

/* As Go's %q writes it: in quotes, control bytes and quotes escaped. */
struct str status_quote(struct arena *a, struct str text);

struct status {
    enum status_row row;
    struct str message;
    bool has_details;                  /* False: "details" is left out. */
    struct str name, group, kind, uid; /* Of details; empty ones are left out. */
    const struct cause *causes;
    uint32_t retry_after; /* Seconds; 0: none. */
    struct str next;      /* metadata.continue of an expired page. */
    uint32_t code;        /* 0: the row's own; written for Success too if set. */
};

uint32_t status_code(const struct status *s);

/* Fill *s and return false, so that a refusal ends a function: return status_set(...). */
bool status_set(struct status *s, struct arena *a, enum status_row row, const char *fmt, ...)
    PRINTF(4, 5);

/* An object of group/resource; kind is the plural for all rows but STATUS_INVALID. */
void status_details(struct status *s, struct str group, struct str kind, struct str name);

/* 422 with every cause: KIND.GROUP "NAME" is invalid: field: words. */
bool status_invalid(struct status *s, struct str group, struct str kind, struct str name,
                    const struct causes *c);

/* The row an ERR_ of our own becomes when nothing better is known, with the text of e. */
bool status_err(struct status *s, struct arena *a, const struct err *e);

/* The Status object as JSON, one line with a newline at its end. */
void status_json(const struct status *s, struct buf *out);

#endif /* API_STATUS_H */
