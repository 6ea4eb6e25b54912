/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One turn: wait in libuv, deliver what happened, then what was queued, then mail, then deadlines, and
 * give each client its turn(). A client may leave in any of them: cursor walks the list safely.
 */
#include "io/loop.h"

#include "base/check.h"
#include "base/mem.h"
#include "io/clock.h"
#include "io/loop_priv.h"

#include <sys/eventfd.h>

enum { BOXES_MAX = 64, SIGNALS_MAX = 8, MAIL_PER_TURN = 1024, WAIT_MS_MAX = 3600 * 1000 };

struct queued {
    struct loop_client *client; /* NULL: dropped. */
    const void *source;
    struct io_event event;
};

struct bell {
    uv_poll_t uv;
    int fd; /* The box's. */
};

struct box {
    struct mailbox *box;
    struct bell *bell;
    struct loop_client *client;
    uint64_t op;
};

struct signal {
    uv_signal_t uv;
    struct loop_client *client;
};

struct loop {
    uv_loop_t uv;
    uv_timer_t timer;
    struct loop_client *clients, *cursor; /* cursor: the next one the running walk visits. */
    struct queued *queue;
    uint32_t queue_count, queue_size;
    struct box boxes[BOXES_MAX];
    uint32_t boxes_count, signals_count;
    struct signal signals[SIGNALS_MAX];
    struct instant now;
    bool now_is_fresh, stopping, mail_left;
    char scratch[LOOP_SCRATCH];
};

struct loop_fd {
    uv_poll_t uv;
    struct loop_client *client;
    uint64_t op;
};

static void ignore_timer(uv_timer_t *timer)
{
    (void)timer;
}

struct loop *loop_new(void)
{
    struct loop *l = mem_zalloc(1, sizeof *l);
    CHECK(uv_loop_init(&l->uv) == 0);
    CHECK(uv_timer_init(&l->uv, &l->timer) == 0);
    l->now = clock_now();
    return l;
}

void loop_free(struct loop *l)
{
    if (l == NULL)
        return;
    CHECK(l->clients == NULL);
    uv_close((uv_handle_t *)&l->timer, NULL);
    while (uv_run(&l->uv, UV_RUN_DEFAULT) != 0)
        ;
    CHECK(uv_loop_close(&l->uv) == 0);
    mem_free(l->queue);
    mem_free(l);
}

uv_loop_t *loop__uv(struct loop *l)
{
    return &l->uv;
}

uv_buf_t loop__scratch(struct loop *l)
{
    return uv_buf_init(l->scratch, sizeof l->scratch);
}

struct instant loop_now(const struct loop *l)
{
    return l->now;
}

static void refresh_now(struct loop *l)
{
    if (!l->now_is_fresh)
        l->now = clock_now();
    l->now_is_fresh = true;
}

void loop__emit(struct loop_client *c, struct io_event *ev)
{
    refresh_now(c->loop);
    ev->now = c->loop->now;
    c->event(c, ev);
}

void loop__post(struct loop_client *c, const void *source, const struct io_event *ev)
{
    struct loop *l = c->loop;
    if (l->queue_count == l->queue_size) {
        l->queue_size = l->queue_size == 0 ? 16 : l->queue_size * 2;
        l->queue = mem_resize(l->queue, l->queue_size * sizeof *l->queue);
    }
    l->queue[l->queue_count++] = (struct queued){c, source, *ev};
}

void loop__drop(struct loop *l, const void *source)
{
    for (uint32_t i = 0; i < l->queue_count; i++)
        if (l->queue[i].source == source)
            l->queue[i].client = NULL;
}

enum err_code loop__err(struct err *e, const char *what, int status)
{
    if (status == 0 || status == UV_EOF)
        return ERR_OK;
    enum err_code code = status == UV_EACCES || status == UV_EPERM     ? ERR_DENIED
                         : status == UV_ENOENT                         ? ERR_NOT_FOUND
                         : status == UV_EADDRINUSE                     ? ERR_CONFLICT
                         : status == UV_EINVAL || status == UV_ENOTSUP ? ERR_INVALID
                                                                       : ERR_UNAVAILABLE;
    return err_set(e, code, "%s: %s", what, uv_strerror(status));
}

/* ---- clients ---- */

void loop_join(struct loop *l, struct loop_client *c)
{
    CHECK(c->loop == NULL);
    c->loop = l;
    c->deadline = (struct instant){0};
    c->next = l->clients;
    l->clients = c;
}

