/* SPDX-License-Identifier: Apache-2.0 */
/* Image names: what Docker made of them (distribution/reference), and our transports to DIR/import. */
#include "nodeagent/host/image_priv.h"
#include <stdio.h>

static bool letters_ok(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-' || c == '/' || c == ':' || c == '@' ||
                  c == '[' || c == ']';
        if (!ok)
            return false;
    }
    return s.len > 0 && s.at[0] != '-' && s.at[0] != '/';
}

static bool takes(struct str *s, struct str prefix)
{
    if (!str_starts(*s, prefix))
        return false;
    *s = str_slice(*s, prefix.len, s->len);
    return true;
}

static size_t find_last(struct str s, char c)
{
    for (size_t i = s.len; i-- > 0;)
        if (s.at[i] == c)
            return i;
    return s.len;
}

/* "busybox" has no host; "example.org/x", "localhost/x" and "x:5000/y" have one. */
static bool has_host(struct str name)
{
    size_t slash = str_find(name, '/', 0);
    struct str first = str_slice(name, 0, slash);
    return slash < name.len && (str_find(first, '.', 0) < first.len ||
                                str_find(first, ':', 0) < first.len || str_is(first, "localhost"));
}

static struct str with_registry(struct str name, struct arena *a)
{
    if (has_host(name))
        return arena_str(a, name);
    bool library = str_find(name, '/', 0) == name.len;
    return arena_printf(a, "docker.io/%s" STR_FMT, library ? "library/" : "", STR_ARG(name));
}

static bool has_tag(struct str name)
{
    struct str last =
        str_slice(name, find_last(name, '/') < name.len ? find_last(name, '/') : 0, name.len);
    return str_find(last, ':', 0) < last.len || str_find(last, '@', 0) < last.len;
}

static bool is_local(struct str name)
{
    return str_starts(name, STR("oci:")) || str_starts(name, STR("oci-archive:")) ||
           str_starts(name, STR("docker-archive:"));
}

enum err_code image_name_parse(struct str name, struct arena *a, struct str *out, struct err *e)
{
    struct str rest = name;
    if (name.len > IMAGE_NAME_MAX || !letters_ok(name))
        return err_set(e, ERR_INVALID, "\"%.*s\" is not the name of an image",
                       (int)min_size(name.len, 100), name.at);
    if (is_local(name)) {
        *out = arena_str(a, name);
        return arena_status(a, e);
    }
    (void)!takes(&rest, STR("docker://"));
    struct str full = with_registry(rest, a);
    if (!has_tag(full))
        full = arena_printf(a, STR_FMT ":latest", STR_ARG(full));
    if (arena_status(a, e) != ERR_OK)
        return ERR_LIMIT;
    *out = full;
    return ERR_OK;
}

/* Below the import directory and nowhere else: whoever may create pods may not read the node. */
static enum err_code import_path(const struct images *s, struct str file, char out[FS_PATH_MAX],
                                 struct err *e)
{
    struct str rest = file, part;
    while (str_split(&rest, '/', &part))
        if (part.len == 0 || part.at[0] == '.')
            return err_set(e, ERR_DENIED, "image " STR_FMT " is not below the import directory",
                           STR_ARG(file));
    if (snprintf(out, FS_PATH_MAX, "%s/" STR_FMT, s->import, STR_ARG(file)) >= FS_PATH_MAX)
        return err_set(e, ERR_LIMIT, "the name of the image is too long");
    return ERR_OK;
}

static enum err_code place_layout(const struct images *s, struct str rest, struct image_place *p,
                                  struct err *e)
{
    size_t colon = str_find(rest, ':', 0);
    p->transport = IMAGE_LAYOUT;
    p->tag = str_slice(rest, colon < rest.len ? colon + 1 : rest.len, rest.len);
    enum err_code code = import_path(s, str_slice(rest, 0, colon), p->layout, e);
    if (code == ERR_OK && !fs_join(p->blobs, p->layout, "blobs"))
        code = err_set(e, ERR_LIMIT, "the name of the image is too long");
    return code;
}

/* "oci-archive:FILE" becomes the same with the file's path. */
static enum err_code place_archive(const struct images *s, struct str rest, const char *scheme,
                                   struct arena *a, struct image_place *p, struct err *e)
{
    char path[FS_PATH_MAX];
    size_t colon = str_find(rest, ':', 0);
    struct str tag = str_slice(rest, colon, rest.len);
    enum err_code code = import_path(s, str_slice(rest, 0, colon), path, e);
    if (code != ERR_OK)
        return code;
    p->transport = IMAGE_ARCHIVE;
    p->source = arena_printf(a, "%s:%s" STR_FMT, scheme, path, STR_ARG(tag));
    return arena_status(a, e);
}

static void place_in_store(const struct images *s, struct image_place *p)
{
    char hash[DIGEST_TEXT_LEN + 1];
    digest_of(p->full, hash);
    snprintf(p->layout, sizeof p->layout, "%s/refs/%s", s->directory, hash + 7);
    snprintf(p->blobs, sizeof p->blobs, "%s/blobs", s->directory);
}

/* "HOST/PATH:TAG@DIGEST" as "HOST/PATH@DIGEST": skopeo takes one of them, and the digest says more. */
static struct str without_tag(struct str name, struct arena *a)
{
    size_t at = str_find(name, '@', 0), slash = find_last(str_slice(name, 0, at), '/');
    size_t colon = str_find(name, ':', slash < at ? slash : 0);
    if (at == name.len || colon >= at)
        return name;
    return arena_printf(a, STR_FMT STR_FMT, (int)colon, name.at, (int)(name.len - at),
                        name.at + at);
}

enum err_code image__place(const struct images *s, struct str name, struct arena *a,
                           struct image_place *out, struct err *e)
{
    enum err_code code = image_name_parse(name, a, &out->full, e);
    struct str rest = out->full;
    out->tag = out->source = (struct str){"", 0};
    if (code != ERR_OK)
        return code;
    if (takes(&rest, STR("oci:")))
        return place_layout(s, rest, out, e);
    place_in_store(s, out);
    if (takes(&rest, STR("oci-archive:")))
        return place_archive(s, rest, "oci-archive", a, out, e);
    if (takes(&rest, STR("docker-archive:")))
        return place_archive(s, rest, "docker-archive", a, out, e);
    out->transport = IMAGE_REGISTRY;
    out->source = arena_printf(a, "docker://" STR_FMT, STR_ARG(without_tag(rest, a)));
    return arena_status(a, e);
}

void image__layer_name(struct str digest, char out[IMAGE_LAYER_NAME_LEN + 1])
{
    memcpy(out, digest.at + 7, IMAGE_LAYER_NAME_LEN);
    out[IMAGE_LAYER_NAME_LEN] = '\0';
}
