/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/front_priv.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "controlplane/core/core.h"
#include "controlplane/serve/relay.h"
#include "controlplane/serve/sessions.h"
#include "io/clock.h"
#include "io/entropy.h"

#include <stdio.h>

enum { INBOX_OP = 1 };

/* ---- HTTP ---- */

static void http_told(void *owner, const struct http_event *ev)
{
    struct front *f = owner;
    bool is_session = ev->request != NULL && ev->request->streaming;

    switch (ev->type) {
    case HTTP_REQUEST:
        if (is_session)
            sessions_request(f->sessions, ev->request);
        else
            front_request(f, ev->request);
        break;
    case HTTP_BODY:
        sessions_body(f->sessions, ev->tag, ev->bytes, ev->end);
        break;
    case HTTP_WRITABLE:
        if (is_session) {
            sessions_writable(f->sessions, ev->tag);
        } else {
            front_due(ev->tag);
        }
        break;
    case HTTP_NEWS:
        front_more(ev->tag);
        break;
    case HTTP_CANCELLED:
        if (is_session)
            sessions_cancelled(f->sessions, ev->tag);
        else
            front_request_cancelled(ev->tag);
        break;
    case HTTP_DRAINED:
        f->drained_said = true;
        front_post(f, LETTER_FRONT_DRAINED, 0, NULL);
        break;
    }
}

/* ---- the core ---- */

static void front_published(struct front *f)
{
    atomic_store(&f->link.published, false); /* Before looking: what comes now is another letter. */
    http_server_publish(f->server);
}

static void front_drain(struct front *f)
{
    for (struct rest_request *r = f->requests, *next; r != NULL; r = next) {
        next = r->next;
        if (!r->follows)
            continue;
        if (r->status != 0)
            rest_finish(r); /* A watch ends; its client comes again. */
        else
            rest_refuse(r, 503, STR("shutting down"), 1);
        front_settle(r);
    }
    sessions_drain(f->sessions);
    http_server_drain(f->server);
}

static void front_mail(struct front *f, const struct mail *m)
{
    struct letter *l = m->body;

    switch ((enum letter_type)m->type) {
    case LETTER_WRITTEN:
        front_answered(f, m->op, l);
        break;
    case LETTER_PUBLISHED:
        front_published(f);
        break;
    case LETTER_AGENT_SEND:
        sessions_send(f->sessions, l->agent.session, l->agent.bytes);
        break;
    case LETTER_AGENT_CLOSE:
        sessions_close(f->sessions, l->agent.session, l->agent.bytes);
        break;
    case LETTER_STREAM_OPENED:
    case LETTER_STREAM_DATA:
    case LETTER_STREAM_END:
    case LETTER_STREAM_ERROR:
        relays_letter(f->relays, m->type, l);
        break;
    case LETTER_STREAM_ACK:
    case LETTER_STREAM_UP:
    case LETTER_STREAM_CLOSE:
        sessions_letter(f->sessions, m->type, l);
        break;
    case LETTER_DRAIN:
        front_drain(f);
        break;
    case LETTER_STOP: /* See front_turn(). */
        break;
    case LETTER_WRITE:
    case LETTER_AGENT_OPENED:
    case LETTER_AGENT_MESSAGE:
    case LETTER_AGENT_CLOSED:
    case LETTER_FRONT_DRAINED:
        CHECK(false); /* Those go the other way. */
    }
    letter_free(l);
}

/* ---- time ---- */

static void front_times(struct front *f, struct instant now)
{
    for (struct rest_request *r = f->requests, *next; r != NULL; r = next) {
        next = r->next;
        if (!instant_due(r->wake_at, now))
            continue;
        r->wake_at = (struct instant){0};
        front_due(r);
    }
    for (const struct rest_request *r = f->requests; r != NULL; r = r->next)
        front_expect(f, r->wake_at);
    relays_times(f->relays, now);
    sessions_times(f->sessions, now);
}

/* What is kept for the next requests goes when none came for a while: it would not be in the cache any more. After many
 * of them whole pages go back to the system. */
static void front_rest(struct front *f, struct instant now)
{
    struct instant due = instant_add(f->asked, SPAN_S(FRONT_REST_S));

    if (!instant_due(due, now)) {
        f->rest_at = due;
        return;
    }
    f->rest_at = (struct instant){0};
    bool is_much = f->spares_count > FRONT_SPARES_MAX / 4;
    front_spares_free(f);
    is_much |= http_server_rest(f->server);
    arena_pool_free();
    if (is_much)
        mem_trim();
}

