/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"
#include "io/fs.h"

static int run(struct cli *c, int argc, char **argv)
{
    struct buf text;
    struct err e;

    if (argc > 1)
        return cmd_usage(&cmd_kubeconfig, "takes nothing, but %s was given", argv[1]);
    buf_init(&text, 4 << 20);
    if (fs_read(c->kubeconfig, &text, &e) != ERR_OK) {
        buf_free(&text);
        return cli_fail(&e);
    }
    fwrite(text.at, 1, text.len, stdout);
    buf_free(&text);
    return CLI_OK;
}

const struct cmd cmd_kubeconfig = {
    .name = "kubeconfig",
    .args = "",
    .summary = "Print the administrator's kubeconfig, for kubectl and virtctl elsewhere",
    .run = run,
};
