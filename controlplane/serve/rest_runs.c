/* SPDX-License-Identifier: Apache-2.0 */
#include "api/list.h"
#include "base/check.h"
#include "base/log.h"
#include "controlplane/serve/rest_read.h"

enum { RUN_BYTES = ENCODED_ITEM_MAX }; /* What is not kept anyway is cut: a slice is short. */

bool runs_fit(const struct form *f)
{
    return f->type == FORM_PROTOBUF || (f->type == FORM_JSON && !f->pretty);
}

void runs_open(struct runs *r, struct call *c, const struct index_snapshot *s, struct str prefix,
               struct str from, uint64_t limit)
{
    *r = (struct runs){.c = c};
    index_range(&r->range, s, prefix, from);
    r->left = limit > 0 && limit < r->range.left ? limit : r->range.left;
    r->before = from.len > 0 ? index_count(s, prefix, STR("")) - r->range.left : 0;
}

bool runs_over(const struct runs *r)
{
    return r->left == 0;
}

struct cow_entry *runs_behind(const struct runs *r)
{
    struct index_range behind = r->range;
    struct cow_entry *const *at;
    CHECK(r->left == 0);
    return index_range_run(&behind, 1, &at) == 0 ? NULL : at[0];
}

/* Sees to it that the run in work has entries. */
static void run_take(struct runs *r)
{
    uint32_t max = r->left < ENCODED_RUN_MAX ? (uint32_t)r->left : ENCODED_RUN_MAX;
    if (r->count > 0)
        return;
    r->count = index_range_run(&r->range, max, &r->at);
    CHECK(r->count > 0); /* left counts what is there. */
    r->is_cut = false;
}

static void run_pass(struct runs *r, uint32_t count, size_t bytes)
{
    r->passed += count;
    r->bytes += bytes;
    r->is_cut = count < r->count;
    r->at += count;
    r->count -= count;
    r->left -= count;
}

/* ------------------------------------------------------------------ making one */

static void values_fetch(const struct runs *r)
{
    for (uint32_t i = 0; i < r->count; i++)
        __builtin_prefetch(r->at[i]->value);
}

static enum err_code item_put(struct call *c, struct str raw, struct buf *out, struct err *e)
{
    if (c->form.type == FORM_PROTOBUF) {
        list_item(out, raw, c->form.as != AS_OBJECT);
        return ERR_OK;
    }
    buf_add_char(out, ',');
    return item_json(c, raw, out, e);
}

/* One that does not decode, or has no bytes (core.h, FAILS), is left out: the others are asked for, too. */
static enum err_code entry_put(struct call *c, const struct cow_entry *entry, struct buf *out,
                               bool *is_whole, struct err *e)
{
    struct str raw = entry_raw(entry);
    size_t len = out->len;
    if (raw.at == NULL) {
        *is_whole = false;
        return ERR_OK;
    }
    enum err_code rc = item_put(c, raw, out, e);
    if (rc != ERR_CORRUPT)
        return rc;
    out->len = len;
    *is_whole = false;
    log_event(LOG_WARN, "object.left_out", "key=%s why=%s", log_quote(cow_entry_key(entry)).text,
              log_quote(str_of(e->text)).text);
    return ERR_OK;
}

/* As much of the run as RUN_BYTES takes, but one at least. */
static struct blob *run_make(const struct runs *r, uint32_t *out_count, bool *is_whole,
                             struct err *e)
{
    struct buf out;
    enum err_code rc = ERR_OK;
    buf_init(&out, REST_REPLY_MAX);
    if (r->passed >
        0) /* They are alike: an eighth more than the ones before is seldom too little. */
        (void)buf_reserve(&out, min_size(r->bytes / r->passed * r->count * 9 / 8, RUN_BYTES));
    values_fetch(r);
    *is_whole = !r->is_cut;
    uint32_t i = 0;
    for (; i < r->count && out.len < RUN_BYTES && rc == ERR_OK; i++)
        rc = entry_put(r->c, r->at[i], &out, is_whole, e);
    if (rc == ERR_OK)
        rc = buf_status(&out, e);
    *is_whole = *is_whole && i == r->count;
    *out_count = i;
    struct blob *bytes = rc == ERR_OK ? buf_blob(&out) : NULL;
    buf_free(&out);
    return bytes;
}

/* ------------------------------------------------------------------ going through them */

/* Of a collection that is longer than there is room, the beginning stays, whoever reads which part of it when: what
 * does not fit as a whole would only drive out itself and what others need. Where a page stands is told by the mean of
 * its items. */
static enum encoded_stay stay_of(const struct runs *r, uint32_t count, size_t bytes)
{
    uint64_t passed = r->passed + count, mean = (r->bytes + bytes) / passed;
    return (r->before + passed) * mean <= encoded_room_of(r->c) ? ENCODED_STAYS : ENCODED_PASSES;
}

/* The same run as of now. Takes the reference. */
static struct blob *run_told(const struct runs *r, struct blob *bytes, struct err *e)
{
    struct buf out;
    if (r->c->form.as != AS_TABLE) /* Of the others nothing changes with time. */
        return bytes;
    buf_init(&out, REST_REPLY_MAX);
    (void)buf_reserve(&out, bytes->len);
    items_tell(r->c, blob_str(bytes), &out);
    blob_unref(bytes);
    bytes = buf_status(&out, e) == ERR_OK ? buf_blob(&out) : NULL;
    buf_free(&out);
    return bytes;
}

static struct blob *run_get(struct runs *r, struct err *e)
{
    bool is_whole;
    uint32_t count;
    run_take(r);
    struct blob *bytes = encoded_run_get(r->c, r->at, r->count);
    if (bytes != NULL) {
        run_pass(r, r->count, bytes->len);
        return bytes;
    }
    bytes = run_make(r, &count, &is_whole, e);
    if (bytes == NULL)
        return NULL;
    if (is_whole)
        encoded_run_keep(r->c, r->at, count, bytes, stay_of(r, count, bytes->len));
    run_pass(r, count, bytes->len);
    return bytes;
}

struct blob *runs_next(struct runs *r, struct err *e)
{
    struct blob *bytes = run_get(r, e);
    return bytes == NULL ? NULL : run_told(r, bytes, e);
}

size_t runs_next_len(struct runs *r)
{
    size_t len = 0;
    run_take(r);
    struct blob *bytes = encoded_run_get(r->c, r->at, r->count);
    if (bytes != NULL) {
        len = bytes->len;
    } else {
        values_fetch(r);
        for (uint32_t i = 0; i < r->count; i++) {
            struct str raw = entry_raw(r->at[i]);
            len += raw.at == NULL ? 0 : list_item_len(raw, r->c->form.as != AS_OBJECT);
        }
    }
    blob_unref(bytes);
    run_pass(r, r->count, len);
    return len;
}

void runs_pass(struct runs *r)
{
    run_take(r);
    run_pass(r, r->count, 0);
}