/* ---- the loop's side ---- */

static void front_event(struct loop_client *self, const struct io_event *ev)
{
    struct front *f = CONTAINER_OF(self, struct front, client);

    if (ev->type == IO_MAIL)
        front_mail(f, &ev->mail);
    else if (ev->type == IO_DEADLINE)
        front_times(f, ev->now);
}

/* Gauges are written by their own thread, so that a scrape on any thread finds them about right. */
static void front_turn(struct loop_client *self, struct instant now)
{
    struct front *f = CONTAINER_OF(self, struct front, client);

    if (atomic_load(&f->link.behind) && atomic_exchange(&f->link.behind, false))
        sessions_behind(f->sessions);
    if (instant_due(f->rest_at, now))
        front_rest(f, now);
    front_expect(f, f->rest_at);
    if (atomic_load(&f->stopping))
        loop_stop(f->loop);
    if (instant_sub(now, f->gauged).ns < SPAN_S(1).ns)
        return;
    f->gauged = now;
    front_gauges(f);
    front_strangers_sum(f, now);
    front_expect(f, rest_thread_expire(f->verbs, now));
}

enum err_code front_open(const struct front_options *o, struct front **out_front, struct err *e)
{
    struct front *f = mem_zalloc(1, sizeof *f);
    struct http_server_options http = {.address = o->address,
                                       .port = o->port,
                                       .shared = true,
                                       .tls = o->shared->tls,
                                       .limits = o->limits,
                                       .event = http_told,
                                       .owner = f};

    f->loop = loop_new();
    f->number = o->number;
    f->shared = o->shared;
    f->client = (struct loop_client){.event = front_event, .turn = front_turn};
    enum err_code code = http_server_open(f->loop, &http, &f->server, e);
    if (code != ERR_OK) {
        loop_free(f->loop);
        mem_free(f);
        return code;
    }
    loop_join(f->loop, &f->client); /* After the server: its turn flushes what ours replied. */
    front_work_open(f);
    f->request_written = front_request_written;
    mailbox_init(&f->inbox, FRONT_INBOX_MAX);
    loop_attach(&f->client, INBOX_OP, &f->inbox);
    slots_init(&f->writes, FRONT_WRITES_MAX);
    f->waiting = mem_zalloc(FRONT_WRITES_MAX, sizeof *f->waiting);
    f->metrics = metrics_new();
    f->verbs = rest_thread_new(o->shared->encoded);
    f->sessions = sessions_new(f);
    f->relays = relays_new(f);
    f->shared->inboxes[f->number] = &f->inbox;
    f->shared->fronts_count++;
    rng_seed(&f->rng, entropy_u64());
    f->link.inbox = &f->inbox;
    shell_add_front(f->shared->shell, &f->link);
    f->shared->sets[f->shared->sets_count++] = f->metrics;
    *out_front = f;
    return ERR_OK;
}

uint16_t front_port(const struct front *f)
{
    return http_server_port(f->server);
}

static void front_run(void *arg)
{
    struct front *f = arg;
    loop_run(f->loop);
    arena_pool_free(); /* This thread's. */
}

void front_start(struct front *f)
{
    char name[16];
    snprintf(name, sizeof name, "front-%u", f->number);
    thread_start(&f->thread, name, front_run, f);
}

void front_stop(struct front *f)
{
    struct mail m = {.type = LETTER_STOP};

    atomic_store(&f->stopping, true);
    if (mailbox_post(&f->inbox, &m) != ERR_OK)
        return; /* The letter only wakes it, and a box that is full has done so already. */
}

void front_join(struct front *f)
{
    thread_join(&f->thread);
}

void front_free(struct front *f)
{
    if (f == NULL)
        return;
    f->shared->inboxes[f->number] =
        NULL; /* What others had to tell it is dropped (front_tell()). */
    while (f->requests != NULL)
        front_request_cancelled(f->requests);
    front_spares_free(f);
    sessions_free(f->sessions);
    relays_free(f->relays);
    http_server_close(f->server);
    loop_leave(&f->client);
    front_work_close(f);
    loop_free(f->loop);
    mailbox_fini(&f->inbox);
    rest_thread_free(f->verbs);
    slots_fini(&f->writes);
    mem_free(f->waiting);
    metrics_free(f->metrics);
    mem_free(f);
}
