/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/logs.h"

#include "controlplane/serve/front_priv.h"
#include "io/clock.h"
#include "io/pieces.h"

enum { PIECE = 64 << 10 };

struct log {
    struct rest_request *request;
    struct relay *relay;
    struct pieces queue; /* What the client has no room for: at most the agent's window. */
    bool started, ended;
};

/* ---- bytes ---- */

static void log_start(struct log *log)
{
    if (!log->started)
        rest_stream(log->request, 200, "text/plain");
    log->started = true;
}

/* What the client has room for; when all is passed on, the agent may send more. */
static void log_pump(struct log *log)
{
    struct rest_request *r = log->request;

    while (log->queue.queued_bytes > 0 && rest_room(r) > 0) {
        uint32_t len = (uint32_t)min_size(log->queue.queued_bytes, PIECE);
        struct blob *piece = blob_reserve(len);
        pieces_pull(&log->queue, piece->at, len);
        rest_chunk(r, piece);
    }
    if (log->queue.queued_bytes > 0)
        return;
    if (log->ended)
        rest_finish(r);
    else
        relay_ack(log->relay);
}

static void log_data(void *owner, struct str bytes)
{
    struct log *log = owner;

    log_start(log);
    pieces_push(&log->queue, blob_new(bytes));
    log_pump(log);
}

static void log_ended(void *owner, uint32_t code, struct str text)
{
    struct log *log = owner;
    struct rest_request *r = log->request;

    log->ended = true;
    if (code != 0 && !log->started) {
        rest_refuse(r, code, text, code == 503 || code == 504 ? 1 : 0);
    } else {
        log_start(log);
        log_pump(log);
    }
    front_settle(r);
}

static const struct relay_user log_user = {.data = log_data, .ended = log_ended};

void logs_more(struct rest_request *r)
{
    struct log *log = r->log;
    if (log->started)
        log_pump(log);
}

void logs_end(struct rest_request *r)
{
    struct log *log = r->log;
    relay_close(log->relay);
    pieces_drop(&log->queue);
    r->log = NULL;
}

/* ---- what was asked ---- */

static bool read_i64(const struct rest_request *r, const char *name, int64_t least, int64_t *out)
{
    struct str text = rest_query(r, name);
    return text.len == 0 || (str_parse_i64(text, out) == ERR_OK && *out >= least);
}

static bool read_wish(const struct rest_request *r, struct stream_wish *w)
{
    int64_t since_s = 0;
    struct wall since = {0};
    struct str text = rest_query(r, "sinceTime");

    w->container = rest_query(r, "container");
    w->follow = query_is_set(&r->query, "follow");
    w->previous = query_is_set(&r->query, "previous");
    w->timestamps = query_is_set(&r->query, "timestamps");
    w->tail_lines = -1;
    bool good = read_i64(r, "tailLines", 0, &w->tail_lines) &&
                read_i64(r, "limitBytes", 1, &w->limit_bytes) &&
                read_i64(r, "sinceSeconds", 1, &since_s) && since_s < INT64_MAX / 1000000000;
    if (text.len > 0)
        good = good && wall_parse(text, &since) == ERR_OK;
    w->since_ns = since_s > 0 ? clock_wall().ns - since_s * 1000000000 : since.ns;
    return good;
}

static bool is_log(const struct rest_request *r)
{
    bool of_pod = r->at.group.len == 0 && str_is(r->at.resource, "pods");
    bool of_machine =
        str_is(r->at.group, "kubevirt.io") && str_is(r->at.resource, "virtualmachineinstances");
    return (of_pod || of_machine) && str_is(r->at.subresource, "log") && r->verb == REST_GET;
}

bool logs_serve(struct rest_request *r)
{
    struct relay_wish wish = {0};
    struct str why = {NULL, 0};

    if (!is_log(r))
        return false;
    if (!read_wish(r, &wish.stream)) {
        rest_refuse(r, 400, STR("a query parameter of the log is not a valid number or time"), 0);
        return true;
    }
    if (!logs_find(r->front, &r->at, &r->arena, &wish, &why)) {
        rest_refuse(r, str_ends(why, STR("not found")) ? 404 : 400, why, 0);
        return true;
    }
    struct log *log = arena_zalloc(&r->arena, 1, sizeof *log);
    log->request = r;
    log->relay = relay_open(r->front->relays, &wish, &log_user, log);
    if (log->relay == NULL)
        rest_refuse(r, 429, STR("too many streams at once"), 1);
    else
        r->log = log;
    return true;
}
