/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection has at most one uv_write() in flight (flight); what is written meanwhile gathers in
 * pending and goes out when that is done. tcp_close() cuts the tie to the client at once and frees
 * when libuv lets go.
 */
#include "io/tcp.h"

#include "base/check.h"
#include "base/mem.h"
#include "io/loop_priv.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,          /* The kernel cuts it to net.core.somaxconn. */
    KEEPALIVE_S = 60,        /* Then every 75 s: finds peers that vanished without a word. */
    USER_TIMEOUT_MS = 90000, /* What was sent and is not acknowledged this long ends it. */
};

struct tcp_listener {
    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    struct loop_client *client;
    uint64_t op;
    bool is_unix, paused, waiting; /* waiting: a peer is accepted by libuv and not taken by us. */
};

struct tcp {
    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    struct loop *loop;
    struct loop_client *client; /* NULL once closed. */
    uint64_t op;
    bool is_unix, told_closed, shut, shutting;
    struct buf pending, flight;
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct resolving *resolving;
};

/* Connecting by name. Outlives a tcp that is closed meanwhile: libuv's pool holds it. */
struct resolving {
    uv_getaddrinfo_t lookup;
    uv_connect_t connect;
    struct tcp *tcp; /* NULL: nobody waits any more. */
    struct addrinfo *found, *next;
};

static void tcp_tell_closed(struct tcp *t, const char *what, int status)
{
    struct io_event ev = {.type = IO_TCP_CLOSED, .op = t->op};

    if (t->client == NULL || t->told_closed)
        return;
    t->told_closed = true;
    loop__err(&ev.err, what, status);
    loop__post(t->client, t, &ev);
}

static struct tcp *tcp_make(struct loop *l, bool is_unix)
{
    struct tcp *t = mem_zalloc(1, sizeof *t);

    t->loop = l;
    t->is_unix = is_unix;
    buf_init(&t->pending, TCP_PENDING_MAX);
    buf_init(&t->flight, TCP_PENDING_MAX);
    CHECK((is_unix ? uv_pipe_init(loop__uv(l), &t->pipe, 0) : uv_tcp_init(loop__uv(l), &t->tcp)) ==
          0);
    return t;
}

static void tcp_tune(struct tcp *t)
{
    uv_os_fd_t fd;
    int timeout_ms = USER_TIMEOUT_MS;

    if (t->is_unix)
        return;
    uv_tcp_nodelay(&t->tcp, 1); /* We gather what belongs together ourselves. */
    uv_tcp_keepalive(&t->tcp, 1, KEEPALIVE_S);
    if (uv_fileno((uv_handle_t *)&t->tcp, &fd) == 0)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

/* ---- reading ---- */

static void lend_scratch(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    *out = loop__scratch(CONTAINER_OF((uv_stream_t *)handle, struct tcp, stream)->loop);
}

static void tcp_was_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct tcp *t = CONTAINER_OF(stream, struct tcp, stream);

    if (t->client == NULL || got == 0)
        return;
    if (got < 0) {
        uv_read_stop(stream);
        tcp_tell_closed(t, "read", (int)got);
        return;
    }
    loop__emit(t->client, &(struct io_event){.type = IO_TCP_READ,
                                             .op = t->op,
                                             .bytes = str_from(bytes->base, (size_t)got)});
}

void tcp_read_pause(struct tcp *t, bool paused)
{
    if (paused)
        uv_read_stop(&t->stream);
    else if (!t->told_closed)
        uv_read_start(&t->stream, lend_scratch, tcp_was_read);
}

/* ---- writing ---- */

static void tcp_flush(struct tcp *t);

static void tcp_was_shut(uv_shutdown_t *req, int status)
{
    (void)req;
    (void)status; /* The peer's own end, or an error on reading, says the rest. */
}

static void tcp_was_written(uv_write_t *req, int status)
{
    struct tcp *t = CONTAINER_OF(req, struct tcp, write);

    buf_clear(&t->flight);
    if (t->client == NULL)
        return;
    if (status < 0) {
        tcp_tell_closed(t, "write", status);
        return;
    }
    tcp_flush(t);
    if (tcp_pending(t) > 0)
        return;
    buf_free(&t->flight); /* An idle connection holds no buffers. */
    buf_free(&t->pending);
    loop__emit(t->client, &(struct io_event){.type = IO_TCP_WRITABLE, .op = t->op});
}

