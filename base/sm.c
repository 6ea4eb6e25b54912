/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sm.h"

void sm_dot(struct buf *out, const char *name, const struct sm_state *states, uint32_t count)
{
    buf_printf(out, "digraph %s {\n", name);
    for (uint32_t from = 0; from < count; from++) {
        buf_printf(out, "    %s;\n", states[from].name);
        for (uint32_t to = 0; to < count; to++)
            if (sm_may(states, from, to))
                buf_printf(out, "    %s -> %s;\n", states[from].name, states[to].name);
    }
    buf_add(out, STR("}\n"));
}
