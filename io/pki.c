/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One plan describes any certificate; cert_sign() is the only place that fills one in, so there is one
 * place to read for what our CA ever says.
 */
#include "io/pki_priv.h"

#include "base/check.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { SERIAL_BITS = 159, SAN_TEXT_MAX = 16 << 10 };

struct pki_ca {
    X509 *cert;
    EVP_PKEY *key;
};

/* What one certificate is to say. */
struct cert_plan {
    const struct pki_subject *subject;
    EVP_PKEY *key;                                /* The holder's. */
    const struct pki_ca *by;                      /* NULL: self-signed with key. */
    const char *usage, *extended, *basic, *names; /* X.509 v3 values; NULL: left out. */
    struct wall now;
    struct span valid;
};

enum err_code pki__err(struct err *e, enum err_code code, const char *what)
{
    unsigned long last = ERR_peek_last_error();
    const char *reason = last == 0 ? NULL : ERR_reason_error_string(last);

    ERR_clear_error();
    return err_set(e, code, "%s: %s", what, reason == NULL ? "refused" : reason);
}

/* ---- PEM ---- */

static BIO *bio_of(struct str pem)
{
    return BIO_new_mem_buf(pem.at, (int)min_size(pem.len, PKI_PEM_MAX));
}

X509 *pki__cert_parse(struct str pem, struct err *e)
{
    BIO *bio = bio_of(pem);
    X509 *cert = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    if (cert == NULL)
        pki__err(e, ERR_INVALID, "certificate is not PEM");
    return cert;
}

static int no_password(char *out, int size, int writing, void *arg)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)arg;
    return 0; /* Never ask on a terminal. */
}

EVP_PKEY *pki__key_parse(struct str pem, struct err *e)
{
    BIO *bio = bio_of(pem);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    if (key == NULL)
        pki__err(e, ERR_INVALID, "private key is not PEM");
    return key;
}

/* What a memory BIO holds goes to out; the BIO is wiped and freed. */
static enum err_code bio_give(BIO *bio, bool written, struct buf *out, struct err *e)
{
    char *at = NULL;
    long len = bio == NULL ? 0 : BIO_get_mem_data(bio, &at);

    if (written && len > 0)
        buf_add(out, str_from(at, (size_t)len));
    if (at != NULL)
        OPENSSL_cleanse(at, (size_t)len);
    BIO_free(bio);
    if (!written)
        return pki__err(e, ERR_UNAVAILABLE, "write PEM");
    return buf_status(out, e);
}

static enum err_code cert_print(X509 *cert, struct buf *out, struct err *e)
{
    BIO *bio = BIO_new(BIO_s_mem());
    return bio_give(bio, bio != NULL && PEM_write_bio_X509(bio, cert) == 1, out, e);
}

static enum err_code key_print(EVP_PKEY *key, struct buf *out, struct err *e)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = bio != NULL && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
    return bio_give(bio, ok, out, e);
}

static EVP_PKEY *key_new(struct err *e)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (key == NULL)
        pki__err(e, ERR_UNAVAILABLE, "make a key");
    return key;
}

static bool key_is_p256(EVP_PKEY *key)
{
    char group[32];
    size_t len = 0;
    return EVP_PKEY_get_group_name(key, group, sizeof group, &len) == 1 &&
           strcmp(group, "prime256v1") == 0;
}

enum err_code pki_key_make(struct buf *out_key, struct err *e)
{
    EVP_PKEY *key = key_new(e);
    enum err_code code = key == NULL ? ERR_UNAVAILABLE : key_print(key, out_key, e);
    EVP_PKEY_free(key);
    return code;
}

/* ---- signing ---- */

static bool cert_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    if (value == NULL)
        return true;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool name_add(X509_NAME *name, const char *field, const char *value)
{
    return strlen(value) <= PKI_NAME_LEN_MAX &&
           X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value, -1,
                                      -1, 0) == 1;
}