static void tcp_flush(struct tcp *t)
{
    if (t->flight.len > 0)
        return;
    if (t->pending.len == 0) {
        if (t->shut && !t->shutting) {
            t->shutting = true;
            uv_shutdown(&t->shutdown, &t->stream, tcp_was_shut);
        }
        return;
    }
    struct buf empty = t->flight;
    t->flight = t->pending;
    t->pending = empty;
    uv_buf_t out = uv_buf_init(t->flight.at, (unsigned)t->flight.len);
    int rc = uv_write(&t->write, &t->stream, &out, 1, tcp_was_written);
    if (rc != 0) {
        buf_clear(&t->flight);
        tcp_tell_closed(t, "write", rc);
    }
}

enum err_code tcp_write(struct tcp *t, struct str bytes)
{
    if (t->told_closed || bytes.len == 0)
        return ERR_OK; /* The client hears of it by its event. */
    if (tcp_pending(t) == 0) {
        uv_buf_t out = uv_buf_init((char *)(uintptr_t)bytes.at, (unsigned)bytes.len);
        int put = uv_try_write(&t->stream, &out, 1);
        if (put < 0 && put != UV_EAGAIN) {
            tcp_tell_closed(t, "write", put);
            return ERR_OK;
        }
        bytes = str_slice(bytes, put < 0 ? 0 : (size_t)put, bytes.len);
    }
    if (bytes.len > TCP_PENDING_MAX - t->pending.len)
        return ERR_LIMIT;
    buf_add(&t->pending, bytes);
    tcp_flush(t);
    return ERR_OK;
}

size_t tcp_pending(const struct tcp *t)
{
    return t->pending.len + t->flight.len;
}

void tcp_shutdown(struct tcp *t)
{
    t->shut = true;
    if (!t->told_closed)
        tcp_flush(t);
}

/* ---- closing ---- */

static void tcp_was_closed(uv_handle_t *handle)
{
    struct tcp *t = CONTAINER_OF((uv_stream_t *)handle, struct tcp, stream);

    buf_free(&t->pending);
    buf_free(&t->flight);
    mem_free(t);
}

static void resolving_free(struct resolving *r)
{
    uv_freeaddrinfo(r->found);
    mem_free(r);
}

void tcp_close(struct tcp *t)
{
    if (t == NULL)
        return;
    loop__drop(t->loop, t);
    t->client = NULL;
    if (t->resolving != NULL)
        t->resolving->tcp = NULL;
    if (!uv_is_closing((uv_handle_t *)&t->stream))
        uv_close((uv_handle_t *)&t->stream, tcp_was_closed);
}

/* ---- connecting ---- */

static void tcp_connect_next(struct resolving *r);

static void tcp_reopen(uv_handle_t *handle)
{
    struct tcp *t = CONTAINER_OF((uv_stream_t *)handle, struct tcp, stream);
    struct resolving *r = t->resolving;

    if (t->client == NULL) { /* Closed while the first try's handle was closing. */
        if (r != NULL)
            resolving_free(r);
        tcp_was_closed(handle);
        return;
    }
    CHECK(uv_tcp_init(loop__uv(t->loop), &t->tcp) == 0);
    tcp_connect_next(r);
}

static void tcp_was_connected(uv_connect_t *req, int status)
{
    struct resolving *r = CONTAINER_OF(req, struct resolving, connect);
    struct tcp *t = r->tcp;

    if (t == NULL) {
        resolving_free(r);
        return;
    }
    if (status != 0 && r->next != NULL) {
        uv_close((uv_handle_t *)&t->stream, tcp_reopen);
        return;
    }
    t->resolving = NULL;
    resolving_free(r);
    if (status != 0) {
        tcp_tell_closed(t, "connect", status);
        return;
    }
    tcp_tune(t);
    tcp_read_pause(t, false);
    loop__emit(t->client, &(struct io_event){.type = IO_TCP_OPEN, .op = t->op});
}

/* The next address that was found; each gets the system's own connect timeout, which the client's
 * deadline cuts short. */
