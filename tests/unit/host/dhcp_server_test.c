/* SPDX-License-Identifier: Apache-2.0 */
/* A real client (busybox's udhcpc) on a real link, in a network namespace of the test's own. */
#include "base/buf.h"
#include "io/clock.h"
#include "io/proc.h"
#include "nodeagent/host/dhcp_server.h"
#include "tests/testlib/test.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool network_made(void)
{
    static const char script[] =
        "ip link set lo up && ip link add b0 type veth peer name c0 && "
        "ip link set c0 address 02:00:0a:01:00:05 && ip addr add 10.1.0.1/16 dev b0 && "
        "ip link set b0 up && ip link set c0 up";
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    int status = 1;
    if (geteuid() != 0 || access("/usr/bin/busybox", X_OK) != 0 || unshare(CLONE_NEWNET) != 0) {
        fputs("skipped: needs root and busybox-static\n", stderr);
        return false;
    }
    cr_assert_eq(proc_run_wait(&(struct proc_request){.argv = argv}, NULL, NULL, &status, NULL),
                 ERR_OK);
    cr_assert_eq(status, 0);
    return true;
}

struct client {
    struct loop_client loop;
    struct buf out;
    int status;
    bool done;
};

static void client_event(struct loop_client *self, const struct io_event *ev)
{
    struct client *c = CONTAINER_OF(self, struct client, loop);
    if (ev->type != IO_PROC_DONE)
        return;
    c->done = true;
    c->status = ev->proc.status;
    buf_add(&c->out, ev->proc.out);
}

/* What udhcpc was given, "bound 10.1.0.5/16 ...". */
static void ask(struct loop *l, struct client *c)
{
    static const char script[] =
        "f=$(mktemp); printf '#!/bin/sh\\n[ \"$1\" = bound ] && echo "
        "bound $ip/$mask via $router dns $dns mtu $mtu as $hostname for $lease\\nexit 0\\n' >$f; "
        "chmod +x $f; busybox udhcpc -i c0 -n -q -f -t 3 -T 1 -s $f 2>/dev/null; r=$?; rm $f; exit "
        "$r";
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    *c = (struct client){.loop = {.event = client_event}};
    buf_init(&c->out, 4096);
    loop_join(l, &c->loop);
    proc_run(&c->loop, 1, &(struct proc_request){.argv = argv, .timeout = SPAN_S(20)});
    while (!c->done)
        loop_step(l, SPAN_S(1));
    buf_add_char(&c->out, '\0');
    loop_leave(&c->loop);
}

