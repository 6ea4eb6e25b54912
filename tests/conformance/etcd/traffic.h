/* SPDX-License-Identifier: Apache-2.0 */
/*
 * traffic.h -- commits without end on an etcd store, and a book of what was answered.
 *
 * WHAT   Transaction n writes three keys together, TRAFFIC_SLOTS places of them in turn; a few are in flight.
 *        Whatever happens to etcd meanwhile, the book knows of each: acknowledged, refused, in doubt.
 *        An unknown outcome is followed by loads until one succeeds, as the core does it.
 * CHECK  After every load: no half transaction, everything acknowledged is there, nothing refused is.
 */
#ifndef CONFORMANCE_ETCD_TRAFFIC_H
#define CONFORMANCE_ETCD_TRAFFIC_H

#include "tests/conformance/store/rig.h"

enum { TRAFFIC_TOGETHER = 3, TRAFFIC_SLOTS = 50, TRAFFIC_MAX = 40000, TRAFFIC_WINDOW = 16 };

enum traffic_fate { TRAFFIC_SENT, TRAFFIC_TAKEN, TRAFFIC_REFUSED, TRAFFIC_DOUBTFUL };

struct traffic {
    struct rig *rig;
    uint64_t next, answered; /* The next transaction; all before answered have their answer. */
    uint64_t ops[TRAFFIC_MAX];
    enum traffic_fate fate[TRAFFIC_MAX];
    uint64_t there[TRAFFIC_SLOTS]; /* The last one that is known to be there, plus one; 0: none. */
    uint32_t taken, refused, doubtful, loads;
    enum err_code refusal; /* The last one's. */
};

/* On an open rig: loads. */
void traffic_start(struct traffic *t, struct rig *r);

/* Commits for that long; some are left in flight. Stops early when one was refused. */
void traffic_run(struct traffic *t, struct span span);

bool traffic_drain(struct traffic *t);  /* Waits for every answer. False: some are in doubt. */
void traffic_settle(struct traffic *t); /* Waits for every answer, loading where it must. */
void traffic_check(struct traffic *t);  /* Settles, loads, looks. */
uint64_t traffic_before(const struct traffic *t, uint32_t slot, uint32_t i); /* Its revision. */

void traffic_noise(uint64_t seed, char *out, uint32_t len); /* Bytes that do not get smaller. */

#endif /* CONFORMANCE_ETCD_TRAFFIC_H */
