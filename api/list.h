/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h -- what stands around objects when many of them are sent.
 *
 * WHAT   The two ends of a list (a kind's own, PartialObjectMetadataList, Table) as JSON and as protobuf,
 *        and its items in protobuf. Items in JSON are the caller's, between the ends.
 * WHY    The server copies bytes between a snapshot and a socket; which field they go into is known here.
 * OWNS   Text and bytes are appended to the caller's buffer, whose limit says when it was too much.
 *
 * Facts: meta/v1 ListMeta; every XList is {metadata = 1, items = 2}. A length stands in front of protobuf's
 * bytes, so whoever sends a list in pieces adds up list_item_len() first.
 */
#ifndef API_LIST_H
#define API_LIST_H

#include "api/kinds.h"
#include "base/buf.h"

struct list_head {
    struct str api_version, kind; /* The list's own: "v1", "PodList". */
    uint64_t revision;            /* metadata.resourceVersion */
    struct str next;              /* metadata.continue; empty: this is the end. */
    uint64_t remaining;           /* metadata.remainingItemCount; 0: not said. */
    const struct kind *table;     /* It is a Table of these. NULL: it is not. */
    bool no_columns;              /* Of a Table: the client has them already. */
};

/* {...,"items":[ or, of a Table, {...,"rows":[ */
void list_json_begin(struct buf *out, const struct list_head *h);
void list_json_end(struct buf *out);

/* items_len: the sum over all items of their length here. */
void list_protobuf_begin(struct buf *out, const struct list_head *h, size_t items_len);
void list_protobuf_end(struct buf *out);

/* An object's bytes as an item; partial: of them the metadata alone, as a PartialObjectMetadata. */
size_t list_item_len(struct str raw, bool partial);
void list_item(struct buf *out, struct str raw, bool partial);

#endif /* API_LIST_H */
