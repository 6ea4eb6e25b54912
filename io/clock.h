/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h -- the real clocks. Nothing else in the program reads one.
 *
 * WHAT   instant from CLOCK_BOOTTIME (it runs on while a machine sleeps, and a lease must), wall from
 *        CLOCK_REALTIME.
 */
#ifndef IO_CLOCK_H
#define IO_CLOCK_H

#include "base/time.h"

struct instant clock_now(void);
struct wall clock_wall(void);
int64_t clock_thread_cpu_ns(void); /* CPU time this thread has used: for metrics. */

#endif /* IO_CLOCK_H */
