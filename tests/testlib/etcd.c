/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/etcd.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PORT_FROM = 20000, PORT_TO = 32000 };

bool etcd_is_there(void)
{
    return access("/usr/bin/etcd", X_OK) == 0;
}

static bool is_free(int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bool ok = bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
    close(fd);
    return ok;
}

/* As free-port does it: tests run beside each other, and what one was told no other is told soon. */
int etcd_free_port(void)
{
    char said[8] = "";
    int fd = open("/tmp/baton-test-port", O_RDWR | O_CREAT | O_CLOEXEC, 0666), port = 0;
    CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0);
    if (pread(fd, said, sizeof said - 1, 0) > 0)
        port = (int)strtol(said, NULL, 10);
    if (port < PORT_FROM || port >= PORT_TO)
        port = PORT_FROM;
    for (int tries = 0; tries < PORT_TO - PORT_FROM; tries++) {
        port = port + 1 < PORT_TO ? port + 1 : PORT_FROM;
        if (is_free(port))
            break;
    }
    snprintf(said, sizeof said, "%5d", port);
    CHECK(pwrite(fd, said, strlen(said), 0) == 5);
    close(fd);
    return port;
}

void etcd_servers_init(struct etcd_server *s, int members, const char *dir)
{
    char cluster[256] = "";
    for (int i = 0; i < members; i++) {
        s[i] = (struct etcd_server){.client_port = etcd_free_port(), .peer_port = etcd_free_port()};
        snprintf(s[i].name, sizeof s[i].name, "m%d", i);
        snprintf(s[i].data, sizeof s[i].data, "%s/etcd%d", dir, i);
        snprintf(s[i].log, sizeof s[i].log, "%s/etcd%d.log", dir, i);
        snprintf(s[i].client_url, sizeof s[i].client_url, "http://127.0.0.1:%d", s[i].client_port);
        size_t len = strlen(cluster);
        snprintf(cluster + len, sizeof cluster - len, "%sm%d=http://127.0.0.1:%d", i > 0 ? "," : "",
                 i, s[i].peer_port);
    }
    for (int i = 0; i < members; i++)
        memcpy(s[i].cluster, cluster, sizeof cluster);
}

void etcd_server_init(struct etcd_server *s, const char *dir, bool tls)
{
    etcd_servers_init(s, 1, dir);
    if (tls)
        snprintf(s->client_url, sizeof s->client_url, "https://127.0.0.1:%d", s->client_port);
}

void etcd_server_start(struct etcd_server *s)
{
    char peer[64];
    snprintf(peer, sizeof peer, "http://127.0.0.1:%d", s->peer_port);
    /* backend-batch-limit: 3.4.23 copies its whole read buffer for each transaction (etcd PR 15195). */
    const char *args[40] = {"etcd",        "--name",
                            s->name,       "--data-dir",
                            s->data,       "--listen-client-urls",
                            s->client_url, "--advertise-client-urls",
                            s->client_url, "--listen-peer-urls",
                            peer,          "--initial-advertise-peer-urls",
                            peer,          "--initial-cluster",
                            s->cluster,    "--backend-batch-limit",
                            "500",         "--logger",
                            "zap",         "--log-level",
                            "error"};
    for (int i = 0, at = 21; s->args[i] != NULL; i++)
        args[at++] = s->args[i];
    pid_t parent = getpid();
    s->pid = fork();
    CHECK(s->pid >= 0);
    if (s->pid > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    int fd = open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    execv("/usr/bin/etcd", (char **)args);
    _exit(127);
}

void etcd_server_kill(struct etcd_server *s)
{
    if (s->pid == 0)
        return;
    kill(s->pid, SIGKILL);
    while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    s->pid = 0;
}

void etcd_server_stop(struct etcd_server *s)
{
    etcd_server_kill(s);
}

/* What comes out of fd, as far as it fits. */
static void take_output(int fd, char *out, int out_size)
{
    char rest[512];
    int len = 0;
    ssize_t got;
    while ((got = out != NULL && len < out_size - 1
                      ? read(fd, out + len, (size_t)(out_size - 1 - len))
                      : read(fd, rest, sizeof rest)) > 0)
        len += out != NULL && len < out_size - 1 ? (int)got : 0;
    if (out != NULL)
        out[len] = '\0';
}

int etcd_shell(const char *command, char *out, int out_size)
{
    int ends[2], status = -1;
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], 1);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    take_output(ends[0], out, out_size);
    close(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

int etcd_ctl(const struct etcd_server *s, const char *arguments, char *out, int out_size)
{
    char command[512];
    snprintf(command, sizeof command,
             "ETCDCTL_API=3 exec /usr/bin/etcdctl --endpoints %s --command-timeout 10s %s 2>&1",
             s->client_url, arguments);
    return etcd_shell(command, out, out_size);
}
