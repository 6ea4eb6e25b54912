/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.h -- how a function says that the world disappointed it.
 *
 * WHAT   A closed set of codes a caller can act on, and a sentence for the human.
 * WHY    Our own bugs go to CHECK, reached limits are ERR_LIMIT, and what a client of the API sees
 *        is another table (api/status.h) that each code maps to.
 * OWNS   struct err lives on the caller's stack and allocates nothing: it can report that there is
 *        no memory.
 * FAILS  Functions that can fail return enum err_code, take struct err * last and leave their
 *        outputs alone on failure. err may be NULL where the text is not wanted.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/attr.h"
#include <stdbool.h>

/* Every way an operation can fail. again: worth another try, after reading the object anew. */
/* clang-format off */
#define ERR_TABLE(X)                                                        \
    X(ERR_OK,          false, "ok")                                         \
    X(ERR_INVALID,     false, "not valid")                                  \
    X(ERR_DENIED,      false, "not allowed")                                \
    X(ERR_NOT_FOUND,   false, "not found")                                  \
    X(ERR_CONFLICT,    true,  "changed since it was read")                  \
    X(ERR_LIMIT,       false, "over a fixed limit")                         \
    X(ERR_BUSY,        true,  "too much at once; slow down")                \
    X(ERR_UNAVAILABLE, true,  "not reachable now; outcome unknown")         \
    X(ERR_CORRUPT,     false, "bytes do not decode")
/* clang-format on */

enum err_code {
#define X(code, again, text) code,
    ERR_TABLE(X)
#undef X
};

struct err {
    enum err_code code;
    char text[252];
};

/* Set the innermost cause. Returns code, so that it ends a function: return err_set(...). */
enum err_code err_set(struct err *e, enum err_code code, const char *fmt, ...) PRINTF(3, 4);

/* Put what we were doing in front of what went wrong: "load n7: open state: no such file". */
enum err_code err_wrap(struct err *e, const char *fmt, ...) PRINTF(2, 3);

const char *err_name(enum err_code code); /* "ERR_LIMIT" */
const char *err_text(enum err_code code); /* "over a fixed limit" */
bool err_again(enum err_code code);

#endif /* BASE_ERR_H */
