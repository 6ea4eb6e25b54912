/* SPDX-License-Identifier: Apache-2.0 */
/* From a layout's index to what a container needs: OCI image-spec, image-layout.md, manifest.md,
 * config.md. Every document but the index is checked against the digest that leads to it. */
#include "base/json.h"
#include "nodeagent/host/image_priv.h"
#include <stdio.h>
#include <sys/utsname.h>

enum { INDEX_DEPTH_MAX = 4 };

static enum err_code read_text(const char *path, struct arena *a, struct str *out, struct err *e)
{
    struct buf text;
    buf_init(&text, IMAGE_JSON_MAX);
    enum err_code code = fs_read(path, &text, e);
    if (code == ERR_OK) {
        *out = arena_str(a, buf_str(&text));
        code = arena_status(a, e);
    }
    buf_free(&text);
    return code;
}

static enum err_code read_blob(const struct image_place *p, struct str digest, struct arena *a,
                               struct json **out, struct err *e)
{
    char path[FS_PATH_MAX], have[DIGEST_TEXT_LEN + 1];
    struct str text;
    if (!digest_is_valid(digest))
        return err_set(e, ERR_CORRUPT, "the image names something by other than sha256");
    if (snprintf(path, sizeof path, "%s/sha256/%.64s", p->blobs, digest.at + 7) >= FS_PATH_MAX)
        return err_set(e, ERR_LIMIT, "%s is too long", p->blobs);
    enum err_code code = read_text(path, a, &text, e);
    if (code != ERR_OK)
        return code;
    digest_of(text, have);
    if (!str_is(digest, have))
        return err_set(e, ERR_CORRUPT, "%s holds %s", path, have);
    code = json_parse(a, text, out, e);
    return code == ERR_INVALID ? ERR_CORRUPT : code;
}

/* Go's names of machines, which OCI uses. */
static const char *architecture(void)
{
    static const struct {
        const char *kernels, *gos;
    } names[] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"riscv64", "riscv64"}};
    struct utsname u;
    uname(&u);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(u.machine, names[i].kernels) == 0)
            return names[i].gos;
    return "amd64";
}

static bool is_index(const struct json *d)
{
    struct str type = json_text(json_find(d, STR("mediaType")));
    return str_ends(type, STR(".image.index.v1+json")) || str_ends(type, STR("list.v2+json"));
}

/* By tag in the outer index, by platform in an inner one; the only one where there is no choice. */
static const struct json *choose(const struct json *index, struct str tag)
{
    const struct json *list = json_find(index, STR("manifests")), *first = NULL;
    uint32_t count = 0;
    if (list == NULL || list->type != JSON_ARRAY)
        return NULL;
    for (const struct json *d = list->first; d != NULL; d = d->next) {
        const struct json *notes = json_find(d, STR("annotations"));
        struct str ref = json_text(json_find(notes, STR("org.opencontainers.image.ref.name")));
        const struct json *on = json_find(d, STR("platform"));
        struct str arch = json_text(json_find(on, STR("architecture")));
        if (tag.len > 0 ? !str_eq(ref, tag) : arch.len > 0 && !str_is(arch, architecture()))
            continue;
        first = first == NULL ? d : first;
        count++;
    }
    return count == 1 || tag.len > 0 || first == NULL || json_find(first, STR("platform")) != NULL
               ? first
               : NULL;
}

static enum err_code find_manifest(const struct image_place *p, struct arena *a,
                                   struct str *out_digest, struct json **out, struct err *e)
{
    char path[FS_PATH_MAX];
    struct str text, tag = p->tag;
    struct json *index;

    if (!fs_join(path, p->layout, "index.json"))
        return err_set(e, ERR_LIMIT, "%s is too long", p->layout);
    enum err_code code = read_text(path, a, &text, e);
    if (code == ERR_OK)
        code = json_parse(a, text, &index, e);
    if (code == ERR_INVALID)
        code = ERR_CORRUPT;
    for (int depth = 0; code == ERR_OK && depth < INDEX_DEPTH_MAX; depth++) {
        const struct json *d = choose(index, tag);
        if (d == NULL)
            return err_set(e, ERR_NOT_FOUND, "no %s%.*s image for %s in %s", tag.len > 0 ? ":" : "",
                           (int)tag.len, tag.at, architecture(), p->layout);
        *out_digest = json_text(json_find(d, STR("digest")));
        code = read_blob(p, *out_digest, a, &index, e);
        if (code == ERR_OK && !is_index(d)) {
            *out = index;
            return ERR_OK;
        }
        tag = (struct str){"", 0};
    }
    return code != ERR_OK ? code : err_set(e, ERR_CORRUPT, "indexes in indexes in %s", p->layout);
}

static enum err_code read_layers(const struct json *manifest, struct image_config *out,
                                 struct err *e)
{
    const struct json *layers = json_find(manifest, STR("layers"));
    if (layers == NULL || layers->type != JSON_ARRAY)
        return err_set(e, ERR_CORRUPT, "the manifest has no layers");
    if (layers->count > IMAGE_LAYERS_MAX)
        return err_set(e, ERR_LIMIT, "the image has %u layers; at most %d are supported",
                       layers->count, IMAGE_LAYERS_MAX);
    for (const struct json *l = layers->first; l != NULL; l = l->next) {
        struct str digest = json_text(json_find(l, STR("digest")));
        int64_t size = 0;
        if (!digest_is_valid(digest) || json_i64(json_find(l, STR("size")), &size) != ERR_OK)
            return err_set(e, ERR_CORRUPT, "the manifest describes a layer without digest or size");
        out->layers[out->layers_count++] = digest;
        out->size_bytes += size < 0 ? 0 : (uint64_t)size;
    }
    return ERR_OK;
}

static void read_strings(const struct json *list, struct arena *a, const struct str **out,
                         uint32_t *out_count)
{
    *out = NULL;
    *out_count = 0;
    if (list == NULL || list->type != JSON_ARRAY)
        return;
    struct str *at = arena_zalloc(a, list->count + 1, sizeof *at);
    for (const struct json *s = list->first; at != NULL && s != NULL; s = s->next)
        at[(*out_count)++] = json_text(s);
    *out = at;
}

enum err_code image__read(const struct image_place *p, struct arena *a, struct image_config *out,
                          struct err *e)
{
    struct image_config c = {.name = p->full};
    struct json *manifest = NULL, *config = NULL;
    enum err_code code = find_manifest(p, a, &c.digest, &manifest, e);
    if (code == ERR_OK)
        code = read_layers(manifest, &c, e);
    if (code == ERR_OK)
        c.config = json_text(json_path(manifest, "config.digest"));
    if (code == ERR_OK)
        code = read_blob(p, c.config, a, &config, e);
    if (code != ERR_OK)
        return code;
    const struct json *run = json_find(config, STR("config"));
    c.user = json_text(json_find(run, STR("User")));
    c.cwd = json_text(json_find(run, STR("WorkingDir")));
    c.stop_signal = json_text(json_find(run, STR("StopSignal")));
    read_strings(json_find(run, STR("Entrypoint")), a, &c.entrypoint, &c.entrypoint_count);
    read_strings(json_find(run, STR("Cmd")), a, &c.cmd, &c.cmd_count);
    read_strings(json_find(run, STR("Env")), a, &c.env, &c.env_count);
    if (arena_status(a, e) != ERR_OK)
        return ERR_LIMIT;
    *out = c;
    return ERR_OK;
}
