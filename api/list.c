/* SPDX-License-Identifier: Apache-2.0 */
#include "api/list.h"

#include "api/meta.h"
#include "api/table.h"
#include "api/transcode.h"
#include "base/json.h"

enum { LIST_METADATA = 1, LIST_ITEMS = 2 };
enum { LIST_META_REVISION = 2, LIST_META_CONTINUE = 3, LIST_META_REMAINING = 4 };
enum { LIST_META_MAX = 8 << 10 };

/* ---- JSON ---- */

void list_json_begin(struct buf *out, const struct list_head *h)
{
    buf_printf(out,
               "{\"kind\":\"" STR_FMT "\",\"apiVersion\":\"" STR_FMT
               "\",\"metadata\":{\"resourceVersion\":\"%llu\"",
               STR_ARG(h->kind), STR_ARG(h->api_version), (unsigned long long)h->revision);
    if (h->next.len > 0) {
        buf_add(out, STR(",\"continue\":"));
        json_print_string(out, h->next);
    }
    if (h->remaining > 0)
        buf_printf(out, ",\"remainingItemCount\":%llu", (unsigned long long)h->remaining);
    buf_add_char(out, '}');
    if (h->table == NULL) {
        buf_add(out, STR(",\"items\":["));
        return;
    }
    buf_add(out, STR(",\"columnDefinitions\":"));
    if (h->no_columns)
        buf_add(out, STR("null"));
    else
        table_columns(h->table, out);
    buf_add(out, STR(",\"rows\":["));
}

void list_json_end(struct buf *out)
{
    buf_add(out, STR("]}"));
}

/* ---- Protobuf ---- */

static void put_meta(struct buf *out, const struct list_head *h)
{
    char digits[24];
    struct buf number = {.at = digits, .size = sizeof digits, .limit = sizeof digits};
    size_t begin = wire_begin(out, LIST_METADATA);
    buf_add_u64(&number, h->revision);
    wire_put_bytes(out, LIST_META_REVISION, buf_str(&number));
    if (h->next.len > 0)
        wire_put_bytes(out, LIST_META_CONTINUE, h->next);
    if (h->remaining > 0)
        wire_put_u64(out, LIST_META_REMAINING, h->remaining);
    wire_end(out, begin);
}

void list_protobuf_begin(struct buf *out, const struct list_head *h, size_t items_len)
{
    struct transcode_head head = {h->api_version, h->kind};
    struct buf meta;
    buf_init(&meta, LIST_META_MAX);
    put_meta(&meta, h);
    transcode_wrap_begin(&head, meta.len + items_len, out);
    buf_add(out, buf_str(&meta));
    buf_free(&meta);
}

void list_protobuf_end(struct buf *out)
{
    transcode_wrap_end(out);
}

size_t list_item_len(struct str raw, bool partial)
{
    return wire_bytes_len(LIST_ITEMS, partial ? meta_partial(raw).len : raw.len);
}

void list_item(struct buf *out, struct str raw, bool partial)
{
    wire_put_bytes(out, LIST_ITEMS, partial ? meta_partial(raw) : raw);
}
