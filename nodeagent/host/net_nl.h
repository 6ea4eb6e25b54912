/* SPDX-License-Identifier: Apache-2.0 */
/* net_nl.h -- one rtnetlink request and its answer, for the files that speak it. */
#ifndef NODEAGENT_HOST_NET_NL_H
#define NODEAGENT_HOST_NET_NL_H

#include "nodeagent/host/net_priv.h"
#include <libmnl/libmnl.h>

/* Every request here fits a page; answers of a dump come in pieces of at most this. */
enum { NET_REQUEST_MAX = 4096, NET_ANSWER_MAX = 32 << 10 };

struct net_request {
    char bytes[NET_REQUEST_MAX];
    struct nlmsghdr *head;
};

void net__nl_begin(struct net_request *r, uint16_t type, uint16_t flags);
/* Sends, and calls visit for each part of the answer. 0, or the kernel's errno. */
int net__nl_talk(struct net_nl *nl, struct net_request *r, mnl_cb_t visit, void *arg);
/* A request that is acknowledged or refused. */
enum err_code net__nl_ask(struct net_nl *nl, struct net_request *r, const char *what,
                          const char *whom, struct err *e);

#endif /* NODEAGENT_HOST_NET_NL_H */
