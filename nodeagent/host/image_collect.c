/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What no mounted root needs goes, until enough is free: first what no image name leads to (a name that was
 * pulled again, a layout whose layers can be unpacked again without the network), then whole images, the one
 * that was used longest ago first. What a mounted overlay stands on is read from the kernel, never believed
 * from anybody's books: also what another agent's overlay of the same content stands on.
 *
 * An image's name is removed before what it leads to, and a directory gets a temporary name before it is
 * taken apart: a crash leaves an orphan or rubbish, never half a layer under its true name.
 */
#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "nodeagent/host/image_priv.h"
#include "nodeagent/host/usage.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    THINGS_MAX =
        65536, /* Images, layers and blobs. With more nothing is removed: it might be used. */
    MOUNTS_BYTES_MAX = 64 << 20,
    MEMORY_MAX = 256 << 20
};

enum thing_kind { THING_IMAGE, THING_LAYER, THING_BLOB };

/* An image's layout, a layer's directory, a blob. */
struct thing {
    enum thing_kind kind;
    const char *path;
    int64_t used_s; /* An image: when it was last mounted. Others: when they were made. */
    uint64_t bytes; /* 0 for an image: what it leads to counts. */
    uint32_t users; /* Images that lead here; kept ones for ever. */
    struct thing **parts;
    uint32_t parts_count;
    bool kept, gone, broken; /* broken: an image that does not read; nobody can use it. */
};

struct collection {
    struct images *images;
    struct arena arena;
    struct map by_name; /* Layers and blobs, by the name of their file. */
    struct map mounted; /* Layers by name, and whole lowerdirs. */
    struct thing **things;
    uint32_t count;
    const char *folder;
    enum thing_kind kind;
    struct images_collected done;
    enum err_code code;
    struct err *err;
};

/* As kubelet reckons: a file system is so full as its users see it, root's reserve counted as used. */
enum err_code images_surplus(const struct images *s, uint32_t high_percent, uint32_t low_percent,
                             uint64_t *out_bytes, struct err *e)
{
    struct usage_disk disk;
    enum err_code code = usage_disk(s->directory, &disk, e);
    if (code != ERR_OK)
        return code;
    uint64_t all = disk.size_bytes, left = disk.free_bytes;
    uint64_t used_percent = 100 - left * 100 / all, wanted = all / 100 * (100 - low_percent);
    *out_bytes =
        used_percent >= high_percent && high_percent < 100 && wanted > left ? wanted - left : 0;
    return ERR_OK;
}

/* ---- what is mounted ---- */

/* "... - overlay overlay rw,lowerdir=NAME:NAME,upperdir=...": names as image_mount() gave them. */
static enum err_code note_mount(struct collection *c, struct str line)
{
    static const struct str option = STR("lowerdir=");
    const char *at = memmem(line.at, line.len, option.at, option.len);
    if (at == NULL || memmem(line.at, line.len, " - overlay ", 11) == NULL)
        return ERR_OK;
    struct str rest = str_slice(line, (size_t)(at - line.at) + option.len, line.len), name;
    struct str lower = arena_str(&c->arena, str_slice(rest, 0, str_find(rest, ',', 0)));
    enum err_code code = map_put(&c->mounted, lower, c);
    for (rest = lower; code == ERR_OK && str_split(&rest, ':', &name);)
        code = map_put(&c->mounted, name, c);
    return code;
}

static enum err_code read_mounts(struct collection *c, const char *path, struct err *e)
{
    struct buf text;
    struct str rest, line;
    buf_init(&text, MOUNTS_BYTES_MAX);
    enum err_code code = fs_read(path, &text, e);
    for (rest = buf_str(&text); code == ERR_OK && str_split(&rest, '\n', &line);)
        if ((code = note_mount(c, line)) != ERR_OK)
            err_set(e, code, "more layers are mounted than %d", THINGS_MAX);
    buf_free(&text);
    return code;
}

/* ---- what there is ---- */

static bool visit_thing(void *arg, const char *name)
{
    struct collection *c = arg;
    char path[FS_PATH_MAX];
    struct stat st;
    if (strncmp(name, "tmp-", 4) == 0)
        return true;
    if (c->count == THINGS_MAX) {
        c->code =
            err_set(c->err, ERR_LIMIT, "there are more images and layers than %d", THINGS_MAX);
        return false;
    }
    if (!fs_join(path, c->folder, name) || lstat(path, &st) != 0)
        return true;
    struct thing *t = arena_zalloc(&c->arena, 1, sizeof *t);
    struct str key = arena_str(&c->arena, str_of(name));
    if (t == NULL || key.at == NULL)
        return false; /* The arena remembers. */
    t->kind = c->kind;
    t->path = arena_dup(&c->arena, str_of(path));
    t->used_s = c->kind == THING_IMAGE ? st.st_mtim.tv_sec : st.st_ctim.tv_sec;
    t->bytes = c->kind == THING_IMAGE ? 0 : image__tree_bytes(path);
    t->kept = c->kind == THING_LAYER && map_find(&c->mounted, key) != NULL;
    c->things[c->count++] = t;
    if (c->kind != THING_IMAGE)
        CHECK(map_put(&c->by_name, key, t) == ERR_OK); /* As large as things. */
    return true;
}

