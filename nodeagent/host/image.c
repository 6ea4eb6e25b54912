/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching, unpacking, mounting. Whatever is half done has a temporary name: a rename makes it true. */
#include "nodeagent/host/image.h"
#include "base/mem.h"
#include "nodeagent/host/image_priv.h"
#include "nodeagent/host/unpack.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OVERLAY_OPTIONS_MAX = 4096 }; /* One page: mount(2). */

static bool drop_temporary(void *arg, const char *name)
{
    char path[FS_PATH_MAX];
    if (strncmp(name, "tmp-", 4) == 0 && fs_join(path, arg, name))
        (void)!fs_remove_tree(path, NULL);
    return true;
}

enum err_code images_open(const struct images_options *opt, struct images **out, struct err *e)
{
    static const char *const folders[] = {"refs", "blobs", "layers"};
    struct images *s = mem_zalloc(1, sizeof *s);
    enum err_code code = ERR_OK;

    s->limits = opt->limits;
    s->insecure = opt->insecure;
    s->insecure_count = opt->insecure_count;
    if (s->limits.layer_bytes == 0)
        s->limits.layer_bytes = (uint64_t)16 << 30;
    if (s->limits.layer_entries == 0)
        s->limits.layer_entries = 1000000;
    if (s->limits.path_bytes == 0)
        s->limits.path_bytes = FS_PATH_MAX - 1;
    if (s->limits.pull.ns == 0)
        s->limits.pull = SPAN_S(30 * 60);
    if (s->limits.stall.ns == 0)
        s->limits.stall = SPAN_S(60);
    if (opt->directory.len >= sizeof s->directory || opt->import.len >= sizeof s->import)
        code = err_set(e, ERR_LIMIT, "the directory of images has too long a name");
    else {
        snprintf(s->directory, sizeof s->directory, STR_FMT, STR_ARG(opt->directory));
        snprintf(s->import, sizeof s->import, STR_FMT, STR_ARG(opt->import));
    }
    for (size_t i = 0; i < COUNT_OF(folders) && code == ERR_OK; i++) {
        char path[FS_PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", s->directory, folders[i]);
        code = fs_mkdir(path, 0700, e);
        if (code == ERR_OK)
            code = fs_list(path, drop_temporary, path, e);
    }
    if (code != ERR_OK) {
        mem_free(s);
        return code;
    }
    *out = s;
    return ERR_OK;
}

void images_close(struct images *s)
{
    mem_free(s);
}

/* --- layers --- */

static enum err_code unpack_into(const struct images *s, const char *blob, const char *directory,
                                 struct str digest, struct err *e)
{
    struct unpack_limits limits = {s->limits.layer_bytes, s->limits.layer_entries,
                                   s->limits.path_bytes};
    struct unpack_result done;
    CLEANUP(fs_close) int fd = open(blob, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_UNAVAILABLE, "open %s: %m", blob);
    enum err_code code = fs_mkdir(directory, 0755, e);
    return code != ERR_OK ? code : unpack_layer(fd, directory, digest, &limits, &done, e);
}

static enum err_code ensure_layer(struct images *s, const struct image_place *p, struct str digest,
                                  struct err *e)
{
    char name[IMAGE_LAYER_NAME_LEN + 1], path[FS_PATH_MAX], temporary[FS_PATH_MAX];
    char blob[FS_PATH_MAX + 80];

