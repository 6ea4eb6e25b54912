/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h -- batond's command line.
 *
 * WHAT   argv as a struct, checked and with every default filled in; options_help is what --help prints.
 * OWNS   Text is borrowed from argv, which outlives the program's use of it.
 * FAILS  ERR_INVALID names the option, what it got and what it wants; nothing was opened or changed.
 */
#ifndef CONTROLPLANE_SERVE_OPTIONS_H
#define CONTROLPLANE_SERVE_OPTIONS_H

#include "base/log.h"
#include "controlplane/serve/network.h"
#include "io/http_server.h"

enum {
    NODE_CERTIFICATE_S = 365 * 86400,
    NODE_CERTIFICATE_S_MIN = 5,
    NODE_CERTIFICATE_S_MAX = 10 * NODE_CERTIFICATE_S /* The CA's own life. */
};

struct options {
    const char *state;                    /* --state DIR */
    const char *address;                  /* --listen ADDRESS */
    uint16_t port;                        /* --port N */
    const char *names[PKI_NAMES_MAX - 8]; /* --san NAME, may be repeated. */
    uint32_t names_count;
    uint32_t io_threads;                        /* --io-threads N; 0: by CPUs. Resolved here. */
    const char *store;                          /* --store sqlite|etcd|mem */
    const char *endpoints;                      /* --endpoints URL,URL: of etcd. */
    const char *etcd_ca, *etcd_cert, *etcd_key; /* --etcd-ca, -cert, -key FILE */
    const char *etcd_prefix;                    /* --etcd-prefix /NAME/; NULL: the default. */
    struct network_asked network;     /* --pod-network CIDR, --node-subnet N (prefix bits) */
    struct span certificate_life;     /* --node-certificate S */
    struct http_server_limits limits; /* --limit NAME=VALUE, may be repeated. */
    size_t flight_bytes;              /* --flight-kib N; 0: nothing is recorded. */
    bool connections_said;            /* Their limit is the operator's, not ours. */
    enum log_level log_level;         /* --log error|warn|info|debug */
    const char *log_file;             /* NULL: standard error. */
    bool wants_help, wants_version;
};

extern const char options_help[];

MUST_USE enum err_code options_parse(int argc, char **argv, struct options *out, struct err *e);

#endif /* CONTROLPLANE_SERVE_OPTIONS_H */