static bool cert_name(X509 *cert, const struct pki_subject *s)
{
    X509_NAME *name = X509_get_subject_name(cert);
    for (uint32_t i = 0; i < s->groups_count; i++)
        if (!name_add(name, "O", s->groups[i]))
            return false;
    return name_add(name, "CN", s->common_name);
}

static bool cert_serial(X509 *cert)
{
    BIGNUM *serial = BN_new();
    bool ok = serial != NULL && BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
              BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)) != NULL;
    BN_free(serial);
    return ok;
}

static bool cert_times(X509 *cert, const struct cert_plan *p)
{
    time_t from = (time_t)wall_seconds(p->now) - PKI_SKEW_S;
    time_t until = (time_t)(wall_seconds(p->now) + p->valid.ns / 1000000000);
    return ASN1_TIME_set(X509_getm_notBefore(cert), from) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(cert), until) != NULL;
}

static X509 *cert_sign(const struct cert_plan *p, struct err *e)
{
    X509 *cert = X509_new();
    X509 *issuer = p->by == NULL ? cert : p->by->cert;
    EVP_PKEY *signer = p->by == NULL ? p->key : p->by->key;

    bool ok = cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1 && cert_serial(cert) &&
              cert_times(cert, p) && cert_name(cert, p->subject) &&
              X509_set_pubkey(cert, p->key) == 1 &&
              X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1 &&
              cert_extend(cert, issuer, NID_basic_constraints, p->basic) &&
              cert_extend(cert, issuer, NID_key_usage, p->usage) &&
              cert_extend(cert, issuer, NID_ext_key_usage, p->extended) &&
              cert_extend(cert, issuer, NID_subject_key_identifier, "hash") &&
              cert_extend(cert, issuer, NID_authority_key_identifier, "keyid:always") &&
              cert_extend(cert, issuer, NID_subject_alt_name, p->names) &&
              X509_sign(cert, signer, EVP_sha256()) > 0;
    if (ok)
        return cert;
    X509_free(cert);
    pki__err(e, ERR_INVALID, "sign certificate");
    return NULL;
}

/* Sign, print certificate and, when out_key is not NULL, the key. */
static enum err_code cert_issue(const struct cert_plan *p, struct buf *out_cert,
                                struct buf *out_key, struct err *e)
{
    if (p->subject->groups_count > PKI_NAMES_MAX)
        return err_set(e, ERR_LIMIT, "a certificate takes at most %d groups", PKI_NAMES_MAX);
    X509 *cert = cert_sign(p, e);
    if (cert == NULL)
        return ERR_INVALID;
    enum err_code code = cert_print(cert, out_cert, e);
    X509_free(cert);
    if (code == ERR_OK && out_key != NULL)
        code = key_print(p->key, out_key, e);
    return code;
}

enum err_code pki_ca_make(const char *common_name, struct wall now, struct span valid,
                          struct buf *out_cert, struct buf *out_key, struct err *e)
{
    struct pki_subject subject = {.common_name = common_name};
    struct cert_plan plan = {.subject = &subject,
                             .key = key_new(e),
                             .usage = "critical,keyCertSign,cRLSign,digitalSignature",
                             .basic = "critical,CA:TRUE,pathlen:0",
                             .now = now,
                             .valid = valid};
    if (plan.key == NULL)
        return ERR_UNAVAILABLE;
    enum err_code code = cert_issue(&plan, out_cert, out_key, e);
    EVP_PKEY_free(plan.key);
    return code;
}

enum err_code pki_ca_load(struct str cert, struct str key, struct pki_ca **out_ca, struct err *e)
{
    struct pki_ca *ca = mem_zalloc(1, sizeof *ca);
    enum err_code code = ERR_INVALID;

