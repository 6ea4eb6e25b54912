/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing, certificates, and two TLS ends joined in memory. */
#include "io/clock.h"
#include "io/fs.h"
#include "io/pki.h"
#include "io/seal.h"
#include "io/tls.h"
#include "tests/testlib/test.h"

#include <stdlib.h>
#include <unistd.h>

TEST(seal, a_value_opens_only_where_it_belongs)
{
    unsigned char key[SEAL_KEY_SIZE] = {1, 2, 3};
    struct seal *s = seal_from_key(key);
    struct buf sealed, plain;
    struct err e;
    buf_init(&sealed, 1000);
    buf_init(&plain, 1000);
    seal_close(s, STR("hunter2"), STR("/secrets/default/a"), &sealed);
    cr_assert_eq(sealed.len, 7 + SEAL_OVERHEAD);
    cr_assert_eq(seal_open(s, buf_str(&sealed), STR("/secrets/default/b"), &plain, &e),
                 ERR_CORRUPT);
    cr_assert_eq(seal_open(s, buf_str(&sealed), STR("/secrets/default/a"), &plain, &e), ERR_OK);
    cr_assert(str_is(buf_str(&plain), "hunter2"));
    for (size_t i = 0; i < sealed.len; i++) { /* No byte may change unseen. */
        sealed.at[i] ^= 0x40;
        cr_assert_eq(seal_open(s, buf_str(&sealed), STR("/secrets/default/a"), &plain, &e),
                     ERR_CORRUPT, "byte %zu", i);
        sealed.at[i] ^= 0x40;
    }
    cr_assert_eq(seal_open(s, str_slice(buf_str(&sealed), 0, 41), STR("x"), &plain, &e),
                 ERR_CORRUPT);
    buf_free(&sealed);
    buf_free(&plain);
    seal_free(s);
}

TEST(seal, the_key_file_is_made_once)
{
    char dir[] = "/tmp/baton-seal-XXXXXX", path[FS_PATH_MAX];
    struct seal *first = NULL, *second = NULL;
    struct err e = {0};
    unsigned char a[SEAL_HASH_SIZE], b[SEAL_HASH_SIZE];
    char token[TOKEN_LEN + 1];
    cr_assert_not_null(mkdtemp(dir));
    fs_join(path, dir, "seal.key");
    cr_assert_eq(seal_open_file(path, &first, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(seal_open_file(path, &second, &e), ERR_OK, "%s", e.text);
    token_make(token);
    cr_assert(str_eq(token_id(str_of(token)), str_from(token, TOKEN_ID_LEN)));
    cr_assert_null(token_id(STR("abcdef.short")).at);
    token_hash(first, str_of(token), a);
    token_hash(second, str_of(token), b);
    cr_assert(seal_equal(a, b, sizeof a));
    token[10] = token[10] == 'a' ? 'b' : 'a';
    token_hash(second, str_of(token), b);
    cr_assert_not(seal_equal(a, b, sizeof a));
    seal_free(first);
    seal_free(second);
    cr_assert_eq(fs_remove_tree(dir, &e), ERR_OK);
}

struct authority {
    struct buf cert, key, server_cert, server_key, client_cert, client_key;
    struct pki_ca *ca;
};

static const struct pki_subject admin = {
    .common_name = "kubernetes-admin", .groups = {"system:masters", "ops"}, .groups_count = 2};

static void authority_make(struct authority *a)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "::1"};
    struct err e = {0};
    struct wall now = clock_wall();
    struct buf *all[] = {&a->cert,       &a->key,         &a->server_cert,
                         &a->server_key, &a->client_cert, &a->client_key};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        buf_init(all[i], PKI_PEM_MAX);
    cr_assert_eq(pki_ca_make("test-ca", now, SPAN_S(86400), &a->cert, &a->key, &e), ERR_OK);
    cr_assert_eq(pki_ca_load(buf_str(&a->cert), buf_str(&a->key), &a->ca, &e), ERR_OK);
    cr_assert_eq(
        pki_server_make(a->ca, names, 3, now, SPAN_S(3600), &a->server_cert, &a->server_key, &e),
        ERR_OK, "%s", e.text);
    cr_assert_eq(
        pki_client_make(a->ca, &admin, now, SPAN_S(3600), &a->client_cert, &a->client_key, &e),
        ERR_OK, "%s", e.text);
}

