/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki_priv.h -- what tls.c shares with pki.c: OpenSSL's own types.
 */
#ifndef IO_PKI_PRIV_H
#define IO_PKI_PRIV_H

#include "io/pki.h"
#include <openssl/ssl.h>
#include <openssl/x509.h>

/* The caller frees. NULL: e says why. */
X509 *pki__cert_parse(struct str pem, struct err *e);
EVP_PKEY *pki__key_parse(struct str pem, struct err *e);

enum err_code pki__identity_of(X509 *cert, struct pki_identity *out, struct err *e);
bool pki__fingerprint_of(X509 *cert, char out[PKI_FINGERPRINT_LEN + 1]);

/* OpenSSL's latest complaint in one line; its queue is empty afterwards. */
enum err_code pki__err(struct err *e, enum err_code code, const char *what);

#endif /* IO_PKI_PRIV_H */
