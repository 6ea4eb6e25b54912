/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd.h -- one command, one file, one row.
 *
 * WHAT   What a command is to the rest: a name, its help, and a function. table.c lists them;
 *        help and usage errors are made from it.
 * OWNS   struct cli belongs to main(); its arena lives until the command ends, so commands free
 *        nothing of what they read.
 * FAILS  A command returns its exit status: 0 done, 1 it did not work (said on stderr, with what to
 *        do), 2 called wrongly.
 */
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include "base/arena.h"
#include "base/json.h"

#include <stdio.h>

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

enum cli_format { CLI_TEXT, CLI_JSON, CLI_YAML };

struct client; /* client.h */

struct cli {
    struct arena arena;
    const char *kubeconfig; /* Path; never NULL once options are read. */
    const char *namespace;  /* "" : the kubeconfig's, or default. */
    enum cli_format format;
    bool is_terminal;                  /* stdout is one: colours and progress may be used. */
    struct client *client;             /* Opened by cli_client() when a command first needs it. */
    const struct cmd *const *commands; /* All there are, for help; ends in NULL. */
};

struct cmd {
    const char *name;
    const char *args;    /* "WORKLOAD", "[POD|VMI]..." as usage shows them. */
    const char *summary; /* One line, no full stop. */
    const char *help;    /* Options and an example; may be NULL. */
    int (*run)(struct cli *c, int argc, char **argv); /* argv[0] is the command's name. */
};

extern const struct cmd cmd_apply, cmd_console, cmd_delete, cmd_doctor, cmd_get, cmd_help, cmd_info,
    cmd_kubeconfig, cmd_logs, cmd_node, cmd_plan, cmd_run, cmd_store, cmd_token, cmd_topo,
    cmd_version, cmd_wait, cmd_why;

extern const struct cmd *const cmd_table[]; /* All of them; ends in NULL. */

/* Say why it was called wrongly, and how it is called. Returns CLI_USAGE. */
int cmd_usage(const struct cmd *cmd, const char *fmt, ...) PRINTF(2, 3);

/* "baton: what: why" on stderr. Returns CLI_FAILED. */
int cli_fail(const struct err *e);

/* The connection to the cluster of the kubeconfig, opened at the first call. NULL: *e says why. */
struct client *cli_client(struct cli *c, struct err *e);

/* The namespace that is in force: -n, the kubeconfig's context, or default. */
const char *cli_namespace(struct cli *c);

/* Takes --NAME VALUE or --NAME=VALUE (and -x VALUE where shorthand is not 0) at argv[*at], which moves
 * behind it. NULL: another argument stands there. Without a value, or with an empty one, the program
 * ends, saying so. */
const char *cmd_option(int argc, char **argv, int *at, const char *name, char shorthand);
bool cmd_flag(char **argv, int *at, const char *name, char shorthand);

/* A span of time as kubectl has it: 90, 90s, 5m, 1h30m; in seconds. False: it is none. */
bool cmd_seconds(const char *text, uint64_t *out_s);

#endif /* CLI_CMD_H */