static void authority_free(struct authority *a)
{
    struct buf *all[] = {&a->cert,       &a->key,         &a->server_cert,
                         &a->server_key, &a->client_cert, &a->client_key};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        buf_free(all[i]);
    pki_ca_free(a->ca);
}

TEST(pki, the_signer_decides_what_a_certificate_says)
{
    struct authority a, other;
    struct err e = {0};
    struct buf key, request, cert;
    struct pki_identity id;
    char fingerprint[PKI_FINGERPRINT_LEN + 1];
    struct wall now = clock_wall(), later = {now.ns + SPAN_S(7200).ns};
    struct pki_subject node = {
        .common_name = "system:node:n1", .groups = {"system:nodes"}, .groups_count = 1};
    authority_make(&a);
    authority_make(&other);
    buf_init(&key, PKI_PEM_MAX);
    buf_init(&request, PKI_PEM_MAX);
    buf_init(&cert, PKI_PEM_MAX);
    cr_assert_eq(pki_key_make(&key, &e), ERR_OK);
    cr_assert_eq(pki_request_make(buf_str(&key), "kubernetes-admin", &request, &e), ERR_OK);
    cr_assert_eq(pki_request_check(buf_str(&request), fingerprint, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(pki_request_sign(a.ca, buf_str(&request), &node, now, SPAN_S(3600), &cert, &e),
                 ERR_OK);
    cr_assert_eq(pki_identify(a.ca, buf_str(&cert), now, &id, &e), ERR_OK, "%s", e.text);
    cr_assert_str_eq(pki_common_name(&id), "system:node:n1");
    cr_assert_eq(id.groups_count, 1);
    cr_assert_str_eq(pki_group(&id, 0), "system:nodes");
    cr_assert_str_eq(id.key_fingerprint, fingerprint);
    cr_assert_eq(pki_identify(other.ca, buf_str(&cert), now, &id, &e), ERR_DENIED);
    cr_assert_eq(pki_identify(a.ca, buf_str(&cert), later, &id, &e), ERR_DENIED);
    cr_assert_not(pki_is_due(&id, now));
    cr_assert(pki_is_due(&id, (struct wall){now.ns + SPAN_S(3000).ns}));

    request.at[request.len / 2] ^= 1; /* Another key, or another signature: either way refused. */
    cr_assert_eq(pki_request_check(buf_str(&request), fingerprint, &e), ERR_INVALID);
    cr_assert_eq(pki_request_check(STR("nonsense"), fingerprint, &e), ERR_INVALID);
    const char *evil[] = {"localhost,IP:10.0.0.1"};
    cr_assert_eq(pki_server_make(a.ca, evil, 1, now, SPAN_S(60), &cert, &key, &e), ERR_INVALID);
    buf_free(&key);
    buf_free(&request);
    buf_free(&cert);
    authority_free(&a);
    authority_free(&other);
}

/* ---- TLS ---- */

struct pair {
    struct tls *client, *server;
    struct err client_err, server_err;
    enum err_code client_code, server_code;
};

/* Moves bytes until neither end wants to send; in small pieces when step is small. */
static void pump(struct pair *p, size_t step)
{
    char bytes[4096];
    for (;;) {
        size_t up = tls_drain(p->client, bytes, min_size(step, sizeof bytes));
        if (up > 0 && p->server_code == ERR_OK)
            p->server_code = tls_feed(p->server, str_from(bytes, up), &p->server_err);
        size_t down = tls_drain(p->server, bytes, min_size(step, sizeof bytes));
        if (down > 0 && p->client_code == ERR_OK)
            p->client_code = tls_feed(p->client, str_from(bytes, down), &p->client_err);
        if (up == 0 && down == 0)
            return;
    }
}

static void read_some(struct tls *t, char *out, size_t size, size_t *len)
{
    struct err e = {0};
    cr_assert_eq(tls_read(t, out, size, len, &e), ERR_OK, "%s", e.text);
}

/* Both ways; then an orderly end, so that the client keeps its ticket. */
static void talk(struct pair *p)
{
    struct err e = {0};
    char got[64];
    size_t len;
    cr_assert(tls_is_open(p->client) && tls_is_open(p->server));
    cr_assert_eq(tls_write(p->server, STR("hello"), &e), ERR_OK);
    cr_assert_eq(tls_write(p->client, STR("hi"), &e), ERR_OK);
    pump(p, 7);
    read_some(p->client, got, sizeof got, &len);
    cr_assert(str_is(str_from(got, len), "hello"));
    read_some(p->server, got, sizeof got, &len);
    cr_assert(str_is(str_from(got, len), "hi"));
    tls_shutdown(p->client);
    pump(p, 100);
    read_some(p->server, got, sizeof got, &len);
    cr_assert(len == 0 && tls_is_ended(p->server));
    tls_shutdown(p->server);
}

static void pair_free(struct pair *p)
{
    tls_free(p->client);
    tls_free(p->server);
}

static struct pair pair_make(struct tls_config *client, struct tls_config *server, const char *host)
{
    struct pair p = {.client = tls_new_client(client, host), .server = tls_new_server(server)};
    return p;
}

static struct tls_config *server_config(const struct authority *a, const unsigned char *secret)
{
    struct tls_config *c = NULL;
    struct err e = {0};
    struct tls_server_options o = {.cert = buf_str(&a->server_cert),
                                   .key = buf_str(&a->server_key),
                                   .client_ca = buf_str(&a->cert),
                                   .ticket_secret = secret};
    cr_assert_eq(tls_server_config(&o, &c, &e), ERR_OK, "%s", e.text);
    return c;
}

static struct tls_config *client_config(struct tls_client_options o)
{
    struct tls_config *c = NULL;
    struct err e = {0};
    cr_assert_eq(tls_client_config(&o, &c, &e), ERR_OK, "%s", e.text);
    return c;
}

/* A session outlives the server's process, as the ticket key is the caller's; it serves one host only. */
TEST(tls, client_certificate_and_resumption_after_a_restart)
{
    struct authority a;
    unsigned char secret[TLS_TICKET_SECRET_SIZE] = {9};
    struct http_peer peer;
    authority_make(&a);
    struct tls_config *client = client_config((struct tls_client_options){
        .ca = buf_str(&a.cert), .cert = buf_str(&a.client_cert), .key = buf_str(&a.client_key)});
    for (int round = 0; round < 3; round++) {
        struct tls_config *server = server_config(&a, secret);
        struct pair p = pair_make(client, server, round == 2 ? "127.0.0.1" : "localhost");
        pump(&p, round == 0 ? 1 : 4096);
        cr_assert(tls_is_h2(p.server) && tls_is_h2(p.client));
        cr_assert_eq(tls_is_resumed(p.server), round == 1);
        tls_peer(p.server, &peer);
        cr_assert_eq(peer.state, HTTP_PEER_TRUSTED, "%s", peer.why);
        cr_assert_str_eq(pki_common_name(&peer.id), "kubernetes-admin");
        cr_assert_str_eq(pki_group(&peer.id, 1), "ops");
        talk(&p);
        pair_free(&p);
        tls_config_free(server);
    }
    tls_config_free(client);
    authority_free(&a);
}

/* A server that dies says no goodbye; its thousand agents come back by their tickets all the same. */
TEST(tls, a_session_survives_a_connection_that_broke)
{
    struct authority a;
    unsigned char secret[TLS_TICKET_SECRET_SIZE] = {9};
    struct err e = {0};
    char got[16];
    size_t len;
    authority_make(&a);
    struct tls_config *server = server_config(&a, secret);
    struct tls_config *client = client_config((struct tls_client_options){
        .ca = buf_str(&a.cert), .cert = buf_str(&a.client_cert), .key = buf_str(&a.client_key)});
    for (int round = 0; round < 2; round++) {
        struct pair p = pair_make(client, server, "localhost");
        pump(&p, 4096);
        cr_assert_eq(tls_is_resumed(p.server), round == 1);
        cr_assert_eq(tls_write(p.server, STR("hello"), &e), ERR_OK);
        pump(&p, 4096);
        read_some(p.client, got, sizeof got, &len); /* With the ticket in front of it. */
        pair_free(&p);
    }
    tls_config_free(server);
    tls_config_free(client);
    authority_free(&a);
}

TEST(tls, another_cas_client_is_told_by_http_and_another_cas_server_is_left)
{
    struct authority a, other;
    struct http_peer peer;
    authority_make(&a);
    authority_make(&other);
    struct tls_config *server = server_config(&a, NULL);
    struct tls_config *stranger =
        client_config((struct tls_client_options){.ca = buf_str(&a.cert),
                                                  .cert = buf_str(&other.client_cert),
                                                  .key = buf_str(&other.client_key)});
    struct pair p = pair_make(stranger, server, "localhost");
    pump(&p, 4096);
    tls_peer(p.server, &peer);
    cr_assert_eq(peer.state, HTTP_PEER_REFUSED);
    cr_assert_neq(peer.why[0], '\0');
    pair_free(&p);

    struct tls_config *nobody = client_config((struct tls_client_options){.ca = buf_str(&a.cert)});
    p = pair_make(nobody, server, "localhost");
    pump(&p, 4096);
    tls_peer(p.server, &peer);
    cr_assert_eq(peer.state, HTTP_PEER_NONE);
    talk(&p);
    pair_free(&p);

    p = pair_make(nobody, server, "example.com");
    pump(&p, 4096);
    cr_assert_eq(p.client_code, ERR_DENIED);
    pair_free(&p);

    struct tls_config *mistrusts =
        client_config((struct tls_client_options){.ca = buf_str(&other.cert)});
    p = pair_make(mistrusts, server, "localhost");
    pump(&p, 4096);
    cr_assert_eq(p.client_code, ERR_DENIED);
    cr_assert_not_null(strstr(p.client_err.text, "certificate"));
    pair_free(&p);
    tls_config_free(mistrusts);
    tls_config_free(nobody);
    tls_config_free(stranger);
    tls_config_free(server);
    authority_free(&a);
    authority_free(&other);
}

TEST(tls, a_pinned_fingerprint_finds_the_ca)
{
    struct authority a, other;
    char fingerprint[PKI_FINGERPRINT_LEN + 1];
    struct err e = {0};
    struct buf ca;
    authority_make(&a);
    authority_make(&other);
    struct tls_config *server = server_config(&a, NULL);
    cr_assert_eq(pki_fingerprint(buf_str(&a.cert), fingerprint, &e), ERR_OK);
    struct tls_config *right =
        client_config((struct tls_client_options){.ca_fingerprint = fingerprint});
    struct pair p = pair_make(right, server, "localhost");
    pump(&p, 4096);
    cr_assert_eq(p.client_code, ERR_OK, "%s", p.client_err.text);
    buf_init(&ca, PKI_PEM_MAX);
    cr_assert_eq(tls_peer_ca(p.client, &ca, &e), ERR_OK, "%s", e.text);
    cr_assert(str_eq(buf_str(&ca), buf_str(&a.cert)));
    talk(&p);
    pair_free(&p);

    cr_assert_eq(pki_fingerprint(buf_str(&other.cert), fingerprint, &e), ERR_OK);
    struct tls_config *wrong =
        client_config((struct tls_client_options){.ca_fingerprint = fingerprint});
    p = pair_make(wrong, server, "localhost");
    pump(&p, 4096);
    cr_assert_eq(p.client_code, ERR_DENIED);
    pair_free(&p);
    buf_free(&ca);
    tls_config_free(right);
    tls_config_free(wrong);
    tls_config_free(server);
    authority_free(&a);
    authority_free(&other);
}

TEST(tls, noise_is_refused)
{
    struct authority a;
    struct err e = {0};
    authority_make(&a);
    struct tls_config *server = server_config(&a, NULL);
    struct tls *t = tls_new_server(server);
    cr_assert_eq(tls_feed(t, STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), &e), ERR_DENIED);
    tls_free(t);
    tls_config_free(server);
    authority_free(&a);
}