    ca->cert = pki__cert_parse(cert, e);
    ca->key = ca->cert == NULL ? NULL : pki__key_parse(key, e);
    if (ca->key != NULL && X509_check_private_key(ca->cert, ca->key) != 1)
        pki__err(e, ERR_INVALID, "CA's key and certificate do not belong together");
    else if (ca->key != NULL && X509_check_ca(ca->cert) != 1)
        err_set(e, ERR_INVALID, "the certificate is not a CA's");
    else if (ca->key != NULL)
        code = ERR_OK;
    if (code != ERR_OK) {
        pki_ca_free(ca);
        return code;
    }
    *out_ca = ca;
    return ERR_OK;
}

void pki_ca_free(struct pki_ca *ca)
{
    if (ca == NULL)
        return;
    X509_free(ca->cert);
    EVP_PKEY_free(ca->key);
    mem_free(ca);
}

/* A name that would be read as more than itself ("a,IP:..") is refused, not escaped. */
static bool san_is_plain(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.at[i];
        bool ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '.' || c == '-' || c == ':' || c == '*' || c == '_';
        if (!ok)
            return false;
    }
    return name.len > 0 && name.len <= PKI_NAME_LEN_MAX;
}

static bool is_address(const char *name)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

enum err_code pki_server_make(const struct pki_ca *ca, const char *const *names,
                              uint32_t names_count, struct wall now, struct span valid,
                              struct buf *out_cert, struct buf *out_key, struct err *e)
{
    struct buf text;
    if (names_count == 0 || names_count > PKI_NAMES_MAX)
        return err_set(e, ERR_LIMIT, "a server certificate takes 1 to %d names", PKI_NAMES_MAX);
    buf_init(&text, SAN_TEXT_MAX);
    for (uint32_t i = 0; i < names_count; i++) {
        if (!san_is_plain(str_of(names[i]))) {
            buf_free(&text);
            return err_set(e, ERR_INVALID, "%.100s is not a host name or address", names[i]);
        }
        buf_printf(&text, "%s%s:%s", i == 0 ? "" : ",", is_address(names[i]) ? "IP" : "DNS",
                   names[i]);
    }
    buf_add_char(&text, '\0');

    struct pki_subject subject = {.common_name = "baton"};
    struct cert_plan plan = {.subject = &subject,
                             .key = key_new(e),
                             .by = ca,
                             .usage = "critical,digitalSignature",
                             .extended = "serverAuth",
                             .basic = "critical,CA:FALSE",
                             .names = text.at,
                             .now = now,
                             .valid = valid};
    enum err_code code = ERR_UNAVAILABLE;
    if (plan.key != NULL)
        code = cert_issue(&plan, out_cert, out_key, e);
    if (code == ERR_OK)
        code = cert_print(ca->cert, out_cert, e); /* The chain, so that a join can pin the CA. */
    EVP_PKEY_free(plan.key);
    buf_free(&text);
    return code;
}

static struct cert_plan client_plan(const struct pki_ca *ca, const struct pki_subject *subject,
                                    struct wall now, struct span valid)
{
    return (struct cert_plan){.subject = subject,
                              .by = ca,
                              .usage = "critical,digitalSignature",
                              .extended = "clientAuth",
                              .basic = "critical,CA:FALSE",
                              .now = now,
                              .valid = valid};
}

enum err_code pki_client_make(const struct pki_ca *ca, const struct pki_subject *subject,
                              struct wall now, struct span valid, struct buf *out_cert,
                              struct buf *out_key, struct err *e)
{
    struct cert_plan plan = client_plan(ca, subject, now, valid);
    enum err_code code = ERR_UNAVAILABLE;

    plan.key = key_new(e);
    if (plan.key != NULL)
        code = cert_issue(&plan, out_cert, out_key, e);
    EVP_PKEY_free(plan.key);
    return code;
}

/* ---- requests ---- */