TEST(dhcp_server, a_client_is_served_and_a_stranger_is_not)
{
    struct dhcp_table table;
    struct dhcp_server *server, *second;
    struct client client;
    struct err e;
    struct dhcp_row row = {.mac = {2, 0, 10, 1, 0, 5},
                           .address = 0x0a010005,
                           .prefix = 16,
                           .gateway = 0x0a010001,
                           .dns = {0x0a010001},
                           .dns_count = 1,
                           .mtu = 1400,
                           .hostname = "vm-1"};
    if (!network_made())
        return;
    struct loop *l = loop_new();
    dhcp_table_init(&table);
    cr_assert_eq(dhcp_server_open(l, "b0", 0x0a010001, &table, &server, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(dhcp_server_open(l, "b0", 0x0a010001, &table, &second, &e), ERR_CONFLICT);
    cr_assert_eq(dhcp_server_open(l, "b1", 0x0a010001, &table, &second, &e), ERR_NOT_FOUND);

    ask(l, &client);
    cr_assert_neq(client.status, 0);
    cr_assert_str_eq(client.out.at, "");
    cr_assert_geq(dhcp_server_stats(server).strangers, 1);
    buf_free(&client.out);

    cr_assert_eq(dhcp_put(&table, &row, &e), ERR_OK);
    ask(l, &client);
    cr_assert_eq(client.status, 0);
    cr_assert_str_eq(client.out.at, "bound 10.1.0.5/16 via 10.1.0.1 dns 10.1.0.1 mtu 1400 as vm-1 "
                                    "for 4294967295\n");
    cr_assert_eq(dhcp_server_stats(server).answered, 2);
    cr_assert_eq(dhcp_server_stats(server).unsent, 0);
    buf_free(&client.out);

    dhcp_server_close(server);
    dhcp_server_close(NULL);
    dhcp_table_fini(&table);
    loop_free(l);
}

/* One Ethernet frame: IP and UDP to port 67, with a payload of that size that begins as a request of a made-up client,
 * or does not. A zero UDP checksum says that there is none (RFC 768). */
static size_t hostile_frame(uint8_t out[1514], uint32_t number)
{
    static const uint8_t head[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0,  0,  0,  0, 9, 8, 0,
                                   0x45, 0,    0,    0,    0,    1,    0, 0,  64, 17, 0, 0, 0, 0,
                                   0,    0,    0xff, 0xff, 0xff, 0xff, 0, 68, 0,  67, 0, 0, 0, 0};
    size_t payload = number % 3 == 0 ? number % 1400 : 300;
    uint16_t ip = htons((uint16_t)(28 + payload)), udp = htons((uint16_t)(8 + payload));
    uint32_t sum = 0;

    memset(out, (int)number, 1514);
    memcpy(out, head, sizeof head);
    memcpy(out + 16, &ip, 2);
    memcpy(out + 38, &udp, 2);
    for (int i = 14; i < 34; i += 2)
        sum += (uint32_t)out[i] << 8 | out[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    uint16_t check = htons((uint16_t) ~(sum + (sum >> 16)));
    memcpy(out + 24, &check, 2);
    if (number % 3 == 1) { /* BOOTREQUEST of a stranger, the magic cookie, DHCPDISCOVER. */
        static const uint8_t options[] = {99, 130, 83, 99, 53, 1, 1, 255};
        memset(out + 42, 0, payload);
        memcpy(out + 42, (const uint8_t[]){1, 1, 6, 0}, 4);
        memcpy(out + 42 + 28, &number, sizeof number);
        memcpy(out + 42 + 236, options, sizeof options);
    }
    return 42 + payload;
}

/* A guest that sends as fast as its link takes it. */
static pid_t flood(void)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    uint8_t frame[1514];
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("c0")};
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    for (uint32_t i = 0;; i++) {
        size_t len = hostile_frame(frame, i);
        (void)!sendto(fd, frame, len, 0, (struct sockaddr *)&to, sizeof to);
    }
}

/* The processor's time of this thread: what others take of it while a step runs is not the step's. */
static int64_t worked_ns(void)
{
    struct timespec t;
    cr_assert_eq(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t), 0);
    return (int64_t)t.tv_sec * SPAN_S(1).ns + t.tv_nsec;
}

/* What a guest floods must not keep the loop for long. That it does not fill everybody's socket is the bridge table's
 * affair (tests/e2e/host/net_test.c); there is none here, so the honest guest asks behind the flood. */
TEST(dhcp_server, a_guest_that_floods_keeps_the_loop_for_a_moment)
{
    struct dhcp_table table;
    struct dhcp_server *server;
    struct client client;
    struct err e;
    struct dhcp_row row = {
        .mac = {2, 0, 10, 1, 0, 5}, .address = 0x0a010005, .prefix = 16, .hostname = "vm-1"};
    if (!network_made())
        return;
    struct loop *l = loop_new();
    dhcp_table_init(&table);
    cr_assert_eq(dhcp_put(&table, &row, &e), ERR_OK);
    cr_assert_eq(dhcp_server_open(l, "b0", 0x0a010001, &table, &server, &e), ERR_OK, "%s", e.text);
    pid_t enemy = flood();
    int64_t longest = 0;
    struct instant end = instant_add(clock_now(), SPAN_S(30));
    struct dhcp_server_stats stats = {0};
    while ((stats.malformed <= 1000 || stats.strangers <= 1000) && clock_now().ns < end.ns) {
        int64_t before = worked_ns();
        loop_step(l, (struct span){0});
        int64_t took = worked_ns() - before;
        longest = took > longest ? took : longest;
        stats = dhcp_server_stats(server);
    }
    kill(enemy, SIGKILL);
    waitpid(enemy, NULL, 0);
    cr_assert_gt(stats.malformed, 1000);
    cr_assert_gt(stats.strangers, 1000);
    cr_assert_lt(longest, SPAN_MS(100).ns);
    ask(l, &client);
    cr_assert_eq(client.status, 0, "the honest guest has no lease");
    buf_free(&client.out);
    dhcp_server_close(server);
    dhcp_table_fini(&table);
    loop_free(l);
}
