/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/plain.h"

static struct plain_test *tests;

void plain_register(struct plain_test *t)
{
    t->next = tests;
    tests = t;
}

/* Each argument is a prefix of "suite/name"; none: every test. */
static int wanted(const struct plain_test *t, int argc, char **argv)
{
    char full[256];
    snprintf(full, sizeof full, "%s/%s", t->suite, t->name);
    for (int i = 1; i < argc; i++)
        if (strncmp(full, argv[i], strlen(argv[i])) == 0)
            return 1;
    return argc == 1;
}

int main(int argc, char **argv)
{
    unsigned passed = 0;
    for (struct plain_test *t = tests; t != NULL; t = t->next) {
        if (!wanted(t, argc, argv))
            continue;
        fprintf(stderr, "%s/%s\n", t->suite, t->name);
        t->body(); /* A failed assertion aborts, which fails the binary. */
        passed++;
    }
    printf("%u passed, 0 failed, 0 skipped\n", passed);
    return passed == 0;
}
