/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h -- text becomes a number once, at the door of the scheduler.
 *
 * WHAT   Every namespace, label key, label value, taint, device class, node name and image that the
 *        scheduler sees is an id handed out here. Equal text has equal ids, so everything behind
 *        this door compares integers. 0 is the empty text.
 * WHY    The scheduler is a library on plain integers; the one translation file turns text into
 *        ids with names_intern() and back with names_text() where a human reads.
 * OWNS   The table copies the bytes; texts live as long as the table. An id is never given to
 *        another text while the ledger lives.
 * FAILS  names_intern(): ERR_LIMIT past the count or bytes given to names_init(); the request that
 *        carries the text is refused, nothing else is touched.
 */
#ifndef SCHEDULER_NAMES_H
#define SCHEDULER_NAMES_H

#include "base/map.h"

enum { NAME_EMPTY = 0 };
#define NAME_UNKNOWN UINT32_MAX /* names_find(): nobody has used this text yet. */

struct names_entry;

struct names {
    struct map ids;
    struct names_entry **at; /* By id. */
    uint32_t count, size, count_max;
    uint64_t bytes, bytes_max;
};

void names_init(struct names *n, uint32_t count_max, uint64_t bytes_max);
void names_fini(struct names *n);

MUST_USE enum err_code names_intern(struct names *n, struct str text, uint32_t *out_id,
                                    struct err *e);
uint32_t names_find(const struct names *n, struct str text);
struct str names_text(const struct names *n, uint32_t id); /* "" for NAME_UNKNOWN. */

/* The text read as a decimal integer, for the operators Gt and Lt of node affinity. */
bool names_number(const struct names *n, uint32_t id, int64_t *out);

#endif /* SCHEDULER_NAMES_H */
