/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "nodeagent/host/discover.h"
#include "tests/testlib/test.h"

#include <unistd.h>

static struct discover *found(const char *topology)
{
    struct discover *d = mem_zalloc(1, sizeof *d);
    struct err e;
    cr_assert_eq(discover(topology, "/tmp", d, &e), ERR_OK, "%s", e.text);
    return d;
}

TEST(discover, a_synthetic_machine)
{
    struct discover *d = found("package:2 numa:2(memory=8GiB) l3:1(size=32MiB) core:4 pu:2");
    cr_assert_eq(d->sockets_count, 2);
    cr_assert_eq(d->numas_count, 4);
    cr_assert_eq(d->caches_count, 4);
    cr_assert_eq(d->cores_count, 16);
    cr_assert_eq(d->threads_count, 32);
    cr_assert_eq(d->numas[3].socket, 1);
    cr_assert_eq(d->numas[1].memory_bytes, 8ull << 30);
    cr_assert_eq(d->numas[1].distances[1], 10);
    cr_assert_eq(d->numas[1].distances[2], 20);
    cr_assert_eq(d->cores[15].numa, 3);
    cr_assert_eq(d->cores[15].cache, 3);
    cr_assert_eq(d->threads[31].core, 15);
    cr_assert_eq(d->caches[2].size_bytes, 32u << 20);
    mem_free(d);
}

/* An operator names what the node is reached at; what is not on the machine is refused with what is. */
TEST(discover, an_address_or_an_interface_of_ones_choice)
{
    struct discover *d = found(NULL);
    struct err e = {0};
    cr_assert_eq(discover_address(d, "127.0.0.1", &e), ERR_OK, "%s", e.text);
    cr_assert_eq(d->addresses_count, 1);
    cr_assert_str_eq(d->addresses[0], "127.0.0.1");
    cr_assert_eq(discover_address(d, "lo", &e), ERR_OK, "%s", e.text);
    cr_assert_str_eq(d->addresses[0], "127.0.0.1");
    static const char *const none[] = {"192.0.2.77", "nowhere0", "", "127.0.0.1/8", "::1"};
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        cr_assert_eq(discover_address(d, none[i], &e), ERR_INVALID, "%s", none[i]);
        cr_assert_not_null(strstr(e.text, "there are lo 127.0.0.1"), "%s", e.text);
    }
    mem_free(d);
}

TEST(discover, a_node_that_runs_nothing_is_where_it_says)
{
    struct discover *d = found(NULL);
    struct err e = {0};
    cr_assert_eq(discover_made_up(d, NULL, &e), ERR_OK);
    cr_assert_eq(d->addresses_count, 1);
    cr_assert_str_eq(d->addresses[0], "127.0.0.1");
    cr_assert_eq(discover_made_up(d, "192.0.2.77", &e), ERR_OK);
    cr_assert_str_eq(d->addresses[0], "192.0.2.77");
    cr_assert_eq(discover_made_up(d, "lo", &e), ERR_INVALID);
    cr_assert_str_eq(e.text, "--address lo: not an IPv4 address");
    mem_free(d);
}

TEST(discover, the_largest_machine_of_the_tests)
{
    struct discover *d = found("package:2 numa:4(memory=64GiB) l3:2 core:8 pu:2");
    cr_assert_eq(d->threads_count, 256);
    cr_assert_eq(d->numas_count, 8);
    cr_assert_eq(d->caches_count, 16);
    mem_free(d);
}

TEST(discover, this_machine)
{
    struct discover *d = found(NULL);
    uint32_t cpus = 0;
    for (size_t i = 0; i < COUNT_OF(d->cpus.bits); i++)
        cpus += (uint32_t)__builtin_popcountll(d->cpus.bits[i]);
    cr_assert_eq(cpus, d->threads_count);
    cr_assert_leq(d->threads_count, (uint32_t)sysconf(_SC_NPROCESSORS_CONF));
    cr_assert_gt(d->numas[0].memory_bytes, 1u << 20);
    cr_assert_gt(d->addresses_count, 0);
    cr_assert_str_neq(d->boot_id, "");
    cr_assert_str_neq(d->kernel, "");
    cr_assert_gt(d->storage_bytes, 0);
    mem_free(d);
}

TEST(discover, nonsense_is_refused)
{
    struct discover *d = mem_zalloc(1, sizeof *d);
    struct err e;
    cr_assert_eq(discover("no such machine", "/tmp", d, &e), ERR_INVALID);
    cr_assert_not_null(strstr(e.text, "no such machine"));
    cr_assert_eq(discover("/nonexistent.xml", "/tmp", d, &e), ERR_INVALID);
    cr_assert_eq(discover("core:2000 pu:1", "/tmp", d, &e), ERR_LIMIT);
    mem_free(d);
}
