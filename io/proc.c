/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callbacks here translate, post and return; what an exit status means is for the owner of the op to
 * say. A child is done when it exited, not when its pipes closed: what it left behind (a container, a
 * daemon) may hold them for ever, so what is in them is read once more and that is all.
 */
#include "io/proc.h"

#include "base/check.h"
#include "base/mem.h"
#include "io/fs.h"
#include "io/loop_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { INPUT_MAX = 64 << 10, STAT_MAX = 1024 };

struct pipe_end {
    uv_pipe_t uv;
    struct proc *proc;
    struct buf got;
};

struct proc {
    uv_process_t uv;
    uv_timer_t timer;
    struct pipe_end in, out, err;
    uv_write_t write;
    struct loop_client *client;
    uint64_t op;
    bool captures, feeds, started, detached, timed_out;
    uint32_t open; /* Handles libuv still has. */
    struct io_event done;
};

static void proc_handle_closed(uv_handle_t *handle)
{
    struct proc *p = handle->data;

    if (--p->open > 0)
        return;
    buf_free(&p->in.got);
    buf_free(&p->out.got);
    buf_free(&p->err.got);
    mem_free(p);
}

static void proc_close(struct proc *p, uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        handle->data = p;
        uv_close(handle, proc_handle_closed);
    }
}

static void proc_close_all(struct proc *p)
{
    proc_close(p, (uv_handle_t *)&p->uv);
    proc_close(p, (uv_handle_t *)&p->timer);
    if (p->feeds)
        proc_close(p, (uv_handle_t *)&p->in.uv);
    if (p->captures) {
        proc_close(p, (uv_handle_t *)&p->out.uv);
        proc_close(p, (uv_handle_t *)&p->err.uv);
    }
}

/* ---- what it prints ---- */

/* Past the cap the child may print on; we read and forget, so that it does not block. */
static void keep(struct pipe_end *end, struct str bytes)
{
    buf_add(&end->got, str_slice(bytes, 0, end->got.limit - end->got.len));
}

static void lend_scratch(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    *out =
        loop__scratch(CONTAINER_OF((uv_pipe_t *)handle, struct pipe_end, uv)->proc->client->loop);
}

static void pipe_was_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct pipe_end *end = CONTAINER_OF((uv_pipe_t *)stream, struct pipe_end, uv);

    if (got > 0)
        keep(end, str_from(bytes->base, (size_t)got));
    else if (got < 0)
        uv_read_stop(stream);
}

static void pipe_read_rest(struct pipe_end *end)
{
    uv_buf_t room = loop__scratch(end->proc->client->loop);
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)&end->uv, &fd) != 0)
        return;
    for (uint32_t rounds = 0; rounds < 64; rounds++) { /* More than any pipe holds. */
        ssize_t got = read(fd, room.base, room.len);
        if (got <= 0)
            return;
        keep(end, str_from(room.base, (size_t)got));
    }
}

/* ---- its end ---- */

static void proc_exited(uv_process_t *uv, int64_t status, int signo)
{
    struct proc *p = CONTAINER_OF(uv, struct proc, uv);
    struct io_event ev = {.type = IO_PROC_DONE, .op = p->op};

    if (p->captures) {
        pipe_read_rest(&p->out);
        pipe_read_rest(&p->err);
    }
    ev.proc = (struct io_proc_result){.status = signo != 0 ? -1 : (int)status,
                                      .signo = signo,
                                      .started = true,
                                      .timed_out = p->timed_out,
                                      .out = buf_str(&p->out.got),
                                      .err = buf_str(&p->err.got)};
    loop__emit(p->client, &ev);
    proc_close_all(p);
}

static void proc_is_late(uv_timer_t *timer)
{
    struct proc *p = CONTAINER_OF(timer, struct proc, timer);
    p->timed_out = true;
    proc_kill(p, SIGKILL);
}

void proc_kill(struct proc *p, int signo)
{
    if (p->detached)
        kill(-p->uv.pid, signo); /* Its session's group: what it started goes with it. */
    uv_process_kill(&p->uv, signo);
}

