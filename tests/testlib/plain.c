/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/testlib/plain.h"

#include <sys/wait.h>
#include <unistd.h>

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

/* In a process of its own, as under Criterion: a test may move into another network namespace. */
static int run(const struct plain_test *t)
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        t->body(); /* A failed assertion aborts. */
        exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;
    /* Named again at the end: whoever keeps the last lines only has these. */
    const struct plain_test *bad[64];
    for (struct plain_test *t = tests; t != NULL; t = t->next) {
        if (!wanted(t, argc, argv))
            continue;
        int good = run(t);
        fprintf(stderr, "%s %s/%s\n", good ? "pass" : "FAIL", t->suite, t->name);
        passed += (unsigned)good;
        if (!good && failed < sizeof bad / sizeof *bad)
            bad[failed] = t;
        failed += (unsigned)!good;
    }
    for (unsigned i = 0; i < failed && i < sizeof bad / sizeof *bad; i++)
        fprintf(stderr, "failed: %s/%s\n", bad[i]->suite, bad[i]->name);
    printf("%u passed, %u failed, 0 skipped\n", passed, failed);
    return failed > 0 || passed == 0;
}
