/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/shell/checks.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "io/tcp.h"

#include <stdio.h>

struct check {
    uint64_t op; /* 0: free. */
    uint32_t generation;
    struct tcp *tcp;
    bool http;
    struct instant end_at;
    struct buf request, head;
};

struct refused {
    uint64_t op;
    enum err_code code;
    const char *text; /* A constant. */
};

struct checks {
    struct loop_client client;
    void (*done)(void *owner, uint64_t op, const struct agent_host_done *done);
    void *owner;
    struct check at[CHECKS_MAX];
    struct refused *refused; /* Answered in the loop's next turn. */
    uint32_t refused_count, refused_size;
};

/* ---- answers ---- */

static void rearm(struct checks *c)
{
    struct instant at = {0};
    for (uint32_t i = 0; i < CHECKS_MAX; i++)
        if (c->at[i].op != 0)
            at = instant_earlier(at, c->at[i].end_at);
    loop_set_deadline(&c->client, c->refused_count > 0 ? loop_now(c->client.loop) : at);
}

static void tell(struct checks *c, uint64_t op, enum err_code code, const char *text)
{
    c->done(c->owner, op, &(struct agent_host_done){.code = code, .text = text});
}

static void finish(struct checks *c, struct check *one, enum err_code code, const char *text)
{
    uint64_t op = one->op;
    tcp_close(one->tcp);
    buf_free(&one->request);
    buf_free(&one->head);
    *one = (struct check){.generation = one->generation + 1};
    rearm(c);
    tell(c, op, code, text);
}

/* It may ask for more while it is told: that goes behind. */
static void tell_refused(struct checks *c)
{
    struct refused *all = c->refused;
    uint32_t count = c->refused_count;
    c->refused = NULL;
    c->refused_count = c->refused_size = 0;
    for (uint32_t i = 0; i < count; i++)
        tell(c, all[i].op, all[i].code, all[i].text);
    mem_free(all);
}

static void refuse(struct checks *c, uint64_t op, enum err_code code, const char *text)
{
    if (c->refused_count == c->refused_size) {
        c->refused_size = c->refused_size == 0 ? 16 : 2 * c->refused_size;
        c->refused = mem_resize(c->refused, c->refused_size * sizeof *c->refused);
    }
    c->refused[c->refused_count++] = (struct refused){op, code, text};
    loop_set_deadline(&c->client, loop_now(c->client.loop));
}

/* ---- HTTP ---- */

static bool is_plain(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] < ' ' || text.at[i] == 127)
            return false;
    return true;
}

/* False: it holds what would make another request of it, or is too long. */
static bool print_request(struct buf *out, const struct agent_check *check)
{
    bool ok = is_plain(check->path) && is_plain(check->host) &&
              str_find(check->path, ' ', 0) == check->path.len,
         has_host = false, has_agent = false;
    buf_printf(out, "GET %s" STR_FMT " HTTP/1.1\r\n", str_starts(check->path, STR("/")) ? "" : "/",
               STR_ARG(check->path));
    for (uint32_t i = 0; i < check->headers_count; i++) {
        const struct agent_header *h = &check->headers[i];
        ok = ok && h->name.len > 0 && is_plain(h->name) && is_plain(h->value) &&
             str_find(h->name, ':', 0) == h->name.len;
        has_host |= str_eq_nocase(h->name, STR("host"));
        has_agent |= str_eq_nocase(h->name, STR("user-agent"));
        buf_printf(out, STR_FMT ": " STR_FMT "\r\n", STR_ARG(h->name), STR_ARG(h->value));
    }
    if (!has_host)
        buf_printf(out, "Host: " STR_FMT ":%u\r\n", STR_ARG(check->host), check->port);
    if (!has_agent)
        buf_add(out, STR("User-Agent: baton-probe\r\n"));
    buf_add(out, STR("Accept: */*\r\nConnection: close\r\n\r\n"));
    return ok && buf_status(out, NULL) == ERR_OK;
}

