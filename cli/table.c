/* SPDX-License-Identifier: Apache-2.0 */
/* Which commands there are. */
#include "cli/cmd.h"

/* In the order help shows them: look, do, set up. */
const struct cmd *const cmd_table[] = {
    &cmd_info,       &cmd_node,    &cmd_topo,    &cmd_why,   &cmd_doctor, &cmd_plan, &cmd_get,
    &cmd_logs,       &cmd_console, &cmd_run,     &cmd_apply, &cmd_delete, &cmd_wait, &cmd_token,
    &cmd_kubeconfig, &cmd_store,   &cmd_version, &cmd_help,  NULL,
};
