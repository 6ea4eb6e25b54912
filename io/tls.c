/* SPDX-License-Identifier: Apache-2.0 */
#include "io/tls.h"

#include "base/check.h"
#include "base/mem.h"
#include "io/pki_priv.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdio.h>

enum {
    CHAIN_MAX = 4,
    SESSION_LIFE_S = 4 * 3600,   /* A certificate's own end is checked at each request. */
    CLIENT_DEPTH_MAX = 2,        /* Of a client's chain: ours are signed by the CA itself. */
    CLIENT_CHAIN_MAX = 16 << 10, /* Bytes of it. */
    REKEYS_MAX =
        100, /* KeyUpdates of a peer without 16 MiB between; none are needed before that. */
    REKEY_BYTES = 16 << 20,
    OUT_MAX = 4 << 20, /* Nobody writes as much without looking at what waits. */
};

struct tls_config {
    SSL_CTX *ctx;
    BIO_METHOD *sink;
    bool is_client;
    char pinned[PKI_FINGERPRINT_LEN + 1]; /* Empty: a CA is known. */
    pthread_mutex_t mutex;
    /* Client: the latest session, for the next connection to the same host. A resumed handshake shows no
     * certificate, so what was verified for one name must not serve another. */
    SSL_SESSION *session;
    char session_host[PKI_NAME_LEN_MAX + 1];
};

struct tls {
    SSL *ssl;
    BIO *in;          /* Owned by ssl. */
    struct buf waits; /* For tls_drain(). */
    struct buf *lent; /* Where ciphertext goes instead. */
    struct tls_config *config;
    SSL_SESSION *offered; /* Client: until the server says something. */
    bool open, ended;
    uint32_t
        rekeys; /* Handshake messages behind the handshake, lately: KeyUpdate, renegotiation. */
    uint64_t read_bytes; /* Plaintext since these were last forgiven. */
    char host[PKI_NAME_LEN_MAX + 1];
    int verify_error; /* Server: the first one of the client's chain. */
};

static const unsigned char alpn_ours[] = "\x02h2\x08http/1.1";

/* ---- ciphertext going out ---- */

/* OpenSSL's own memory BIO grows by zeroing, and is emptied by copying. */
static int sink_write(BIO *bio, const char *bytes, int len)
{
    struct tls *t = BIO_get_data(bio);
    struct buf *out = t->lent != NULL ? t->lent : &t->waits;

    buf_add(out, str_from(bytes, (size_t)len));
    return out->overflow ? -1 : len;
}

static long sink_ctrl(BIO *bio, int what, long number, void *arg)
{
    (void)bio;
    (void)number;
    (void)arg;
    return what == BIO_CTRL_FLUSH; /* There is nothing to flush; everything else is not for us. */
}

static BIO_METHOD *sink_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "baton");
    CHECK(m != NULL && BIO_meth_set_write(m, sink_write) == 1 &&
          BIO_meth_set_ctrl(m, sink_ctrl) == 1);
    return m;
}

static BIO *sink_new(struct tls *t)
{
    BIO *bio = BIO_new(t->config->sink);
    CHECK(bio != NULL);
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    return bio;
}

/* ---- configuration ---- */

static struct tls_config *config_new(bool is_client)
{
    struct tls_config *c = mem_zalloc(1, sizeof *c);

    c->is_client = is_client;
    c->sink = sink_method();
    c->ctx = SSL_CTX_new(is_client ? TLS_client_method() : TLS_server_method());
    CHECK(c->ctx != NULL && pthread_mutex_init(&c->mutex, NULL) == 0);
    SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION);
    SSL_CTX_set_mode(c->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_options(c->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                    SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_timeout(c->ctx, SESSION_LIFE_S);
    return c;
}

void tls_config_free(struct tls_config *c)
{
    if (c == NULL)
        return;
    SSL_SESSION_free(c->session);
    SSL_CTX_free(c->ctx);
    BIO_meth_free(c->sink);
    pthread_mutex_destroy(&c->mutex);
    mem_free(c);
}

/* The leaf first, then what it was signed by. */
static enum err_code config_identity(SSL_CTX *ctx, struct str cert, struct str key, struct err *e)
{
    BIO *bio = BIO_new_mem_buf(cert.at, (int)min_size(cert.len, PKI_PEM_MAX));
    X509 *leaf = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    EVP_PKEY *pair = pki__key_parse(key, e);
    bool ok = leaf != NULL && pair != NULL && SSL_CTX_use_certificate(ctx, leaf) == 1 &&
              SSL_CTX_use_PrivateKey(ctx, pair) == 1;

    for (int i = 0; ok && i < CHAIN_MAX; i++) {
        X509 *next = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (next == NULL)
            break;
        ok = SSL_CTX_add0_chain_cert(ctx, next) == 1;
    }
    X509_free(leaf);
    EVP_PKEY_free(pair);
    BIO_free(bio);
    if (!ok)
        return pki__err(e, ERR_INVALID, "certificate and key");
    ERR_clear_error();
    return ERR_OK;
}

static enum err_code config_trust(SSL_CTX *ctx, struct str ca, struct err *e)
{
    X509 *cert = pki__cert_parse(ca, e);
    if (cert == NULL)
        return ERR_INVALID;
    bool ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert) == 1;
    X509_free(cert);
    return ok ? ERR_OK : pki__err(e, ERR_INVALID, "CA");
}

