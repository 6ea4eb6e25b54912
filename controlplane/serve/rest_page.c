/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/rest_page.h"

#include "api/yaml.h"
#include "base/json.h"
#include "base/log.h"

enum {
    PAGE_ENDS_MAX = 64 << 10, /* What stands around the items, as JSON. */
    ITEM_ARENA_MAX = 32 << 20,
};

void page_open(struct page *p, struct call *c)
{
    *p = (struct page){.c = c};
    buf_init(&p->out, 4 * (size_t)REST_REPLY_MAX);
}

void page_close(struct page *p)
{
    buf_free(&p->out);
}

/* ------------------------------------------------------------------ its beginning */

static enum err_code begin_yaml(struct page *p, const struct list_head *h, bool is_empty,
                                struct err *e)
{
    struct arena *a = &p->c->r->arena;
    struct buf json, tail;
    struct json *tree;
    buf_init(&json, PAGE_ENDS_MAX);
    buf_init(&tail, PAGE_ENDS_MAX);
    list_json_begin(&json, h);
    list_json_end(&json);
    struct str text = arena_str(a, buf_str(&json));
    enum err_code rc = buf_status(&json, e);
    if (rc == ERR_OK)
        rc = json_parse(a, text, &tree, e);
    if (rc == ERR_OK) {
        yaml_split(tree, h->table == NULL ? STR("items") : STR("rows"), is_empty, a, &p->out,
                   &tail);
        p->tail = arena_str(a, buf_str(&tail));
    }
    buf_free(&json);
    buf_free(&tail);
    return rc;
}

enum err_code page_begin(struct page *p, const struct list_head *h, size_t items_len, bool is_empty,
                         struct err *e)
{
    switch (p->c->form.type) {
    case FORM_PROTOBUF:
        list_protobuf_begin(&p->out, h, items_len);
        return ERR_OK;
    case FORM_YAML:
        return begin_yaml(p, h, is_empty, e);
    case FORM_JSON:
        list_json_begin(&p->out, h);
        return ERR_OK;
    }
    return ERR_OK;
}

/* ------------------------------------------------------------------ items */

static struct blob *item_make(struct call *c, struct str raw, struct err *e)
{
    struct buf text;
    buf_init(&text, REST_REPLY_MAX);
    enum err_code rc = item_json(c, raw, &text, e);
    if (rc == ERR_OK)
        rc = buf_status(&text, e);
    struct blob *item = rc == ERR_OK ? buf_blob(&text) : NULL;
    buf_free(&text);
    return item;
}

/* An item is kept for the next list that wants it; of a long list no more than half of what there is room for: what is
 * too long to be kept would only drive out what others need. A reference. */
static struct blob *item_get(struct page *p, const struct page_item *i, struct err *e)
{
    struct call *c = p->c;
    uint64_t revision = i->entry->stamp;
    struct blob *item = encoded_get(c, revision, ENCODED_ITEM);
    if (item != NULL)
        return item;
    item = item_make(c, i->raw, e);
    if (item == NULL || p->kept > encoded_room_of(c) / 2)
        return item;
    p->kept += item->len;
    encoded_keep(c, revision, ENCODED_ITEM, item);
    return item;
}

static enum err_code add_json(struct page *p, const struct page_item *i, struct buf *out,
                              struct err *e)
{
    struct blob *item = item_get(p, i, e);
    if (item == NULL)
        return e->code;
    items_tell(p->c, blob_str(item), out);
    blob_unref(item);
    return ERR_OK;
}

/* A sequence of one element is written as the element stands in a longer one. */
static enum err_code add_yaml(struct page *p, const struct page_item *i, struct err *e)
{
    struct buf json;
    struct arena item;
    struct json *tree;
    arena_init(&item, ITEM_ARENA_MAX);
    buf_init(&json, REST_REPLY_MAX);
    buf_add_char(&json, '[');
    enum err_code rc = add_json(p, i, &json, e);
    buf_add_char(&json, ']');
    if (rc == ERR_OK)
        rc = buf_status(&json, e);
    if (rc == ERR_OK)
        rc = json_parse(&item, buf_str(&json), &tree, e);
    if (rc == ERR_OK) {
        members_sort(tree->first, &item, true);
        yaml_print(&p->out, tree);
        rc = arena_status(&item, e);
    }
    buf_free(&json);
    arena_free(&item);
    return rc;
}

static enum err_code add(struct page *p, const struct page_item *i, struct err *e)
{
    bool is_first = p->written++ == 0;
    switch (p->c->form.type) {
    case FORM_PROTOBUF:
        list_item(&p->out, i->raw, p->c->form.as != AS_OBJECT);
        return ERR_OK;
    case FORM_YAML:
        return add_yaml(p, i, e);
    case FORM_JSON:
        if (!is_first)
            buf_add_char(&p->out, ',');
        return add_json(p, i, &p->out, e);
    }
    return ERR_OK;
}

/* An object whose metadata is in order and whose rest does not decode is left out: the others are asked for, too. */
enum err_code page_item(struct page *p, const struct page_item *i, struct err *e)
{
    size_t len = p->out.len;
    enum err_code rc = add(p, i, e);
    if (rc != ERR_CORRUPT)
        return rc;
    p->out.len = len;
    p->written--;
    log_event(LOG_WARN, "object.left_out", "key=%s why=%s", log_quote(cow_entry_key(i->entry)).text,
              log_quote(str_of(e->text)).text);
    return ERR_OK;
}

void page_run(struct page *p, struct str items)
{
    bool is_first = p->written == 0 && p->c->form.type == FORM_JSON;
    buf_add(&p->out, str_slice(items, is_first ? 1 : 0, items.len)); /* Not the comma in front. */
    p->written += items.len;
}

/* ------------------------------------------------------------------ chunks */

static void end(struct page *p)
{
    switch (p->c->form.type) {
    case FORM_PROTOBUF:
        list_protobuf_end(&p->out);
        break;
    case FORM_YAML:
        buf_add(&p->out, p->tail);
        break;
    case FORM_JSON:
        list_json_end(&p->out);
        if (!p->c->form.pretty)
            buf_add_char(&p->out, '\n');
        break;
    }
}

static struct blob *chunk_pretty(struct page *p)
{
    struct buf out;
    buf_init(&out, REST_REPLY_MAX);
    json_indent_more(&out, buf_str(&p->out), &p->depth);
    buf_free(&p->out);
    return buf_blob(&out);
}

struct blob *page_chunk(struct page *p, bool is_last, struct err *e)
{
    if (is_last)
        end(p);
    bool is_pretty = p->c->form.pretty && p->c->form.type == FORM_JSON;
    struct blob *chunk = is_pretty ? chunk_pretty(p) : buf_blob(&p->out);
    if (chunk == NULL)
        (void)err_set(e, ERR_LIMIT, "a part of the list is over %d bytes", REST_REPLY_MAX);
    return chunk;
}