enum err_code pki_request_make(struct str key, const char *common_name, struct buf *out_request,
                               struct err *e)
{
    EVP_PKEY *pair = pki__key_parse(key, e);
    if (pair == NULL)
        return ERR_INVALID;
    X509_REQ *req = X509_REQ_new();
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = req != NULL && bio != NULL &&
              name_add(X509_REQ_get_subject_name(req), "CN", common_name) &&
              X509_REQ_set_pubkey(req, pair) == 1 && X509_REQ_sign(req, pair, EVP_sha256()) > 0 &&
              PEM_write_bio_X509_REQ(bio, req) == 1;
    X509_REQ_free(req);
    EVP_PKEY_free(pair);
    return bio_give(bio, ok, out_request, e);
}

/* The request's public key, borrowed from *out_req which the caller frees; NULL: e says why. */
static EVP_PKEY *request_key(struct str request, X509_REQ **out_req, struct err *e)
{
    BIO *bio = bio_of(request);
    X509_REQ *req = bio == NULL ? NULL : PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
    EVP_PKEY *key = req == NULL ? NULL : X509_REQ_get0_pubkey(req);

    BIO_free(bio);
    *out_req = req;
    if (key == NULL) {
        pki__err(e, ERR_INVALID, "certificate request is not PEM");
    } else if (!key_is_p256(key)) {
        err_set(e, ERR_INVALID, "certificate request: the key is not P-256");
        key = NULL;
    } else if (X509_REQ_verify(req, key) != 1) {
        pki__err(e, ERR_INVALID, "certificate request's signature does not verify");
        key = NULL;
    }
    ERR_clear_error();
    return key;
}

static bool hex_of_digest(const unsigned char *digest, unsigned len,
                          char out[PKI_FINGERPRINT_LEN + 1])
{
    static const char hex[] = "0123456789abcdef";
    if (len * 2 != PKI_FINGERPRINT_LEN)
        return false;
    for (unsigned i = 0; i < len; i++) {
        out[2 * i] = hex[digest[i] >> 4];
        out[2 * i + 1] = hex[digest[i] & 15];
    }
    out[PKI_FINGERPRINT_LEN] = '\0';
    return true;
}

static bool key_fingerprint(EVP_PKEY *key, char out[PKI_FINGERPRINT_LEN + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE], *der = NULL;
    unsigned len = 0;
    int size = i2d_PUBKEY(key, &der);
    bool ok = size > 0 && EVP_Digest(der, (size_t)size, digest, &len, EVP_sha256(), NULL) == 1 &&
              hex_of_digest(digest, len, out);
    OPENSSL_free(der);
    return ok;
}

enum err_code pki_request_check(struct str request, char out[PKI_FINGERPRINT_LEN + 1],
                                struct err *e)
{
    X509_REQ *req;
    EVP_PKEY *key = request_key(request, &req, e);
    bool ok = key != NULL && key_fingerprint(key, out);
    X509_REQ_free(req);
    return ok ? ERR_OK : ERR_INVALID;
}

enum err_code pki_request_sign(const struct pki_ca *ca, struct str request,
                               const struct pki_subject *subject, struct wall now,
                               struct span valid, struct buf *out_cert, struct err *e)
{
    X509_REQ *req;
    struct cert_plan plan = client_plan(ca, subject, now, valid);
    enum err_code code = ERR_INVALID;

    plan.key = request_key(request, &req, e);
    if (plan.key != NULL)
        code = cert_issue(&plan, out_cert, NULL, e);
    X509_REQ_free(req);
    return code;
}

/* ---- reading ---- */

