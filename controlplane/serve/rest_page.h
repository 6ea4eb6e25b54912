/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest_page.h -- what a list is written as: its beginning, its items, its end, in the client's form.
 *
 * WHAT   JSON (objects, metadata, rows of a Table; pretty where that is wanted), YAML, protobuf. The text grows in out, and
 *        page_chunk() takes what is there.
 * WHY    rest_list.c knows which objects are in a page and when there is room for more; nothing here asks for either.
 * OWNS   page_open() to page_close(); the ends' texts lie in the request's arena.
 * FAILS  ERR_LIMIT: a part is over REST_REPLY_MAX. An item that does not decode is left out and logged: the others are
 *        asked for, too.
 */
#ifndef CONTROLPLANE_SERVE_REST_PAGE_H
#define CONTROLPLANE_SERVE_REST_PAGE_H

#include "api/list.h"
#include "controlplane/serve/rest_priv.h"

struct page {
    struct call *c;
    struct buf out;   /* The chunk in the making. */
    uint64_t written; /* Items; of runs, their bytes. */
    size_t kept;      /* Bytes of items that were given to the others' use. */
    struct str tail;  /* YAML: what stands behind the items. */
    uint32_t depth;   /* Pretty JSON: of what was written so far. */
};

struct page_item {
    struct cow_entry *entry;
    struct str raw;
};

void page_open(struct page *p, struct call *c);
void page_close(struct page *p);

/* items_len: of all items in protobuf, by list_item_len(). is_empty: no item follows, for YAML. */
MUST_USE enum err_code page_begin(struct page *p, const struct list_head *h, size_t items_len,
                                  bool is_empty, struct err *e);
MUST_USE enum err_code page_item(struct page *p, const struct page_item *i, struct err *e);
void page_run(struct page *p, struct str items); /* As runs_next() gives them. */

/* What is there as a blob; is_last: with the page's end. NULL: over a limit. */
struct blob *page_chunk(struct page *p, bool is_last, struct err *e);

#endif /* CONTROLPLANE_SERVE_REST_PAGE_H */