static void tcp_connect_next(struct resolving *r)
{
    struct tcp *t = r->tcp;
    int rc = UV_ENOENT;

    while (r->next != NULL && rc != 0) {
        struct addrinfo *at = r->next;
        r->next = at->ai_next;
        rc = uv_tcp_connect(&r->connect, &t->tcp, at->ai_addr, tcp_was_connected);
    }
    if (rc == 0)
        return;
    tcp_tell_closed(t, "connect", rc);
    t->resolving = NULL;
    resolving_free(r);
}

static void tcp_was_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct resolving *r = CONTAINER_OF(req, struct resolving, lookup);

    r->found = r->next = found;
    if (r->tcp == NULL) {
        resolving_free(r);
    } else if (status != 0) {
        r->tcp->resolving = NULL;
        tcp_tell_closed(r->tcp, "resolve", status);
        resolving_free(r);
    } else {
        tcp_connect_next(r);
    }
}

struct tcp *tcp_connect(struct loop_client *c, uint64_t op, const char *host, uint16_t port)
{
    struct tcp *t = tcp_make(c->loop, false);
    struct resolving *r = mem_zalloc(1, sizeof *r);
    struct sockaddr_storage at;
    char service[8];
    int rc;

    t->client = c;
    t->op = op;
    t->resolving = r;
    r->tcp = t;
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)&at) == 0 ||
        uv_ip6_addr(host, port, (struct sockaddr_in6 *)&at) == 0) {
        rc = uv_tcp_connect(&r->connect, &t->tcp, (struct sockaddr *)&at, tcp_was_connected);
    } else {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
        snprintf(service, sizeof service, "%u", port);
        rc = uv_getaddrinfo(loop__uv(c->loop), &r->lookup, tcp_was_resolved, host, service, &hints);
    }
    if (rc != 0) {
        t->resolving = NULL;
        resolving_free(r);
        tcp_tell_closed(t, "connect", rc);
    }
    return t;
}

struct tcp *tcp_connect_unix(struct loop_client *c, uint64_t op, const char *path)
{
    struct tcp *t = tcp_make(c->loop, true);
    struct resolving *r = mem_zalloc(1, sizeof *r);

    t->client = c;
    t->op = op;
    t->resolving = r;
    r->tcp = t;
    uv_pipe_connect(&r->connect, &t->pipe, path, tcp_was_connected); /* Fails by its callback. */
    return t;
}

/* ---- listening ---- */

static void tcp_accept(struct tcp_listener *l)
{
    struct tcp *t = tcp_make(l->client->loop, l->is_unix);

    l->waiting = false;
    if (uv_accept(&l->stream, &t->stream) != 0) {
        tcp_close(t);
        return;
    }
    tcp_tune(t);
    loop__emit(l->client, &(struct io_event){.type = IO_TCP_ACCEPTED, .op = l->op, .tcp = t});
}

static void tcp_came(uv_stream_t *stream, int status)
{
    struct tcp_listener *l = CONTAINER_OF(stream, struct tcp_listener, stream);

    if (status != 0)
        return; /* Out of descriptors or gone again: the next one gets its own call. */
    if (l->paused)
        l->waiting = true; /* libuv accepts no further one until this is taken. */
    else
        tcp_accept(l);
}

void tcp_adopt(struct tcp *t, struct loop_client *c, uint64_t op)
{
    t->client = c;
    t->op = op;
    tcp_read_pause(t, false);
}

void tcp_listener_pause(struct tcp_listener *l, bool paused)
{
    l->paused = paused;
    if (!paused && l->waiting)
        tcp_accept(l);
}

