/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/usage_open.h"
#include "base/arena.h"
#include "base/map.h"
#include "io/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 512,
    LOOK_AT_CLOCK = 256,
    TEXT_MAX = 1 << 20, /* Of a process' groups or mounts. */
    MEMORY_MAX = 16 << 20,
    OVERLAYS_MAX = 64, /* Of one process; on those beyond nothing is found. */
};

struct searching {
    const struct usage_open *q;
    dev_t disk;
    struct arena arena; /* Keys of seen. */
    struct map seen;    /* Device and inode. */
    struct buf text;
    uint64_t entries;
    bool late;
    /* Of the process that is looked at. */
    const char *pid;
    struct usage *out;
    dev_t overlays[OVERLAYS_MAX];
    uint32_t overlays_count;
    bool mounts_known;
};

static bool read_of(struct searching *s, const char *file)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/%s", s->pid, file);
    buf_clear(&s->text);
    return fs_read(path, &s->text, NULL) == ERR_OK;
}

/* "36 35 0:98 / / rw,noatime - overlay overlay rw,lowerdir=..." */
static void note_overlay(struct searching *s, struct str line)
{
    struct str device;
    uint64_t major_number, minor_number;
    if (memmem(line.at, line.len, " - overlay ", 11) == NULL || s->overlays_count == OVERLAYS_MAX ||
        !str_split(&line, ' ', &device) || !str_split(&line, ' ', &device) ||
        !str_split(&line, ' ', &device))
        return;
    size_t colon = str_find(device, ':', 0);
    if (colon < device.len && str_parse_u64(str_slice(device, 0, colon), &major_number) == ERR_OK &&
        str_parse_u64(str_slice(device, colon + 1, device.len), &minor_number) == ERR_OK)
        s->overlays[s->overlays_count++] = makedev((unsigned)major_number, (unsigned)minor_number);
}

/* A container's root is an overlay over the disk, with a number of its own; memory has another. */
static bool is_on_disk(struct searching *s, dev_t device)
{
    struct str rest, line;
    if (device == s->disk)
        return true;
    if (!s->mounts_known && read_of(s, "mountinfo"))
        for (rest = buf_str(&s->text); str_split(&rest, '\n', &line);)
            note_overlay(s, line);
    s->mounts_known = true;
    for (uint32_t i = 0; i < s->overlays_count; i++)
        if (s->overlays[i] == device)
            return true;
    return false;
}

static bool is_new(struct searching *s, dev_t device, uint64_t inode)
{
    uint64_t *key = arena_zalloc(&s->arena, 2, sizeof *key);
    if (key == NULL) {
        s->out->partial = true;
        return false;
    }
    key[0] = device;
    key[1] = inode;
    struct str name = str_from(key, 2 * sizeof *key);
    if (map_find(&s->seen, name) != NULL)
        return false;
    s->out->partial |= map_put(&s->seen, name, s) != ERR_OK;
    return !s->out->partial;
}

static void look_at(struct searching *s, int directory, const char *name)
{
    struct statx st;
    if (statx(directory, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
              STATX_TYPE | STATX_NLINK | STATX_INO | STATX_BLOCKS, &st) != 0 ||
        st.stx_nlink != 0 || !S_ISREG(st.stx_mode) || st.stx_blocks == 0)
        return;
    dev_t device = makedev(st.stx_dev_major, st.stx_dev_minor);
    if (!is_on_disk(s, device) || !is_new(s, device, st.stx_ino))
        return;
    s->out->bytes += st.stx_blocks * BLOCK_BYTES;
    s->out->inodes++;
}

static bool may_go_on(struct searching *s)
{
    const struct usage_walk *k = s->q->walk;
    s->entries++;
    if (s->entries > k->entries_max ||
        (k->until.ns != 0 && s->entries % LOOK_AT_CLOCK == 0 && instant_due(k->until, k->now())))
        s->late = s->out->partial = true;
    return !s->late;
}

static void look_into(struct searching *s, const char *what)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/%s", s->pid, what);
    DIR *list = opendir(path);
    if (list == NULL)
        return; /* It ended. */
    for (struct dirent *d; (d = readdir(list)) != NULL && may_go_on(s);)
        if (d->d_name[0] != '.')
            look_at(s, dirfd(list), d->d_name);
    closedir(list);
}

static bool visit(void *arg, const char *name)
{
    struct searching *s = arg;
    uint64_t pid;
    if (str_parse_u64(str_of(name), &pid) != ERR_OK)
        return true;
    s->pid = name;
    s->overlays_count = 0;
    s->mounts_known = false;
    s->out = read_of(s, "cgroup") ? s->q->whose(s->q->arg, (int32_t)pid, buf_str(&s->text)) : NULL;
    if (s->out == NULL)
        return true;
    look_into(s, "fd");
    look_into(s, "map_files");
    return !s->late;
}

void usage_open(const struct usage_open *q)
{
    struct stat st;
    struct searching s = {.q = q};
    if (stat(q->directory, &st) != 0)
        return;
    s.disk = st.st_dev;
    arena_init(&s.arena, MEMORY_MAX);
    map_init(&s.seen, USAGE_OPEN_MAX);
    buf_init(&s.text, TEXT_MAX);
    enum err_code ignored = fs_list("/proc", visit, &s, NULL);
    (void)ignored; /* A host without processes has nothing open. */
    buf_free(&s.text);
    map_fini(&s.seen);
    arena_free(&s.arena);
}
