/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logs.h -- printing a workload's output, for the commands logs and run.
 */
#ifndef CLI_LOGS_H
#define CLI_LOGS_H

#include "cli/cmd.h"

struct logs_options {
    bool follow, previous, timestamps;
    const char *tail, *since_s,
        *container; /* NULL: not given. Decimal text where a number is meant. */
};

/* Copies it to stdout; returns the command's exit status. */
int logs_show(struct cli *c, const char *workload, const struct logs_options *o);

#endif /* CLI_LOGS_H */