/* "HTTP/1.1 204 No Content" */
static void judge(struct checks *c, struct check *one)
{
    struct str head = buf_str(&one->head), word;
    uint64_t status = 0;
    char text[96];
    if (str_find(head, '\n', 0) == head.len) {
        if (head.len >= CHECKS_HEAD_MAX)
            finish(c, one, ERR_UNAVAILABLE, "the answer is not HTTP");
        return; /* The first line is not whole. */
    }
    bool http = str_split(&head, ' ', &word) && str_starts(word, STR("HTTP/1.")) && head.len >= 3 &&
                str_parse_u64(str_slice(head, 0, 3), &status) == ERR_OK;
    snprintf(text, sizeof text,
             http ? "HTTP probe failed with statuscode: %llu" : "the answer is not HTTP",
             (unsigned long long)status);
    if (http && status >= 200 && status < 400)
        finish(c, one, ERR_OK, "");
    else
        finish(c, one, ERR_UNAVAILABLE, text);
}

/* ---- events ---- */

static struct check *by_op(struct checks *c, uint64_t op)
{
    struct check *one = &c->at[op % CHECKS_MAX];
    return one->op != 0 && one->generation == (uint32_t)(op / CHECKS_MAX) ? one : NULL;
}

static void opened(struct checks *c, struct check *one)
{
    if (!one->http)
        finish(c, one, ERR_OK, "");
    else if (tcp_write(one->tcp, buf_str(&one->request)) != ERR_OK)
        finish(c, one, ERR_UNAVAILABLE, "the request could not be sent");
}

static void overdue(struct checks *c)
{
    struct instant now = loop_now(c->client.loop);
    for (uint32_t i = 0; i < CHECKS_MAX; i++)
        if (c->at[i].op != 0 && instant_due(c->at[i].end_at, now))
            finish(c, &c->at[i], ERR_UNAVAILABLE, "no answer in time");
}

static void on_event(struct loop_client *self, const struct io_event *ev)
{
    struct checks *c = CONTAINER_OF(self, struct checks, client);
    if (ev->type == IO_DEADLINE) {
        tell_refused(c);
        overdue(c);
        rearm(c);
        return;
    }
    struct check *one = by_op(c, ev->op);
    if (one == NULL)
        return;
    if (ev->type == IO_TCP_OPEN) {
        opened(c, one);
    } else if (ev->type == IO_TCP_READ) {
        buf_add(&one->head, str_slice(ev->bytes, 0, CHECKS_HEAD_MAX - one->head.len));
        judge(c, one);
    } else if (ev->type == IO_TCP_CLOSED) {
        finish(c, one, ERR_UNAVAILABLE,
               ev->err.code != ERR_OK ? ev->err.text : "closed before it answered");
    }
}

/* ---- asking ---- */

void checks_do(struct checks *c, uint64_t op, const struct agent_check *check)
{
    struct check *one = NULL;
    char host[256];
    for (uint32_t i = 0; i < CHECKS_MAX && one == NULL; i++)
        if (c->at[i].op == 0)
            one = &c->at[i];
    if (one == NULL) {
        refuse(c, op, ERR_BUSY, "too many probes at once");
        return;
    }
    if (check->port == 0 || check->host.len >= sizeof host) {
        refuse(c, op, ERR_UNAVAILABLE, "the port has no number, or the host is no name");
        return;
    }
    snprintf(host, sizeof host, STR_FMT, STR_ARG(check->host));
    buf_init(&one->request, CHECKS_REQUEST_MAX);
    buf_init(&one->head, CHECKS_HEAD_MAX);
    if (check->http && !print_request(&one->request, check)) {
        buf_free(&one->request);
        refuse(c, op, ERR_UNAVAILABLE, "path or headers cannot be sent");
        return;
    }
    one->op = op;
    one->http = check->http;
    one->end_at = instant_add(loop_now(c->client.loop), check->timeout);
    one->tcp =
        tcp_connect(&c->client, (uint64_t)one->generation * CHECKS_MAX + (uint64_t)(one - c->at),
                    host, check->port);
    loop_set_deadline(&c->client, instant_earlier(c->client.deadline, one->end_at));
}

/* ---- life ---- */

struct checks *
checks_new(struct loop *l,
           void (*done)(void *owner, uint64_t op, const struct agent_host_done *done), void *owner)
{
    struct checks *c = mem_zalloc(1, sizeof *c);
    c->client.event = on_event;
    c->done = done;
    c->owner = owner;
    loop_join(l, &c->client);
    return c;
}

void checks_free(struct checks *c)
{
    if (c == NULL)
        return;
    for (uint32_t i = 0; i < CHECKS_MAX; i++) {
        tcp_close(c->at[i].tcp);
        buf_free(&c->at[i].request);
        buf_free(&c->at[i].head);
    }
    loop_leave(&c->client);
    mem_free(c->refused);
    mem_free(c);
}