static void signal_forget(struct loop *l, struct loop_client *c)
{
    for (uint32_t i = 0; i < l->signals_count; i++)
        if (l->signals[i].client == c) {
            l->signals[i].client = NULL;
            uv_close((uv_handle_t *)&l->signals[i].uv, NULL);
        }
}

void loop_leave(struct loop_client *c)
{
    struct loop *l = c->loop;
    struct loop_client **at = &l->clients;

    while (*at != c) {
        CHECK(*at != NULL);
        at = &(*at)->next;
    }
    *at = c->next;
    if (l->cursor == c)
        l->cursor = c->next;
    for (uint32_t i = 0; i < l->queue_count; i++)
        if (l->queue[i].client == c)
            l->queue[i].client = NULL;
    for (uint32_t i = l->boxes_count; i-- > 0;)
        if (l->boxes[i].client == c)
            loop_detach(c, l->boxes[i].box);
    signal_forget(l, c);
    c->loop = NULL;
}

void loop_set_deadline(struct loop_client *c, struct instant at)
{
    c->deadline = at;
}

static void signal_came(uv_signal_t *uv, int signo)
{
    struct signal *s = CONTAINER_OF(uv, struct signal, uv);
    if (s->client != NULL)
        loop__emit(s->client, &(struct io_event){.type = IO_SIGNAL, .signo = signo});
}

void loop_signal(struct loop_client *c, int signo)
{
    struct loop *l = c->loop;
    CHECK(l->signals_count < SIGNALS_MAX);
    struct signal *s = &l->signals[l->signals_count++];
    s->client = c;
    CHECK(uv_signal_init(&l->uv, &s->uv) == 0);
    CHECK(uv_signal_start(&s->uv, signal_came, signo) == 0);
}

/* ---- mail ---- */

/* Having returned from the wait is all it is for: deliver_mail() looks into every box. Not libuv's own bell (uv_async_t):
 * who hears that spins until the one who rang has returned from the kernel, which may be when it gets its processor back. */
static void bell_rang(uv_poll_t *uv, int status, int events)
{
    eventfd_t times;
    (void)status;
    (void)events;
    (void)eventfd_read(CONTAINER_OF(uv, struct bell, uv)->fd, &times);
}

static void bell_closed(uv_handle_t *handle)
{
    mem_free(CONTAINER_OF((uv_poll_t *)handle, struct bell, uv));
}

/* The box keeps its bell until its end: somebody may be about to ring it. */
static int bell_of(struct mailbox *box)
{
    pthread_mutex_lock(&box->mutex);
    if (box->bell < 0)
        box->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int fd = box->bell;
    pthread_mutex_unlock(&box->mutex);
    CHECK(fd >= 0);
    return fd;
}

void loop_attach(struct loop_client *c, uint64_t op, struct mailbox *box)
{
    struct loop *l = c->loop;
    struct bell *bell = mem_zalloc(1, sizeof *bell);
    CHECK(l->boxes_count < BOXES_MAX);
    bell->fd = bell_of(box);
    CHECK(uv_poll_init(&l->uv, &bell->uv, bell->fd) == 0);
    CHECK(uv_poll_start(&bell->uv, UV_READABLE, bell_rang) == 0);
    l->boxes[l->boxes_count++] = (struct box){box, bell, c, op};
    (void)eventfd_write(bell->fd, 1); /* Mail may be there already. */
}

void loop_detach(struct loop_client *c, struct mailbox *box)
{
    struct loop *l = c->loop;
    for (uint32_t i = 0; i < l->boxes_count; i++)
        if (l->boxes[i].box == box) {
            uv_close((uv_handle_t *)&l->boxes[i].bell->uv, bell_closed);
            l->boxes[i] = l->boxes[--l->boxes_count];
            return;
        }
}

/* A full box must not starve the sockets: the rest comes in the next turn, which does not wait. */
static void deliver_mail(struct loop *l)
{
    l->mail_left = false;
    for (uint32_t i = 0; i < l->boxes_count; i++) {
        struct mail m;
        uint32_t taken = 0;
        struct box b = l->boxes[i];
        while (taken < MAIL_PER_TURN && mailbox_take(b.box, &m)) {
            taken++;
            loop__emit(b.client, &(struct io_event){.type = IO_MAIL, .op = b.op, .mail = m});
            if (i >= l->boxes_count || l->boxes[i].box != b.box)
                break; /* Detached by its own client. */
        }
        l->mail_left = l->mail_left || taken == MAIL_PER_TURN;
    }
}

