/* SPDX-License-Identifier: Apache-2.0 */
/* Which images are here, for whoever prefers nodes that have them. */
#include "nodeagent/host/image_priv.h"

#include <stdio.h>

struct listing {
    struct images *images;
    struct arena *arena;
    struct image_entry *out;
    uint32_t count, max;
};

static bool name_path(const char *layout, char out[FS_PATH_MAX])
{
    return fs_join(out, layout, "name");
}

enum err_code image__write_name(const char *layout, struct str name, struct err *e)
{
    char path[FS_PATH_MAX];
    if (!name_path(layout, path))
        return err_set(e, ERR_LIMIT, "%s is too long", layout);
    return fs_write(path, name, 0600, e);
}

/* Kept while it is among the largest. */
static void add(struct listing *l, struct str name, uint64_t size_bytes)
{
    uint32_t at = l->count;
    while (at > 0 &&
           (l->out[at - 1].size_bytes < size_bytes ||
            (l->out[at - 1].size_bytes == size_bytes && str_cmp(l->out[at - 1].name, name) > 0)))
        at--;
    if (at == l->max)
        return;
    l->count += l->count < l->max;
    for (uint32_t i = l->count - 1; i > at; i--)
        l->out[i] = l->out[i - 1];
    l->out[at] = (struct image_entry){name, size_bytes};
}

static bool visit(void *arg, const char *file)
{
    struct listing *l = arg;
    struct image_place p = {.transport = IMAGE_REGISTRY};
    struct image_config config;
    struct arena scratch;
    struct buf name;
    char path[FS_PATH_MAX];
    if (snprintf(p.layout, sizeof p.layout, "%s/refs/%s", l->images->directory, file) >=
            FS_PATH_MAX ||
        !name_path(p.layout, path))
        return true;
    snprintf(p.blobs, sizeof p.blobs, "%s/blobs", l->images->directory);
    arena_init(&scratch, 4 * IMAGE_JSON_MAX);
    buf_init(&name, IMAGE_NAME_MAX);
    if (fs_read(path, &name, NULL) == ERR_OK && name.len > 0 &&
        image__read(&p, &scratch, &config, NULL) == ERR_OK) {
        struct str kept = arena_str(l->arena, buf_str(&name));
        if (kept.at != NULL)
            add(l, kept, config.size_bytes);
    }
    buf_free(&name);
    arena_free(&scratch);
    return true;
}

enum err_code images_list(struct images *s, struct arena *a, uint32_t max, struct image_entry *out,
                          uint32_t *out_count, struct err *e)
{
    struct listing l = {.images = s, .arena = a, .out = out, .max = max};
    char path[FS_PATH_MAX];
    *out_count = 0;
    if (max == 0 || !fs_join(path, s->directory, "refs"))
        return ERR_OK;
    enum err_code code = fs_list(path, visit, &l, e);
    if (code == ERR_OK || code == ERR_NOT_FOUND)
        code = arena_status(a, e);
    *out_count = l.count;
    return code;
}
