/* SPDX-License-Identifier: Apache-2.0 */
#include "io/clock.h"

#include "base/check.h"

#include <time.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec at;
    CHECK(clock_gettime(id, &at) == 0);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

struct instant clock_now(void)
{
    return (struct instant){read_ns(CLOCK_BOOTTIME)};
}

struct wall clock_wall(void)
{
    return (struct wall){read_ns(CLOCK_REALTIME)};
}

int64_t clock_thread_cpu_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}
