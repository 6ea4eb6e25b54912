/* SPDX-License-Identifier: Apache-2.0 */
/* What pulling, mounting and collecting do alike to the files they keep. */
#include "nodeagent/host/image_priv.h"
#include "nodeagent/host/usage.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

enum { BLOCK_BYTES = 512 };

void image__temporary(struct images *s, const char *folder, char out[FS_PATH_MAX])
{
    snprintf(out, FS_PATH_MAX, "%s/%s/tmp-%llu", s->directory, folder,
             (unsigned long long)atomic_fetch_add(&s->serial, 1));
}

void image__used(const char *layout)
{
    (void)!utimensat(AT_FDCWD, layout, NULL, 0); /* At worst it counts as older than it is. */
}

uint64_t image__tree_bytes(const char *path)
{
    const struct usage_walk all = {.entries_max = UINT64_MAX};
    struct usage held = {0};
    struct stat st;
    if (lstat(path, &st) != 0)
        return 0;
    if (!S_ISDIR(st.st_mode))
        return (uint64_t)st.st_blocks * BLOCK_BYTES;
    (void)usage_directory(path, &all, &held);
    return held.bytes;
}
