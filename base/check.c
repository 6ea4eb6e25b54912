/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

static void (*failure_hook)(void);

void check_on_failure(void (*hook)(void))
{
    failure_hook = hook;
}

void check_failed(const char *cond, const char *file, int line)
{
    void (*hook)(void) = failure_hook;

    failure_hook = NULL; /* A CHECK inside the hook must not come back here for ever. */
    fprintf(stderr, "CHECK failed: %s at %s:%d\n", cond, file, line);
    if (hook != NULL)
        hook();
    abort();
}
