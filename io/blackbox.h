/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blackbox.h -- gets a flight recorder's frames onto the disk: when asked, and when the program dies of a fault.
 *
 * WHAT   FOLDER/crash at SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT, which is how CHECK() ends; then whoever handled
 *        the signal before does so. FOLDER/asked by blackbox_write(), which a program calls at SIGUSR1, and
 *        another one has it called by blackbox_ask(). Mode 0600; the recording's header says what is not in them.
 * WHY    In a handler only what signal-safety(7) allows: open, write, fsync, close of bytes that lie ready.
 * OWNS   One program, one recorder, until it ends: a signal knows no owner.
 * FAILS  A full disk leaves a shorter file, whose whole frames can still be read. An earlier crash is kept as crash.previous.
 */
#ifndef IO_BLACKBOX_H
#define IO_BLACKBOX_H

#include "base/attr.h"
#include "base/err.h"
#include "base/recorder.h"
#include "base/time.h"

#define BLACKBOX_FOLDER "flight"
#define BLACKBOX_ASKED "asked"

/* folder: made if need be. recorder: as long as the program. What the last life left is said in the log. */
MUST_USE enum err_code blackbox_open(const char *folder, struct recorder *recorder, struct err *e);
MUST_USE enum err_code blackbox_write(struct err *e);

/* ---- asking ---- */

/* Into the lock file that this program holds (fs_lock()): whom to ask. */
void blackbox_say_pid(int lock);

/* Has whoever holds that lock write its recording, and waits until it is there. ERR_NOT_FOUND: nobody holds it. */
MUST_USE enum err_code blackbox_ask(const char *lock, const char *asked, struct span patience,
                                    struct err *e);

#endif /* IO_BLACKBOX_H */
