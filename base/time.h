/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time.h -- three kinds of time that do not mix.
 *
 * WHAT   instant: a point on the monotonic clock. span: a length. wall: the calendar, for
 *        timestamps, certificates and schedules only. Nanoseconds each, in structs, so that adding
 *        two instants does not compile.
 * WHY    Cores are handed now and wall in every event; nothing here reads a clock (io/clock.h does).
 */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include "base/err.h"
#include "base/str.h"

struct instant {
    int64_t ns; /* Since the machine's start; 0 means "never" in deadlines. */
};

struct span {
    int64_t ns;
};

struct wall {
    int64_t ns; /* Since 1970-01-01T00:00:00Z, without leap seconds. */
};

#define SPAN_MS(n) ((struct span){(int64_t)(n)*1000000})
#define SPAN_S(n) ((struct span){(int64_t)(n)*1000000000})

/* Of a number from outside: none at least, 68 years at most, so that it can be added to any instant. */
static inline struct span span_seconds(int64_t seconds)
{
    return SPAN_S(seconds < 0 ? 0 : seconds > INT32_MAX ? INT32_MAX : seconds);
}

static inline struct instant instant_add(struct instant at, struct span by)
{
    return (struct instant){at.ns + by.ns};
}

static inline struct span instant_sub(struct instant later, struct instant earlier)
{
    return (struct span){later.ns - earlier.ns};
}

/* The earlier of two deadlines, where 0 is never. */
static inline struct instant instant_earlier(struct instant a, struct instant b)
{
    if (a.ns == 0 || b.ns == 0)
        return a.ns == 0 ? b : a;
    return a.ns < b.ns ? a : b;
}

static inline bool instant_due(struct instant deadline, struct instant now)
{
    return deadline.ns != 0 && deadline.ns <= now.ns;
}

static inline int64_t wall_seconds(struct wall at)
{
    return at.ns / 1000000000;
}

enum { WALL_TEXT_MAX = 32 };

/* RFC 3339 in UTC: "2026-11-21T08:48:00Z", and with six or nine digits of fraction. */
size_t wall_print(struct wall at, char out[WALL_TEXT_MAX]);
size_t wall_print_micro(struct wall at, char out[WALL_TEXT_MAX]);
size_t wall_print_nano(struct wall at, char out[WALL_TEXT_MAX]);

/* RFC 3339, any offset, any fraction up to nine digits; years 0001 to 9999. */
MUST_USE enum err_code wall_parse(struct str text, struct wall *out);

#endif /* BASE_TIME_H */