static int alpn_select(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *theirs, unsigned theirs_len, void *arg)
{
    unsigned char *chosen = NULL;
    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, alpn_ours, sizeof alpn_ours - 1, theirs,
                              theirs_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2: no_application_protocol. */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* A client's bad certificate does not fail the handshake: its HTTP request gets a 401 that says why.
 * The first error stays the verdict, whatever later steps of the chain say. */
static int note_client(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *t = SSL_get_app_data(ssl);

    if (ok != 1 && t->verify_error == X509_V_OK)
        t->verify_error = X509_STORE_CTX_get_error(store);
    if (t->verify_error != X509_V_OK)
        X509_STORE_CTX_set_error(store, t->verify_error);
    return 1;
}

/* RFC 8446 4.6.3 lets a peer ask for new keys as often as it likes; each costs us some derivations. */
static void count_rekeys(int is_write, int version, int type, const void *bytes, size_t len,
                         SSL *ssl, void *arg)
{
    struct tls *t = SSL_get_app_data(ssl);
    (void)version;
    (void)bytes;
    (void)len;
    (void)arg;
    if (is_write == 0 && type == SSL3_RT_HANDSHAKE && t != NULL && t->open)
        t->rekeys++;
}

enum err_code tls_server_config(const struct tls_server_options *o, struct tls_config **out,
                                struct err *e)
{
    static const unsigned char context[] = "baton";
    struct tls_config *c = config_new(false);
    enum err_code code = config_identity(c->ctx, o->cert, o->key, e);

    if (code == ERR_OK)
        code = config_trust(c->ctx, o->client_ca, e);
    if (code != ERR_OK) {
        tls_config_free(c);
        return code;
    }
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, note_client);
    SSL_CTX_set_verify_depth(c->ctx, CLIENT_DEPTH_MAX);
    SSL_CTX_set_max_cert_list(c->ctx, CLIENT_CHAIN_MAX);
    SSL_CTX_set_msg_callback(c->ctx, count_rekeys);
    SSL_CTX_set_alpn_select_cb(c->ctx, alpn_select, NULL);
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF); /* Tickets: no state of ours. */
    SSL_CTX_set_session_id_context(c->ctx, context, sizeof context - 1);
    SSL_CTX_set_num_tickets(c->ctx, 1);
    SSL_CTX_set_options(c->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    if (o->ticket_secret != NULL)
        SSL_CTX_set_tlsext_ticket_keys(c->ctx, (void *)(uintptr_t)o->ticket_secret,
                                       TLS_TICKET_SECRET_SIZE);
    *out = c;
    return ERR_OK;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls *t = SSL_get_app_data(ssl);
    struct tls_config *c = t->config;

    pthread_mutex_lock(&c->mutex);
    SSL_SESSION *before = c->session;
    c->session = session;
    memcpy(c->session_host, t->host, sizeof c->session_host);
    pthread_mutex_unlock(&c->mutex);
    SSL_SESSION_free(before);
    return 1; /* We keep the reference. */
}

/* Before the CA is known: the certificate in the server's chain whose fingerprint the token carries is
 * the CA, and then everything is verified as usual. */
