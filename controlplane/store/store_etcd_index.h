/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_etcd_index.h -- which records the log has, and which of their rows compaction forgot.
 *
 * WHAT   A line per record, by rising number and revision; for some of them the forgotten revisions. So
 *        compaction knows what to read and what is worth rewriting without asking etcd.
 * OWNS   All memory is the index's. 40 bytes a record and 8 a forgotten row; a rewritten record has none.
 */
#ifndef CONTROLPLANE_STORE_STORE_ETCD_INDEX_H
#define CONTROLPLANE_STORE_STORE_ETCD_INDEX_H

#include "base/buf.h"
#include "controlplane/store/store_etcd_record.h"

struct etcd_segment {
    uint64_t seq, first, last; /* Revisions. */
    uint32_t rows, bytes;
    bool part;
};

/* Forgotten revisions of one record, rising. */
struct etcd_gone {
    uint64_t seq;
    uint64_t *at;
    uint32_t count, size;
    bool dirty, sent; /* Not in etcd yet; on its way there. */
};

struct etcd_index {
    struct etcd_segment *segments;
    struct etcd_gone *gone;
    uint32_t segments_count, segments_size, gone_count, gone_size;
};

void etcd_index_free(struct etcd_index *x); /* Empty and usable again. */

void etcd_index_add(struct etcd_index *x, uint64_t seq,
                    const struct etcd_record_head *h);         /* Behind the last one. */
void etcd_index_drop_from(struct etcd_index *x, uint64_t seq); /* That one and those behind it. */

/* Segments from, from + 1, ... of that count become the one given; rows 0: none. Their gone go. */
void etcd_index_replace(struct etcd_index *x, uint32_t from, uint32_t count,
                        const struct etcd_segment *by);

/* The first segment that ends at or behind that revision; segments_count: none. */
uint32_t etcd_index_find(const struct etcd_index *x, uint64_t revision);

/* NULL: none of this record. */
struct etcd_gone *etcd_index_gone(const struct etcd_index *x, uint64_t seq);
struct etcd_gone *etcd_index_gone_at(struct etcd_index *x, uint64_t seq); /* Made where needed. */

bool etcd_gone_has(const struct etcd_gone *g, uint64_t revision); /* g NULL: no. */
void etcd_gone_add(struct etcd_gone *g, uint64_t revision);       /* Twice is once. */

/* The form under PREFIX/gone/: varints, each the difference to the one before. */
void etcd_gone_print(const struct etcd_gone *g, struct buf *out);
MUST_USE enum err_code etcd_gone_read(struct etcd_gone *g, struct str bytes, struct err *e);

#endif /* CONTROLPLANE_STORE_STORE_ETCD_INDEX_H */
