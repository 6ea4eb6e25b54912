/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/join.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "controlplane/serve/authority.h"
#include "controlplane/serve/front_priv.h"
#include "controlplane/serve/node_key.h"
#include "controlplane/serve/sessions.h"
#include "controlplane/serve/tokens.h"
#include "io/clock.h"
#include "proto/baton/agent/v1.pb-c.h"

#include <stdio.h>

enum { JOIN_ARENA_MAX = 256 << 10 };

struct join {
    struct front *front;
    char address[64];
    struct arena arena;
    struct str renewing; /* The caller's own node name, by a certificate that is good; or empty. */
    struct str request;  /* As it came. */
    bool taken, renews, is_bound; /* is_bound: the name, to this key. */
    struct slot_id write;
    join_answer *answer;
    void *owner;
    /* Checked: */
    struct str node, csr;
    struct token_record token;
    char fingerprint[PKI_FINGERPRINT_LEN + 1];
};

static const char node_prefix[] = "system:node:";

struct join *join_new(struct front *f, const struct http_request *q)
{
    struct join *j = mem_zalloc(1, sizeof *j);
    const struct http_peer *peer = q->peer;
    bool good = peer->state == HTTP_PEER_TRUSTED && peer->id.not_after.ns > clock_wall().ns;
    struct str name = good ? str_of(pki_common_name(&peer->id)) : STR("");

    j->front = f;
    snprintf(j->address, sizeof j->address, "%s", q->address);
    arena_init(&j->arena, JOIN_ARENA_MAX);
    if (str_starts(name, str_of(node_prefix)))
        j->renewing = arena_str(&j->arena, str_slice(name, sizeof node_prefix - 1, name.len));
    return j;
}

void join_free(struct join *j)
{
    if (j == NULL)
        return;
    front_write_forget(j->front, j->write);
    arena_free(&j->arena);
    mem_free(j);
}

bool join_message(struct join *j, struct str bytes)
{
    if (!j->taken && bytes.len <= JOIN_REQUEST_MAX)
        j->request = arena_str(&j->arena, bytes);
    j->taken = true;
    return false;
}

/* The join is the owner's to free in answer(). */
static void fail(struct join *j, enum grpc_status status, const char *why)
{
    bool stranger = status == GRPC_PERMISSION_DENIED || status == GRPC_INVALID_ARGUMENT;
    if (!stranger || front_stranger(j->front, STRANGER_JOINS)) /* Others showed a good token. */
        log_event(LOG_WARN, "node.join_refused", "node=%s from=%s why=%s", log_quote(j->node).text,
                  j->address, log_quote(str_of(why)).text);
    j->answer(j->owner, status, str_of(why), NULL);
}

/* ---- what is asked ---- */

static bool decode(struct join *j)
{
    Agent__JoinRequest *q =
        agent__join_request__unpack(NULL, j->request.len, (const uint8_t *)j->request.at);
    if (q == NULL)
        return false;
    struct str token = arena_str(&j->arena, str_of(q->token == NULL ? "" : q->token));
    j->node = arena_str(&j->arena, str_of(q->node_name == NULL ? "" : q->node_name));
    j->csr = arena_str(&j->arena, str_of(q->csr_pem == NULL ? "" : q->csr_pem));
    agent__join_request__free_unpacked(q, NULL);
    j->request = token; /* All that is still needed of it. */
    return true;
}

static bool check(struct join *j, enum grpc_status *out_status, const char **out_why)
{
    struct front_shared *shared = j->front->shared;
    char key[INDEX_KEY_MAX + 1];
    struct err e = {0};
    size_t len;

    *out_status = GRPC_UNAVAILABLE;
    *out_why = "the store is being loaded";
    if (!shell_is_ready(shared->shell))
        return false;
    *out_status = GRPC_INVALID_ARGUMENT;
    *out_why = "not a JoinRequest";
    if (!decode(j))
        return false;
    *out_why = "the node's name is not a lower case DNS name of at most 200 letters";
    if (!node_key_print(j->node, key, &len))
        return false;
    struct index_snapshot objects = index_snapshot(shared->index);
    struct str bound = node_key_find(&objects, j->node, &j->arena);
    bool renewing = j->request.len == 0 && str_eq(j->renewing, j->node);
    enum err_code code = ERR_OK;
    if (!renewing)
        code =
            token_check(&objects, shared->seal, j->request, clock_wall(), &j->arena, &j->token, &e);
    index_snapshot_free(&objects);
    *out_status = GRPC_PERMISSION_DENIED;
    *out_why = "the token is not known, used up or expired";
    if (code != ERR_OK || (!renewing && !j->token.join) || (renewing && bound.len == 0))
        return false;
    /* Only now: a signature costs a thousand times as much as a token that is guessed. */
    *out_status = GRPC_INVALID_ARGUMENT;
    *out_why = "the certificate request is not good";
    if (pki_request_check(j->csr, j->fingerprint, &e) != ERR_OK)
        return false;
    j->is_bound = str_is(bound, j->fingerprint);
    j->renews = renewing && j->is_bound;
    *out_status = GRPC_ALREADY_EXISTS;
    *out_why =
        "the node's name belongs to another key; an administrator can free it: baton node forget";
    return bound.len == 0 || j->is_bound;
}

