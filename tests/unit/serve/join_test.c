/* SPDX-License-Identifier: Apache-2.0 */
/* Machines that join: tokens, names, keys, and those that never say what they want. */
#include "controlplane/serve/sessions.h"
#include "io/clock.h"
#include "tests/testlib/test.h"
#include "tests/unit/serve/whole.h"

#include <stdio.h>

TEST(join, a_token_joins_one_machine_under_one_key)
{
    struct whole w;
    struct node a, b;
    struct pki_identity id;
    struct err e = {0};
    whole_open(&w);
    node_make(&a, "n1");
    node_make(&b, "n1");
    node_token(&w, &a);
    cr_assert_eq(node_join(&w, &a), GRPC_OK);
    cr_assert_eq(pki_identify(NULL, buf_str(&a.cert), (struct wall){0}, &id, &e), ERR_OK);
    cr_assert_str_eq(pki_common_name(&id), "system:node:n1"); /* Not what the request asked for. */
    cr_assert_eq(id.groups_count, 1);
    cr_assert_eq(node_join(&w, &a), GRPC_PERMISSION_DENIED, "the token was used up");
    node_token(&w, &b);
    cr_assert_eq(node_join(&w, &b), GRPC_ALREADY_EXISTS, "the name has another key");
    snprintf(b.name, sizeof b.name, "N/../2");
    cr_assert_eq(node_join(&w, &b), GRPC_INVALID_ARGUMENT);
    snprintf(b.name, sizeof b.name, "n2");
    cr_assert_eq(node_join(&w, &b), GRPC_OK, "a refused join does not use the token up");
    node_token(&w, &a);
    cr_assert_eq(node_join(&w, &a), GRPC_OK, "the same key may join again");

    /* Renewing needs no token, but the node's own certificate, name and key. */
    cr_assert_eq(node_join_over(&w, &a, "", a.tls), GRPC_OK);
    cr_assert_eq(node_join_over(&w, &b, "", a.tls), GRPC_PERMISSION_DENIED);
    snprintf(b.name, sizeof b.name, "n1");
    cr_assert_neq(node_join_over(&w, &b, "", b.tls), GRPC_OK);
    cr_assert_neq(node_join_over(&w, &a, "", w.admin_tls), GRPC_OK);

    cr_assert_eq(whole_status(&w, a.tls, "GET", "/api/v1/namespaces/kube-system/secrets"), 403);
    cr_assert_eq(whole_status(&w, a.tls, "GET", "/api/v1/nodes/n2"), 403);

    /* Once an administrator has freed its name, its certificate is worth nothing, though it has not ended. */
    cr_assert_eq(whole_status(&w, a.tls, "GET", "/api/v1/nodes/n1"), 404); /* No hardware told. */
    cr_assert_eq(whole_status(&w, w.admin_tls, "DELETE",
                              "/api/v1/namespaces/kube-system/secrets/node-key-n1"),
                 200);
    cr_assert_eq(whole_status(&w, a.tls, "GET", "/api/v1/nodes/n1"), 401);
    node_free(&a);
    node_free(&b);
    whole_close(&w);
}

/* Two machines want one name at the same moment, each with a good token: one gets it, and the other still has his token. */
TEST(join, a_join_that_lost_its_name_keeps_its_token)
{
    struct whole w;
    struct node nodes[2];
    struct caller callers[2] = {{.grpc = true}, {.grpc = true}};
    struct err e = {0};
    struct tls_config *nobody = NULL;
    whole_open(&w);
    struct tls_client_options o = {.ca = buf_str(&w.authority.ca_cert)};
    cr_assert_eq(tls_client_config(&o, &nobody, &e), ERR_OK);
    for (int i = 0; i < 2; i++) {
        node_make(&nodes[i], "n1");
        node_token(&w, &nodes[i]);
        caller_connect(&callers[i], &w, nobody);
        whole_until(&w, &callers[i].open);
    }
    for (int i = 0; i < 2; i++) {
        struct blob *frame = node_join_request(&nodes[i], nodes[i].token);
        caller_start(&callers[i], "POST", "/baton.agent.v1.Agent/Join", blob_str(frame), false);
        blob_unref(frame);
    }
    struct instant limit = instant_add(clock_now(), SPAN_S(20));
    loop_step(w.loop, SPAN_MS(0)); /* Both are sent; the core's turns are this loop's, too. */
    while (mailbox_count(shell_inbox(w.shell)) < 2)
        cr_assert(clock_now().ns < limit.ns);
    whole_until(&w, &callers[0].ended);
    whole_until(&w, &callers[1].ended);
    int lost = callers[0].grpc_status == GRPC_OK;
    cr_assert_eq(callers[!lost].grpc_status, GRPC_OK, "%s", callers[!lost].why);
    cr_assert_eq(callers[lost].grpc_status, GRPC_ALREADY_EXISTS, "%s", callers[lost].why);
    snprintf(nodes[lost].name, sizeof nodes[lost].name, "n2");
    cr_expect_eq(node_join(&w, &nodes[lost]), GRPC_OK);
    cr_expect_eq(node_join(&w, &nodes[!lost]), GRPC_PERMISSION_DENIED);
    for (int i = 0; i < 2; i++) {
        caller_close(&callers[i]);
        node_free(&nodes[i]);
    }
    tls_config_free(nobody);
    whole_close(&w);
}

