/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h -- objects as rows, the way `kubectl get` prints them.
 *
 * WHAT   A kind's column definitions, and one object as the JSON of a row's cells. What depends on the moment, ages, is
 *        left open in a row, and told when it is given to somebody: a row is as good for the next one who asks.
 * WHY    kubectl asks the server for a Table and prints what it is given, so a new kind has its own
 *        columns in a kubectl that has never heard of it (Kubernetes API, "Tabular output").
 * OWNS   Text goes to the caller's buffer; the arena holds what is needed on the way.
 */
#ifndef API_TABLE_H
#define API_TABLE_H

#include "api/kinds.h"

/* "columnDefinitions":[...] without the name in front. */
void table_columns(const struct kind *k, struct buf *out);

/* "cells":[...] without the name in front. raw: the object's canonical bytes. */
MUST_USE enum err_code table_cells(const struct kind *k, struct str raw, struct arena *a,
                                   struct buf *out, struct err *e);

/* {"cells":[...],"object": ; the object's JSON (or null) and table_row_end() follow. */
MUST_USE enum err_code table_row_begin(const struct kind *k, struct str raw, struct arena *a,
                                       struct buf *out, struct err *e);
void table_row_end(struct buf *out);

/* How long ago that is, as a cell or a part of it, left open. seconds 0: "<unknown>". */
struct str table_age(int64_t seconds, struct arena *a);

/* Rows (or a part of them) with every age as it is now, in Kubernetes' short form: 5s, 3m20s, 4d. */
void table_tell(struct str rows, struct wall now, struct buf *out);

/* A column of type date: the instant itself, RFC 3339. */
struct str table_instant(int64_t seconds, struct arena *a);

#endif /* API_TABLE_H */
