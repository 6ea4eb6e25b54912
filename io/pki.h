/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki.h -- keys and certificates: the cluster's own CA, and what it signs.
 *
 * WHAT   P-256 keys, a self-signed CA, certificates for servers (names, addresses) and clients (CN is
 *        the user, each O a group), certificate requests made and verified. PEM in and out.
 * WHY    One door to OpenSSL's X.509. The signer decides every field itself: from a request only the
 *        public key is taken, never its subject or extensions.
 * OWNS   PEM goes to the caller's buffers. struct pki_ca is freed with pki_ca_free(). Private keys are
 *        wiped from our buffers; the caller wipes its own (seal_wipe()).
 * FAILS  ERR_INVALID: not PEM, not P-256, a signature that does not verify. ERR_DENIED: signed by
 *        another CA, or expired.
 */
#ifndef IO_PKI_H
#define IO_PKI_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

enum {
    PKI_PEM_MAX = 16 << 10,
    PKI_NAMES_MAX = 32, /* SANs of a server certificate, groups of a client's. */
    PKI_NAME_LEN_MAX = 253,
    PKI_NAMES_SIZE = 1024,    /* Common name and groups of one certificate, with a NUL each. */
    PKI_FINGERPRINT_LEN = 64, /* SHA-256 in hexadecimal. */
    PKI_SKEW_S = 300,         /* Certificates are valid from this long ago: clocks differ. */
};

struct pki_ca; /* Opaque: certificate and key. */

/* What a certificate says of its holder. Names are UTF-8 without control bytes; a certificate that has
 * others, or more than fit, is ERR_INVALID. */
struct pki_identity {
    char names[PKI_NAMES_SIZE]; /* The common name, then the groups, a NUL behind each. */
    uint32_t groups_count;
    char key_fingerprint[PKI_FINGERPRINT_LEN + 1]; /* Of the public key (SPKI): survives renewal. */
    struct wall not_before, not_after;
};

/* NUL-terminated, borrowed from id. */
const char *pki_common_name(const struct pki_identity *id);
const char *pki_group(const struct pki_identity *id, uint32_t at); /* at < groups_count */

struct pki_subject {
    const char *common_name;
    const char *groups[PKI_NAMES_MAX];
    uint32_t groups_count;
};

/* A new CA: key and self-signed certificate. */
MUST_USE enum err_code pki_ca_make(const char *common_name, struct wall now, struct span valid,
                                   struct buf *out_cert, struct buf *out_key, struct err *e);
MUST_USE enum err_code pki_ca_load(struct str cert, struct str key, struct pki_ca **out_ca,
                                   struct err *e);
void pki_ca_free(struct pki_ca *ca);

MUST_USE enum err_code pki_key_make(struct buf *out_key, struct err *e);

/* A server certificate with a fresh key. names: DNS names and IP addresses. */
MUST_USE enum err_code pki_server_make(const struct pki_ca *ca, const char *const *names,
                                       uint32_t names_count, struct wall now, struct span valid,
                                       struct buf *out_cert, struct buf *out_key, struct err *e);

/* A client certificate with a fresh key. */
MUST_USE enum err_code pki_client_make(const struct pki_ca *ca, const struct pki_subject *subject,
                                       struct wall now, struct span valid, struct buf *out_cert,
                                       struct buf *out_key, struct err *e);

/* A request for key, signed by it: what an agent sends to join. The subject is a wish. */
MUST_USE enum err_code pki_request_make(struct str key, const char *common_name,
                                        struct buf *out_request, struct err *e);

/* The request's own signature verifies and its key is P-256: the public key's fingerprint. */
MUST_USE enum err_code pki_request_check(struct str request, char out[PKI_FINGERPRINT_LEN + 1],
                                         struct err *e);

/* A client certificate for the request's key; subject and everything else from the caller. */
MUST_USE enum err_code pki_request_sign(const struct pki_ca *ca, struct str request,
                                        const struct pki_subject *subject, struct wall now,
                                        struct span valid, struct buf *out_cert, struct err *e);

/* Reads a certificate; verified against the CA and now when ca is not NULL. */
MUST_USE enum err_code pki_identify(const struct pki_ca *ca, struct str cert, struct wall now,
                                    struct pki_identity *out, struct err *e);

/* SHA-256 of the certificate's DER, as a join token carries it for the CA. */
MUST_USE enum err_code pki_fingerprint(struct str cert, char out[PKI_FINGERPRINT_LEN + 1],
                                       struct err *e);

/* True when less than a third of its life is left: time to renew. */
bool pki_is_due(const struct pki_identity *id, struct wall now);

#endif /* IO_PKI_H */
