/* SPDX-License-Identifier: Apache-2.0 */
/* The engines are batond's: this finds it beside itself and becomes it. */
#include "cli/cmd.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { ARGS_MAX = 24, PATH_SIZE = 4096 };

static int run(struct cli *c, int argc, char **argv)
{
    static char name[] = "batond", word[] = "copy";
    char path[PATH_SIZE], *args[ARGS_MAX + 3] = {name, word};
    (void)c;
    if (argc < 2 || strcmp(argv[1], "copy") != 0)
        return cmd_usage(&cmd_store, "say copy");
    if (argc - 2 > ARGS_MAX)
        return cmd_usage(&cmd_store, "too many arguments");
    for (int i = 2; i < argc; i++)
        args[i] = argv[i];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - sizeof "batond");
    if (len <= 0)
        len = 0;
    while (len > 0 && path[len - 1] != '/')
        len--;
    memcpy(path + len, "batond", sizeof "batond");
    execv(path, args);
    fprintf(stderr, "baton: %s: %s; run this on the control plane's machine, where batond is\n",
            path, strerror(errno));
    return CLI_FAILED;
}

const struct cmd cmd_store = {
    .name = "store",
    .args = "copy --from sqlite:DIR --to etcd:URL,URL [--etcd-ca FILE]...",
    .summary = "Move a stopped cluster from SQLite to etcd, or back",
    .help =
        "  --from, --to      sqlite:DIR is the control plane's directory, etcd:URL,URL are etcd's "
        "endpoints;\n"
        "                    one of each\n"
        "  --etcd-ca FILE, --etcd-cert FILE, --etcd-key FILE, --etcd-prefix /NAME/\n"
        "                    as batond has them\n\n"
        "  baton store copy --from sqlite:/var/lib/baton --to etcd:https://10.0.0.1:2379 --etcd-ca "
        "ca.crt\n"
        "  baton store copy --from etcd:https://10.0.0.1:2379 --to sqlite:/var/lib/baton --etcd-ca "
        "ca.crt\n\n"
        "Every object keeps its revision; Secrets are sealed there as they were here. The control\n"
        "plane must be stopped, the target empty. What was copied is read back and compared; if "
        "it\n"
        "is interrupted, the source is as it was and half a copy is never served from.\n",
    .run = run,
};
