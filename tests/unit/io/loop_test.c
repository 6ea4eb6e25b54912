/* SPDX-License-Identifier: Apache-2.0 */
#include "io/loop.h"

#include "io/clock.h"
#include "io/tcp.h"
#include "tests/testlib/test.h"

#include <signal.h>
#include <unistd.h>
#include <uv.h>

/* Remembers what it was told, in order, one letter an event. */
struct recorder {
    struct loop_client client;
    char told[64];
    uint32_t told_count, turns;
    uint64_t last_op;
    struct buf bytes;
    struct tcp *tcp;
    struct err err;
};

static void recorder_event(struct loop_client *self, const struct io_event *ev)
{
    static const char letters[] = "DMSPGFfOARWC";
    struct recorder *r = CONTAINER_OF(self, struct recorder, client);

    if (r->told_count < sizeof r->told - 1)
        r->told[r->told_count++] = letters[ev->type];
    r->last_op = ev->op;
    r->err = ev->err;
    if (ev->type == IO_TCP_READ)
        buf_add(&r->bytes, ev->bytes);
    if (ev->type == IO_TCP_ACCEPTED) {
        r->tcp = ev->tcp;
        tcp_adopt(r->tcp, self, ev->op + 1);
    }
}

static void recorder_turn(struct loop_client *self, struct instant now)
{
    (void)now;
    CONTAINER_OF(self, struct recorder, client)->turns++;
}

static void recorder_join(struct recorder *r, struct loop *l)
{
    *r = (struct recorder){.client = {.event = recorder_event, .turn = recorder_turn}};
    buf_init(&r->bytes, 1 << 20);
    loop_join(l, &r->client);
}

static void until(struct loop *l, const struct recorder *r, const char *told)
{
    struct instant limit = instant_add(clock_now(), SPAN_S(20));
    while (strcmp(r->told, told) != 0 && clock_now().ns < limit.ns)
        loop_step(l, SPAN_MS(100));
    cr_assert_str_eq(r->told, told);
}

/* The linker puts this before libuv's own (tests/CMakeLists.txt): a machine that takes the processor away at the worst
 * moment. */
static unsigned stall_us;

int __real_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t ms, uint64_t repeat_ms);
int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t ms, uint64_t repeat_ms);

int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb cb, uint64_t ms, uint64_t repeat_ms)
{
    int rc = __real_uv_timer_start(timer, cb, ms, repeat_ms);
    if (stall_us > 0)
        usleep(stall_us);
    return rc;
}

TEST(loop, a_deadline_that_passes_before_the_wait_ends_it)
{
    struct loop *l = loop_new();
    struct recorder r;
    recorder_join(&r, l);
    loop_set_deadline(&r.client, instant_add(clock_now(), SPAN_MS(1)));
    stall_us = 5000;
    while (r.told_count == 0)
        loop_step(l, SPAN_S(3600)); /* Without the repetition it never comes back. */
    stall_us = 0;
    cr_assert_str_eq(r.told, "D");
    loop_leave(&r.client);
    buf_free(&r.bytes);
    loop_free(l);
}

TEST(loop, deadline_comes_once)
{
    struct loop *l = loop_new();
    struct recorder r;
    recorder_join(&r, l);
    struct instant due = instant_add(clock_now(), SPAN_MS(5));
    loop_set_deadline(&r.client, due);
    until(l, &r, "D");
    cr_assert(clock_now().ns >= due.ns);
    loop_step(l, SPAN_MS(10));
    cr_assert_str_eq(r.told, "D");
    loop_leave(&r.client);
    loop_free(l);
}

static void post_from_thread(void *arg)
{
    for (uint64_t i = 1; i <= 100; i++)
        cr_assert_eq(mailbox_post(arg, &(struct mail){.type = 7, .op = i}), ERR_OK);
}

/* Mail wakes a loop that waits, is delivered in order, and a batch of it gets one turn. */
TEST(loop, mail_from_another_thread)
{
    struct loop *l = loop_new();
    struct recorder r;
    struct mailbox box;
    struct thread t;
    recorder_join(&r, l);
    mailbox_init(&box, 100);
    loop_attach(&r.client, 3, &box);
    thread_start(&t, "poster", post_from_thread, &box);
    thread_join(&t);
    while (r.told_count < 63)
        loop_step(l, SPAN_S(5));
    cr_assert_eq(r.last_op, 3);
    cr_assert_leq(r.turns, 3);
    loop_leave(&r.client);
    mailbox_fini(&box);
    loop_free(l);
}