static int verify_pinned(X509_STORE_CTX *store, void *arg)
{
    struct tls_config *c = arg;
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(store);
    STACK_OF(X509) *trusted = sk_X509_new_null();
    char fingerprint[PKI_FINGERPRINT_LEN + 1];
    int rc = 0;

    for (int i = 0; trusted != NULL && i < sk_X509_num(chain); i++) {
        X509 *at = sk_X509_value(chain, i);
        if (pki__fingerprint_of(at, fingerprint) && strcmp(fingerprint, c->pinned) == 0)
            sk_X509_push(trusted, at);
    }
    if (trusted != NULL && sk_X509_num(trusted) > 0) {
        X509_STORE_CTX_set0_trusted_stack(store, trusted);
        rc = X509_verify_cert(store);
    } else {
        X509_STORE_CTX_set_error(store, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
    }
    sk_X509_free(trusted);
    return rc;
}

enum err_code tls_client_config(const struct tls_client_options *o, struct tls_config **out,
                                struct err *e)
{
    struct tls_config *c = config_new(true);
    enum err_code code = ERR_OK;

    if (o->ca.len > 0)
        code = config_trust(c->ctx, o->ca, e);
    else if (o->ca_fingerprint == NULL || strlen(o->ca_fingerprint) != PKI_FINGERPRINT_LEN)
        code = err_set(e, ERR_INVALID, "neither a CA nor its fingerprint is given");
    if (code == ERR_OK && o->cert.len > 0)
        code = config_identity(c->ctx, o->cert, o->key, e);
    if (code != ERR_OK) {
        tls_config_free(c);
        return code;
    }
    if (o->ca.len == 0) {
        snprintf(c->pinned, sizeof c->pinned, "%s", o->ca_fingerprint);
        SSL_CTX_set_cert_verify_callback(c->ctx, verify_pinned, c);
    }
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(c->ctx,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(c->ctx, keep_session);
    *out = c;
    return ERR_OK;
}

/* ---- one connection ---- */

static struct tls *tls_make(const struct tls_config *c)
{
    struct tls *t = mem_zalloc(1, sizeof *t);

    t->config = (struct tls_config *)(uintptr_t)c;
    t->ssl = SSL_new(c->ctx);
    t->in = BIO_new(BIO_s_mem());
    CHECK(t->ssl != NULL && t->in != NULL);
    buf_init(&t->waits, OUT_MAX);
    BIO_set_mem_eof_return(t->in, -1); /* Empty means "wait", not "end". */
    SSL_set_bio(t->ssl, t->in, sink_new(t));
    SSL_set_app_data(t->ssl, t);
    return t;
}

struct tls *tls_new_server(const struct tls_config *c)
{
    struct tls *t = tls_make(c);
    SSL_set_accept_state(t->ssl);
    return t;
}

struct tls *tls_new_client(const struct tls_config *c, const char *host)
{
    struct tls *t = tls_make(c);
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);

    SSL_set_connect_state(t->ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, host) != 1) {
        X509_VERIFY_PARAM_set1_host(param, host, 0);
        SSL_set_tlsext_host_name(t->ssl, host);
    }
    SSL_set_alpn_protos(t->ssl, alpn_ours, sizeof alpn_ours - 1);
    snprintf(t->host, sizeof t->host, "%s", host);
    pthread_mutex_lock(&t->config->mutex);
    if (t->config->session != NULL && strcmp(t->config->session_host, host) == 0) {
        SSL_set_session(t->ssl, t->config->session);
        t->offered = t->config->session; /* A TLS 1.3 ticket is good for one use. */
        t->config->session = NULL;
    }
    pthread_mutex_unlock(&t->config->mutex);
    SSL_do_handshake(t->ssl); /* Writes the hello. */
    ERR_clear_error();
    return t;
}

/* Nobody heard the hello, or nobody had time for it: the next connection offers the same session. */
static void offer_again(struct tls *t)
{
    struct tls_config *c = t->config;

    pthread_mutex_lock(&c->mutex);
    if (c->session == NULL) {
        c->session = t->offered;
        memcpy(c->session_host, t->host, sizeof c->session_host);
        t->offered = NULL;
    }
    pthread_mutex_unlock(&c->mutex);
    SSL_SESSION_free(t->offered);
}

void tls_free(struct tls *t)
{
    if (t == NULL)
        return;
    if (t->offered != NULL)
        offer_again(t);
    if (t->open) /* Freed without a word, OpenSSL would take the session for broken and not resume it. */
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(t->ssl);
    buf_free(&t->waits);
    mem_free(t);
}

/* What an OpenSSL call's failure means; ERR_OK: it only wants more bytes. */
static enum err_code tls_failed(struct tls *t, int rc, struct err *e)
{
    switch (SSL_get_error(t->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        ERR_clear_error();
        return ERR_OK;
    case SSL_ERROR_ZERO_RETURN:
        t->ended = true;
        ERR_clear_error();
        return ERR_OK;
    default:
        break;
    }
    long verdict = t->config->is_client ? SSL_get_verify_result(t->ssl) : X509_V_OK;
    if (verdict != X509_V_OK) {
        ERR_clear_error();
        return err_set(e, ERR_DENIED, "server's certificate: %s",
                       X509_verify_cert_error_string(verdict));
    }
    return pki__err(e, t->open ? ERR_CORRUPT : ERR_DENIED, t->open ? "TLS" : "TLS handshake");
}

enum err_code tls_feed(struct tls *t, struct str bytes, struct err *e)
{
    ERR_clear_error();
    if (bytes.len > 0)
        CHECK(BIO_write(t->in, bytes.at, (int)bytes.len) == (int)bytes.len);
    if (bytes.len > 0 && t->offered != NULL) {
        SSL_SESSION_free(t->offered);
        t->offered = NULL;
    }
    if (t->open)
        return ERR_OK;
    int rc = SSL_do_handshake(t->ssl);
    if (rc != 1)
        return tls_failed(t, rc, e);
    t->open = true;
    return ERR_OK;
}

enum err_code tls_read(struct tls *t, char *out, size_t size, size_t *out_len, struct err *e)
{
    size_t got = 0;

