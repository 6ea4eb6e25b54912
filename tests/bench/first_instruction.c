/* SPDX-License-Identifier: Apache-2.0 */
/* The program in the container: says when it began, on the clock all processes share. */
#include <stdio.h>
#include <time.h>

int main(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    printf("%lld\n", ts.tv_sec * 1000000000ll + ts.tv_nsec);
    return 0;
}
