/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seldom.h -- lines of the log that strangers can cause as often as they like.
 *
 * WHAT   The first SELDOM_LINES of a minute are written; the others are counted, and when the minute is over one line
 *        tells how many they were.
 * WHY    Whoever guesses tokens must not fill the disk with the news of it, nor bury what an operator has to read.
 * OWNS   A struct of the caller's, zeroed; one thread's.
 */
#ifndef BASE_SELDOM_H
#define BASE_SELDOM_H

#include "base/time.h"
#include <stdbool.h>
#include <stdint.h>

enum { SELDOM_LINES = 10, SELDOM_EVERY_S = 60 };

struct seldom {
    struct instant until; /* The minute that is running ends here; ns 0: none is. */
    uint64_t lines;       /* In it, written or not. */
};

/* Something happened: is a line to be written of it? */
bool seldom_may(struct seldom *s, struct instant now);

/* How many were not written in the minute that is over; 0: none, or it is not over. They are told once. */
uint64_t seldom_withheld(struct seldom *s, struct instant now);

/* When to ask seldom_withheld(); ns 0: there is nothing to tell. */
struct instant seldom_deadline(const struct seldom *s);

#endif /* BASE_SELDOM_H */
