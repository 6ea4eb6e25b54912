/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authority.h -- the cluster's identity on disk: its name, its CA, and what the CA signed.
 *
 * WHAT   Made at the first start under DIR, read at every later one:
 *          DIR/control/cluster            six hexadecimal digits that name the cluster on its hosts
 *          DIR/control/pki/ca.{crt,key}   valid ten years
 *          DIR/control/pki/server.{crt,key}   made anew when due, or when --san asks for other names
 *          DIR/control/pki/admin.{crt,key}    O=system:masters, CN=admin
 *          DIR/kubeconfig                 the administrator's, complete in itself
 *        Keys and the kubeconfig are 0600.
 * WHY    TLS is always on, so the first start must need nothing from anybody.
 * OWNS   authority_open() gives it whole; authority_free() wipes and frees it.
 * FAILS  ERR_DENIED, ERR_UNAVAILABLE: the directory; ERR_CORRUPT: a file that is not what it should be,
 *        by its path. Nothing is overwritten that cannot be read.
 */
#ifndef CONTROLPLANE_SERVE_AUTHORITY_H
#define CONTROLPLANE_SERVE_AUTHORITY_H

#include "io/pki.h"

enum { AUTHORITY_ID_LEN = 6, AUTHORITY_HOLDER_SIZE = 300 };

struct authority {
    char cluster_id[AUTHORITY_ID_LEN + 1];
    struct pki_ca *ca;
    struct buf ca_cert, server_cert, server_key; /* PEM. */
    char ca_fingerprint[PKI_FINGERPRINT_LEN + 1];
};

struct authority_options {
    const char *state;        /* DIR */
    const char *const *names; /* --san: further DNS names and addresses of this server. */
    uint32_t names_count;     /* At most PKI_NAMES_MAX - 8. */
    uint16_t port;            /* For the kubeconfig. */
    struct wall now;
};

MUST_USE enum err_code authority_open(const struct authority_options *o, struct authority *out,
                                      struct err *e);
void authority_free(struct authority *a);

/* Reads it and makes nothing. ERR_NOT_FOUND: there is no cluster in that directory. */
MUST_USE enum err_code authority_cluster_id(const char *state, char out[AUTHORITY_ID_LEN + 1],
                                            struct err *e);

/* "HOST DIR": who we are to those who want to lead as well. One batond a directory, and directories are a machine's. */
void authority_holder(const char *state, char out[AUTHORITY_HOLDER_SIZE]);

#endif /* CONTROLPLANE_SERVE_AUTHORITY_H */
