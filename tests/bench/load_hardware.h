/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmarks' nodes say they are: 64 cores of one socket, 256 GiB. */
#ifndef TESTS_BENCH_LOAD_HARDWARE_H
#define TESTS_BENCH_LOAD_HARDWARE_H

#include "proto/baton/agent/v1.pb-c.h"
#include <stdbool.h>

/* The Hardware message, as an agent sends it after its Hello. It lives as long as the program. */
const Agent__AgentMessage *load_hardware(void);

#endif /* TESTS_BENCH_LOAD_HARDWARE_H */
