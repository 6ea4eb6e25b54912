/* SPDX-License-Identifier: Apache-2.0 */
/*
 * powercut.h -- what a disk holds when the power goes.
 *
 * WHAT   Writes down every call that changes files (vfs.h's guard). For any moment in that record it makes the directory
 *        a power cut at that moment could leave: what was synced is there; of the rest each write may be there, be missing,
 *        be torn within a sector or be noise, in any order; new and deleted names last in order, up to some point.
 * WHY    One run of a history serves every cut: thousands of ends without thousands of runs.
 * MODEL  A sync of a file makes its earlier writes last. The first sync of a new -wal or -journal, and a delete that asks
 *        for it, make the directory last, as SQLite's unix VFS does it. A write never harms bytes beside its own range
 *        (sqlite.org/psow.html), which SQLite counts on by default.
 */
#ifndef CONFORMANCE_STORE_POWERCUT_H
#define CONFORMANCE_STORE_POWERCUT_H

#include "base/rng.h"
#include "tests/conformance/store/vfs.h"

struct powercut;

/* What becomes of the calls no sync covers. */
/* clang-format off */
#define POWERCUT_MODES(X)                                                     \
    X(LOST)    /* none of them reached the disk                            */ \
    X(KEPT)    /* all of them did                                          */ \
    X(PREFIX)  /* the first few; the last of those is torn                 */ \
    X(SHUFFLED)/* any of them, in any order                                */ \
    X(TORN)    /* of each, any of its sectors                              */ \
    X(NOISE)   /* as TORN, and some sectors hold what nobody wrote          */
/* clang-format on */

enum powercut_mode {
#define X(name) POWERCUT_##name,
    POWERCUT_MODES(X)
#undef X
        POWERCUT__COUNT
};

extern const char *const powercut_names[POWERCUT__COUNT];

struct powercut *powercut_new(void);
/* For what happens behind a cut: all that is in dir now lasts. */
struct powercut *powercut_after(const char *dir);
/* For what happens behind a kill -9 at that moment: the kernel has all of these calls, and the disk only what was synced. */
struct powercut *powercut_behind(struct powercut *p, uint32_t calls);
void powercut_free(struct powercut *p);
struct vfs_guard powercut_guard(struct powercut *p);
uint32_t powercut_calls(struct powercut *p); /* So far. */
uint32_t powercut_first(struct powercut *p); /* Those that were there when the record began. */
void powercut_pause(struct powercut *p, bool paused);

/* Makes dir (empty) what a cut behind the first calls calls leaves. */
void powercut_leave(struct powercut *p, uint32_t calls, enum powercut_mode mode, struct rng *rng,
                    const char *dir);

#endif /* CONFORMANCE_STORE_POWERCUT_H */