bool pki__fingerprint_of(X509 *cert, char out[PKI_FINGERPRINT_LEN + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    return X509_digest(cert, EVP_sha256(), digest, &len) == 1 && hex_of_digest(digest, len, out);
}

enum err_code pki_fingerprint(struct str cert, char out[PKI_FINGERPRINT_LEN + 1], struct err *e)
{
    X509 *x = pki__cert_parse(cert, e);
    bool ok = x != NULL && pki__fingerprint_of(x, out);
    X509_free(x);
    return ok ? ERR_OK : ERR_INVALID;
}

/* One name behind those already there, with its NUL. False: control bytes, or no room. */
static bool names_add(struct pki_identity *id, size_t *used, const ASN1_STRING *value)
{
    unsigned char *text = NULL;
    int len = ASN1_STRING_to_UTF8(&text, value);
    bool ok = len >= 0 && len <= PKI_NAME_LEN_MAX && *used + (size_t)len + 1 <= PKI_NAMES_SIZE;

    for (int i = 0; ok && i < len; i++)
        ok = text[i] >= ' ' && text[i] != 0x7f;
    ok = ok && str_is_utf8(str_from(text, (size_t)len));
    if (ok) {
        memcpy(id->names + *used, text, (size_t)len);
        *used += (size_t)len;
        id->names[(*used)++] = '\0';
    }
    OPENSSL_free(text);
    return ok;
}

static bool identity_names(X509_NAME *name, struct pki_identity *out)
{
    size_t used = 0;
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);

    if (at < 0 || !names_add(out, &used, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at))) ||
        X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
        return false; /* None, or two: which one would be the user? */
    at = -1;
    while ((at = X509_NAME_get_index_by_NID(name, NID_organizationName, at)) >= 0) {
        if (out->groups_count == PKI_NAMES_MAX ||
            !names_add(out, &used, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at))))
            return false;
        out->groups_count++;
    }
    return true;
}

static struct wall wall_of(const ASN1_TIME *at)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(at, &tm) != 1)
        return (struct wall){0};
    return (struct wall){(int64_t)timegm(&tm) * 1000000000};
}

enum err_code pki__identity_of(X509 *cert, struct pki_identity *out, struct err *e)
{
    struct pki_identity id = {0};
    if (!identity_names(X509_get_subject_name(cert), &id))
        return err_set(e, ERR_INVALID, "certificate's subject has no usable name");
    if (!key_fingerprint(X509_get0_pubkey(cert), id.key_fingerprint))
        return pki__err(e, ERR_INVALID, "certificate's key");
    id.not_before = wall_of(X509_get0_notBefore(cert));
    id.not_after = wall_of(X509_get0_notAfter(cert));
    *out = id;
    return ERR_OK;
}

static enum err_code cert_verify(const struct pki_ca *ca, X509 *cert, struct wall now,
                                 struct err *e)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool ready = store != NULL && ctx != NULL && X509_STORE_add_cert(store, ca->cert) == 1 &&
                 X509_STORE_CTX_init(ctx, store, cert, NULL) == 1;
    enum err_code code = ERR_UNAVAILABLE;

    if (ready) {
        X509_STORE_CTX_set_time(ctx, 0, (time_t)wall_seconds(now));
        code = X509_verify_cert(ctx) == 1
                   ? ERR_OK
                   : err_set(e, ERR_DENIED, "certificate: %s",
                             X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    ERR_clear_error();
    return code;
}

enum err_code pki_identify(const struct pki_ca *ca, struct str cert, struct wall now,
                           struct pki_identity *out, struct err *e)
{
    X509 *x = pki__cert_parse(cert, e);
    if (x == NULL)
        return ERR_INVALID;
    enum err_code code = ca == NULL ? ERR_OK : cert_verify(ca, x, now, e);
    if (code == ERR_OK)
        code = pki__identity_of(x, out, e);
    X509_free(x);
    return code;
}

const char *pki_common_name(const struct pki_identity *id)
{
    return id->names;
}

const char *pki_group(const struct pki_identity *id, uint32_t at)
{
    const char *name = id->names;
    CHECK(at < id->groups_count);
    for (uint32_t i = 0; i <= at; i++)
        name += strlen(name) + 1;
    return name;
}

bool pki_is_due(const struct pki_identity *id, struct wall now)
{
    int64_t life = id->not_after.ns - id->not_before.ns;
    return id->not_after.ns - now.ns < life / 3;
}
