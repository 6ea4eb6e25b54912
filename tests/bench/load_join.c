/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/load_join.h"

#include "io/clock.h"
#include "io/grpc.h"
#include "proto/baton/agent/v1.pb-c.h"

#include <stdio.h>

enum { JOINING_MAX = 32, ANSWER_MAX = 64 << 10 };

enum step { STEP_NONE, STEP_TOKEN, STEP_JOIN };

/* One node that is about to join. */
struct joining {
    struct joins *all;
    enum step step;
    struct identity *to;
    struct http_client *http;
    struct buf request, answer;
    bool answered; /* The present step is over. */
};

struct joins {
    struct load_target *target;
    struct http_client *admin;
    struct tls_config *tls; /* Knows the CA and shows no certificate. */
    struct joining at[JOINING_MAX];
};

static void told(struct joining *n, const struct http_client_event *ev)
{
    if (ev->type == HTTP_CLIENT_FAILED || ev->type == HTTP_CLIENT_CLOSED)
        load_die(n == NULL ? "join" : n->to->node_name, ev->err.text);
    if (ev->type == HTTP_CLIENT_BODY)
        buf_add(&n->answer, ev->bytes);
    if (ev->type == HTTP_CLIENT_END)
        n->answered = true;
}

static void token_told(void *owner, const struct http_client_event *ev)
{
    struct joins *j = owner;
    told(&j->at[ev->op], ev);
}

static void join_told(void *owner, const struct http_client_event *ev)
{
    told(owner, ev);
}

static void ask_token(struct joins *j, struct joining *n, struct identity *to, uint32_t number)
{
    struct http_header type = {STR("content-type"), STR("application/json")};

    *n = (struct joining){.all = j, .step = STEP_TOKEN, .to = to};
    *to = (struct identity){0};
    snprintf(to->node_name, sizeof to->node_name, "load-%u", number);
    buf_init(&to->key, ANSWER_MAX);
    buf_init(&to->cert, ANSWER_MAX);
    buf_init(&to->ca, ANSWER_MAX);
    buf_init(&n->request, ANSWER_MAX);
    buf_init(&n->answer, ANSWER_MAX);
    http_client_start(j->admin, (uint64_t)(n - j->at),
                      &(struct http_client_request){.method = "POST",
                                                    .path = "/apis/baton.dev/v1/jointokens",
                                                    .headers = &type,
                                                    .headers_count = 1});
}

static void ask_join(struct joining *n)
{
    Agent__JoinRequest q = AGENT__JOIN_REQUEST__INIT;
    struct http_header type = {STR("content-type"), STR("application/grpc")};
    struct joins *j = n->all;
    char token[256];
    struct err e;

    buf_add_char(&n->answer, '\0');
    const char *at = n->answer.at == NULL ? NULL : strstr(n->answer.at, "\"token\":\"");
    if (at == NULL || sscanf(at + 9, "%255[a-z0-9.]", token) != 1)
        load_die("token", n->answer.at);
    load_must(pki_key_make(&n->to->key, &e), "key", &e);
    load_must(pki_request_make(buf_str(&n->to->key), n->to->node_name, &n->request, &e), "request",
              &e);
    buf_add_char(&n->request, '\0');
    q.token = token;
    q.node_name = n->to->node_name;
    q.csr_pem = n->request.at;
    struct blob *frame = grpc_frame_reserve((uint32_t)agent__join_request__get_packed_size(&q));
    agent__join_request__pack(&q, (uint8_t *)frame->at + GRPC_FRAME_HEAD);
    struct http_client_options o = {.host = "127.0.0.1",
                                    .port = j->target->port,
                                    .tls = j->tls,
                                    .event = join_told,
                                    .owner = n};
    n->step = STEP_JOIN;
    n->answered = false;
    buf_clear(&n->answer);
    n->http = http_client_open(j->target->loop, &o);
    http_client_start(n->http, 0,
                      &(struct http_client_request){.method = "POST",
                                                    .path = "/baton.agent.v1.Agent/Join",
                                                    .headers = &type,
                                                    .headers_count = 1,
                                                    .body = blob_str(frame)});
    blob_unref(frame);
}

static void take_answer(struct joining *n)
{
    struct str reply = str_slice(buf_str(&n->answer), GRPC_FRAME_HEAD, n->answer.len);
    Agent__JoinReply *r = agent__join_reply__unpack(NULL, reply.len, (const uint8_t *)reply.at);

    if (r == NULL || r->certificate_pem == NULL || r->cluster == NULL)
        load_die("join", n->to->node_name);
    buf_add(&n->to->cert, str_of(r->certificate_pem));
    buf_add(&n->to->ca, str_of(r->ca_pem));
    snprintf(n->to->cluster_id, sizeof n->to->cluster_id, "%s", r->cluster->id);
    agent__join_reply__free_unpacked(r, NULL);
    http_client_close(n->http);
    buf_free(&n->request);
    buf_free(&n->answer);
    n->step = STEP_NONE;
}

void load_join(struct load_target *t, uint32_t first, uint32_t count, struct identity *out)
{
    struct joins j = {.target = t};
    struct tls_client_options tls = {.ca = buf_str(&t->ca)};
    struct http_client_options o = {.host = "127.0.0.1",
                                    .port = t->port,
                                    .tls = t->admin,
                                    .requests_max = 2 * JOINING_MAX,
                                    .event = token_told,
                                    .owner = &j};
    struct instant from = clock_now();
    struct err e;

    load_must(tls_client_config(&tls, &j.tls, &e), "TLS", &e);
    j.admin = http_client_open(t->loop, &o);
    for (uint32_t begun = 0, joined = 0; joined < count;) {
        for (uint32_t i = 0; i < JOINING_MAX; i++) {
            struct joining *n = &j.at[i];
            if (n->answered && n->step == STEP_JOIN) {
                take_answer(n);
                joined++;
            }
            if (n->answered && n->step == STEP_TOKEN)
                ask_join(n);
            if (n->step == STEP_NONE && begun < count) {
                ask_token(&j, n, &out[begun], first + begun);
                begun++;
            }
        }
        loop_step(t->loop, SPAN_MS(50));
    }
    http_client_close(j.admin);
    tls_config_free(j.tls);
    printf("join[nodes=%u] %.0f nodes/s\n", count,
           count * 1e9 / (double)instant_sub(clock_now(), from).ns);
}