void proc_forget(struct proc *p)
{
    if (p != NULL)
        proc_close_all(p);
}

pid_t proc_pid(const struct proc *p)
{
    return p->uv.pid;
}

void proc_set_op(struct proc *p, uint64_t op)
{
    p->op = op;
}

/* ---- its start ---- */

static void pipe_end_init(struct proc *p, struct pipe_end *end, size_t limit)
{
    end->proc = p;
    buf_init(&end->got, limit);
    CHECK(uv_pipe_init(loop__uv(p->client->loop), &end->uv, 0) == 0);
    p->open++;
}

static void input_was_written(uv_write_t *req, int status)
{
    struct proc *p = CONTAINER_OF(req, struct proc, write);
    (void)status; /* A child that does not read its input is free to. */
    proc_close(p, (uv_handle_t *)&p->in.uv);
}

/* The child's descriptors 0..: what fds[] names, then our pipes, else /dev/null or nothing. */
static int proc_stdio(struct proc *p, const struct proc_request *r, uv_stdio_container_t *stdio)
{
    int count = 3;

    for (uint32_t i = 0; i < PROC_FDS_MAX; i++)
        stdio[i].flags = UV_IGNORE;
    if (p->feeds) {
        stdio[0].flags = UV_CREATE_PIPE | UV_READABLE_PIPE;
        stdio[0].data.stream = (uv_stream_t *)&p->in.uv;
    }
    if (p->captures) {
        stdio[1].flags = stdio[2].flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
        stdio[1].data.stream = (uv_stream_t *)&p->out.uv;
        stdio[2].data.stream = (uv_stream_t *)&p->err.uv;
    }
    for (uint32_t i = 0; i < r->fds_count; i++) {
        int child = r->fds[i].child;
        CHECK(child >= 0 && child < PROC_FDS_MAX);
        stdio[child].flags = UV_INHERIT_FD;
        stdio[child].data.fd = r->fds[i].ours;
        count = child >= count ? child + 1 : count;
    }
    return count;
}

static void proc_feed(struct proc *p, struct str input)
{
    p->in.got.limit = INPUT_MAX;
    buf_add(&p->in.got, input);
    uv_buf_t bytes = uv_buf_init(p->in.got.at, (unsigned)p->in.got.len);
    if (uv_write(&p->write, (uv_stream_t *)&p->in.uv, &bytes, 1, input_was_written) != 0)
        proc_close(p, (uv_handle_t *)&p->in.uv);
}

static struct proc *proc_new(struct loop_client *c, uint64_t op, const struct proc_request *r)
{
    struct proc *p = mem_zalloc(1, sizeof *p);
    size_t cap = r->capture_max == 0 ? PROC_CAPTURE_DEFAULT : r->capture_max;

    CHECK(r->input.len <= INPUT_MAX && r->fds_count <= PROC_FDS_MAX);
    p->client = c;
    p->op = op;
    p->detached = r->detached;
    p->captures = !r->no_capture;
    p->feeds = r->input.len > 0;
    p->open = 2; /* Process and timer. */
    CHECK(uv_timer_init(loop__uv(c->loop), &p->timer) == 0);
    if (p->feeds)
        pipe_end_init(p, &p->in, INPUT_MAX);
    if (p->captures) {
        pipe_end_init(p, &p->out, cap);
        pipe_end_init(p, &p->err, cap);
    }
    return p;
}

static void proc_not_started(struct proc *p, const char *name, int status)
{
    struct io_event ev = {.type = IO_PROC_DONE, .op = p->op};
    char what[256];

    snprintf(what, sizeof what, "start %s", name);
    loop__err(&ev.err, what, status);
    ev.proc.status = -1;
    loop__post(p->client, NULL, &ev);
    proc_close_all(p); /* uv_spawn() initialises the handle even when it fails. */
}