/* A Secret as a token's, whose time was over in 1970 or is over in 2100. */
static void put_token(struct whole *w, const char *name, const char *type, const char *expires)
{
    struct caller c = {0};
    char body[256];
    snprintf(body, sizeof body,
             "{\"metadata\":{\"name\":\"%s\"},\"type\":\"%s\",\"data\":{\"expires\":\"%s\"}}", name,
             type, expires);
    whole_ask(&c, w, w->admin_tls, "POST", "/api/v1/namespaces/kube-system/secrets", str_of(body));
    cr_assert_eq(c.status, 201, STR_FMT, STR_ARG(buf_str(&c.body)));
    caller_close(&c);
}

TEST(join, tokens_that_nobody_used_do_not_pile_up)
{
    static const char is_over[] = "MTIzNDU=", is_not[] = "NDEwMjQ0NDgwMA==";
    struct whole w;
    struct node n;
    whole_open(&w);
    node_make(&n, "n1");
    put_token(&w, "token-aaaaaaaaaa", "baton.dev/token", is_over);
    put_token(&w, "token-bbbbbbbbbb", "baton.dev/token", is_not);
    put_token(&w, "token-cccccccccc", "Opaque", is_over); /* Somebody's own, of that name. */
    node_token(&w, &n);
    node_token(&w, &n); /* Its write comes behind those that the first one asked for. */
    cr_expect_eq(whole_status(&w, w.admin_tls, "GET",
                              "/api/v1/namespaces/kube-system/secrets/token-aaaaaaaaaa"),
                 404);
    cr_expect_eq(whole_status(&w, w.admin_tls, "GET",
                              "/api/v1/namespaces/kube-system/secrets/token-bbbbbbbbbb"),
                 200);
    cr_expect_eq(whole_status(&w, w.admin_tls, "GET",
                              "/api/v1/namespaces/kube-system/secrets/token-cccccccccc"),
                 200);
    cr_expect_eq(node_join(&w, &n), GRPC_OK);
    node_free(&n);
    whole_close(&w);
}

/* Anybody may begin a join: without a certificate, and without ever ending it. */
TEST(join, joins_that_never_end_make_room)
{
    enum { BEGUN = 200 }; /* More than may wait on a thread. */
    struct whole w;
    struct err e = {0};
    struct tls_config *nobody = NULL;
    struct caller enemy = {.grpc = true}, large = {.grpc = true};
    struct node n;
    whole_open(&w);
    struct tls_client_options o = {.ca = buf_str(&w.authority.ca_cert)};
    cr_assert_eq(tls_client_config(&o, &nobody, &e), ERR_OK);
    caller_connect(&enemy, &w, nobody);
    for (int i = 0; i < BEGUN; i++)
        caller_start(&enemy, "POST", "/baton.agent.v1.Agent/Join", STR(""), true);
    whole_until(&w, &enemy.ended);
    cr_assert_eq(enemy.grpc_status, GRPC_UNAVAILABLE);

    /* More than a request can be is not waited for. */
    caller_connect(&large, &w, nobody);
    caller_start(&large, "POST", "/baton.agent.v1.Agent/Join", STR(""), true);
    http_client_send(large.http, large.call, blob_new(STR("\0\0\1\0\1")));
    whole_until(&w, &large.ended);
    cr_assert_eq(large.grpc_status, GRPC_RESOURCE_EXHAUSTED);

    node_make(&n, "n1"); /* Whoever says what he wants is served meanwhile. */
    node_token(&w, &n);
    cr_assert_eq(node_join(&w, &n), GRPC_OK);
    node_free(&n);
    caller_close(&large);
    caller_close(&enemy);
    tls_config_free(nobody);
    whole_close(&w);
}

/* Stopping ends what waits for its client, and finishes what waits for the core: this token is used up. */
TEST(join, joins_are_answered_at_the_end)
{
    struct whole w;
    struct node n;
    struct caller begun = {.grpc = true}, said = {.grpc = true};
    struct err e = {0};
    struct tls_config *nobody = NULL;
    whole_open(&w);
    struct tls_client_options o = {.ca = buf_str(&w.authority.ca_cert)};
    cr_assert_eq(tls_client_config(&o, &nobody, &e), ERR_OK);
    node_make(&n, "n1");
    node_token(&w, &n);
    caller_connect(&begun, &w, nobody);
    for (int i = 0; i <= SILENT_MAX; i++) /* The one too many shows that the others are there. */
        caller_start(&begun, "POST", "/baton.agent.v1.Agent/Join", STR(""), true);
    whole_until(&w, &begun.ended);
    begun.ended = false;
    caller_connect(&said, &w, nobody);
    whole_until(&w, &said.open);
    struct blob *frame = node_join_request(&n, n.token);
    caller_start(&said, "POST", "/baton.agent.v1.Agent/Join", blob_str(frame), false);
    blob_unref(frame);
    struct instant limit = instant_add(clock_now(), SPAN_S(20));
    loop_step(w.loop, SPAN_MS(0));
    while (mailbox_count(shell_inbox(w.shell)) == 0)
        cr_assert(clock_now().ns < limit.ns);
    shell_stop(w.shell);
    whole_until(&w, &said.ended);
    cr_expect_eq(said.grpc_status, GRPC_OK, "%s", said.why);
    while (strstr(begun.why, "shutting down") == NULL) { /* said may have sent one away, too. */
        begun.ended = false;
        whole_until(&w, &begun.ended);
    }
    cr_expect_eq(begun.grpc_status, GRPC_UNAVAILABLE);
    caller_close(&begun);
    caller_close(&said);
    node_free(&n);
    tls_config_free(nobody);
    whole_close(&w);
}
