/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/cutter.h"

#include "base/check.h"
#include "tests/testlib/etcd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAIRS_MAX = 64, CHUNK = 64 << 10 };

struct pair {
    int client, server; /* < 0: free. */
    bool swallowing;    /* The request under way goes nowhere, and its answer will not come. */
};

struct proxy {
    struct cutter_dials *dials;
    int listener, server_port;
    struct pair pairs[PAIRS_MAX];
    uint32_t answers;
};

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
}

static void hang_up(struct pair *p)
{
    close(p->client);
    if (p->server >= 0)
        close(p->server);
    p->client = p->server = -1;
}

static void take_client(struct proxy *x)
{
    struct sockaddr_in at = loopback(x->server_port);
    int client = accept4(x->listener, NULL, NULL, SOCK_CLOEXEC);
    for (uint32_t i = 0; i < PAIRS_MAX && client >= 0; i++) {
        struct pair *p = &x->pairs[i];
        if (p->client >= 0)
            continue;
        *p = (struct pair){.client = client, .server = socket(AF_INET, SOCK_STREAM, 0)};
        if (connect(p->server, (struct sockaddr *)&at, sizeof at) != 0)
            hang_up(p);
        return;
    }
    if (client >= 0)
        close(client);
}

static bool pass_on(int to, const char *bytes, ssize_t len)
{
    for (ssize_t put = 0, n; put < len; put += n)
        if ((n = send(to, bytes + put, (size_t)(len - put), MSG_NOSIGNAL)) <= 0)
            return false;
    return true;
}

/* Whether this request, which begins, goes on to the server. */
static bool lets_pass(struct proxy *x, const char *bytes, ssize_t len)
{
    struct cutter_dials *d = x->dials;
    bool is_txn = len >= 15 && memcmp(bytes, "POST /v3/kv/txn", 15) == 0;
    d->requests++;
    if (d->swallow != 0)
        return false;
    if (!is_txn || d->pass_only < 0)
        return true;
    if (d->pass_only == 0)
        return false;
    d->pass_only--;
    return true;
}

static void from_client(struct proxy *x, struct pair *p)
{
    static char bytes[CHUNK];
    ssize_t len = read(p->client, bytes, sizeof bytes);
    if (len <= 0) {
        hang_up(p);
        return;
    }
    if (len >= 5 && memcmp(bytes, "POST ", 5) == 0) {
        p->swallowing = p->swallowing || !lets_pass(x, bytes, len);
        x->dials->swallowed += p->swallowing;
    }
    if (!p->swallowing && !pass_on(p->server, bytes, len))
        hang_up(p);
}

static void from_server(struct proxy *x, struct pair *p)
{
    static char bytes[CHUNK];
    ssize_t len = read(p->server, bytes, sizeof bytes);
    uint32_t each = x->dials->lose_each;
    bool begins = len >= 5 && memcmp(bytes, "HTTP/", 5) == 0;
    if (len > 0 && begins && each > 0 && ++x->answers % each == 0) {
        x->dials->lost++;
        hang_up(p);
        return;
    }
    if (len <= 0 || (!p->swallowing && !pass_on(p->client, bytes, len)))
        hang_up(p);
}

static void run(struct proxy *x)
{
    struct pollfd fds[1 + 2 * PAIRS_MAX];
    for (;;) {
        fds[0] = (struct pollfd){.fd = x->listener, .events = POLLIN};
        for (uint32_t i = 0; i < PAIRS_MAX; i++) {
            fds[1 + 2 * i] = (struct pollfd){.fd = x->pairs[i].client, .events = POLLIN};
            fds[2 + 2 * i] = (struct pollfd){.fd = x->pairs[i].server, .events = POLLIN};
        }
        poll(fds, 1 + 2 * PAIRS_MAX, -1);
        for (uint32_t i = 0; i < PAIRS_MAX; i++) {
            struct pair *p = &x->pairs[i];
            if (fds[1 + 2 * i].revents != 0 && p->client >= 0)
                from_client(x, p);
            if (fds[2 + 2 * i].revents != 0 && p->server >= 0)
                from_server(x, p);
        }
        if (fds[0].revents != 0)
            take_client(x);
    }
}

void cutter_start(struct cutter *c, int server_port)
{
    struct proxy x = {.server_port = server_port};
    int port = etcd_free_port();
    struct sockaddr_in at = loopback(port);
    c->dials =
        mmap(NULL, sizeof *c->dials, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(c->dials != MAP_FAILED);
    c->dials->pass_only = -1;
    x.dials = c->dials;
    x.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    setsockopt(x.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    CHECK(bind(x.listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(x.listener, 64) == 0);
    snprintf(c->url, sizeof c->url, "http://127.0.0.1:%d", port);
    pid_t parent = getpid();
    c->pid = fork();
    CHECK(c->pid >= 0);
    if (c->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        for (uint32_t i = 0; i < PAIRS_MAX; i++)
            x.pairs[i].client = x.pairs[i].server = -1;
        run(&x);
    }
    close(x.listener);
}

void cutter_stop(struct cutter *c)
{
    kill(c->pid, SIGKILL);
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    munmap(c->dials, sizeof *c->dials);
    *c = (struct cutter){0};
}
