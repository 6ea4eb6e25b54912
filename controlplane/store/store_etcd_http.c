/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curl's socket interface: it says which descriptor to watch for what and when to wake it; the loop tells it
 * what happened. A timeout of 0 means now, not in a millisecond: one that is rounded up costs every
 * request that millisecond.
 */
#include "controlplane/store/store_etcd_http.h"

#include "base/check.h"
#include "base/mem.h"
#include "controlplane/store/store_etcd.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

enum { URL_MAX = 300, CONNECT_MS = 2000, SOCKETS_MAX = 64 };

/* What we use of libcurl. */
#define CURL_CALLS(X)                                                                              \
    X(global_init)                                                                                 \
    X(easy_init)                                                                                   \
    X(easy_setopt)                                                                                 \
    X(easy_getinfo)                                                                                \
    X(easy_cleanup)                                                                                \
    X(easy_strerror)                                                                               \
    X(multi_init)                                                                                  \
    X(multi_assign)                                                                                \
    X(multi_setopt)                                                                                \
    X(multi_add_handle)                                                                            \
    X(multi_remove_handle)                                                                         \
    X(multi_socket_action)                                                                         \
    X(multi_info_read)                                                                             \
    X(multi_cleanup)                                                                               \
    X(slist_append)                                                                                \
    X(slist_free_all)

#undef curl_easy_setopt /* Type-checking macros around the functions. */
#undef curl_easy_getinfo
#undef curl_multi_setopt

struct curl_calls {
#define X(name) __typeof__(curl_##name) *name;
    CURL_CALLS(X)
#undef X
};

struct request {
    uint64_t number; /* 0: free. */
    CURL *easy;      /* Kept for the next request. */
    struct blob *body;
    struct buf answer;
    char error[CURL_ERROR_SIZE];
};

struct watched {
    struct loop_fd *fd; /* NULL: free. */
    curl_socket_t socket;
};

struct etcd_http {
    struct loop_client client;
    struct curl_calls curl;
    void *library;
    CURLM *multi;
    struct curl_slist *headers;
    struct request requests[ETCD_HTTP_REQUESTS_MAX];
    struct watched watched[SOCKETS_MAX];
    char *endpoints[STORE_ETCD_ENDPOINTS_MAX], *ca, *cert, *key;
    uint32_t endpoints_count, endpoint;
    void (*answered)(void *owner, uint64_t request, uint32_t status, struct str body);
    void *owner;
};

/* ---- Endpoints ---- */

static char *text_dup(struct str s)
{
    char *copy = mem_alloc(s.len + 1);
    memcpy(copy, s.len == 0 ? "" : s.at, s.len);
    copy[s.len] = '\0';
    return copy;
}

static bool is_endpoint(struct str one)
{
    struct str rest = {NULL, 0};
    if (str_starts(one, STR("http://")))
        rest = str_slice(one, 7, one.len);
    else if (str_starts(one, STR("https://")))
        rest = str_slice(one, 8, one.len);
    for (size_t i = 0; i < rest.len; i++)
        if (rest.at[i] <= ' ' || rest.at[i] == '/' || rest.at[i] == '@' || rest.at[i] == '"' ||
            rest.at[i] == 0x7f)
            return false;
    return rest.len > 0 && one.len < URL_MAX - 40;
}

/* Without h only checks. */
static enum err_code take_endpoints(struct etcd_http *h, const char *endpoints, struct err *e)
{
    struct str rest = str_of(endpoints == NULL ? "" : endpoints), one;
    uint32_t count = 0;
    while (str_split(&rest, ',', &one)) {
        one = str_trim(one);
        if (!is_endpoint(one))
            return err_set(e, ERR_INVALID,
                           "\"" STR_FMT
                           "\" is no endpoint; they look like https://10.0.0.1:2379,https://...",
                           STR_ARG(one));
        if (count == STORE_ETCD_ENDPOINTS_MAX)
            return err_set(e, ERR_INVALID, "more than %d endpoints", STORE_ETCD_ENDPOINTS_MAX);
        if (h != NULL)
            h->endpoints[h->endpoints_count++] = text_dup(one);
        count++;
    }
    return ERR_OK;
}

