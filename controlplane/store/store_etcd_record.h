/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_etcd_record.h -- many changes in one value of etcd's.
 *
 * WHAT   A record holds whole transactions, one behind the other; one that is too large for a record goes on in
 *        the next (part). Rows by rising revision, values in value.h's form: secrets are sealed here.
 * WHY    A put costs etcd 0.1 ms, and every kilobyte in it passes JSON, base64 and a log: so many changes are one
 *        put, and large ones are packed (docs/decisions/0014).
 * OWNS   A writer holds its bytes until etcd_record_free(); rows that are read borrow from the record and
 *        from its reader, until etcd_record_close().
 * FAILS  ERR_CORRUPT: not a record, of a newer form, cut off, revisions that do not rise.
 *
 * FORM   Varints but for the first two bytes. 1 byte form (1), 1 byte flags (1: part, 2: packed), fence, first and
 *        last revision, rows; packed: the length of what follows when it is open (io/pack.h); then each row: revision less the row's before (the first: less first), the revision
 *        it superseded, length of key, key, 1 + length of value (0: a deletion), value.
 */
#ifndef CONTROLPLANE_STORE_STORE_ETCD_RECORD_H
#define CONTROLPLANE_STORE_STORE_ETCD_RECORD_H

#include "base/wire.h"
#include "controlplane/store/store.h"
#include "controlplane/store/value.h"

enum {
    /* etcd's request limit is 1.5 MiB of key, value and compares, as protobuf; a row of the largest key and
     * value fits, sealed too. */
    ETCD_RECORD_MAX = 1440 << 10,
    ETCD_ROW_OVERHEAD = 4 * WIRE_VARINT_MAX + VALUE_HEAD + SEAL_OVERHEAD,
    ETCD_RECORD_HEAD_MAX = 2 + 5 * WIRE_VARINT_MAX,
};

_Static_assert(STORE_VALUE_MAX + STORE_KEY_MAX + ETCD_ROW_OVERHEAD + ETCD_RECORD_HEAD_MAX <=
                   ETCD_RECORD_MAX,
               "the largest row fits");

struct etcd_record_head {
    uint64_t fence, first,
        last;             /* first, last: revisions; those of a merged record may span gaps. */
    uint32_t rows, bytes; /* bytes: of the rows, open. */
    bool part;            /* The last transaction goes on in the next record. */
};

struct etcd_row {
    uint64_t revision, before;
    struct str key, value; /* value: in value.h's form; at NULL: a deletion. */
};

/* head.first may be set before the first row is added, head.last raised behind the last one. */
struct etcd_record {
    struct etcd_record_head head;
    uint64_t at; /* The revision of the last row. */
    struct buf rows;
};

void etcd_record_init(struct etcd_record *r);
void etcd_record_free(struct etcd_record *r); /* Empty and usable again. */

/* What a write will take at most. */
size_t etcd_record_cost(const struct store_write *w);
static inline bool etcd_record_fits(const struct etcd_record *r, size_t cost)
{
    return r->rows.len + cost <= ETCD_RECORD_MAX - ETCD_RECORD_HEAD_MAX;
}

void etcd_record_add(struct etcd_record *r, const struct seal *seal, const struct store_write *w);
void etcd_record_add_row(struct etcd_record *r, const struct etcd_row *row);

/* The record's bytes, appended to out. */
void etcd_record_print(const struct etcd_record *r, struct buf *out);

struct etcd_record_reader {
    struct etcd_record_head head;
    struct wire_reader at;
    struct buf open; /* What was packed. */
    uint64_t revision;
    uint32_t left;
};

MUST_USE enum err_code etcd_record_open(struct etcd_record_reader *r, struct str bytes,
                                        struct err *e);
/* The next row; false behind the last, and when it is broken, which etcd_record_end() tells. */
bool etcd_record_next(struct etcd_record_reader *r, struct etcd_row *out);
MUST_USE enum err_code etcd_record_end(const struct etcd_record_reader *r, struct err *e);
void etcd_record_close(struct etcd_record_reader *r); /* Whatever open() said. */

#endif /* CONTROLPLANE_STORE_STORE_ETCD_RECORD_H */