/* ---- descriptors ---- */

static void fd_ready(uv_poll_t *uv, int status, int events)
{
    struct loop_fd *w = CONTAINER_OF(uv, struct loop_fd, uv);
    if (status < 0) /* An error shows when it is read or written. */
        events = UV_READABLE | UV_WRITABLE;
    if ((events & (UV_READABLE | UV_DISCONNECT)) != 0)
        loop__emit(w->client, &(struct io_event){.type = IO_FD_READABLE, .op = w->op});
    if ((events & UV_WRITABLE) != 0 && !uv_is_closing((uv_handle_t *)uv))
        loop__emit(w->client, &(struct io_event){.type = IO_FD_WRITABLE, .op = w->op});
}

struct loop_fd *loop_watch_fd(struct loop_client *c, uint64_t op, int fd)
{
    struct loop_fd *w = mem_zalloc(1, sizeof *w);
    w->client = c;
    w->op = op;
    CHECK(uv_poll_init(&c->loop->uv, &w->uv, fd) == 0);
    CHECK(uv_poll_start(&w->uv, UV_READABLE | UV_DISCONNECT, fd_ready) == 0);
    return w;
}

void loop_want_fd(struct loop_fd *w, bool readable, bool writable)
{
    int events = (readable ? UV_READABLE | UV_DISCONNECT : 0) | (writable ? UV_WRITABLE : 0);
    CHECK((events == 0 ? uv_poll_stop(&w->uv) : uv_poll_start(&w->uv, events, fd_ready)) == 0);
}

static void fd_closed(uv_handle_t *handle)
{
    mem_free(CONTAINER_OF((uv_poll_t *)handle, struct loop_fd, uv));
}

void loop_unwatch_fd(struct loop_fd *w)
{
    if (w != NULL)
        uv_close((uv_handle_t *)&w->uv, fd_closed);
}

/* ---- the turn ---- */

static void deliver_queue(struct loop *l)
{
    /* What is posted meanwhile goes behind, and is delivered too: an answer to what was asked while
     * answering. Each costs its client a step, so this ends. */
    for (uint32_t i = 0; i < l->queue_count; i++) {
        struct queued q = l->queue[i];
        if (q.client != NULL)
            loop__emit(q.client, &q.event);
    }
    l->queue_count = 0;
}

static void deliver_deadlines(struct loop *l)
{
    for (struct loop_client *c = l->clients; c != NULL; c = l->cursor) {
        l->cursor = c->next;
        if (!instant_due(c->deadline, l->now))
            continue;
        c->deadline = (struct instant){0};
        loop__emit(c, &(struct io_event){.type = IO_DEADLINE});
    }
}

static void give_turns(struct loop *l)
{
    for (struct loop_client *c = l->clients; c != NULL; c = l->cursor) {
        l->cursor = c->next;
        if (c->turn != NULL)
            c->turn(c, l->now);
    }
}

/* Milliseconds until the earliest deadline, at most wait; rounded up so that it is due then. */
static uint64_t wait_ms(struct loop *l, struct span wait)
{
    struct instant now = clock_now(), first = instant_add(now, wait);
    for (struct loop_client *c = l->clients; c != NULL; c = c->next)
        first = instant_earlier(first, c->deadline);
    return first.ns <= now.ns ? 0 : (uint64_t)(first.ns - now.ns + 999999) / 1000000;
}

void loop_step(struct loop *l, struct span wait)
{
    uint64_t ms = l->queue_count > 0 || l->mail_left ? 0 : wait_ms(l, wait);

    l->now_is_fresh = false;
    if (ms == 0) {
        uv_run(&l->uv, UV_RUN_NOWAIT);
    } else {
        uv_update_time(&l->uv);
        /* libuv before 1.45 runs timers ahead of the wait as well: had we lost the processor for so long meanwhile, it
         * would be over before it could end the wait. So it repeats. */
        uv_timer_start(&l->timer, ignore_timer, ms, 1);
        uv_run(&l->uv, UV_RUN_ONCE);
        uv_timer_stop(&l->timer);
    }
    refresh_now(l);
    deliver_queue(l);
    deliver_mail(l);
    deliver_deadlines(l);
    deliver_queue(l);
    give_turns(l);
}

void loop_run(struct loop *l)
{
    l->stopping = false;
    while (!l->stopping)
        loop_step(l, SPAN_MS(WAIT_MS_MAX));
}

void loop_stop(struct loop *l)
{
    l->stopping = true;
}
