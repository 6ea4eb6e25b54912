/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blank.h -- a Secret without what is secret about it.
 *
 * WHAT   data, stringData and the values of annotations (kubectl keeps a copy of what was applied there) are overwritten by as
 *        many 'x'. Names, keys and sizes stay: what a core decides hangs on them, and on no value.
 * WHY    A flight recording leaves the machine it was made on.
 * OWNS   The result lives in the arena.
 * FAILS  {NULL, 0}: it cannot be looked into, so nothing of it may be written; or the arena is at its limit.
 */
#ifndef API_BLANK_H
#define API_BLANK_H

#include "base/arena.h"

/* stored: an envelope of a core/v1 Secret. */
struct str blank_secret(struct arena *a, struct str stored);

#endif /* API_BLANK_H */
