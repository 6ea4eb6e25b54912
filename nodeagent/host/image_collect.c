/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What no running container needs goes, oldest first, until the rest fits. A layer in use is never
 * touched: its digest is in keep, or a name in keep leads to it. Sizes are those of the files, counted
 * when asked: this runs once in a while, on a worker.
 */
#include "base/mem.h"
#include "nodeagent/host/image_priv.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { THINGS_MAX = 65536, TREE_DEPTH_MAX = 64 };

struct thing { /* A layer's directory, a blob, an image's layout. */
    char path[FS_PATH_MAX];
    uint64_t bytes;
    int64_t age; /* Time of its making: small is old. */
    bool kept;
};

struct collection {
    struct images *images;
    struct thing **things;
    uint32_t count;
    char folder[FS_PATH_MAX];
    bool (*wanted)(struct collection *c, const char *name);
    struct str *digests; /* What must stay, as hex. */
    uint32_t digests_count, digests_size;
    const struct images_keep *keep;
};

static uint64_t tree_bytes(int parent, const char *name, uint32_t depth)
{
    struct stat st;
    uint64_t bytes;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    bytes = (uint64_t)st.st_blocks * 512;
    if (!S_ISDIR(st.st_mode) || depth == TREE_DEPTH_MAX)
        return bytes;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (list == NULL) {
        fs_close(&fd);
        return bytes;
    }
    for (struct dirent *d; (d = readdir(list)) != NULL;)
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
            bytes += tree_bytes(fd, d->d_name, depth + 1);
    closedir(list);
    return bytes;
}

uint64_t image__tree_bytes(const char *path)
{
    return tree_bytes(AT_FDCWD, path, 0);
}

static bool is_kept_digest(const struct collection *c, const char *hex)
{
    for (uint32_t i = 0; i < c->digests_count; i++)
        if (strncmp(c->digests[i].at + 7, hex, strlen(hex)) == 0)
            return true;
    return false;
}

static bool visit_thing(void *arg, const char *name)
{
    struct collection *c = arg;
    struct stat st;
    if (c->count == THINGS_MAX || strncmp(name, "tmp-", 4) == 0)
        return c->count < THINGS_MAX;
    struct thing *t = mem_zalloc(1, sizeof *t);
    if (!fs_join(t->path, c->folder, name) || lstat(t->path, &st) != 0) {
        mem_free(t);
        return true;
    }
    t->bytes = image__tree_bytes(t->path);
    t->age = st.st_ctim.tv_sec;
    t->kept = c->wanted(c, name);
    c->things[c->count++] = t;
    return true;
}

static void add_digest(struct collection *c, struct str digest)
{
    if (digest_is_valid(digest) && c->digests_count < c->digests_size)
        c->digests[c->digests_count++] = digest;
}

/* Every digest that a kept name's image consists of. */
static void add_image(struct collection *c, struct str name, struct arena *a)
{
    struct image_config image;
    if (image_find(c->images, name, a, &image, NULL) != ERR_OK)
        return;
    add_digest(c, image.digest);
    add_digest(c, image.config);
    for (uint32_t i = 0; i < image.layers_count; i++)
        add_digest(c, image.layers[i]);
}

static bool layout_wanted(struct collection *c, const char *name)
{
    char hash[DIGEST_TEXT_LEN + 1];
    for (uint32_t i = 0; i < c->keep->names_count; i++) {
        digest_of(c->keep->names[i], hash);
        if (strcmp(hash + 7, name) == 0)
            return true;
    }
    return false;
}

static bool digest_wanted(struct collection *c, const char *name)
{
    return is_kept_digest(c, name);
}

static enum err_code gather(struct collection *c, const char *folder,
                            bool (*wanted)(struct collection *c, const char *name), struct err *e)
{
    snprintf(c->folder, sizeof c->folder, "%s/%s", c->images->directory, folder);
    c->wanted = wanted;
    enum err_code code = fs_list(c->folder, visit_thing, c, e);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static int older_first(const void *a, const void *b)
{
    const struct thing *x = *(const struct thing *const *)a, *y = *(const struct thing *const *)b;
    if (x->age != y->age)
        return x->age < y->age ? -1 : 1;
    return strcmp(x->path, y->path);
}

static enum err_code remove_until(struct collection *c, uint64_t bytes_max, uint64_t *out_removed,
                                  struct err *e)
{
    uint64_t total = 0, removed = 0;
    enum err_code code = ERR_OK;
    for (uint32_t i = 0; i < c->count; i++)
        total += c->things[i]->bytes;
    qsort(c->things, c->count, sizeof(struct thing *), older_first);
    for (uint32_t i = 0; i < c->count && total - removed > bytes_max && code == ERR_OK; i++) {
        if (c->things[i]->kept)
            continue;
        code = fs_remove_tree(c->things[i]->path, e);
        if (code == ERR_OK)
            removed += c->things[i]->bytes;
    }
    *out_removed = removed;
    return code;
}

enum err_code images_collect(struct images *s, const struct images_keep *keep, uint64_t bytes_max,
                             uint64_t *out_removed_bytes, struct err *e)
{
    uint32_t size = keep->names_count * (IMAGE_LAYERS_MAX + 2) + keep->digests_count + 1;
    struct collection c = {.images = s, .keep = keep, .digests_size = size};
    struct arena a;

    arena_init(&a, (size_t)64 << 20);
    c.things = mem_zalloc(THINGS_MAX, sizeof *c.things);
    c.digests = mem_zalloc(size, sizeof *c.digests);
    for (uint32_t i = 0; i < keep->digests_count; i++)
        add_digest(&c, keep->digests[i]);
    for (uint32_t i = 0; i < keep->names_count; i++)
        add_image(&c, keep->names[i], &a);
    enum err_code code = gather(&c, "refs", layout_wanted, e);
    if (code == ERR_OK)
        code = gather(&c, "layers", digest_wanted, e);
    if (code == ERR_OK)
        code = gather(&c, "blobs/sha256", digest_wanted, e);
    if (code == ERR_OK)
        code = remove_until(&c, bytes_max, out_removed_bytes, e);
    for (uint32_t i = 0; i < c.count; i++)
        mem_free(c.things[i]);
    mem_free(c.digests);
    mem_free(c.things);
    arena_free(&a);
    return code;
}