    *out_len = 0;
    if (!t->open || t->ended)
        return ERR_OK;
    ERR_clear_error();
    int rc = SSL_read_ex(t->ssl, out, size, &got);
    if (t->rekeys > REKEYS_MAX)
        return err_set(e, ERR_LIMIT, "TLS: more than %d new keys were asked for", REKEYS_MAX);
    if (rc != 1)
        return tls_failed(t, rc, e);
    t->read_bytes += got;
    if (t->read_bytes > REKEY_BYTES)
        t->rekeys = t->read_bytes = 0;
    *out_len = got;
    return ERR_OK;
}

enum err_code tls_write(struct tls *t, struct str bytes, struct err *e)
{
    size_t put = 0;

    if (!t->open)
        return err_set(e, ERR_BUSY, "TLS handshake is not done");
    if (bytes.len == 0)
        return ERR_OK;
    ERR_clear_error();
    int rc = SSL_write_ex(t->ssl, bytes.at, bytes.len, &put);
    if (rc != 1 || put != bytes.len)
        return pki__err(e, ERR_CORRUPT, "TLS write");
    return ERR_OK;
}

void tls_lend(struct tls *t, struct buf *out)
{
    t->lent = out;
    if (out == NULL || t->waits.len == 0)
        return;
    buf_add(out, buf_str(&t->waits));
    buf_free(&t->waits);
}

size_t tls_drain(struct tls *t, char *out, size_t size)
{
    size_t len = min_size(t->waits.len, size);

    if (len == 0)
        return 0;
    memcpy(out, t->waits.at, len);
    buf_consume(&t->waits, len);
    if (t->waits.len == 0)
        buf_free(&t->waits); /* An idle connection holds no buffers. */
    return len;
}

size_t tls_wants(const struct tls *t)
{
    return t->waits.len;
}

void tls_shutdown(struct tls *t)
{
    if (t->open)
        SSL_shutdown(t->ssl);
    ERR_clear_error();
}

bool tls_is_open(const struct tls *t)
{
    return t->open;
}

bool tls_is_ended(const struct tls *t)
{
    return t->ended;
}

bool tls_is_h2(const struct tls *t)
{
    const unsigned char *name;
    unsigned len;
    SSL_get0_alpn_selected(t->ssl, &name, &len);
    return len == 2 && memcmp(name, "h2", 2) == 0;
}

bool tls_is_resumed(const struct tls *t)
{
    return SSL_session_reused(t->ssl) == 1;
}

void tls_peer(const struct tls *t, struct http_peer *out)
{
    X509 *cert = SSL_get0_peer_certificate(t->ssl);
    long verdict = SSL_get_verify_result(t->ssl); /* A resumed session remembers its own. */
    struct err e = {0};

    *out = (struct http_peer){.state = HTTP_PEER_NONE};
    if (cert == NULL)
        return;
    out->state = HTTP_PEER_REFUSED;
    if (verdict != X509_V_OK)
        snprintf(out->why, sizeof out->why, "%s", X509_verify_cert_error_string(verdict));
    else if (pki__identity_of(cert, &out->id, &e) != ERR_OK)
        snprintf(out->why, sizeof out->why, "%.*s", (int)sizeof out->why - 1, e.text);
    else
        out->state = HTTP_PEER_TRUSTED;
}

enum err_code tls_peer_ca(const struct tls *t, struct buf *out, struct err *e)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(t->ssl);
    int count = chain == NULL ? 0 : sk_X509_num(chain);
    BIO *bio = count == 0 ? NULL : BIO_new(BIO_s_mem());
    char *at = NULL;

    if (bio == NULL || PEM_write_bio_X509(bio, sk_X509_value(chain, count - 1)) != 1) {
        BIO_free(bio);
        return pki__err(e, ERR_UNAVAILABLE, "the server's CA");
    }
    long len = BIO_get_mem_data(bio, &at);
    buf_add(out, str_from(at, (size_t)len));
    BIO_free(bio);
    return buf_status(out, e);
}