    image__layer_name(digest, name);
    snprintf(path, sizeof path, "%s/layers/%s", s->directory, name);
    if (fs_exists(path))
        return ERR_OK;
    snprintf(blob, sizeof blob, "%s/sha256/%.64s", p->blobs, digest.at + 7);
    image__temporary(s, "layers", temporary);
    enum err_code code = unpack_into(s, blob, temporary, digest, e);
    if (code == ERR_OK && rename(temporary, path) == 0)
        return ERR_OK;
    /* Another thread may have been faster: it made the same, for the name is the content's. */
    if (code == ERR_OK && !fs_exists(path))
        code = err_set(e, ERR_UNAVAILABLE, "rename %s: %m", temporary);
    (void)!fs_remove_tree(temporary, NULL);
    return code;
}

enum err_code image_find(struct images *s, struct str name, struct arena *a,
                         struct image_config *out, struct err *e)
{
    struct image_place p;
    enum err_code code = image__place(s, name, a, &p, e);
    return code != ERR_OK ? code : image__read(&p, a, out, e);
}

enum err_code image_is_here(struct images *s, struct str name, enum image_policy policy,
                            bool *out_here, struct err *e)
{
    struct image_place p;
    struct image_config c;
    struct arena a;
    arena_init(&a, IMAGE_JSON_MAX * 4);
    enum err_code code = image__place(s, name, &a, &p, e);
    if (code == ERR_OK)
        *out_here =
            p.transport == IMAGE_LAYOUT || policy == IMAGE_NEVER ||
            (policy == IMAGE_IF_NOT_PRESENT && image__read(&p, &a, &c, NULL) != ERR_NOT_FOUND);
    arena_free(&a);
    return code;
}

enum err_code image_ensure(struct images *s, const struct image_want *want, struct arena *a,
                           struct image_config *out, struct err *e)
{
    struct image_place p;
    struct image_config c;
    enum err_code code = image__place(s, want->name, a, &p, e);
    if (code != ERR_OK)
        return code;
    bool local = p.transport == IMAGE_LAYOUT;
    if (want->policy == IMAGE_ALWAYS && !local)
        code = image__pull(s, &p, want, a, e);
    if (code == ERR_OK)
        code = image__read(&p, a, &c, e);
    if (code == ERR_NOT_FOUND && want->policy == IMAGE_IF_NOT_PRESENT && !local) {
        code = image__pull(s, &p, want, a, e);
        if (code == ERR_OK)
            code = image__read(&p, a, &c, e);
    } else if (code == ERR_NOT_FOUND && want->policy == IMAGE_NEVER)
        err_set(e, ERR_NOT_FOUND, "the image is not on this node and may not be pulled");
    for (uint32_t i = 0; code == ERR_OK && i < c.layers_count; i++)
        code = ensure_layer(s, &p, c.layers[i], e);
    if (code == ERR_OK && !local)
        image__used(p.layout);
    if (code == ERR_OK)
        *out = c;
    return code;
}

/* --- mounting --- */

static bool is_mounted(const char *rootfs, const char *directory)
{
    struct stat inside, outside;
    return stat(rootfs, &inside) == 0 && stat(directory, &outside) == 0 &&
           inside.st_dev != outside.st_dev;
}

/* Uppermost layer first, as overlayfs wants them; by names relative to layers/. */
static enum err_code overlay_options(const struct image_config *image, const char *directory,
                                     struct buf *out, struct err *e)
{
    char name[IMAGE_LAYER_NAME_LEN + 1];
    buf_add(out, STR("lowerdir="));
    for (uint32_t i = image->layers_count; i-- > 0;) {
        image__layer_name(image->layers[i], name);
        buf_printf(out, "%s%s", name, i > 0 ? ":" : "");
    }
    buf_printf(out, ",upperdir=%s/upper,workdir=%s/work", directory, directory);
    if (strpbrk(directory, ",:\\") != NULL)
        return err_set(e, ERR_INVALID, "%s: overlayfs takes no path with , : or \\", directory);
    buf_add_char(out, '\0');
    return buf_status(out, e);
}

/* Relative lower directories need a working directory of this thread's own. */
static enum err_code mount_overlay(const struct images *s, const char *options, const char *rootfs,
                                   struct err *e)
{
    char layers[FS_PATH_MAX];
    snprintf(layers, sizeof layers, "%s/layers", s->directory);
    CLEANUP(fs_close) int home = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (home < 0 || unshare(CLONE_FS) != 0 || chdir(layers) != 0)
        return err_set(e, ERR_UNAVAILABLE, "go to %s: %m", layers);
    /* No devices: see oci_default_capabilities(). */
    bool mounted = mount("overlay", rootfs, "overlay", MS_NODEV, options) == 0;
    int why = errno;
    (void)!fchdir(home);
    errno = why;
    return mounted ? ERR_OK : err_set(e, ERR_UNAVAILABLE, "mount overlay at %s: %m", rootfs);
}

enum err_code image_mount(struct images *s, const struct image_config *image, const char *directory,
                          struct err *e)
{
    static const char *const folders[] = {"upper", "work", "rootfs"};
    char path[FS_PATH_MAX];
    struct buf options;

    if (image->layers_count == 0)
        return err_set(e, ERR_INVALID, "the image has no layers");
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        if (!fs_join(path, directory, folders[i]))
            return err_set(e, ERR_LIMIT, "%s is too long", directory);
        enum err_code code = fs_mkdir(path, 0755, e);
        if (code != ERR_OK)
            return code;
    }
    if (is_mounted(path, directory))
        return ERR_OK;
    buf_init(&options, OVERLAY_OPTIONS_MAX);
    enum err_code code = overlay_options(image, directory, &options, e);
    if (code == ERR_OK)
        code = mount_overlay(s, options.at, path, e);
    buf_free(&options);
    return code;
}

enum err_code image_unmount(const char *directory, struct err *e)
{
    static const char *const folders[] = {"rootfs", "work", "upper"};
    char path[FS_PATH_MAX];
    if (!fs_join(path, directory, "rootfs"))
        return err_set(e, ERR_LIMIT, "%s is too long", directory);
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && errno != ENOENT)
        return err_set(e, ERR_UNAVAILABLE, "unmount %s: %m", path);
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        if (!fs_join(path, directory, folders[i]))
            return err_set(e, ERR_LIMIT, "%s is too long", directory);
        enum err_code code = fs_remove_tree(path, e);
        if (code != ERR_OK && code != ERR_NOT_FOUND)
            return code;
    }
    return ERR_OK;
}