static int listen_unix(struct tcp_listener *l, const struct tcp_listen_options *o)
{
    struct stat st;
    if (lstat(o->path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(o->path);
    mode_t before = umask(0177);
    int rc = uv_pipe_bind(&l->pipe, o->path);
    umask(before);
    return rc;
}

static int listen_tcp(struct tcp_listener *l, const struct tcp_listen_options *o)
{
    struct sockaddr_storage at = {0};
    uv_os_fd_t fd;
    int one = 1;
    int rc = uv_ip4_addr(o->address, o->port, (struct sockaddr_in *)&at);

    if (rc != 0)
        rc = uv_ip6_addr(o->address, o->port, (struct sockaddr_in6 *)&at);
    if (rc == 0)
        rc = uv_tcp_init_ex(loop__uv(l->client->loop), &l->tcp, at.ss_family);
    if (rc == 0)
        rc = uv_fileno((uv_handle_t *)&l->tcp, &fd);
    if (rc == 0 && o->shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0)
        rc = UV_ENOTSUP;
    return rc == 0 ? uv_tcp_bind(&l->tcp, (struct sockaddr *)&at, 0) : rc;
}

enum err_code tcp_port_free(const char *address, uint16_t port, struct err *e)
{
    struct sockaddr_storage at = {0};
    int one = 1;

    if (uv_ip4_addr(address, port, (struct sockaddr_in *)&at) != 0 &&
        uv_ip6_addr(address, port, (struct sockaddr_in6 *)&at) != 0)
        return err_set(e, ERR_INVALID, "%s is not an address", address);
    int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "socket: %m");
    /* Connections of an earlier process that linger do not count; a listener does. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bool free = bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
    int why = errno;
    close(fd);
    errno = why;
    if (free)
        return ERR_OK;
    return why == EADDRINUSE ? err_set(e, ERR_CONFLICT, "port %u on %s is in use", port, address)
                             : err_set(e, ERR_UNAVAILABLE, "bind %s:%u: %m", address, port);
}

static void listener_closed(uv_handle_t *handle)
{
    mem_free(CONTAINER_OF((uv_stream_t *)handle, struct tcp_listener, stream));
}

enum err_code tcp_listen(struct loop_client *c, uint64_t op, const struct tcp_listen_options *o,
                         struct tcp_listener **out_listener, struct err *e)
{
    struct tcp_listener *l = mem_zalloc(1, sizeof *l);
    int rc;

    l->client = c;
    l->op = op;
    l->is_unix = o->path != NULL;
    if (l->is_unix) {
        CHECK(uv_pipe_init(loop__uv(c->loop), &l->pipe, 0) == 0);
        rc = listen_unix(l, o);
    } else {
        rc = listen_tcp(l, o);
    }
    if (rc == 0)
        rc = uv_listen(&l->stream, o->backlog == 0 ? BACKLOG : o->backlog, tcp_came);
    if (rc == 0) {
        *out_listener = l;
        return ERR_OK;
    }
    if (l->stream.loop == NULL) /* The address did not even parse. */
        mem_free(l);
    else
        uv_close((uv_handle_t *)&l->stream, listener_closed);
    char what[TCP_ADDRESS_MAX + 32];
    snprintf(what, sizeof what, "listen on %s port %u", o->path != NULL ? o->path : o->address,
             o->port);
    return loop__err(e, what, rc);
}

uint16_t tcp_listener_port(const struct tcp_listener *l)
{
    struct sockaddr_storage at;
    int size = sizeof at;

    if (l->is_unix || uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&at, &size) != 0)
        return 0;
    return ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                          : ((struct sockaddr_in *)&at)->sin_port);
}

void tcp_listener_close(struct tcp_listener *l)
{
    if (l != NULL)
        uv_close((uv_handle_t *)&l->stream, listener_closed);
}

static void print_end(const struct tcp *t, bool own, char out[TCP_ADDRESS_MAX])
{
    struct sockaddr_storage at;
    struct sockaddr *end = (struct sockaddr *)&at;
    int size = sizeof at;
    char text[INET6_ADDRSTRLEN] = "?";

    snprintf(out, TCP_ADDRESS_MAX, "unix");
    if (t->is_unix || (own ? uv_tcp_getsockname(&t->tcp, end, &size)
                           : uv_tcp_getpeername(&t->tcp, end, &size)) != 0)
        return;
    if (at.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&at;
        uv_ip6_name(six, text, sizeof text);
        snprintf(out, TCP_ADDRESS_MAX, "[%s]:%u", text, ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)&at;
        uv_ip4_name(four, text, sizeof text);
        snprintf(out, TCP_ADDRESS_MAX, "%s:%u", text, ntohs(four->sin_port));
    }
}

void tcp_peer(const struct tcp *t, char out[TCP_ADDRESS_MAX])
{
    print_end(t, false, out);
}

void tcp_own(const struct tcp *t, char out[TCP_ADDRESS_MAX])
{
    print_end(t, true, out);
}
