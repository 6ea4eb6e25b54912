/* SPDX-License-Identifier: Apache-2.0 */
/* The program in the container: says when it began, on the clock all processes share. With an argument
 * it stays until it is killed. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    (void)argv;
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    printf("%lld\n", ts.tv_sec * 1000000000ll + ts.tv_nsec);
    fflush(stdout);
    if (argc > 1)
        pause();
    return 0;
}
