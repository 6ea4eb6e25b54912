/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nghttp2's callbacks here translate and return. Its memory is counted and capped: a peer that makes
 * it hold more gets its session ended, whatever the trick was.
 */
#include "io/h2.h"

#include "base/check.h"
#include "base/mem.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

enum {
    HEADERS_OUT_MAX = 40,
    FLOOD_SPAN_S = 10,
    RESET_BURST = 1000,     /* Streams a peer may reset at once (CVE-2023-44487) ... */
    RESET_PER_SECOND = 100, /* ... and then this many a second. */
    FRAME_HEAD = 9,         /* RFC 9113 4.1 */
    FRAME_LEAST = 512,      /* In less room than this no DATA frame is begun. */
};

struct h2 {
    nghttp2_session *session;
    nghttp2_mem mem;
    const struct h2_events *events;
    void *owner;
    size_t held, memory_max;
    uint32_t control_frames, control_max;
    struct instant control_since, now;
    uint64_t pongs;
    const uint8_t *left; /* Of what mem_send gave last, borrowed from the session. */
    size_t left_len;
    char *out; /* What h2_drain() fills. */
    size_t out_size, out_used;
    bool is_server, flooded, starved;
};

/* ---- memory ---- */

/* Each allocation carries its size in front, in 16 bytes so that alignment stays. */
static void *mem_take(size_t size, void *arg)
{
    struct h2 *h = arg;
    if (size > h->memory_max - min_size(h->held, h->memory_max)) {
        h->starved = true;
        return NULL;
    }
    size_t *at = malloc(size + 16);
    if (at == NULL)
        return NULL;
    *at = size;
    h->held += size;
    return (char *)at + 16;
}

static void mem_give(void *p, void *arg)
{
    struct h2 *h = arg;
    if (p == NULL)
        return;
    size_t *at = (size_t *)(void *)((char *)p - 16);
    h->held -= *at;
    free(at);
}

static void *mem_take_zeroed(size_t count, size_t size, void *arg)
{
    void *p = size != 0 && count > SIZE_MAX / size ? NULL : mem_take(count * size, arg);
    return p == NULL ? NULL : memset(p, 0, count * size);
}

static void *mem_retake(void *p, size_t size, void *arg)
{
    if (p == NULL)
        return mem_take(size, arg);
    size_t before = *(size_t *)(void *)((char *)p - 16);
    void *moved = mem_take(size, arg);
    if (moved == NULL)
        return NULL;
    memcpy(moved, p, min_size(before, size));
    mem_give(p, arg);
    return moved;
}

/* ---- what nghttp2 tells ---- */

static void *stream_of(struct h2 *h, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h->session, id);
}

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    struct h2 *h = arg;
    int32_t id = frame->hd.stream_id;

    (void)s;
    (void)flags;
    h->events->header(h->owner, id, stream_of(h, id), str_from(name, name_len),
                      str_from(value, value_len));
    return 0;
}

