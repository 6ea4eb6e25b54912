/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.h -- text becomes a number once, at the door of the scheduler.
 *
 * WHAT   Every namespace, label key, label value, taint, device class, node name and image that the
 *        scheduler sees is an id handed out here. Equal text has equal ids, so everything behind
 *        this door compares integers. 0 is the empty text.
 * WHY    The scheduler is a library on plain integers; the one translation file turns text into
 *        ids with names_intern() and back with names_text() where a human reads.
 * OWNS   The table copies the bytes. An id means its text until the next names_sweep(), and beyond it
 *        for as long as somebody holds it: nodes, classes, sets of labels and holds of the ledger do
 *        so themselves (held.h), whoever else keeps an id calls names_hold() and names_drop().
 *        What nobody holds is forgotten by a sweep, and its id is given to another text.
 * FAILS  names_intern(): ERR_LIMIT past the count or bytes given to names_init(); the request that
 *        carries the text is refused, nothing else is touched. Only what is held, and what came
 *        since the last sweep, counts.
 */
#ifndef SCHEDULER_NAMES_H
#define SCHEDULER_NAMES_H

#include "base/map.h"

enum { NAME_EMPTY = 0, NAMES_RECENT = 64 };
#define NAME_UNKNOWN UINT32_MAX /* names_find(): nobody has used this text yet. */

struct names_entry;

struct names {
    struct map ids;
    struct names_entry **at; /* By id; NULL: free. */
    uint32_t recent
        [NAMES_RECENT]; /* Ids given last, by a few bytes of their texts: most are asked for again. */
    uint32_t *spare;    /* Ids to be given again. */
    uint32_t end, size;        /* Ids are below end; there is room for size. */
    uint32_t count, count_max; /* Names now. */
    uint32_t spare_count, first,
        last;        /* first, last: of those that nobody held when they were seen last. */
    uint32_t listed; /* Since the last sweep. */
    uint64_t bytes, bytes_max, outside; /* outside: holds by others than the ledger. */
};

void names_init(struct names *n, uint32_t count_max, uint64_t bytes_max);
void names_fini(struct names *n);

MUST_USE enum err_code names_intern(struct names *n, struct str text, uint32_t *out_id,
                                    struct err *e);
uint32_t names_find(const struct names *n, struct str text);
struct str names_text(const struct names *n, uint32_t id); /* "" for NAME_UNKNOWN. */

/* For who keeps an id longer than a sweep and is not the ledger. Of NAME_EMPTY and NAME_UNKNOWN
 * nothing is counted. */
void names_hold(struct names *n, uint32_t id);
void names_drop(struct names *n, uint32_t id);

/* Forgets names that nobody holds, the ones first that nobody held first. Looks at twice as many as came to
 * be so since the last sweep and a few more, so that they do not add up; never at all of a large table.
 * ledger_sweep() calls it. */
void names_sweep(struct names *n);

/* More than half of the table is in use: who holds names for convenience should let go. */
bool names_are_short(const struct names *n);

/* ---- the ledger's own holds, without a count of their own ---- */
void names__hold(struct names *n, uint32_t id);
void names__drop(struct names *n, uint32_t id);
uint32_t names__holds(const struct names *n, uint32_t id); /* UINT32_MAX: the id is free. */

/* The text read as a decimal integer, for the operators Gt and Lt of node affinity. */
bool names_number(const struct names *n, uint32_t id, int64_t *out);

#endif /* SCHEDULER_NAMES_H */
