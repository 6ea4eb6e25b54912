/* SPDX-License-Identifier: Apache-2.0 */
/*
 * print.h -- what commands show: objects as JSON or YAML, the server's tables, small lists.
 *
 * WHAT   Columns are as wide as their widest cell, two blanks apart, without trailing blanks.
 */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include "cli/cmd.h"

/* By c->format; CLI_TEXT prints YAML too. */
void print_object(struct cli *c, const struct json *object);

/* A meta.k8s.io Table; wide: the columns of a priority above 0 as well. */
void print_table(struct cli *c, const struct json *table, bool wide);

/* What is escaped or over a terminal's good: control bytes become '?'. */
void print_text(struct str text);
void print_complaint(
    struct str text); /* The same to stderr: what servers, nodes and files say of themselves. */

#endif /* CLI_PRINT_H */
