/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h -- one line per event, in logfmt.
 *
 * WHAT   log_event(LOG_INFO, "pod.bound", "pod=%s node=%s", ...) prints
 *        "ts=2026-11-21T08:48:00.123456Z level=info ev=pod.bound pod=web-1 node=n7".
 * WHY    A stable dotted name to search for, typed keys behind it. error: a human must act. warn:
 *        degraded, and what is done instead. info: a decision. debug: a step.
 *        Cores, api/ and scheduler/ never log: they return effects and errors.
 * OWNS   main() installs the sink; without one, nothing is printed.
 * SAFE   Any thread. A value that may hold a blank, a quote or outsiders' bytes is printed with
 *        log_quote(), which escapes it: a name with a newline cannot forge a line.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/str.h"
#include "base/time.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_sink {
    void (*write)(void *state, struct str line); /* With the newline; called under no lock. */
    struct wall (*wall)(void);
    void *state;
    enum log_level level; /* Less important lines are dropped before formatting. */
};

void log_install(const struct log_sink *sink); /* Once, before threads. Copied. */
bool log_is_on(enum log_level level); /* Would it be printed? For values that are dear to make. */
void log_event(enum log_level level, const char *name, const char *fmt, ...) PRINTF(3, 4);

enum { LOG_LINE_MAX = 2048, LOG_QUOTE_MAX = 256 };

struct log_quoted {
    char text[LOG_QUOTE_MAX + 8];
};

/* "web-1" stays web-1; a b becomes "a b"; control bytes become \xNN. Long ones end in "...".
 * Use: log_event(..., "user=%s", log_quote(name).text). */
struct log_quoted log_quote(struct str value);

#endif /* BASE_LOG_H */
