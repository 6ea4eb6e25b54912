/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/dhcp_server.h"
#include "base/mem.h"
#include "io/fs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

struct dhcp_server {
    struct loop_client client;
    const struct dhcp_table *table;
    struct loop_fd *watch;
    int hears, speaks; /* UDP port 67 of the bridge; frames onto the bridge. */
    int link;          /* The bridge's index. */
    uint8_t mac[6];
    uint32_t address;
    struct dhcp_server_stats stats;
};

/* False: nothing (more) was waiting. */
static bool serve_one(struct dhcp_server *s)
{
    char message[DHCP_MESSAGE_MAX + 1]; /* One more: a longer one is seen to be too long. */
    uint8_t frame[DHCP_FRAME_MAX];
    struct dhcp_answer answer;
    ssize_t got = recv(s->hears, message, sizeof message, MSG_DONTWAIT);
    if (got < 0)
        return false;
    switch (dhcp_answer(s->table, s->address, str_from(message, (size_t)got), &answer)) {
    case DHCP_ANSWERED:
        break;
    case DHCP_MALFORMED:
        s->stats.malformed++;
        return true;
    case DHCP_STRANGER:
        s->stats.strangers++;
        return true;
    case DHCP_NOT_OURS:
        s->stats.not_ours++;
        return true;
    case DHCP_DECLINED:
        s->stats.declined++;
        return true;
    }
    size_t len = dhcp_frame(&answer, s->address, s->mac, frame);
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_IP),
                             .sll_ifindex = s->link,
                             .sll_halen = 6};
    memcpy(to.sll_addr, answer.mac, 6);
    if (sendto(s->speaks, frame, len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to) ==
        (ssize_t)len)
        s->stats.answered++;
    else
        s->stats.unsent++;
    return true;
}

static void on_event(struct loop_client *self, const struct io_event *ev)
{
    struct dhcp_server *s = CONTAINER_OF(self, struct dhcp_server, client);
    if (ev->type != IO_FD_READABLE)
        return;
    for (uint32_t i = 0; i < DHCP_SERVER_BURST && serve_one(s); i++)
        ; /* What is left is readable in the next turn again. */
}

/* Bound to the bridge: another cluster's agent may hold the same port on its own. */
static enum err_code open_hears(struct dhcp_server *s, const char *bridge, struct err *e)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(DHCP_SERVER_PORT)};
    CLEANUP(fs_close) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "dhcp: socket: %m");
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, bridge, (socklen_t)strlen(bridge) + 1) != 0)
        return err_set(e, ERR_UNAVAILABLE, "dhcp: bind to %s: %m", bridge);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0)
        return err_set(e, errno == EADDRINUSE ? ERR_CONFLICT : ERR_UNAVAILABLE,
                       "dhcp: port 67 on %s: %m", bridge);
    s->hears = fd;
    fd = -1;
    return ERR_OK;
}

static enum err_code open_speaks(struct dhcp_server *s, const char *bridge, struct err *e)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", bridge);
    /* Protocol 0: it hears nothing, and so queues nothing. */
    CLEANUP(fs_close) int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "dhcp: packet socket: %m");
    if (ioctl(fd, SIOCGIFHWADDR, &request) != 0)
        return err_set(e, ERR_UNAVAILABLE, "dhcp: the MAC of %s: %m", bridge);
    memcpy(s->mac, request.ifr_hwaddr.sa_data, 6);
    s->speaks = fd;
    fd = -1;
    return ERR_OK;
}

enum err_code dhcp_server_open(struct loop *l, const char *bridge, uint32_t address,
                               const struct dhcp_table *table, struct dhcp_server **out,
                               struct err *e)
{
    unsigned link = if_nametoindex(bridge);
    if (link == 0)
        return err_set(e, ERR_NOT_FOUND, "dhcp: no bridge %s", bridge);
    struct dhcp_server *s = mem_zalloc(1, sizeof *s);
    s->client.event = on_event;
    s->table = table;
    s->address = address;
    s->link = (int)link;
    s->hears = s->speaks = -1;
    enum err_code code = open_hears(s, bridge, e);
    if (code == ERR_OK)
        code = open_speaks(s, bridge, e);
    if (code != ERR_OK) {
        fs_close(&s->hears);
        mem_free(s);
        return code;
    }
    loop_join(l, &s->client);
    s->watch = loop_watch_fd(&s->client, 0, s->hears);
    *out = s;
    return ERR_OK;
}

void dhcp_server_close(struct dhcp_server *s)
{
    if (s == NULL)
        return;
    loop_unwatch_fd(s->watch);
    loop_leave(&s->client);
    fs_close(&s->hears);
    fs_close(&s->speaks);
    mem_free(s);
}

struct dhcp_server_stats dhcp_server_stats(const struct dhcp_server *s)
{
    return s->stats;
}
