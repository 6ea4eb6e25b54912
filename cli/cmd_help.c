/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmd.h"

static int help_all(const struct cli *c)
{
    printf("baton -- one control plane for virtual machines and containers, on exact hardware\n\n"
           "usage: baton [OPTIONS] COMMAND [ARGUMENTS]\n\n");
    for (const struct cmd *const *at = c->commands; *at != NULL; at++)
        printf("  %-11s %s\n", (*at)->name, (*at)->summary);
    printf(
        "\noptions of every command\n"
        "  --kubeconfig FILE  the cluster (default: $KUBECONFIG, then /var/lib/baton/kubeconfig)\n"
        "  -n, --namespace N  the namespace (default: the kubeconfig's, then \"default\")\n"
        "  -o json|yaml       whole objects instead of text\n\n"
        "baton help COMMAND says more. A workload is pod/NAME, vmi/NAME or just NAME. A span of "
        "time\n"
        "is 90s, 5m or 1h30m. Exit status: 0 done, 1 it did not work, 2 called wrongly.\n");
    return CLI_OK;
}

static int run(struct cli *c, int argc, char **argv)
{
    if (argc < 2)
        return help_all(c);
    for (const struct cmd *const *at = c->commands; *at != NULL; at++)
        if (strcmp((*at)->name, argv[1]) == 0) {
            printf("baton %s: %s\n\nusage: baton %s%s%s\n", (*at)->name, (*at)->summary,
                   (*at)->name, (*at)->args[0] == '\0' ? "" : " ", (*at)->args);
            if ((*at)->help != NULL)
                printf("\n%s", (*at)->help);
            return CLI_OK;
        }
    return cmd_usage(&cmd_help, "there is no command %s", argv[1]);
}

const struct cmd cmd_help = {
    .name = "help",
    .args = "[COMMAND]",
    .summary = "Say what the commands do",
    .run = run,
};
