/* SPDX-License-Identifier: Apache-2.0 */
/* A client's bytes against the server's HTTP/2 session, which answers each request; then drained. */
#include "base/check.h"
#include "io/h2.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct peer {
    struct h2 *h2;
    int32_t begun;
    size_t headers, bytes;
};

static void on_header(void *owner, int32_t id, void *stream, struct str name, struct str value)
{
    struct peer *p = owner;
    if (stream == NULL)
        h2_set_stream(p->h2, id, p);
    p->headers += name.len + value.len;
}

static void on_head(void *owner, int32_t id, void *stream, bool ends)
{
    struct peer *p = owner;
    struct http_header type = {STR("content-type"), STR("text/plain")};
    (void)stream;
    (void)ends;
    if (id > p->begun)
        h2_respond(p->h2, id, 200, &type, 1, id % 4 == 1);
    p->begun = id > p->begun ? id : p->begun;
}

static void on_data(void *owner, int32_t id, void *stream, struct str bytes)
{
    struct peer *p = owner;
    (void)stream;
    p->bytes += bytes.len;
    h2_consume(p->h2, id, bytes.len);
}

static void on_end(void *owner, int32_t id, void *stream)
{
    (void)owner;
    (void)id;
    (void)stream;
}

static size_t on_offer(void *owner, int32_t id, void *stream, size_t size, bool *out_end,
                       const struct http_headers **out_trailers)
{
    (void)owner;
    (void)id;
    (void)stream;
    (void)out_trailers;
    *out_end = true;
    return size;
}

static void on_pull(void *owner, int32_t id, void *stream, char *out, size_t len)
{
    (void)owner;
    (void)id;
    (void)stream;
    memset(out, 'x', len);
}

static void on_closed(void *owner, int32_t id, void *stream, uint32_t error)
{
    (void)owner;
    (void)id;
    (void)stream;
    (void)error;
}

static void on_goaway(void *owner, int32_t last, uint32_t error)
{
    (void)owner;
    (void)last;
    (void)error;
}

static const struct h2_events events = {on_header, on_head, on_data,   on_end,   on_offer,
                                        on_pull,   NULL,    on_closed, on_goaway};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct peer p = {0};
    struct err e;
    char out[H2_DRAIN_MIN];
    struct h2_options o = {.server = true,
                           .streams = 16,
                           .window = 65535,
                           .session_window = 65535,
                           .header_bytes = 4096,
                           .memory = 256 << 10,
                           .control_frames = 50,
                           .events = &events,
                           .owner = &p};
    struct instant now = {1};

    p.h2 = h2_new(&o);
    enum err_code code = h2_feed(p.h2, str_of(preface), now, &e);
    size_t at = 0;
    while (code == ERR_OK && at < size) {
        size_t step = min_size(size - at, 1 + data[at] % 64u);
        code = h2_feed(p.h2, str_from(data + at, step), now, &e);
        at += step;
        for (int i = 0; i < 64 && h2_drain(p.h2, out, sizeof out) > 0; i++)
            ;
    }
    CHECK(h2_memory(p.h2) <= o.memory);
    h2_free(p.h2);
    return 0;
}