/* Frames that cost the sender nothing and us something. */
static bool is_control(const nghttp2_frame *f)
{
    bool ack = (f->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    switch (f->hd.type) {
    case NGHTTP2_PING:
    case NGHTTP2_SETTINGS:
        return !ack;
    case NGHTTP2_PRIORITY:
    case NGHTTP2_RST_STREAM:
        return true;
    case NGHTTP2_DATA:
        return f->hd.length == 0 && (f->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0;
    default:
        return false;
    }
}

static void count_control(struct h2 *h)
{
    if (h->control_max == 0)
        return;
    if (instant_sub(h->now, h->control_since).ns > SPAN_S(FLOOD_SPAN_S).ns) {
        h->control_since = h->now;
        h->control_frames = 0;
    }
    if (++h->control_frames > h->control_max)
        h->flooded = true;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
    struct h2 *h = arg;
    int32_t id = f->hd.stream_id;
    bool ends = (f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    (void)s;
    if (is_control(f))
        count_control(h);
    if (f->hd.type == NGHTTP2_PING && (f->hd.flags & NGHTTP2_FLAG_ACK) != 0)
        h->pongs++;
    if (f->hd.type == NGHTTP2_GOAWAY)
        h->events->goaway(h->owner, f->goaway.last_stream_id, f->goaway.error_code);
    if (f->hd.type == NGHTTP2_HEADERS)
        h->events->head(h->owner, id, stream_of(h, id), ends);
    if (ends && (f->hd.type == NGHTTP2_HEADERS || f->hd.type == NGHTTP2_DATA))
        h->events->end(h->owner, id, stream_of(h, id));
    return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *bytes, size_t len,
                   void *arg)
{
    struct h2 *h = arg;
    (void)s;
    (void)flags;
    h->events->data(h->owner, id, stream_of(h, id), str_from(bytes, len));
    return 0;
}

static int on_sent(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
    struct h2 *h = arg;
    int32_t id = f->hd.stream_id;

    (void)s;
    if (h->events->sent != NULL && (f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 &&
        (f->hd.type == NGHTTP2_HEADERS || f->hd.type == NGHTTP2_DATA))
        h->events->sent(h->owner, id, stream_of(h, id));
    return 0;
}

static int on_closed(nghttp2_session *s, int32_t id, uint32_t error, void *arg)
{
    struct h2 *h = arg;
    (void)s;
    h->events->closed(h->owner, id, stream_of(h, id), error);
    return 0;
}

static nghttp2_nv nv_of(const struct http_header *h)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)h->name.at, (uint8_t *)(uintptr_t)h->value.at,
                        h->name.len, h->value.len, NGHTTP2_NV_FLAG_NONE};
}

static uint32_t nvs_of(const struct http_header *headers, uint32_t count, nghttp2_nv *out)
{
    CHECK(count <= HEADERS_OUT_MAX);
    for (uint32_t i = 0; i < count; i++)
        out[i] = nv_of(&headers[i]);
    return count;
}

/* Says how much DATA comes next; put_data puts it where it belongs, without nghttp2's copy in between. */
static ssize_t on_source(nghttp2_session *s, int32_t id, uint8_t *out, size_t size,
                         uint32_t *out_flags, nghttp2_data_source *source, void *arg)
{
    struct h2 *h = arg;
    bool end = false;
    const struct http_headers *trailers = NULL;
    size_t room = h->out_size - h->out_used;

    (void)out;
    if (room < FRAME_HEAD + FRAME_LEAST)
        room = h->out_size; /* It waits for the next h2_drain(). */
    size_t len = h->events->offer(h->owner, id, source->ptr, min_size(size, room - FRAME_HEAD),
                                  &end, &trailers);
    if (len == 0 && !end)
        return NGHTTP2_ERR_DEFERRED;
    *out_flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (end)
        *out_flags |= NGHTTP2_DATA_FLAG_EOF;
    if (end && trailers != NULL) {
        nghttp2_nv nvs[HEADERS_OUT_MAX];
        uint32_t count = nvs_of(trailers->at, trailers->count, nvs);
        *out_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(s, id, nvs, count) != 0)
            return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return (ssize_t)len;
}

static int put_data(nghttp2_session *s, nghttp2_frame *frame, const uint8_t *head, size_t len,
                    nghttp2_data_source *source, void *arg)
{
    struct h2 *h = arg;
    int32_t id = frame->hd.stream_id;

    (void)s;
    if (h->out_size - h->out_used < FRAME_HEAD + len)
        return NGHTTP2_ERR_WOULDBLOCK;
    memcpy(h->out + h->out_used, head, FRAME_HEAD);
    h->out_used += FRAME_HEAD;
    h->events->pull(h->owner, id, source->ptr, h->out + h->out_used, len);
    h->out_used += len;
    return 0;
}

/* ---- the session ---- */

static nghttp2_session_callbacks *callbacks_new(void)
{
    nghttp2_session_callbacks *c = NULL;
    CHECK(nghttp2_session_callbacks_new(&c) == 0);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_closed);
    nghttp2_session_callbacks_set_send_data_callback(c, put_data);
    return c;
}

static void session_make(struct h2 *h, bool server)
{
    nghttp2_session_callbacks *callbacks = callbacks_new();
    nghttp2_option *option = NULL;

    CHECK(nghttp2_option_new(&option) == 0);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, 100);
    nghttp2_option_set_stream_reset_rate_limit(option, RESET_BURST, RESET_PER_SECOND);
    CHECK((server ? nghttp2_session_server_new3(&h->session, callbacks, h, option, &h->mem)
                  : nghttp2_session_client_new3(&h->session, callbacks, h, option, &h->mem)) == 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
}

struct h2 *h2_new(const struct h2_options *o)
{
    struct h2 *h = mem_zalloc(1, sizeof *h);

    h->events = o->events;
    h->owner = o->owner;
    h->memory_max = o->memory;
    h->control_max = o->control_frames;
    h->is_server = o->server;
    h->mem = (nghttp2_mem){h, mem_take, mem_give, mem_take_zeroed, mem_retake};
    session_make(h, o->server);
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, o->streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, o->window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, o->header_bytes},
        /* A server has no PUSH to forbid. Priorities of RFC 7540 are a tree that we would have to keep and a client
         * could make us turn over (RFC 9113 5.3.2); without them the streams stand in one queue. */
        {o->server ? NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES : NGHTTP2_SETTINGS_ENABLE_PUSH,
         o->server ? 1 : 0},
    };
    CHECK(nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, COUNT_OF(settings)) ==
          0);
    CHECK(nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                (int32_t)o->session_window) == 0);
    return h;
}