struct proc *proc_run(struct loop_client *c, uint64_t op, const struct proc_request *r)
{
    struct proc *p = proc_new(c, op, r);
    uv_stdio_container_t stdio[PROC_FDS_MAX];
    uv_process_options_t o = {
        .exit_cb = proc_exited,
        .file = r->argv[0],
        .args = (char **)(uintptr_t)r->argv,
        .env = (char **)(uintptr_t)r->env,
        .cwd = r->cwd,
        .stdio = stdio,
        .stdio_count = proc_stdio(p, r, stdio),
        .uid = r->uid,
        .gid = r->gid,
        .flags = (r->detached ? UV_PROCESS_DETACHED : 0u) |
                 (r->set_ids ? UV_PROCESS_SETUID | UV_PROCESS_SETGID : 0u),
    };
    /* What we open is closed at exec; what whoever started us left open, or a library forgot, is not. */
    close_range(STDERR_FILENO + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC);
    int rc = uv_spawn(loop__uv(c->loop), &p->uv, &o);
    if (rc != 0) {
        proc_not_started(p, r->argv[0], rc);
        return NULL;
    }
    if (p->feeds)
        proc_feed(p, r->input);
    if (p->captures) {
        uv_read_start((uv_stream_t *)&p->out.uv, lend_scratch, pipe_was_read);
        uv_read_start((uv_stream_t *)&p->err.uv, lend_scratch, pipe_was_read);
    }
    if (r->timeout.ns > 0)
        uv_timer_start(&p->timer, proc_is_late, (uint64_t)(r->timeout.ns + 999999) / 1000000, 0);
    return p;
}

/* ---- processes that are not ours ---- */

enum { LOOK_AGAIN_MS = 200 };

struct proc_watch {
    uv_timer_t again; /* Runs while there is no pidfd. */
    uv_poll_t poll;   /* Of pidfd. */
    struct loop_client *client;
    uint64_t op, start_time;
    pid_t pid;
    int pidfd;             /* -1: not yet. */
    uint32_t handles_open; /* Of the two above. */
};

enum found { FOUND_GONE, FOUND_HERE, FOUND_UNKNOWN };

uint64_t proc_start_time(pid_t pid)
{
    char path[64], text[STAT_MAX];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return 0;

    struct str rest = str_from(text, (size_t)got), field = {0};
    size_t paren = 0; /* The name may hold blanks and brackets: fields count from the last ")". */
    for (size_t i = 0; i < rest.len; i++)
        if (rest.at[i] == ')')
            paren = i;
    rest = str_slice(rest, paren + 2, rest.len);
    uint64_t value = 0;
    bool zombie = false;
    for (int i = 3; i <= 22; i++) {
        if (!str_split(&rest, ' ', &field))
            return 0;
        if (i == 3)
            zombie = str_is(field, "Z") || str_is(field, "X");
        if (i == 20 && zombie && str_is(field, "1")) /* More: only its first thread has ended. */
            return 0;
    }
    return str_parse_u64(field, &value) == ERR_OK ? value : 0;
}

enum err_code proc_is_here(pid_t pid, uint64_t start_time, bool *out_here, struct err *e)
{
    errno = 0;
    uint64_t began = proc_start_time(pid);
    if (began == 0 && fs_is_short(errno))
        return err_set(e, ERR_UNAVAILABLE, "look at process %d: %m", (int)pid);
    *out_here = began != 0 && began == start_time;
    return ERR_OK;
}

static enum found watch_look(struct proc_watch *w)
{
    int fd = (int)syscall(SYS_pidfd_open, w->pid, 0);
    if (fd < 0)
        return fs_is_short(errno) ? FOUND_UNKNOWN : FOUND_GONE;
    bool here = true;
    bool known = w->start_time == 0 || proc_is_here(w->pid, w->start_time, &here, NULL) == ERR_OK;
    if (!known || !here) {
        close(fd);
        return known ? FOUND_GONE : FOUND_UNKNOWN;
    }
    w->pidfd = fd;
    return FOUND_HERE;
}

