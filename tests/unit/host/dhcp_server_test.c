/* SPDX-License-Identifier: Apache-2.0 */
/* A real client (busybox's udhcpc) on a real link, in a network namespace of the test's own. */
#include "base/buf.h"
#include "io/proc.h"
#include "nodeagent/host/dhcp_server.h"
#include "tests/testlib/test.h"
#include <sched.h>
#include <signal.h>
#include <stdio.h>
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