enum err_code etcd_http_check(const char *endpoints, struct err *e)
{
    return take_endpoints(NULL, endpoints, e);
}

void etcd_http_rotate(struct etcd_http *h)
{
    h->endpoint = (h->endpoint + 1) % h->endpoints_count;
}

const char *etcd_http_endpoint(const struct etcd_http *h)
{
    return h->endpoints[h->endpoint];
}

/* ---- The library ---- */

/* Never unloaded: OpenSSL inside it registers what runs at exit. */
static enum err_code load_library(struct etcd_http *h, struct err *e)
{
    h->library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (h->library == NULL)
        return err_set(e, ERR_NOT_FOUND, "the etcd store needs libcurl (Debian: libcurl4): %s",
                       dlerror());
#define X(name)                                                                                    \
    *(void **)&h->curl.name = dlsym(h->library, "curl_" #name);                                    \
    if (h->curl.name == NULL)                                                                      \
        return err_set(e, ERR_NOT_FOUND, "libcurl has no curl_" #name);
    CURL_CALLS(X)
#undef X
    if (h->curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(e, ERR_UNAVAILABLE, "libcurl does not start");
    return ERR_OK;
}

/* ---- The loop's side ---- */

/* etcd refuses a certificate behind the handshake, as a broken connection (TLS 1.3): say what it may be. */
static const char *hint(const struct etcd_http *h, CURLcode code)
{
    bool broke = code == CURLE_SSL_CONNECT_ERROR || code == CURLE_SEND_ERROR ||
                 code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING;
    return broke && str_starts(str_of(etcd_http_endpoint(h)), STR("https"))
               ? " (does etcd take our client certificate?)"
               : "";
}

static void finished(struct etcd_http *h, CURL *easy, CURLcode code)
{
    struct request *r = NULL;
    for (uint32_t i = 0; i < ETCD_HTTP_REQUESTS_MAX; i++)
        if (h->requests[i].easy == easy)
            r = &h->requests[i];
    CHECK(r != NULL && r->number != 0);
    long status = 0;
    h->curl.easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    h->curl.multi_remove_handle(h->multi, easy);
    blob_unref(r->body);
    r->body = NULL;
    uint64_t number = r->number;
    struct buf answer = r->answer;
    r->number = 0; /* The owner may ask again in answered(). */
    buf_init(&r->answer, ETCD_HTTP_ANSWER_MAX);
    char text[CURL_ERROR_SIZE + URL_MAX];
    snprintf(text, sizeof text, "%s%s: %s", etcd_http_endpoint(h), hint(h, code),
             r->error[0] != '\0' ? r->error : h->curl.easy_strerror(code));
    if (code != CURLE_OK)
        h->answered(h->owner, number, 0, str_of(text));
    else
        h->answered(h->owner, number, (uint32_t)status, buf_str(&answer));
    buf_free(&answer);
}

static void advance(struct etcd_http *h, curl_socket_t socket, int what)
{
    int running, left;
    CURLMsg *m;
    h->curl.multi_socket_action(h->multi, socket, what, &running);
    while ((m = h->curl.multi_info_read(h->multi, &left)) != NULL)
        if (m->msg == CURLMSG_DONE)
            finished(h, m->easy_handle, m->data.result);
}

static void on_event(struct loop_client *self, const struct io_event *ev)
{
    struct etcd_http *h = CONTAINER_OF(self, struct etcd_http, client);
    if (ev->type == IO_DEADLINE)
        advance(h, CURL_SOCKET_TIMEOUT, 0);
    else if (ev->type == IO_FD_READABLE)
        advance(h, (curl_socket_t)ev->op, CURL_CSELECT_IN);
    else if (ev->type == IO_FD_WRITABLE)
        advance(h, (curl_socket_t)ev->op, CURL_CSELECT_OUT);
}

/* curl asks for its next call. It is never made from here: curl is not to be entered from its callbacks. */
static int want_timer(CURLM *multi, long ms, void *state)
{
    struct etcd_http *h = state;
    (void)multi;
    struct instant at = {0};
    if (ms >= 0)
        at = instant_add(loop_now(h->client.loop), SPAN_MS(ms));
    loop_set_deadline(&h->client, at);
    return 0;
}

static int want_socket(CURL *easy, curl_socket_t socket, int what, void *state, void *known)
{
    struct etcd_http *h = state;
    struct watched *w = known;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w != NULL) {
            loop_unwatch_fd(w->fd);
            w->fd = NULL;
        }
        return 0;
    }
    if (w == NULL) {
        for (uint32_t i = 0; i < SOCKETS_MAX && w == NULL; i++)
            if (h->watched[i].fd == NULL)
                w = &h->watched[i];
        CHECK(w !=
              NULL); /* Far fewer connections than that: requests, and idle ones are limited. */
        w->socket = socket;
        w->fd = loop_watch_fd(&h->client, (uint64_t)socket, socket);
        h->curl.multi_assign(h->multi, socket, w);
    }
    loop_want_fd(w->fd, (what & CURL_POLL_IN) != 0, (what & CURL_POLL_OUT) != 0);
    return 0;
}

static size_t take_answer(char *at, size_t size, size_t count, void *state)
{
    struct request *r = state;
    buf_add(&r->answer, str_from(at, size * count));
    return r->answer.overflow ? 0 : size * count; /* 0: curl gives up. */
}

/* ---- Requests ---- */

static void set_once(struct etcd_http *h, struct request *r)
{
    const struct curl_calls *c = &h->curl;
    c->easy_setopt(r->easy, CURLOPT_NOSIGNAL, 1L);
    c->easy_setopt(r->easy, CURLOPT_TCP_NODELAY, 1L);
    c->easy_setopt(r->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    c->easy_setopt(r->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    c->easy_setopt(r->easy, CURLOPT_PROXY, ""); /* Not by the environment's whim. */
    c->easy_setopt(r->easy, CURLOPT_HTTPHEADER, h->headers);
    c->easy_setopt(r->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    c->easy_setopt(r->easy, CURLOPT_ERRORBUFFER, r->error);
    c->easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, take_answer);
    c->easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
    c->easy_setopt(r->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (h->ca != NULL)
        c->easy_setopt(r->easy, CURLOPT_CAINFO, h->ca);
    if (h->cert != NULL)
        c->easy_setopt(r->easy, CURLOPT_SSLCERT, h->cert);
    if (h->key != NULL)
        c->easy_setopt(r->easy, CURLOPT_SSLKEY, h->key);
}

void etcd_http_post(struct etcd_http *h, uint64_t request, const char *path, struct blob *body,
                    struct span timeout)
{
    const struct curl_calls *c = &h->curl;
    struct request *r = NULL;
    char url[URL_MAX];
    for (uint32_t i = 0; i < ETCD_HTTP_REQUESTS_MAX && r == NULL; i++)
        if (h->requests[i].number == 0)
            r = &h->requests[i];
    CHECK(r != NULL && request != 0); /* The machine asks for a handful at a time. */
    if (r->easy == NULL) {
        r->easy = c->easy_init();
        CHECK(r->easy != NULL);
        set_once(h, r);
    }
    r->number = request;
    r->body = blob_ref(body);
    r->error[0] = '\0';
    snprintf(url, sizeof url, "%s%s", etcd_http_endpoint(h), path);
    c->easy_setopt(r->easy, CURLOPT_URL, url);
    c->easy_setopt(r->easy, CURLOPT_POSTFIELDS, body->at);
    c->easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
    c->easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, (long)(timeout.ns / 1000000));
    CHECK(c->multi_add_handle(h->multi, r->easy) == CURLM_OK);
}

void etcd_http_cancel(struct etcd_http *h, uint64_t request)
{
    for (uint32_t i = 0; i < ETCD_HTTP_REQUESTS_MAX; i++) {
        struct request *r = &h->requests[i];
        if (r->number != request || request == 0)
            continue;
        h->curl.multi_remove_handle(h->multi, r->easy); /* Closes its connection. */
        blob_unref(r->body);
        buf_free(&r->answer);
        r->body = NULL;
        r->number = 0;
    }
}

/* ---- Opening ---- */

static enum err_code check_file(const char *path, struct err *e)
{
    if (path == NULL || access(path, R_OK) == 0)
        return ERR_OK;
    return err_set(e, ERR_DENIED, "%s: %m", path);
}

static enum err_code set_up(struct etcd_http *h, const struct etcd_http_options *o, struct err *e)
{
    enum err_code code = take_endpoints(h, o->endpoints, e);
    if (code == ERR_OK)
        code = check_file(o->ca, e);
    if (code == ERR_OK)
        code = check_file(o->cert, e);
    if (code == ERR_OK)
        code = check_file(o->key, e);
    if (code == ERR_OK)
        code = load_library(h, e);
    if (code != ERR_OK)
        return code;
    h->ca = o->ca == NULL ? NULL : text_dup(str_of(o->ca));
    h->cert = o->cert == NULL ? NULL : text_dup(str_of(o->cert));
    h->key = o->key == NULL ? NULL : text_dup(str_of(o->key));
    h->multi = h->curl.multi_init();
    h->headers = h->curl.slist_append(NULL, "Content-Type: application/json");
    h->headers = h->curl.slist_append(h->headers, "Expect:"); /* No waiting for 100 Continue. */
    CHECK(h->multi != NULL && h->headers != NULL);
    h->curl.multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    h->curl.multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    h->curl.multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    h->curl.multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    h->curl.multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)ETCD_HTTP_REQUESTS_MAX);
    return ERR_OK;
}

enum err_code etcd_http_open(const struct etcd_http_options *o, struct etcd_http **out,
                             struct err *e)
{
    struct etcd_http *h = mem_zalloc(1, sizeof *h);
    h->answered = o->answered;
    h->owner = o->owner;
    h->client.event = on_event;
    for (uint32_t i = 0; i < ETCD_HTTP_REQUESTS_MAX; i++)
        buf_init(&h->requests[i].answer, ETCD_HTTP_ANSWER_MAX);
    loop_join(o->loop, &h->client);
    enum err_code code = set_up(h, o, e);
    if (code != ERR_OK) {
        etcd_http_close(h);
        return code;
    }
    *out = h;
    return ERR_OK;
}

void etcd_http_close(struct etcd_http *h)
{
    if (h == NULL)
        return;
    for (uint32_t i = 0; i < ETCD_HTTP_REQUESTS_MAX; i++) {
        etcd_http_cancel(h, h->requests[i].number);
        if (h->requests[i].easy != NULL)
            h->curl.easy_cleanup(h->requests[i].easy);
        buf_free(&h->requests[i].answer);
    }
    if (h->multi != NULL)
        h->curl.multi_cleanup(h->multi);
    if (h->headers != NULL)
        h->curl.slist_free_all(h->headers);
    for (uint32_t i = 0; i < SOCKETS_MAX; i++)
        loop_unwatch_fd(h->watched[i].fd);
    for (uint32_t i = 0; i < h->endpoints_count; i++)
        mem_free(h->endpoints[i]);
    mem_free(h->ca);
    mem_free(h->cert);
    mem_free(h->key);
    loop_leave(&h->client);
    mem_free(h);
}