static void watch_closed(uv_handle_t *handle)
{
    struct proc_watch *w = handle->data;
    if (--w->handles_open > 0)
        return;
    if (w->pidfd >= 0)
        close(w->pidfd);
    mem_free(w);
}

void proc_unwatch(struct proc_watch *w)
{
    if (w == NULL)
        return;
    if (w->pidfd >= 0)
        uv_close((uv_handle_t *)&w->poll, watch_closed);
    uv_close((uv_handle_t *)&w->again, watch_closed);
}

static void watch_tell(struct proc_watch *w)
{
    struct io_event ev = {.type = IO_PROC_GONE, .op = w->op};
    struct loop_client *c = w->client;
    proc_unwatch(w);
    loop__emit(c, &ev);
}

static void watch_gone(uv_poll_t *uv, int status, int events)
{
    (void)status;
    (void)events;
    watch_tell(uv->data);
}

static void watch_start(struct proc_watch *w)
{
    CHECK(uv_poll_init(loop__uv(w->client->loop), &w->poll, w->pidfd) == 0);
    w->poll.data = w;
    w->handles_open++;
    CHECK(uv_poll_start(&w->poll, UV_READABLE, watch_gone) == 0);
}

static void watch_again(uv_timer_t *uv)
{
    struct proc_watch *w = uv->data;
    enum found found = watch_look(w);
    if (found == FOUND_UNKNOWN)
        return;
    uv_timer_stop(uv);
    if (found == FOUND_HERE)
        watch_start(w);
    else
        watch_tell(w);
}

struct proc_watch *proc_watch(struct loop_client *c, uint64_t op, pid_t pid, uint64_t start_time)
{
    struct proc_watch *w = mem_zalloc(1, sizeof *w);
    *w = (struct proc_watch){
        .client = c, .op = op, .pid = pid, .start_time = start_time, .pidfd = -1};
    enum found found = watch_look(w);
    if (found == FOUND_GONE) {
        mem_free(w);
        loop__post(c, NULL, &(struct io_event){.type = IO_PROC_GONE, .op = op});
        return NULL;
    }
    CHECK(uv_timer_init(loop__uv(c->loop), &w->again) == 0);
    w->again.data = w;
    w->handles_open = 1;
    if (found == FOUND_HERE)
        watch_start(w);
    else
        CHECK(uv_timer_start(&w->again, watch_again, LOOK_AGAIN_MS, LOOK_AGAIN_MS) == 0);
    return w;
}

/* ---- without a loop ---- */

struct waiting {
    struct loop_client client;
    struct buf *out, *err;
    struct err failure;
    int status;
    bool done, ran;
};

static void waiting_event(struct loop_client *self, const struct io_event *ev)
{
    struct waiting *w = CONTAINER_OF(self, struct waiting, client);

    if (ev->type != IO_PROC_DONE)
        return;
    w->done = true;
    w->ran = ev->proc.started && !ev->proc.timed_out;
    w->status = ev->proc.signo != 0 ? 128 + ev->proc.signo : ev->proc.status;
    w->failure = ev->err;
    if (w->out != NULL)
        buf_add(w->out, ev->proc.out);
    if (w->err != NULL)
        buf_add(w->err, ev->proc.err);
}

enum err_code proc_run_wait(const struct proc_request *r, struct buf *out, struct buf *err,
                            int *out_status, struct err *e)
{
    struct loop *l = loop_new();
    struct waiting w = {.client = {.event = waiting_event}, .out = out, .err = err};

    loop_join(l, &w.client);
    proc_run(&w.client, 0, r);
    while (!w.done)
        loop_step(l, SPAN_S(60));
    loop_leave(&w.client);
    loop_free(l);
    if (!w.ran)
        return w.failure.code != ERR_OK
                   ? err_set(e, ERR_UNAVAILABLE, "%s", w.failure.text)
                   : err_set(e, ERR_UNAVAILABLE, "%s took too long", r->argv[0]);
    *out_status = w.status;
    return ERR_OK;
}