void h2_free(struct h2 *h)
{
    if (h == NULL)
        return;
    nghttp2_session_del(h->session);
    CHECK(h->held == 0);
    mem_free(h);
}

static enum err_code h2_judge(struct h2 *h, ssize_t taken, size_t given, struct err *e)
{
    if (h->flooded || taken == NGHTTP2_ERR_FLOODED) {
        h2_goaway(h, H2_CALM);
        return err_set(e, ERR_LIMIT, "HTTP/2: too many control frames");
    }
    if (h->starved || taken == NGHTTP2_ERR_NOMEM)
        return err_set(e, ERR_LIMIT, "HTTP/2: the session is over %zu bytes", h->memory_max);
    if (taken < 0 || (size_t)taken != given)
        return err_set(e, ERR_CORRUPT, "HTTP/2: %s",
                       taken < 0 ? nghttp2_strerror((int)taken) : "bytes left over");
    return ERR_OK;
}

enum err_code h2_feed(struct h2 *h, struct str bytes, struct instant now, struct err *e)
{
    h->now = now;
    ssize_t taken = nghttp2_session_mem_recv(h->session, (const uint8_t *)bytes.at, bytes.len);
    return h2_judge(h, taken, bytes.len, e);
}

/* Frames without a body come as bytes from mem_send; between two of them DATA may have gone past put_data. */
size_t h2_drain(struct h2 *h, char *out, size_t size)
{
    CHECK(size >= H2_DRAIN_MIN);
    h->out = out;
    h->out_size = size;
    h->out_used = 0;
    while (h->out_used < size) {
        if (h->left_len == 0) {
            ssize_t len = nghttp2_session_mem_send(h->session, &h->left);
            if (len <= 0)
                break;
            h->left_len = (size_t)len;
        }
        size_t step = min_size(h->left_len, size - h->out_used);
        memcpy(out + h->out_used, h->left, step);
        h->out_used += step;
        h->left += step;
        h->left_len -= step;
    }
    h->out = NULL;
    return h->out_used;
}

bool h2_wants_write(struct h2 *h)
{
    return h->left_len > 0 || nghttp2_session_want_write(h->session) != 0;
}

void h2_set_stream(struct h2 *h, int32_t id, void *stream)
{
    nghttp2_session_set_stream_user_data(h->session, id, stream);
}

void h2_respond(struct h2 *h, int32_t id, uint32_t status, const struct http_header *headers,
                uint32_t headers_count, bool body)
{
    nghttp2_nv nvs[HEADERS_OUT_MAX + 1];
    nghttp2_data_provider provider = {.source.ptr = stream_of(h, id), .read_callback = on_source};
    nghttp2_extpri turns = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1};
    char digits[3] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
                      (char)('0' + status % 10)};
    struct http_header first = {STR(":status"), str_from(digits, sizeof digits)};

    nvs[0] = nv_of(&first);
    uint32_t count = 1 + nvs_of(headers, headers_count, nvs + 1);
    /* Streams take turns, byte for byte, whatever the client says: an informer's list must not hold up its watches. */
    if (body)
        nghttp2_session_change_extpri_stream_priority(h->session, id, &turns, 1);
    if (nghttp2_submit_response(h->session, id, nvs, count, body ? &provider : NULL) != 0)
        h2_reset(h, id, H2_INTERNAL_ERROR);
}

int32_t h2_request(struct h2 *h, const struct http_header *headers, uint32_t headers_count,
                   bool body, void *stream)
{
    nghttp2_nv nvs[HEADERS_OUT_MAX];
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = on_source};
    uint32_t count = nvs_of(headers, headers_count, nvs);
    int32_t id =
        nghttp2_submit_request(h->session, NULL, nvs, count, body ? &provider : NULL, stream);
    return id < 0 ? 0 : id;
}

void h2_resume(struct h2 *h, int32_t id)
{
    nghttp2_session_resume_data(h->session, id);
}

void h2_consume(struct h2 *h, int32_t id, size_t len)
{
    nghttp2_session_consume(h->session, id, len);
}

void h2_reset(struct h2 *h, int32_t id, uint32_t error)
{
    nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, id, error);
}

void h2_goaway(struct h2 *h, uint32_t error)
{
    if (error == H2_NO_ERROR)
        nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(h->session), error, NULL, 0);
    else
        nghttp2_session_terminate_session(h->session, error);
}

void h2_ping(struct h2 *h)
{
    nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL);
}

uint64_t h2_pongs(const struct h2 *h)
{
    return h->pongs;
}

bool h2_is_over(const struct h2 *h)
{
    return nghttp2_session_want_read(h->session) == 0 && h->left_len == 0 &&
           nghttp2_session_want_write(h->session) == 0;
}

size_t h2_memory(const struct h2 *h)
{
    return h->held;
}
