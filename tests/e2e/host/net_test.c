/* SPDX-License-Identifier: Apache-2.0 */
/* The pod network with the kernel's own bridge, veth and nf_tables, in a network namespace of the
 * test's: the machine's own network is not touched. Needs root and nft. */
#include "io/clock.h"
#include "io/fs.h"
#include "nodeagent/host/net.h"
#include "tests/testlib/test.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct world {
    char directory[64];
    struct net *net;
    struct net_pod pods[2];
    char paths[2][FS_PATH_MAX];
} world;

static struct net_pod pod_of(const char *id, uint8_t last)
{
    return (struct net_pod){.id = str_of(id),
                            .address = {{10, 77, 0, last}, 16},
                            .gateway = {{10, 77, 0, 1}, 16},
                            .mac = {0x02, 0, 10, 77, 0, last}};
}

static bool make_world(void)
{
    struct err e;
    if (geteuid() != 0 || access("/usr/sbin/nft", X_OK) != 0) {
        fputs("skipped: needs root and nft\n", stderr);
        return false;
    }
    cr_assert_eq(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    /* sysfs and proc show the namespace of who mounted them or asks; /proc/sys/net is the asker's. */
    world = (struct world){.directory = "/tmp/baton-net-XXXXXX"};
    cr_assert(mkdtemp(world.directory) != NULL);
    struct net_config config = {.cluster = STR("e2e"),
                                .netns_directory = str_of(world.directory),
                                .gateway = {{10, 77, 0, 1}, 16}};
    cr_assert_eq(net_open(&config, &world.net, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(net_setup(world.net, &e), ERR_OK, "%s", e.text);
    world.pods[0] = pod_of("pod-a", 5);
    world.pods[1] = pod_of("pod-b", 6);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(net_pod_make(world.net, &world.pods[i], world.paths[i], &e), ERR_OK, "%s",
                     e.text);
    return true;
}

static void end_world(void)
{
    struct err e;
    cr_assert_eq(net_purge(world.net, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(if_nametoindex(net_bridge(world.net)), 0);
    net_close(world.net);
    cr_assert_eq(rmdir(world.directory), 0, "a namespace's file is left");
}

/* A server in a namespace that answers each connection with what address it came from. */
static pid_t serve(const char *netns, uint16_t port)
{
    int ready[2];
    char byte;
    cr_assert_eq(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* A failed assertion leaves nobody behind. */
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)}, peer;
        int ns = open(netns, O_RDONLY);
        if (setns(ns, CLONE_NEWNET) != 0)
            _exit(1);
        int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
        setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(s, (struct sockaddr *)&a, sizeof a) != 0 || listen(s, 4) != 0)
            _exit(1);
        (void)!write(ready[1], "r", 1);
        for (;;) {
            char text[INET_ADDRSTRLEN] = "";
            socklen_t len = sizeof peer;
            int c = accept(s, (struct sockaddr *)&peer, &len);
            inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text);
            (void)!write(c, text, strlen(text));
            close(c);
        }
    }
    close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1, "the server did not start");
    close(ready[0]);
    return pid;
}