/* ---- back and forth ---- */

enum { ROUNDS = 5000, ATTACHED = 9 };

struct echo {
    struct mailbox to, back;
    struct loop_client client;
    uint64_t came;
};

static void echo_run(void *arg)
{
    struct echo *e = arg;
    struct mail m;
    while (mailbox_wait(&e->to, SPAN_S(20), &m))
        cr_assert_eq(mailbox_post(&e->back, &m), ERR_OK);
}

static void echo_came(struct loop_client *self, const struct io_event *ev)
{
    struct echo *e = CONTAINER_OF(self, struct echo, client);
    if (ev->type != IO_MAIL)
        return;
    cr_assert_eq(ev->op, ATTACHED);
    cr_assert_eq(ev->mail.op, e->came++);
    if (e->came < ROUNDS)
        cr_assert_eq(mailbox_post(&e->to, &(struct mail){.op = e->came}), ERR_OK);
}

/* Each mail meets a receiver who is about to sleep: none of them is left lying. */
TEST(loop, no_mail_is_slept_through)
{
    struct echo e = {.client = {.event = echo_came}};
    struct loop *l = loop_new();
    struct thread t;
    struct instant began = clock_now();
    mailbox_init(&e.to, 4);
    mailbox_init(&e.back, 4);
    loop_join(l, &e.client);
    loop_attach(&e.client, ATTACHED, &e.back);
    thread_start(&t, "echo", echo_run, &e);
    cr_assert_eq(mailbox_post(&e.to, &(struct mail){.op = 0}), ERR_OK);
    while (e.came < ROUNDS && clock_now().ns < instant_add(began, SPAN_S(8)).ns)
        loop_step(l, SPAN_S(8));
    cr_expect_eq(e.came, ROUNDS);
    mailbox_close(&e.to);
    thread_join(&t);
    loop_leave(&e.client);
    loop_free(l);
    mailbox_fini(&e.to);
    mailbox_fini(&e.back);
}

static uint32_t dropped;
static void count_drop(void *body)
{
    (void)body;
    dropped++;
}

TEST(mailbox, refuses_when_full_and_drops_what_is_left)
{
    struct mailbox box;
    struct mail m = {.drop = count_drop}, got;
    mailbox_init(&box, 20);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(mailbox_post(&box, &m), ERR_OK);
    cr_assert_eq(mailbox_post(&box, &m), ERR_BUSY);
    cr_assert(mailbox_take(&box, &got));
    cr_assert_eq(mailbox_post(&box, &m), ERR_OK);
    mailbox_close(&box);
    cr_assert_eq(mailbox_post(&box, &m), ERR_UNAVAILABLE);
    cr_assert(mailbox_wait(&box, SPAN_S(0), &got));
    mailbox_fini(&box);
    cr_assert_eq(dropped, 19);
}

TEST(mailbox, wait_ends_at_its_time)
{
    struct mailbox box;
    struct mail got;
    mailbox_init(&box, 1);
    struct instant before = clock_now();
    cr_assert_not(mailbox_wait(&box, SPAN_MS(5), &got));
    cr_assert_geq(instant_sub(clock_now(), before).ns, SPAN_MS(5).ns);
    mailbox_fini(&box);
}

/* Order and content survive the swapping of the two rings at any interleaving. */
TEST(mailbox, keeps_order)
{
    struct mailbox box;
    struct mail got;
    uint64_t in = 0, out = 0;
    mailbox_init(&box, 1000);
    for (uint32_t round = 0; round < 200; round++) {
        for (uint32_t i = 0; i < round % 37; i++)
            cr_assert_eq(mailbox_post(&box, &(struct mail){.op = in++}), ERR_OK);
        for (uint32_t i = 0; i < round % 31 && mailbox_take(&box, &got); i++)
            cr_assert_eq(got.op, out++);
    }
    while (mailbox_take(&box, &got))
        cr_assert_eq(got.op, out++);
    cr_assert_eq(in, out);
    mailbox_fini(&box);
}