static enum err_code gather(struct collection *c, const char *folder, enum thing_kind kind,
                            struct err *e)
{
    char path[FS_PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", c->images->directory, folder);
    c->folder = path;
    c->kind = kind;
    enum err_code code = fs_list(path, visit_thing, c, e);
    if (code == ERR_NOT_FOUND || code == ERR_OK)
        code = c->code;
    return code == ERR_OK ? arena_status(&c->arena, e) : code;
}

static void add_part(struct collection *c, struct thing *image, struct str name)
{
    struct thing *part = map_find(&c->by_name, name);
    if (part == NULL)
        return;
    image->parts[image->parts_count++] = part;
    part->users++;
}

/* Both forms of a digest: sixty-four digits as a blob, half of them as a layer. */
static void add_digest(struct collection *c, struct thing *image, struct str digest)
{
    struct str hex = str_slice(digest, 7, digest.len);
    if (!digest_is_valid(digest))
        return;
    add_part(c, image, hex);
    add_part(c, image, str_slice(hex, 0, IMAGE_LAYER_NAME_LEN));
}

static void read_parts(struct collection *c, struct thing *image, const struct image_config *config)
{
    struct buf lower;
    char name[IMAGE_LAYER_NAME_LEN + 1];

    buf_init(&lower, IMAGE_LAYERS_MAX * (IMAGE_LAYER_NAME_LEN + 2));
    add_digest(c, image, config->digest);
    add_digest(c, image, config->config);
    for (uint32_t i = config->layers_count; i-- > 0;) {
        add_digest(c, image, config->layers[i]);
        image__layer_name(config->layers[i], name);
        buf_printf(&lower, "%s%s", name, i > 0 ? ":" : "");
    }
    image->kept = map_find(&c->mounted, buf_str(&lower)) != NULL;
    buf_free(&lower);
}

static enum err_code read_image(struct collection *c, struct thing *image, int64_t now_s,
                                struct err *e)
{
    struct image_place p = {.transport = IMAGE_REGISTRY};
    struct image_config config;
    struct arena scratch;

    image->parts = arena_zalloc(&c->arena, 2 * (IMAGE_LAYERS_MAX + 2), sizeof *image->parts);
    snprintf(p.layout, sizeof p.layout, "%s", image->path);
    snprintf(p.blobs, sizeof p.blobs, "%s/blobs", c->images->directory);
    arena_init(&scratch, 4 * IMAGE_JSON_MAX);
    enum err_code code = image__read(&p, &scratch, &config, e);
    if (code == ERR_OK && image->parts != NULL)
        read_parts(c, image, &config);
    arena_free(&scratch);
    image->broken = code == ERR_NOT_FOUND || code == ERR_CORRUPT;
    if (image->broken)
        image->used_s = 0;
    if (image->kept) {
        image->used_s = now_s;
        image__used(image->path);
    }
    return image->broken ? ERR_OK : code;
}

/* ---- what goes ---- */

static enum err_code take_away(struct collection *c, struct thing *t, struct err *e)
{
    char temporary[FS_PATH_MAX];
    if (t->kept || t->gone || t->users > 0)
        return ERR_OK;
    image__temporary(c->images, t->kind == THING_IMAGE ? "refs" : "layers", temporary);
    if (rename(t->path, temporary) != 0)
        return err_set(e, ERR_UNAVAILABLE, "rename %.120s: %m", t->path);
    t->gone = true;
    c->done.bytes += t->bytes;
    c->done.images += t->kind == THING_IMAGE;
    enum err_code code = fs_remove_tree(temporary, e);
    for (uint32_t i = 0; i < t->parts_count; i++)
        t->parts[i]->users--;
    for (uint32_t i = 0; i < t->parts_count && code == ERR_OK; i++)
        code = take_away(c, t->parts[i], e);
    return code;
}

/* What nobody can use, then images; each by age, the path where that is the same. */
static int useless_and_oldest_first(const void *a, const void *b)
{
    const struct thing *x = *(const struct thing *const *)a, *y = *(const struct thing *const *)b;
    bool is_image[2] = {x->kind == THING_IMAGE && !x->broken, y->kind == THING_IMAGE && !y->broken};
    if (is_image[0] != is_image[1])
        return is_image[0] ? 1 : -1;
    if (x->used_s != y->used_s)
        return x->used_s < y->used_s ? -1 : 1;
    return strcmp(x->path, y->path);
}

static enum err_code take_until(struct collection *c, const struct images_collect *q, struct err *e)
{
    int64_t young_s = wall_seconds(q->now) - q->age_min.ns / 1000000000;
    enum err_code code = ERR_OK;
    qsort(c->things, c->count, sizeof(struct thing *), useless_and_oldest_first);
    for (uint32_t i = 0; i < c->count && c->done.bytes < q->bytes && code == ERR_OK; i++)
        if (c->things[i]->used_s <= young_s)
            code = take_away(c, c->things[i], e);
    return code;
}

enum err_code images_collect(struct images *s, const struct images_collect *q,
                             struct images_collected *out, struct err *e)
{
    struct collection c = {.images = s, .err = e};

    arena_init(&c.arena, MEMORY_MAX);
    map_init(&c.by_name, THINGS_MAX);
    map_init(&c.mounted, THINGS_MAX);
    c.things = mem_zalloc(THINGS_MAX, sizeof *c.things);
    enum err_code code = read_mounts(&c, q->mounts, e);
    if (code == ERR_OK)
        code = gather(&c, "layers", THING_LAYER, e);
    if (code == ERR_OK)
        code = gather(&c, "blobs/sha256", THING_BLOB, e);
    if (code == ERR_OK)
        code = gather(&c, "refs", THING_IMAGE, e);
    for (uint32_t i = 0; i < c.count && code == ERR_OK; i++)
        if (c.things[i]->kind == THING_IMAGE)
            code = read_image(&c, c.things[i], wall_seconds(q->now), e);
    if (code == ERR_OK)
        code = arena_status(&c.arena, e); /* What was not read would look unused. */
    if (code == ERR_OK)
        code = take_until(&c, q, e);
    *out = c.done;
    mem_free(c.things);
    map_fini(&c.mounted);
    map_fini(&c.by_name);
    arena_free(&c.arena);
    return code;
}
