/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutter.h -- a TCP proxy on loopback that loses things when told to.
 *
 * WHAT   A process of its own between a client and a server: passes bytes on, or loses the answers of requests that
 *        have arrived, or swallows requests. It knows of HTTP/1.1 only that a request begins with "POST ".
 * OWNS   cutter_stop() ends it. It dies with the test's process.
 */
#ifndef TESTLIB_CUTTER_H
#define TESTLIB_CUTTER_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

/* Shared with the process; the test may change it at any time. */
struct cutter_dials {
    _Atomic uint32_t
        lose_each; /* Of each so many answers one is lost, and its connection; 0: none. */
    _Atomic uint32_t swallow; /* Not 0: requests are taken and go nowhere. */
    _Atomic int64_t
        pass_only; /* Transactions that still pass, then they are swallowed; < 0: all. */
    _Atomic uint32_t requests, lost, swallowed; /* Counted. */
};

struct cutter {
    pid_t pid;
    char url[64];
    struct cutter_dials *dials;
};

void cutter_start(struct cutter *c, int server_port);
void cutter_stop(struct cutter *c);

#endif /* TESTLIB_CUTTER_H */
