/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request's life, and what its owner may ask for.
 */
#include "io/http_client_priv.h"

#include "base/check.h"
#include "base/mem.h"

void client__request_ready(struct request *r)
{
    struct http_client *c = r->client;
    if (r->is_ready)
        return;
    r->is_ready = true;
    r->ready_next = NULL;
    *c->ready_last = r;
    c->ready_last = &r->ready_next;
}

void client__request_free(struct request *r)
{
    if (r->previous != NULL)
        r->previous->next = r->next;
    else
        r->client->all = r->next;
    if (r->next != NULL)
        r->next->previous = r->previous;
    pieces_drop(&r->pieces);
    buf_free(&r->out_text);
    buf_free(&r->text);
    buf_free(&r->body);
    mem_free(r);
}

void client__request_settle(struct request *r)
{
    if (r->closed && r->id.generation == 0 && !r->is_ready && !r->is_told)
        client__request_free(r);
}

void client__request_forget(struct request *r)
{
    struct http_client *c = r->client;
    if (r->id.generation == 0)
        return;
    c->requests[r->id.slot] = NULL;
    slots_give(&c->slots, r->id);
    r->id = (struct slot_id){0};
}

void client__request_fail(struct request *r, enum err_code code, const char *why)
{
    if (r->end_due || r->fail_due)
        return;
    r->fail_due = true;
    err_set(&r->err, code, "%s", why);
    client__request_ready(r);
}

void client__request_send(struct request *r)
{
    struct http_client *c = r->client;
    bool body = r->streaming || r->pieces.count > 0;

    r->h2_id = h2_request(c->h2, r->out_headers, r->out_count, body, r);
    if (r->h2_id == 0) {
        r->closed = true;
        client__request_fail(r, ERR_BUSY, "no further stream can be opened on this connection");
    }
    buf_free(&r->out_text);
    c->dirty = true;
}

static struct request *find(const struct http_client *c, struct slot_id id)
{
    return slots_live(&c->slots, id) ? c->requests[id.slot] : NULL;
}

/* ---- what the owner calls ---- */

static void add_out(struct request *r, struct str name, struct str value)
{
    struct http_header *h = &r->out_headers[r->out_count++];
    h->name = str_from((void *)r->out_text.len, name.len);
    buf_add(&r->out_text, name);
    h->value = str_from((void *)r->out_text.len, value.len);
    buf_add(&r->out_text, value);
}

struct slot_id http_client_start(struct http_client *c, uint64_t op,
                                 const struct http_client_request *q)
{
    struct slot_id id;

    CHECK(q->headers_count <= REQUEST_HEADERS_MAX);
    if (c->is_closed || !slots_take(&c->slots, &id))
        return (struct slot_id){0};
    struct request *r = mem_zalloc(1, sizeof *r);
    *r = (struct request){.client = c,
                          .id = id,
                          .op = op,
                          .streaming = q->streaming,
                          .manual = q->manual_consume,
                          .finished = !q->streaming};
    c->requests[id.slot] = r;
    r->next = c->all;
    if (c->all != NULL)
        c->all->previous = r;
    c->all = r;
    buf_init(&r->out_text, TEXT_MAX);
    buf_init(&r->text, TEXT_MAX);
    buf_init(&r->body, SIZE_MAX / 2); /* Bounded by the stream's window. */
    add_out(r, STR(":method"), str_of(q->method));
    add_out(r, STR(":scheme"), c->options.tls == NULL ? STR("http") : STR("https"));
    add_out(r, STR(":authority"), str_of(c->authority));
    add_out(r, STR(":path"), str_of(q->path));
    for (uint32_t i = 0; i < q->headers_count; i++)
        add_out(r, q->headers[i].name, q->headers[i].value);
    for (uint32_t i = 0; i < r->out_count; i++) {
        r->out_headers[i].name.at = r->out_text.at + (size_t)r->out_headers[i].name.at;
        r->out_headers[i].value.at = r->out_text.at + (size_t)r->out_headers[i].value.at;
    }
    if (q->body.len > 0)
        pieces_push(&r->pieces, blob_new(q->body));
    if (r->out_text.overflow) {
        r->closed = true;
        client__request_fail(r, ERR_LIMIT, "the request's headers are too large");
    } else if (c->is_open) {
        client__request_send(r);
    }
    return id;
}

size_t http_client_send(struct http_client *c, struct slot_id id, struct blob *bytes)
{
    struct request *r = find(c, id);

    if (r == NULL || r->closed) {
        blob_unref(bytes);
        return 0;
    }
    CHECK(r->streaming && !r->finished);
    pieces_push(&r->pieces, bytes);
    if (r->h2_id != 0)
        h2_resume(c->h2, r->h2_id);
    c->dirty = true;
    r->was_full = r->pieces.queued_bytes >= c->options.send_max;
    return r->was_full ? 0 : c->options.send_max - r->pieces.queued_bytes;
}

void http_client_finish(struct http_client *c, struct slot_id id)
{
    struct request *r = find(c, id);

    if (r == NULL || r->closed)
        return;
    r->finished = true;
    if (r->h2_id != 0)
        h2_resume(c->h2, r->h2_id);
    c->dirty = true;
}

void http_client_cancel(struct http_client *c, struct slot_id id)
{
    struct request *r = find(c, id);

    if (r == NULL)
        return;
    if (r->h2_id != 0 && !r->closed)
        h2_reset(c->h2, r->h2_id, H2_CANCEL);
    else
        r->closed = true;
    c->dirty = true;
    client__request_forget(r);
    client__request_settle(r);
}

void http_client_consume(struct http_client *c, struct slot_id id, size_t len)
{
    struct request *r = find(c, id);

    if (r == NULL || r->closed || r->h2_id == 0)
        return;
    h2_consume(c->h2, r->h2_id, len);
    c->dirty = true;
}
