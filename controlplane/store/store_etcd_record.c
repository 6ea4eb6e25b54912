/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/store/store_etcd_record.h"

#include "base/check.h"
#include "io/pack.h"

enum { FORM = 1, FLAG_PART = 1, FLAG_PACKED = 2, PACKED_FROM = 2048 };

void etcd_record_init(struct etcd_record *r)
{
    *r = (struct etcd_record){0};
    buf_init(&r->rows, ETCD_RECORD_MAX);
}

void etcd_record_free(struct etcd_record *r)
{
    buf_free(&r->rows);
    r->head = (struct etcd_record_head){0};
    r->at = 0;
}

/* ---- Writing ---- */

size_t etcd_record_cost(const struct store_write *w)
{
    return ETCD_ROW_OVERHEAD + w->key->len + blob_str(w->value).len;
}

static void add_head(struct etcd_record *r, uint64_t revision, uint64_t before, struct str key)
{
    struct etcd_record_head *h = &r->head;
    CHECK(h->rows == 0 ? revision >= h->first : revision > r->at);
    if (h->first == 0)
        h->first = revision;
    wire_put_varint(&r->rows, revision - (h->rows == 0 ? h->first : r->at));
    wire_put_varint(&r->rows, before);
    wire_put_varint(&r->rows, key.len);
    buf_add(&r->rows, key);
    r->at = h->last = revision;
    h->rows++;
}

void etcd_record_add(struct etcd_record *r, const struct seal *seal, const struct store_write *w)
{
    struct str key = blob_str(w->key), value = blob_str(w->value);
    add_head(r, w->revision, w->before, key);
    if (w->value == NULL) {
        wire_put_varint(&r->rows, 0);
        return;
    }
    wire_put_varint(&r->rows, 1 + VALUE_HEAD + (w->sealed ? SEAL_OVERHEAD : 0) + value.len);
    value_encode(seal, key, w->revision, value, w->sealed, &r->rows);
}

void etcd_record_add_row(struct etcd_record *r, const struct etcd_row *row)
{
    add_head(r, row->revision, row->before, row->key);
    wire_put_varint(&r->rows, row->value.at == NULL ? 0 : 1 + row->value.len);
    buf_add(&r->rows, row->value);
}

void etcd_record_print(const struct etcd_record *r, struct buf *out)
{
    const struct etcd_record_head *h = &r->head;
    struct str rows = buf_str(&r->rows);
    struct buf packed;
    buf_init(&packed, 2 * ETCD_RECORD_MAX);
    bool packs = rows.len >= PACKED_FROM && pack_close(rows, &packed);
    buf_add_char(out, FORM);
    buf_add_char(out, (char)((h->part ? FLAG_PART : 0) | (packs ? FLAG_PACKED : 0)));
    wire_put_varint(out, h->fence);
    wire_put_varint(out, h->first);
    wire_put_varint(out, h->last);
    wire_put_varint(out, h->rows);
    if (packs)
        wire_put_varint(out, rows.len);
    buf_add(out, packs ? buf_str(&packed) : rows);
    buf_free(&packed);
}

/* ---- Reading ---- */

static enum err_code unpack(struct etcd_record_reader *r, struct err *e)
{
    uint64_t size;
    if (!wire_varint(&r->at, &size) || size > ETCD_RECORD_MAX)
        return err_set(e, ERR_CORRUPT, "the record's head is broken");
    struct str packed = str_from(r->at.at, (size_t)(r->at.end - r->at.at));
    enum err_code code = pack_open(packed, (size_t)size, &r->open, e);
    r->at = wire_read(buf_str(&r->open));
    return code;
}

enum err_code etcd_record_open(struct etcd_record_reader *r, struct str bytes, struct err *e)
{
    uint64_t rows = 0;
    *r = (struct etcd_record_reader){0};
    buf_init(&r->open, ETCD_RECORD_MAX);
    if (bytes.len < 2 || bytes.at[0] != FORM ||
        ((unsigned char)bytes.at[1] & ~(FLAG_PART | FLAG_PACKED)) != 0)
        return err_set(e, ERR_CORRUPT, "it is no record of a form we know");
    r->head.part = (bytes.at[1] & FLAG_PART) != 0;
    r->at = wire_read(str_slice(bytes, 2, bytes.len));
    if (!wire_varint(&r->at, &r->head.fence) || !wire_varint(&r->at, &r->head.first) ||
        !wire_varint(&r->at, &r->head.last) || !wire_varint(&r->at, &rows) || rows > UINT32_MAX ||
        r->head.first > r->head.last)
        return err_set(e, ERR_CORRUPT, "the record's head is broken");
    r->head.rows = r->left = (uint32_t)rows;
    r->revision = r->head.first;
    enum err_code code = (bytes.at[1] & FLAG_PACKED) != 0 ? unpack(r, e) : ERR_OK;
    r->head.bytes = (uint32_t)(r->at.end - r->at.at);
    return code;
}

void etcd_record_close(struct etcd_record_reader *r)
{
    buf_free(&r->open);
}

static bool take_bytes(struct wire_reader *at, uint64_t len, struct str *out)
{
    if (len > (uint64_t)(at->end - at->at)) {
        at->broken = true;
        return false;
    }
    *out = str_from(at->at, (size_t)len);
    at->at += len;
    return true;
}

bool etcd_record_next(struct etcd_record_reader *r, struct etcd_row *out)
{
    struct wire_reader *at = &r->at;
    uint64_t step, key_len, value_len;
    struct etcd_row row = {0};
    if (r->left == 0 || at->broken)
        return false;
    bool is_first = r->left == r->head.rows;
    if (!wire_varint(at, &step) || !wire_varint(at, &row.before) || !wire_varint(at, &key_len) ||
        key_len > STORE_KEY_MAX || !take_bytes(at, key_len, &row.key) ||
        !wire_varint(at, &value_len) ||
        (value_len > 0 && !take_bytes(at, value_len - 1, &row.value)) || (step == 0 && !is_first) ||
        step > r->head.last - r->revision || row.before > r->revision + step) {
        at->broken = true;
        return false;
    }
    row.revision = r->revision += step;
    r->left--;
    *out = row;
    return true;
}

enum err_code etcd_record_end(const struct etcd_record_reader *r, struct err *e)
{
    if (r->at.broken || r->left > 0 || r->at.at != r->at.end)
        return err_set(e, ERR_CORRUPT, "the record is broken behind revision %llu",
                       (unsigned long long)r->revision);
    return ERR_OK;
}