/* ---- what is answered ---- */

static struct blob *reply_of(struct join *j, struct str certificate)
{
    const struct authority *authority = j->front->shared->authority;
    Agent__Cluster cluster = AGENT__CLUSTER__INIT;
    Agent__JoinReply reply = AGENT__JOIN_REPLY__INIT;

    cluster.id = (char *)(uintptr_t)authority->cluster_id;
    cluster.api_url = (char *)(uintptr_t)j->front->shared->api_url;
    reply.certificate_pem = arena_dup(&j->arena, certificate);
    reply.ca_pem = arena_dup(&j->arena, buf_str(&authority->ca_cert));
    reply.node_name = arena_dup(&j->arena, j->node);
    reply.cluster = &cluster;
    struct blob *b = blob_reserve((uint32_t)agent__join_reply__get_packed_size(&reply));
    agent__join_reply__pack(&reply, (uint8_t *)b->at);
    return b;
}

static void sign(struct join *j)
{
    char name[PKI_NAME_LEN_MAX + 1];
    struct pki_subject subject = {
        .common_name = name, .groups = {"system:nodes"}, .groups_count = 1};
    struct err e = {0};
    struct buf certificate;

    snprintf(name, sizeof name, "%s" STR_FMT, node_prefix, STR_ARG(j->node));
    buf_init(&certificate, PKI_PEM_MAX);
    if (pki_request_sign(j->front->shared->authority->ca, j->csr, &subject, clock_wall(),
                         j->front->shared->certificate_life, &certificate, &e) != ERR_OK) {
        buf_free(&certificate);
        fail(j, GRPC_INTERNAL, e.text);
        return;
    }
    log_event(LOG_INFO, j->renews ? "node.renewed" : "node.joined", "node=%s from=%s key=%.16s",
              log_quote(j->node).text, j->address, j->fingerprint);
    struct blob *reply = reply_of(j, buf_str(&certificate));
    buf_free(&certificate);
    j->answer(j->owner, GRPC_OK, STR(""), reply);
}

/* ---- the steps through the core ---- */

static void use_token(struct join *j);

static void written(void *owner, const struct rest_written *w)
{
    struct join *j = owner;

    j->write = (struct slot_id){0};
    if (w->result == WRITE_OK) {
        sign(j);
        return;
    }
    if (w->result == WRITE_NOT_FOUND || w->result == WRITE_OTHER_UID) {
        fail(j, GRPC_PERMISSION_DENIED, "the token is not known, used up or expired");
        return;
    }
    struct index_snapshot objects = index_snapshot(j->front->shared->index);
    bool ours = w->result == WRITE_EXISTS && node_key_is(&objects, j->node, str_of(j->fingerprint));
    index_snapshot_free(&objects);
    if (ours)
        use_token(j); /* Bound meanwhile, by another join of this machine. */
    else if (w->result == WRITE_EXISTS)
        fail(j, GRPC_ALREADY_EXISTS, "the node's name could not be bound to its key");
    else
        fail(j, GRPC_UNAVAILABLE, "the token could not be used up");
}

static void write(struct join *j, const struct write_request *w)
{
    if (!front_write(j->front, w, written, j, &j->write))
        fail(j, GRPC_UNAVAILABLE, "too much at once");
}

static void use_token(struct join *j)
{
    write(j, &(struct write_request){.verb = WRITE_DELETE,
                                     .key = j->token.key,
                                     .if_uid = j->token.uid,
                                     .grace_seconds = 0});
}

/* One transaction: a token is not used up for a name that could not be had, and no name is had for nothing. */
static void bind_name(struct join *j)
{
    char key[INDEX_KEY_MAX + 1];
    size_t len = 0;
    struct blob *object = node_key_object(j->node, str_of(j->fingerprint));

    CHECK(node_key_print(j->node, key, &len)); /* check() saw to that. */
    write(j, &(struct write_request){.verb = WRITE_CREATE,
                                     .key = str_from(key, len),
                                     .object = object,
                                     .spends = j->token.key,
                                     .spends_uid = j->token.uid,
                                     .grace_seconds = -1});
    blob_unref(object);
}

void join_begin(struct join *j, join_answer *answer, void *owner)
{
    enum grpc_status status;
    const char *why;

    j->answer = answer;
    j->owner = owner;
    if (!check(j, &status, &why)) {
        fail(j, status, why);
        return;
    }
    if (j->renews) {
        sign(j);
        return;
    }
    if (j->is_bound)
        use_token(j);
    else
        bind_name(j);
}
