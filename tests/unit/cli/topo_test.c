/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/topo.h"
#include "tests/testlib/test.h"

/* Two NUMA nodes of two cores with two threads: one VM on core 1 with an idle sibling. */
TEST(topo, a_small_machine)
{
    static const struct topo_thread threads[] = {
        {.cpu = 0, .core = 0, .holder = -1, .reserved = true},
        {.cpu = 4, .core = 0, .holder = -1, .reserved = true},
        {.cpu = 1, .core = 1, .holder = 0},
        {.cpu = 5, .core = 1, .holder = 0, .idle = true},
        {.cpu = 2, .core = 2, .numa = 1, .cache = 1, .socket = 1, .holder = -1},
        {.cpu = 6, .core = 2, .numa = 1, .cache = 1, .socket = 1, .holder = -1},
    };
    static const struct topo_numa numas[] = {{0, 8ull << 30, 1ull << 30}, {1, 8ull << 30, 0}};
    static const struct topo_cache caches[] = {{0, 32 << 20}};
    static const struct topo_holder holders[] = {
        {STR("vmi/default/hello"), STR("1"), 296 << 20, 0},
        {STR("pod/default/hello"), STR(""), 64 << 20, 100},
    };
    const struct topo t = {.node = STR("n1"),
                           .note = STR("Ready, tcg"),
                           .threads = threads,
                           .threads_count = COUNT_OF(threads),
                           .numas = numas,
                           .numas_count = 2,
                           .caches = caches,
                           .caches_count = 1,
                           .holders = holders,
                           .holders_count = 2};
    struct buf out;
    buf_init(&out, 1 << 16);
    topo_draw(&t, &out);
    buf_add_char(&out, '\0');
    cr_assert_str_eq(out.at,
                     "node n1  Ready, tcg\n"
                     "socket 0\n"
                     "  NUMA 0  8 GiB, free 7 GiB\n"
                     "    cache 0  32 MiB\n"
                     "      core 0    ss A-\n"
                     "socket 1\n"
                     "  NUMA 1  8 GiB, free 8 GiB\n"
                     "    cache 1\n"
                     "      core 2    ..\n"
                     "\n"
                     "  .  shared pool    s  shared pool, never exclusive    -  idles beside an "
                     "exclusive thread\n"
                     "  A  vmi/default/hello  cpus 1  296 MiB\n"
                     "  .  pod/default/hello  100m of the pool  64 MiB\n");
    buf_free(&out);
}

TEST(topo, bytes)
{
    struct buf out;
    buf_init(&out, 256);
    topo_bytes(0, &out);
    buf_add_char(&out, ' ');
    topo_bytes(1536, &out);
    buf_add_char(&out, ' ');
    topo_bytes(1ull << 50, &out);
    cr_assert(str_is(buf_str(&out), "0 B 1.5 KiB 1 PiB"), STR_FMT, STR_ARG(buf_str(&out)));
    buf_free(&out);
}