TEST(tcp, connects_and_carries_both_ways)
{
    struct loop *l = loop_new();
    struct recorder server, client;
    struct tcp_listener *listener;
    struct err e = {0};
    signal(SIGPIPE, SIG_IGN);
    recorder_join(&server, l);
    recorder_join(&client, l);
    struct tcp_listen_options o = {.address = "127.0.0.1", .shared = true};
    cr_assert_eq(tcp_listen(&server.client, 1, &o, &listener, &e), ERR_OK, "%s", e.text);
    struct tcp *t = tcp_connect(&client.client, 9, "localhost", tcp_listener_port(listener));
    until(l, &client, "O");
    until(l, &server, "A");
    cr_assert_eq(tcp_write(t, STR("ping")), ERR_OK);
    until(l, &server, "AR");
    cr_assert(str_is(buf_str(&server.bytes), "ping"));

    /* More than the kernel takes: pending, then WRITABLE once the other side has read it. */
    static char big[900 << 10];
    tcp_read_pause(t, true);
    cr_assert_eq(tcp_write(server.tcp, str_from(big, sizeof big)), ERR_OK);
    while (tcp_pending(server.tcp) == 0)
        cr_assert_eq(tcp_write(server.tcp, str_from(big, 100 << 10)), ERR_OK);
    enum err_code code = ERR_OK;
    for (int i = 0; i < 12 && code == ERR_OK; i++)
        code = tcp_write(server.tcp, str_from(big, 100 << 10));
    cr_assert_eq(code, ERR_LIMIT);
    tcp_read_pause(t, false);
    until(l, &server, "ARW");
    tcp_close(t);
    until(l, &server, "ARWC");
    tcp_close(server.tcp);
    tcp_listener_close(listener);
    buf_free(&server.bytes);
    buf_free(&client.bytes);
    loop_leave(&server.client);
    loop_leave(&client.client);
    loop_free(l);
}

TEST(tcp, refused_is_an_event)
{
    struct loop *l = loop_new();
    struct recorder r;
    recorder_join(&r, l);
    struct tcp *t = tcp_connect(&r.client, 1, "127.0.0.1", 1);
    cr_assert_eq(r.told_count, 0, "nothing is told from inside the call");
    until(l, &r, "C");
    cr_assert_eq(r.err.code, ERR_UNAVAILABLE);
    tcp_close(t);
    t = tcp_connect_unix(&r.client, 2, "/nonexistent/socket");
    until(l, &r, "CC");
    tcp_close(t);
    tcp_close(tcp_connect(&r.client, 3, "localhost", 1)); /* While the name is looked up. */
    loop_step(l, SPAN_MS(0));
    cr_assert_str_eq(r.told, "CC");
    loop_leave(&r.client);
    loop_free(l);
}

TEST(loop, watches_a_descriptor)
{
    struct loop *l = loop_new();
    struct recorder r;
    int ends[2];
    recorder_join(&r, l);
    cr_assert_eq(pipe(ends), 0);
    struct loop_fd *w = loop_watch_fd(&r.client, 5, ends[0]);
    loop_step(l, SPAN_MS(1));
    cr_assert_eq(r.told_count, 0);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    loop_step(l, SPAN_S(5));
    cr_assert_str_eq(r.told, "F");
    loop_unwatch_fd(w);
    loop_leave(&r.client);
    loop_free(l);
    close(ends[0]);
    close(ends[1]);
}

/* A descriptor that may be written at once says so until nobody asks any more. */
TEST(loop, a_descriptor_is_watched_for_what_is_wanted)
{
    struct loop *l = loop_new();
    struct recorder r;
    int ends[2];
    recorder_join(&r, l);
    cr_assert_eq(pipe(ends), 0);
    struct loop_fd *in = loop_watch_fd(&r.client, 1, ends[0]);
    struct loop_fd *out = loop_watch_fd(&r.client, 2, ends[1]);
    loop_want_fd(out, false, true);
    until(l, &r, "f");
    cr_assert_eq(r.last_op, 2);
    loop_want_fd(out, false, false);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    until(l, &r, "fF");
    cr_assert_eq(r.last_op, 1);
    loop_unwatch_fd(in);
    loop_unwatch_fd(out);
    loop_leave(&r.client);
    loop_free(l);
    close(ends[0]);
    close(ends[1]);
}