static void stop(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* What the server at ip:port says to somebody in a namespace (NULL: the node); "" when unreachable. */
static const char *ask(const char *netns, const char *ip, uint16_t port)
{
    static char answer[64];
    int out[2];
    cr_assert_eq(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
        struct timeval patience = {.tv_sec = 1};
        char text[64];
        if (netns != NULL && setns(open(netns, O_RDONLY), CLONE_NEWNET) != 0)
            _exit(1);
        inet_pton(AF_INET, ip, &a.sin_addr);
        int s = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (connect(s, (struct sockaddr *)&a, sizeof a) != 0)
            _exit(1);
        ssize_t len = read(s, text, sizeof text);
        if (len > 0)
            (void)!write(out[1], text, (size_t)len);
        _exit(0);
    }
    close(out[1]);
    ssize_t len = read(out[0], answer, sizeof answer - 1);
    answer[len > 0 ? len : 0] = '\0';
    close(out[0]);
    waitpid(pid, NULL, 0);
    return answer;
}

TEST(net, pods_reach_each_other_with_their_own_addresses)
{
    struct err e;
    if (!make_world())
        return;
    pid_t server = serve(world.paths[0], 80);
    cr_assert_str_eq(ask(world.paths[1], "10.77.0.5", 80), "10.77.0.6");
    cr_assert_str_eq(ask(NULL, "10.77.0.5", 80), "10.77.0.1", "the node reaches its pods");
    for (int i = 0; i < 2; i++) /* Made so again: nothing breaks. */
        cr_assert_eq(net_pod_make(world.net, &world.pods[i], world.paths[i], &e), ERR_OK, "%s",
                     e.text);
    cr_assert_eq(net_setup(world.net, &e), ERR_OK, "%s", e.text);
    cr_assert_str_eq(ask(world.paths[1], "10.77.0.5", 80), "10.77.0.6");
    stop(server);
    end_world();
}

TEST(net, host_ports_lead_in_from_everywhere)
{
    struct err e;
    struct net_port port = {.proto = NET_TCP, .host_port = 8080, .port = 80, .ip = {10, 77, 0, 5}};
    struct net_wish wish = {.ports = &port, .ports_count = 1};
    if (!make_world())
        return;
    (void)!system("ip link set lo up");
    pid_t server = serve(world.paths[0], 80), other = serve(world.paths[1], 80);
    cr_assert_str_eq(ask(NULL, "10.77.0.1", 8080), "", "no rule yet");
    cr_assert_eq(net_apply(world.net, &wish, &e), ERR_OK, "%s", e.text);
    cr_assert_str_eq(ask(NULL, "10.77.0.1", 8080), "10.77.0.1");
    cr_assert_str_eq(ask(NULL, "127.0.0.1", 8080), "10.77.0.1", "loopback");
    cr_assert_str_eq(ask(world.paths[1], "10.77.0.1", 8080), "10.77.0.1", "a neighbour");
    cr_assert_str_eq(ask(world.paths[0], "10.77.0.1", 8080), "10.77.0.1", "itself: hairpin");

    port.ip[3] = 6; /* Another pod has the port now: the whole wish is applied, nothing remains. */
    cr_assert_eq(net_apply(world.net, &wish, &e), ERR_OK, "%s", e.text);
    stop(server);
    cr_assert_str_eq(ask(NULL, "10.77.0.1", 8080), "10.77.0.1");
    wish.ports_count = 0;
    cr_assert_eq(net_apply(world.net, &wish, &e), ERR_OK, "%s", e.text);
    cr_assert_str_eq(ask(NULL, "10.77.0.1", 8080), "");
    stop(other);
    end_world();
}

/* Another namespace plays the world outside: 192.0.2.0/24 (RFC 5737). */
TEST(net, egress_takes_the_nodes_address)
{
    struct err e;
    char outside[FS_PATH_MAX];
    if (!make_world())
        return;
    snprintf(outside, sizeof outside, "%s/outside", world.directory);
    int fd = open(outside, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    close(fd);
    char script[8192];
    snprintf(script, sizeof script,
             "unshare --net=%s true && ip link add out0 type veth peer name eth0 && "
             "nsenter --net=%s ip link show >/dev/null; "
             "ip link set eth0 netns %s 2>/dev/null || { mkdir -p /run/netns; touch /run/netns/bo; "
             "mount --bind %s /run/netns/bo; ip link set eth0 netns bo; umount /run/netns/bo; "
             "rm /run/netns/bo; }; "
             "ip addr add 192.0.2.1/24 dev out0; ip link set out0 up; "
             "nsenter --net=%s ip addr add 192.0.2.9/24 dev eth0; "
             "nsenter --net=%s ip link set eth0 up",
             outside, outside, outside, outside, outside, outside);
    cr_assert_eq(system(script), 0);
    pid_t server = serve(outside, 80);
    cr_assert_str_eq(ask(world.paths[0], "192.0.2.9", 80), "192.0.2.1");
    stop(server);
    cr_assert_eq(umount2(outside, MNT_DETACH), 0);
    unlink(outside);
    (void)e;
    end_world();
}

TEST(net, a_pod_does_not_reach_the_nodes_loopback)
{
    if (!make_world())
        return;
    (void)!system("ip link set lo up");
    pid_t server = serve("/proc/self/ns/net", 9000);
    cr_assert_str_eq(ask(NULL, "127.0.0.1", 9000), "127.0.0.1");
    char script[5000];
    snprintf(script, sizeof script,
             "nsenter --net=%s ip link set lo down; nsenter --net=%s ip route add 127.0.0.1 via "
             "10.77.0.1; echo 1 | nsenter --net=%s tee /proc/sys/net/ipv4/conf/all/route_localnet "
             ">/dev/null",
             world.paths[0], world.paths[0], world.paths[0]);
    (void)!system(script);
    cr_assert_str_eq(ask(world.paths[0], "127.0.0.1", 9000), "");
    stop(server);
    end_world();
}

TEST(net, a_guarded_port_speaks_for_itself_only)
{
    struct err e;
    struct net_link links[2];
    struct net_wish wish = {.links = links, .links_count = 2};
    if (!make_world())
        return;
    for (int i = 0; i < 2; i++)
        net_pod_link(world.net, &world.pods[i], &links[i]);
    cr_assert_eq(net_apply(world.net, &wish, &e), ERR_OK, "%s", e.text);
    pid_t server = serve(world.paths[0], 80);
    cr_assert_str_eq(ask(world.paths[1], "10.77.0.5", 80), "10.77.0.6");
    char script[9000];
    snprintf(script, sizeof script,
             "nsenter --net=%s ip addr add 10.77.0.66/16 dev eth0; "
             "nsenter --net=%s ip addr del 10.77.0.6/16 dev eth0",
             world.paths[1], world.paths[1]);
    cr_assert_eq(system(script), 0);
    cr_assert_str_eq(ask(world.paths[1], "10.77.0.5", 80), "", "with a stolen address");
    stop(server);
    end_world();
}

/* Before any pass of the tables; and what was put there alone goes with the next wish that does not have it. */
TEST(net, a_port_is_guarded_as_it_is_made)
{
    struct err e;
    struct net_link link;
    char script[9000];
    if (!make_world())
        return;
    net_pod_link(world.net, &world.pods[1], &link);
    cr_assert_eq(net_guard(world.net, &link, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(net_guard(world.net, &link, &e), ERR_OK, "again: %s", e.text);
    pid_t server = serve(world.paths[0], 80);
    cr_assert_str_eq(ask(world.paths[1], "10.77.0.5", 80), "10.77.0.6");
    snprintf(script, sizeof script,
             "nsenter --net=%s ip addr add 10.77.0.66/16 dev eth0; "
             "nsenter --net=%s ip addr del 10.77.0.6/16 dev eth0",
             world.paths[1], world.paths[1]);
    cr_assert_eq(system(script), 0);
    cr_assert_str_eq(ask(world.paths[1], "10.77.0.5", 80), "", "with a stolen address");
    cr_assert_eq(system("nft list set bridge baton-e2e macs | grep -q 02:00:0a:4d:00:06"), 0);
    cr_assert_eq(net_apply(world.net,
                           &(struct net_wish){.links = &(struct net_link){.name = "bvother"},
                                              .links_count = 1},
                           &e),
                 ERR_OK, "%s", e.text);
    cr_assert_neq(system("nft list set bridge baton-e2e macs | grep -q 02:00:0a:4d:00:06"), 0);
    /* Put there beside a wish, and gone before the next, which is the same. */
    struct net_wish same = {.links = &(struct net_link){.name = "bvother"}, .links_count = 1};
    cr_assert_eq(net_guard(world.net, &link, &e), ERR_OK, "%s", e.text);
    same.anew = true;
    cr_assert_eq(net_apply(world.net, &same, &e), ERR_OK, "%s", e.text);
    cr_assert_neq(system("nft list set bridge baton-e2e macs | grep -q 02:00:0a:4d:00:06"), 0);
    cr_assert_eq(net_guard(world.net, &link, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(net_unguard(world.net, &link, &e), ERR_OK, "%s", e.text);
    cr_assert_neq(system("nft list set bridge baton-e2e macs | grep -q 02:00:0a:4d:00:06"), 0);
    cr_assert_eq(net_unguard(world.net, &link, &e), ERR_NOT_FOUND);
    cr_assert_eq(system("nft flush ruleset"), 0);
    cr_assert_eq(net_guard(world.net, &link, &e), ERR_NOT_FOUND);
    stop(server);
    end_world();
}

/* A broadcast from a namespace's eth0: what follows the two addresses, then text. */
static void send_frame(const char *netns, const uint8_t mac[6], const void *head, size_t head_size,
                       const char *text)
{
    pid_t pid = fork();
    if (pid == 0) {
        uint8_t frame[128];
        if (setns(open(netns, O_RDONLY), CLONE_NEWNET) != 0)
            _exit(1);
        struct sockaddr_ll to = {
            .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("eth0"), .sll_halen = 6};
        memset(frame, 0, sizeof frame);
        memset(frame, 0xff, 6);
        memset(to.sll_addr, 0xff, 6);
        memcpy(frame + 6, mac, 6);
        memcpy(frame + 12, head, head_size);
        memcpy(frame + 100, text, strlen(text));
        int s = socket(AF_PACKET, SOCK_RAW, 0);
        _exit(sendto(s, frame, sizeof frame, 0, (struct sockaddr *)&to, sizeof to) < 0);
    }
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0, "%s was not sent", text);
}

/* What is neither ARP nor IPv4 of its own has no guard: a router advertisement would lead the node's and the
 * neighbours' IPv6 through a pod; a tag of VLAN 0, which the receiver takes off, hides a stolen address. */
TEST(net, a_port_speaks_arp_and_ipv4_only)
{
    enum { FRAMES = 5 };
    /* Version 4, 100 bytes, from 10.77.0.66. */
    static const uint8_t stolen[] = {0x45, 0,  0,    100,  0,  0,  0, 0,
                                     64,   17, 0x6f, 0xfb, 10, 77, 0, 66};
    struct frame {
        const char *name;
        uint8_t head[24];
        size_t stolen_at;
    } frames[FRAMES] = {{"IPv6", {0x86, 0xdd, 0x60, 0, 0, 0, 0, 74, 59, 1}, 0},
                        {"tagged", {0x81, 0, 0, 0, 8, 0}, 6},
                        {"of-a-provider", {0x88, 0xa8, 0, 0, 8, 0}, 6},
                        {"of-802.3", {0, 110, 0x42, 0x42, 3}, 0},
                        {"honest", {8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, 0}};
    struct err e;
    struct net_link links[2];
    struct net_wish wish = {.links = links, .links_count = 2};
    char bytes[256];
    if (!make_world())
        return;
    snprintf(bytes, sizeof bytes,
             "! test -e /proc/sys/net/ipv6 || grep -q 1 /proc/sys/net/ipv6/conf/%s/disable_ipv6",
             net_bridge(world.net));
    cr_expect_eq(system(bytes), 0, "the node listens to pods' IPv6");
    for (int i = 0; i < 2; i++)
        net_pod_link(world.net, &world.pods[i], &links[i]);
    cr_assert_eq(net_apply(world.net, &wish, &e), ERR_OK, "%s", e.text);
    int s = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ALL),
                             .sll_ifindex = (int)if_nametoindex(net_bridge(world.net))};
    struct timeval patience = {.tv_sec = 2};
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    cr_assert_eq(bind(s, (struct sockaddr *)&at, sizeof at), 0);
    for (int i = 0; i < FRAMES; i++) {
        if (frames[i].stolen_at > 0)
            memcpy(frames[i].head + frames[i].stolen_at, stolen, sizeof stolen);
        send_frame(world.paths[1], world.pods[1].mac, frames[i].head, sizeof frames[i].head,
                   frames[i].name);
    }
    for (bool honest = false; !honest;) {
        ssize_t len = recv(s, bytes, sizeof bytes, 0);
        cr_assert_gt(len, 0, "nothing passes");
        for (int i = 0; i < FRAMES; i++)
            if (memmem(bytes, (size_t)len, frames[i].name, strlen(frames[i].name)) != NULL)
                cr_expect_str_eq(frames[i].name, "honest");
        honest = memmem(bytes, (size_t)len, "honest", 6) != NULL;
    }
    close(s);
    end_world();
}

/* That many datagrams of a byte from a namespace to the node's DHCP port. */
static void shout(const char *netns, char what, uint32_t times)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(67)};
        if (setns(open(netns, O_RDONLY), CLONE_NEWNET) != 0)
            _exit(1);
        inet_pton(AF_INET, "10.77.0.1", &to.sin_addr);
        int s = socket(AF_INET, SOCK_DGRAM, 0);
        for (uint32_t i = 0; i < times; i++)
            (void)!sendto(s, &what, 1, 0, (struct sockaddr *)&to, sizeof to);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

/* The agent's one DHCP socket is everybody's: who fills it keeps the others from their addresses. */
TEST(net, a_port_asks_for_addresses_now_and_then_only)
{
    struct err e;
    struct net_link links[2];
    struct net_wish wish = {.links = links, .links_count = 2};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(67)};
    uint32_t heard[2] = {0};
    char byte;
    if (!make_world())
        return;
    for (int i = 0; i < 2; i++)
        net_pod_link(world.net, &world.pods[i], &links[i]);
    cr_assert_eq(net_apply(world.net, &wish, &e), ERR_OK, "%s", e.text);
    int s = socket(AF_INET, SOCK_DGRAM, 0), room = 8 << 20;
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    cr_assert_eq(bind(s, (struct sockaddr *)&at, sizeof at), 0);
    struct instant begun = clock_now();
    shout(world.paths[0], 'a', 5000);
    int64_t took = instant_sub(clock_now(), begun).ns / SPAN_S(1).ns + 1;
    shout(world.paths[1], 'b', 1);
    while (recv(s, &byte, 1, MSG_DONTWAIT) == 1)
        heard[byte == 'b']++;
    cr_expect_geq(heard[0], 20);
    cr_expect_leq(heard[0], 40 + 20 * took, "%u in %lld s", heard[0], (long long)took);
    cr_expect_eq(heard[1], 1, "its neighbour");
    close(s);
    end_world();
}

static bool count(void *arg, enum net_kind kind, struct str name)
{
    uint32_t *have = arg;
    (void)name;
    have[kind]++;
    return true;
}

TEST(net, taps_are_made_listed_and_removed)
{
    struct err e;
    char name[NET_NAME_MAX];
    uint32_t have[3] = {0};
    struct net_tap tap = {.id = STR("vm-1"), .owner_uid = 1900000001, .owner_gid = 1900000001};
    if (!make_world())
        return;
    for (int i = 0; i < 2; i++)
        cr_assert_eq(net_tap_make(world.net, &tap, name, &e), ERR_OK, "%s", e.text);
    cr_assert_neq(if_nametoindex(name), 0);
    cr_assert_eq(net_list(world.net, count, have, &e), ERR_OK);
    cr_assert_eq(have[NET_POD], 2);
    cr_assert_eq(have[NET_VETH], 2);
    cr_assert_eq(have[NET_TAP], 1);
    cr_assert_eq(net_tap_remove(world.net, STR("vm-1"), &e), ERR_OK, "%s", e.text);
    cr_assert_eq(net_tap_remove(world.net, STR("vm-1"), &e), ERR_OK, "%s", e.text);
    cr_assert_eq(net_pod_remove(world.net, STR("pod-a"), &e), ERR_OK, "%s", e.text);
    cr_assert_eq(net_pod_remove(world.net, STR("pod-a"), &e), ERR_OK, "%s", e.text);
    cr_assert_eq(if_nametoindex(name), 0);
    cr_assert_eq(net_link_remove(world.net, "lo", &e), ERR_DENIED);
    end_world();
}
