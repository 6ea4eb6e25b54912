/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/load_hardware.h"
#include "tests/testlib/hardware.h"

const Agent__AgentMessage *load_hardware(void)
{
    static struct hardware h;
    static Agent__AgentMessage m;

    hardware_make(&h, HARDWARE_CORES_MAX, 256ull << 30);
    h.spec.has_workloads_max = true;
    h.spec.workloads_max = 1000;
    m = hardware_message(&h);
    return &m;
}
