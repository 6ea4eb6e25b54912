/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/store/powercut.h"

#include "base/buf.h"
#include "base/check.h"
#include "io/fs.h"

#include <dirent.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

enum { CALLS_MAX = 1 << 16, FILES_MAX = 64, SECTOR = 512, FILE_MAX = 32 << 20 };

const char *const powercut_names[POWERCUT__COUNT] = {
#define X(name) [POWERCUT_##name] = #name,
    POWERCUT_MODES(X)
#undef X
};

struct call {
    enum vfs_kind kind;
    uint32_t file; /* An inode: a name made anew is another file. */
    uint64_t at;
    size_t len;
    char *bytes;
    bool directory_too;
};

struct powercut {
    pthread_mutex_t lock;
    bool paused;
    uint32_t calls_count, files_count;
    uint32_t first, lasting; /* Calls it began with; those that no cut takes away. */
    char names[FILES_MAX][32];
    bool is_gone[FILES_MAX]; /* Deleted, at the end of the record. */
    struct call calls[CALLS_MAX];
};

struct powercut *powercut_new(void)
{
    struct powercut *p = calloc(1, sizeof *p);
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void powercut_free(struct powercut *p)
{
    for (uint32_t i = 0; i < p->calls_count; i++)
        free(p->calls[i].bytes);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* ---- The record ---- */

static uint32_t file_named(struct powercut *p, const char *path, bool fresh)
{
    const char *name = strrchr(path, '/') + 1;
    for (uint32_t i = 0; i < p->files_count && !fresh; i++)
        if (!p->is_gone[i] && strcmp(p->names[i], name) == 0)
            return i;
    CHECK(fresh && p->files_count < FILES_MAX);
    snprintf(p->names[p->files_count], sizeof p->names[0], "%s", name);
    return p->files_count++;
}

static int record(void *state, const struct vfs_call *call)
{
    struct powercut *p = state;
    pthread_mutex_lock(&p->lock);
    if (!p->paused) {
        CHECK(p->calls_count < CALLS_MAX);
        struct call *c = &p->calls[p->calls_count++];
        *c = (struct call){.kind = call->kind,
                           .file = file_named(p, call->path, call->kind == VFS_NEW),
                           .at = call->at,
                           .len = call->len,
                           .directory_too = call->directory_too};
        if (call->kind == VFS_WRITE)
            c->bytes = call->len == 0 ? NULL : memcpy(malloc(call->len), call->bytes, call->len);
        if (call->kind == VFS_DELETE)
            p->is_gone[c->file] = true;
    }
    pthread_mutex_unlock(&p->lock);
    return SQLITE_OK;
}

struct vfs_guard powercut_guard(struct powercut *p)
{
    return (struct vfs_guard){record, p};
}

uint32_t powercut_calls(struct powercut *p)
{
    pthread_mutex_lock(&p->lock);
    uint32_t count = p->calls_count;
    pthread_mutex_unlock(&p->lock);
    return count;
}

uint32_t powercut_first(struct powercut *p)
{
    return p->first;
}

void powercut_pause(struct powercut *p, bool paused)
{
    pthread_mutex_lock(&p->lock);
    p->paused = paused;
    pthread_mutex_unlock(&p->lock);
}

/* ---- A record that begins with something ---- */

static void add_call(struct powercut *p, const struct vfs_call *call)
{
    CHECK(record(p, call) == SQLITE_OK);
}

struct powercut *powercut_after(const char *dir)
{
    struct powercut *p = powercut_new();
    DIR *d = opendir(dir);
    CHECK(d != NULL);
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        char path[512];
        struct buf bytes;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        buf_init(&bytes, FILE_MAX);
        CHECK(fs_read(path, &bytes, NULL) == ERR_OK);
        add_call(p, &(struct vfs_call){.kind = VFS_NEW, .path = path});
        add_call(p, &(struct vfs_call){
                        .kind = VFS_WRITE, .path = path, .bytes = bytes.at, .len = bytes.len});
        buf_free(&bytes);
    }
    closedir(d);
    p->first = p->lasting = p->calls_count;
    return p;
}

struct powercut *powercut_behind(struct powercut *from, uint32_t calls)
{
    struct powercut *p = powercut_new();
    CHECK(from->paused && calls <= from->calls_count);
    for (uint32_t i = 0; i < calls; i++) {
        const struct call *c = &from->calls[i];
        char path[40];
        snprintf(path, sizeof path, "/%s", from->names[c->file]);
        add_call(p, &(struct vfs_call){.kind = c->kind,
                                       .path = path,
                                       .at = c->at,
                                       .bytes = c->bytes,
                                       .len = c->len,
                                       .directory_too = c->directory_too});
    }
    p->first = calls;
    return p;
}

/* ---- The cut ---- */

struct cut {
    struct powercut *record;
    uint32_t calls;
    enum powercut_mode mode;
    struct rng *rng;
    uint32_t synced[FILES_MAX]; /* Calls before this one last, for the file's bytes. */
    uint32_t named;             /* And for names. */
    struct buf bytes[FILES_MAX];
    bool is_there[FILES_MAX];
};

static bool coin(struct cut *c)
{
    return rng_below(c->rng, 2) == 0;
}

static bool is_log(const char *name)
{
    size_t len = strlen(name);
    return (len > 4 && strcmp(name + len - 4, "-wal") == 0) ||
           (len > 8 && strcmp(name + len - 8, "-journal") == 0);
}

static void find_syncs(struct cut *c)
{
    bool directory_done[FILES_MAX] = {false};
    c->named = c->record->lasting;
    for (uint32_t i = 0; i < c->record->files_count; i++)
        c->synced[i] = c->record->lasting;
    for (uint32_t i = 0; i < c->calls; i++) {
        const struct call *call = &c->record->calls[i];
        if (call->kind == VFS_SYNC) {
            c->synced[call->file] = i;
            if (is_log(c->record->names[call->file]) && !directory_done[call->file]) {
                directory_done[call->file] = true;
                c->named = i;
            }
        }
        if (call->kind == VFS_DELETE && call->directory_too)
            c->named = i + 1;
    }
}

static void put_bytes(struct buf *file, uint64_t at, const char *bytes, size_t len)
{
    if (file->len < at + len) {
        size_t more = at + len - file->len;
        char *room = buf_reserve(file, more);
        CHECK(room != NULL);
        memset(room, 0, more);
        buf_commit(file, more);
    }
    if (len > 0)
        memcpy(file->at + at, bytes, len);
}

/* Sector by sector: there, not there, half there, or (with noise) never written by anybody. */
static void put_torn(struct cut *c, const struct call *call)
{
    for (size_t done = 0; done < call->len;) {
        size_t len = SECTOR - (call->at + done) % SECTOR;
        len = len < call->len - done ? len : call->len - done;
        uint64_t fate = rng_below(c->rng, c->mode == POWERCUT_NOISE ? 6 : 5);
        char noise[SECTOR];
        if (fate < 2) {
            put_bytes(&c->bytes[call->file], call->at + done, call->bytes + done, len);
        } else if (fate == 4) {
            size_t part = rng_below(c->rng, len + 1);
            put_bytes(&c->bytes[call->file], call->at + done, call->bytes + done, part);
        } else if (fate == 5) {
            for (size_t i = 0; i < len; i++)
                noise[i] = (char)rng_u64(c->rng);
            put_bytes(&c->bytes[call->file], call->at + done, noise, len);
        }
        done += len;
    }
}

static void apply(struct cut *c, const struct call *call)
{
    struct buf *file = &c->bytes[call->file];
    if (call->kind == VFS_WRITE) {
        put_bytes(file, call->at, call->bytes, call->len);
    } else if (call->kind == VFS_TRUNCATE) {
        if (call->at < file->len)
            file->len = call->at;
        else
            put_bytes(file, call->at, "", 0);
    }
}

static void apply_perhaps(struct cut *c, const struct call *call)
{
    if ((c->mode == POWERCUT_TORN || c->mode == POWERCUT_NOISE) && call->kind == VFS_WRITE)
        put_torn(c, call);
    else if (coin(c))
        apply(c, call);
}

static void bytes_in_order(struct cut *c, uint32_t until)
{
    for (uint32_t i = 0; i < until; i++)
        apply(c, &c->record->calls[i]);
}

/* Those behind the syncs, in an order of their own. */
static void bytes_in_doubt(struct cut *c)
{
    uint32_t *order = calloc(c->calls + 1, sizeof *order), count = 0;
    for (uint32_t i = 0; i < c->calls; i++) {
        const struct call *call = &c->record->calls[i];
        if (call->kind != VFS_WRITE && call->kind != VFS_TRUNCATE)
            continue;
        if (i < c->synced[call->file])
            apply(c, call);
        else
            order[count++] = i;
    }
    for (uint32_t i = count; c->mode == POWERCUT_SHUFFLED && i > 1; i--) {
        uint32_t other = (uint32_t)rng_below(c->rng, i), had = order[i - 1];
        order[i - 1] = order[other];
        order[other] = had;
    }
    uint32_t prefix = count == 0 ? 0 : (uint32_t)rng_below(c->rng, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct call *call = &c->record->calls[order[i]];
        if (c->mode == POWERCUT_PREFIX && i < prefix)
            apply(c, call);
        else if (c->mode == POWERCUT_PREFIX && i == prefix && call->kind == VFS_WRITE)
            put_torn(c, call);
        else if (c->mode >= POWERCUT_SHUFFLED)
            apply_perhaps(c, call);
    }
    free(order);
}

static void names(struct cut *c)
{
    bool lasts = true;
    for (uint32_t i = 0; i < c->calls && lasts; i++) {
        const struct call *call = &c->record->calls[i];
        if (call->kind != VFS_NEW && call->kind != VFS_DELETE)
            continue;
        if (i >= c->named && c->mode != POWERCUT_KEPT)
            lasts = c->mode != POWERCUT_LOST && coin(c);
        if (lasts)
            c->is_there[call->file] = call->kind == VFS_NEW;
    }
}

void powercut_leave(struct powercut *p, uint32_t calls, enum powercut_mode mode, struct rng *rng,
                    const char *dir)
{
    struct cut c = {.record = p, .calls = calls, .mode = mode, .rng = rng};
    for (uint32_t i = 0; i < p->files_count; i++)
        buf_init(&c.bytes[i], FILE_MAX);
    find_syncs(&c);
    if (mode == POWERCUT_KEPT)
        bytes_in_order(&c, calls);
    else
        bytes_in_doubt(&c);
    names(&c);
    for (uint32_t i = 0; i < p->files_count; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", dir, p->names[i]);
        if (c.is_there[i])
            CHECK(fs_put(path, buf_str(&c.bytes[i]), 0600, NULL) == ERR_OK);
        buf_free(&c.bytes[i]);
    }
}
