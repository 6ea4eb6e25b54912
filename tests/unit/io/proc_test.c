/* SPDX-License-Identifier: Apache-2.0 */
#include "io/proc.h"

#include "io/clock.h"
#include "tests/testlib/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static enum err_code sh(const char *script, struct proc_request r, struct buf *out, int *status)
{
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    struct err e;
    r.argv = argv;
    return proc_run_wait(&r, out, NULL, status, &e);
}

TEST(proc, captures_up_to_the_cap)
{
    struct buf out;
    int status = -1;
    buf_init(&out, 1 << 20);
    cr_assert_eq(sh("head -c 300000 /dev/zero; exit 3", (struct proc_request){.capture_max = 1000},
                    &out, &status),
                 ERR_OK);
    cr_assert_eq(status, 3);
    cr_assert_eq(out.len, 1000);
    buf_free(&out);
}

TEST(proc, gives_input_and_environment)
{
    struct buf out;
    int status = -1;
    const char *env[] = {"WORD=hello", NULL};
    buf_init(&out, 1 << 20);
    cr_assert_eq(sh("read x; echo $WORD $x",
                    (struct proc_request){.input = STR("world\n"), .env = env}, &out, &status),
                 ERR_OK);
    cr_assert(str_is(buf_str(&out), "hello world\n"), STR_FMT, STR_ARG(buf_str(&out)));
    buf_free(&out);
}

TEST(proc, a_descriptor_is_passed_under_its_number)
{
    struct buf out;
    int status = -1, ends[2];
    buf_init(&out, 100);
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    struct proc_request r = {.fds = {{.child = 7, .ours = ends[1]}}, .fds_count = 1};
    cr_assert_eq(sh("echo there >&7", r, &out, &status), ERR_OK);
    close(ends[1]);
    char got[16] = "";
    cr_assert_eq(read(ends[0], got, sizeof got), 6);
    cr_assert_str_eq(got, "there\n");
    close(ends[0]);
    buf_free(&out);
}

TEST(proc, what_was_left_open_by_others_is_not_passed)
{
    int status = -1, left = fcntl(STDERR_FILENO, F_DUPFD, 300);
    cr_assert_geq(left, 300);
    cr_assert_eq(sh("test ! -e /proc/self/fd/300 && test ! -e /proc/$$/fd/300",
                    (struct proc_request){0}, NULL, &status),
                 ERR_OK);
    cr_assert_eq(status, 0);
    close(left);
}

TEST(proc, time_is_limited_for_all_it_started)
{
    int status = -1;
    struct instant before = clock_now();
    struct proc_request r = {.timeout = SPAN_MS(50), .detached = true};
    cr_assert_eq(sh("sleep 20 & sleep 20", r, NULL, &status), ERR_UNAVAILABLE);
    cr_assert_lt(instant_sub(clock_now(), before).ns, SPAN_S(10).ns);
}

TEST(proc, missing_program_is_an_answer)
{
    const char *argv[] = {"/nonexistent/program", NULL};
    struct proc_request r = {.argv = argv};
    struct err e;
    int status;
    cr_assert_eq(proc_run_wait(&r, NULL, NULL, &status, &e), ERR_UNAVAILABLE);
    cr_assert_not_null(strstr(e.text, "/nonexistent/program"));
}

/* What a child leaves behind may hold its stdout open: the child is done all the same. */
TEST(proc, does_not_wait_for_what_a_child_left_behind)
{
    struct buf out;
    int status = -1;
    struct instant before = clock_now();
    buf_init(&out, 100);
    cr_assert_eq(sh("sleep 15 & echo $!", (struct proc_request){0}, &out, &status), ERR_OK);
    cr_assert_lt(instant_sub(clock_now(), before).ns, SPAN_S(10).ns);
    uint64_t pid = 0;
    cr_assert_eq(str_parse_u64(str_trim(buf_str(&out)), &pid), ERR_OK);
    kill((pid_t)pid, SIGKILL);
    buf_free(&out);
}

struct watcher {
    struct loop_client client;
    uint64_t gone[2];
    uint32_t gone_count, done_count;
};

static void watcher_event(struct loop_client *self, const struct io_event *ev)
{
    struct watcher *w = CONTAINER_OF(self, struct watcher, client);
    if (ev->type == IO_PROC_GONE && w->gone_count < 2)
        w->gone[w->gone_count++] = ev->op;
    w->done_count += ev->type == IO_PROC_DONE;
}

TEST(proc, a_reused_pid_counts_as_gone)
{
    struct loop *l = loop_new();
    struct watcher w = {.client = {.event = watcher_event}};
    const char *argv[] = {"/bin/sleep", "30", NULL};
    loop_join(l, &w.client);
    struct proc *p = proc_run(&w.client, 1, &(struct proc_request){.argv = argv});
    uint64_t start = proc_start_time(proc_pid(p));
    cr_assert_neq(start, 0);
    cr_assert_null(proc_watch(&w.client, 11, proc_pid(p), start + 1));
    cr_assert_not_null(proc_watch(&w.client, 12, proc_pid(p), start));
    loop_step(l, SPAN_S(5));
    cr_assert(w.gone_count == 1 && w.gone[0] == 11);
    proc_kill(p, SIGKILL);
    while (w.done_count == 0 || w.gone_count < 2)
        loop_step(l, SPAN_S(5));
    cr_assert_eq(w.gone[1], 12);
    loop_leave(&w.client);
    loop_free(l);
}

/* To be short of descriptors is no news of anybody's end. */
TEST(proc, nobody_ends_for_want_of_descriptors)
{
    struct loop *l = loop_new();
    struct watcher w = {.client = {.event = watcher_event}};
    const char *argv[] = {"/bin/sleep", "30", NULL};
    struct rlimit usual, none;
    loop_join(l, &w.client);
    struct proc *p = proc_run(&w.client, 1, &(struct proc_request){.argv = argv});
    pid_t pid = proc_pid(p);
    uint64_t start = proc_start_time(pid);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
    none = usual;
    none.rlim_cur = 3; /* All of them are in use. */
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct proc_watch *watch = proc_watch(&w.client, 11, pid, start);
    struct proc_watch *unwatched = proc_watch(&w.client, 12, pid, start);
    for (int turns = 0; turns < 3; turns++)
        loop_step(l, SPAN_MS(300));
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
    cr_assert(watch != NULL && unwatched != NULL && w.gone_count == 0);
    proc_unwatch(unwatched);
    proc_kill(p, SIGKILL);
    while (w.done_count == 0 || w.gone_count < 1)
        loop_step(l, SPAN_S(5));
    cr_assert_eq(w.gone[0], 11);
    loop_leave(&w.client);
    loop_free(l);
}

static void refuse_event(struct loop_client *self, const struct io_event *ev)
{
    (void)self;
    cr_assert_fail("event %d of a child that was let go", (int)ev->type);
}

TEST(proc, a_child_let_go_lives_on_and_is_not_heard_of)
{
    struct loop *l = loop_new();
    struct loop_client c = {.event = refuse_event};
    const char *argv[] = {"/bin/sleep", "30", NULL};
    loop_join(l, &c);
    struct proc *p =
        proc_run(&c, 1, &(struct proc_request){.argv = argv, .detached = true, .no_capture = true});
    cr_assert_not_null(p);
    pid_t pid = proc_pid(p);
    proc_forget(p);
    loop_step(l, SPAN_MS(1));
    cr_assert_eq(kill(pid, 0), 0);
    kill(pid, SIGKILL);
    loop_step(l, SPAN_MS(20));
    loop_leave(&c);
    loop_free(l);
}
