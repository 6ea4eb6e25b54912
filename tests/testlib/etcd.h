/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd.h -- Debian's etcd-server, started by a test for itself.
 *
 * WHAT   One member on loopback with its data in the test's directory: started, killed, started again. It dies with
 *        the test's process, whatever becomes of that. Never the system's service.
 * OWNS   etcd_server_stop() ends and forgets it; the directory is the caller's.
 */
#ifndef TESTLIB_ETCD_H
#define TESTLIB_ETCD_H

#include <stdbool.h>
#include <sys/types.h>

enum { ETCD_MEMBERS_MAX = 3, ETCD_ARGS_MAX = 12 };

struct etcd_server {
    pid_t pid; /* 0: not running. */
    int client_port, peer_port;
    char data[128], log[128], name[8], cluster[256], client_url[64];
    const char *args[ETCD_ARGS_MAX]; /* Further ones; NULL at the end. */
};

/* Is there an etcd on this machine? Without one a test has nothing to say. */
bool etcd_is_there(void);

/* Ports are chosen, nothing is started. tls: https for clients. */
void etcd_server_init(struct etcd_server *s, const char *dir, bool tls);
/* members of one cluster. */
void etcd_servers_init(struct etcd_server *s, int members, const char *dir);
void etcd_server_start(struct etcd_server *s); /* Does not wait until it answers. */
void etcd_server_kill(struct etcd_server *s);  /* SIGKILL, and gone. */
void etcd_server_stop(struct etcd_server *s);
int etcd_free_port(void); /* On loopback, below the ephemeral ones. */

/* A shell command; its status. out: what it printed, NULL: not wanted. */
int etcd_shell(const char *command, char *out, int out_size);

/* etcdctl with these arguments against it; its status. out NULL: not wanted. */
int etcd_ctl(const struct etcd_server *s, const char *arguments, char *out, int out_size);

#endif /* TESTLIB_ETCD_H */
