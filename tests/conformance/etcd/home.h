/* SPDX-License-Identifier: Apache-2.0 */
/*
 * home.h -- rigs on an etcd that a test treats badly.
 *
 * WHAT   A rig whose etcd has members, or further arguments, as told. What the rig starts it stops.
 */
#ifndef CONFORMANCE_ETCD_HOME_H
#define CONFORMANCE_ETCD_HOME_H

#include "tests/conformance/store/rig.h"

/* One member; argument: a further one of etcd's, or NULL. */
struct rig *home_new(const char *argument);
struct rig *home_new_tls(void);                 /* Not started: its certificates are missing. */
struct rig *home_of_three(char endpoints[256]); /* r->endpoints points to it. */

/* Another store on the same etcd. Free it before its home. */
struct rig *home_guest(struct rig *home, const char *holder);

/* Waits until it answers. */
void home_wait(const struct etcd_server *s);

/* How many times as long as usual: tests/long sets it in the environment. */
uint32_t home_rounds(uint32_t usual);

/* A key's value in etcd; false: it is not there. */
bool home_get(const struct rig *home, const char *key, char out[512]);

#endif /* CONFORMANCE_ETCD_HOME_H */
