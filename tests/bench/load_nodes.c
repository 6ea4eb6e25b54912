/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/load_nodes.h"

#include "io/clock.h"
#include "io/grpc.h"
#include "tests/bench/load_hardware.h"
#include "tests/bench/load_join.h"

#include <stdlib.h>

enum { OPENING_MAX = 32, RENEW_MS = 3000, RENEW_PARTS = 30 }; /* Not all of them at once. */

struct node {
    struct nodes *all;
    struct identity identity;
    struct tls_config *tls;
    struct http_client *http;
    struct slot_id call;
    bool up;
};

struct nodes {
    struct loop_client client;
    struct load_target *target;
    struct node *at;
    uint32_t count, opened, up;
    uint64_t sequence;
    struct blob *hardware;
};

static struct blob *packed(const Agent__AgentMessage *m)
{
    struct blob *frame = grpc_frame_reserve((uint32_t)agent__agent_message__get_packed_size(m));
    agent__agent_message__pack(m, (uint8_t *)frame->at + GRPC_FRAME_HEAD);
    return frame;
}

static void node_told(void *owner, const struct http_client_event *ev)
{
    struct node *n = owner;

    if (ev->type == HTTP_CLIENT_FAILED || ev->type == HTTP_CLIENT_CLOSED ||
        ev->type == HTTP_CLIENT_END)
        load_die(n->identity.node_name, ev->err.text);
    if (ev->type != HTTP_CLIENT_BODY || n->up)
        return;
    n->up = true; /* It was greeted. What comes later is not looked at. */
    n->all->up++;
}

static void node_open(struct node *n)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__Hello hello = AGENT__HELLO__INIT;
    struct http_header type = {STR("content-type"), STR("application/grpc")};
    struct load_target *t = n->all->target;
    struct tls_client_options tls = {.ca = buf_str(&n->identity.ca),
                                     .cert = buf_str(&n->identity.cert),
                                     .key = buf_str(&n->identity.key)};
    struct err e;

    load_must(tls_client_config(&tls, &n->tls, &e), "TLS", &e);
    struct http_client_options o = {
        .host = "127.0.0.1", .port = t->port, .tls = n->tls, .event = node_told, .owner = n};
    n->http = http_client_open(t->loop, &o);
    n->call =
        http_client_start(n->http, 0,
                          &(struct http_client_request){.method = "POST",
                                                        .path = "/baton.agent.v1.Agent/Session",
                                                        .headers = &type,
                                                        .headers_count = 1,
                                                        .streaming = true});
    hello.has_protocol_min = hello.has_protocol_max = true;
    hello.protocol_min = hello.protocol_max = 1;
    hello.agent_version = hello.boot_id = (char *)"load";
    hello.node_name = n->identity.node_name;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_HELLO;
    m.hello = &hello;
    http_client_send(n->http, n->call, packed(&m));
    http_client_send(n->http, n->call, blob_ref(n->all->hardware));
}

static void node_renew(struct node *n, uint64_t sequence)
{
    Agent__AgentMessage m = AGENT__AGENT_MESSAGE__INIT;
    Agent__LeaseRenew renew = AGENT__LEASE_RENEW__INIT;

    renew.has_sequence = renew.has_sent_ns = true;
    renew.sequence = sequence;
    renew.sent_ns = clock_now().ns;
    m.message_case = AGENT__AGENT_MESSAGE__MESSAGE_LEASE_RENEW;
    m.lease_renew = &renew;
    http_client_send(n->http, n->call, packed(&m));
}

static void renewal_due(struct loop_client *self, const struct io_event *ev)
{
    struct nodes *l = CONTAINER_OF(self, struct nodes, client);

    if (ev->type != IO_DEADLINE)
        return;
    l->sequence++;
    for (uint32_t i = l->sequence % RENEW_PARTS; i < l->opened; i += RENEW_PARTS)
        if (l->at[i].up)
            node_renew(&l->at[i], l->sequence);
    loop_set_deadline(self, instant_add(ev->now, SPAN_MS(RENEW_MS / RENEW_PARTS)));
}

void load_nodes_join(struct load_target *t, uint32_t count)
{
    struct nodes *l = calloc(1, sizeof *l);
    struct identity *identities = calloc(count + 1, sizeof *identities);

    load_join(t, 0, count, identities);
    l->client.event = renewal_due;
    l->target = t;
    l->count = count;
    l->at = calloc(count + 1, sizeof *l->at);
    l->hardware = packed(load_hardware());
    loop_join(t->loop, &l->client);
    loop_set_deadline(&l->client, clock_now());
    while (l->up < count) {
        for (; l->opened < count && l->opened - l->up < OPENING_MAX; l->opened++) {
            l->at[l->opened].all = l;
            l->at[l->opened].identity = identities[l->opened];
            node_open(&l->at[l->opened]);
        }
        loop_step(t->loop, SPAN_MS(50));
    }
    free(identities);
    load_wait(t, 1000); /* The last nodes' hardware becomes rows. */
}
