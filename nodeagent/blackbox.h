/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blackbox.h -- gets the flight recorder's frames onto the disk: when asked, and when the program dies of a fault.
 *
 * WHAT   STATE/flight/crash at SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT, which is how CHECK() ends; then whoever handled
 *        the signal before does so. STATE/flight/asked by blackbox_write(). Mode 0600; flight.h says what is not in them.
 * WHY    In a handler only what signal-safety(7) allows: open, write, fsync, close of bytes that lie ready.
 * OWNS   One program, one recorder, until it ends: a signal knows no owner.
 * FAILS  A full disk leaves a shorter file, whose whole frames can still be read. An earlier crash is kept as crash.previous.
 */
#ifndef NODEAGENT_BLACKBOX_H
#define NODEAGENT_BLACKBOX_H

#include "nodeagent/core/flight.h"

/* recorder: as long as the program. What the last life left is said in the log. */
MUST_USE enum err_code blackbox_open(const char *state, const struct flight *recorder,
                                     struct err *e);
MUST_USE enum err_code blackbox_write(struct err *e);

#define BLACKBOX_ASKED "flight/asked"

#endif /* NODEAGENT_BLACKBOX_H */
