/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One entry at a time: its parent is opened (made, if it is missing) below the root without following
 * any link, then the entry is made by name in that descriptor. Directories keep no modification time;
 * of extended attributes only file capabilities and user.* are taken over: trusted.overlay.* would be
 * instructions to the kernel.
 */
#include "nodeagent/host/unpack.h"
#include "base/mem.h"
#include "io/digest.h"
#include "io/fs.h"
#include <archive.h>
#include <archive_entry.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { BLOCK = 256 << 10, NAME_BYTES_MAX = 255, DEPTH_MAX = 256, XATTR_MAX = 64 << 10 };

/* What we use of libarchive. */
#define ARCHIVE_CALLS(X)                                                                           \
    X(error_string)                                                                                \
    X(read_data_block)                                                                             \
    X(read_free)                                                                                   \
    X(read_new)                                                                                    \
    X(read_next_header)                                                                            \
    X(read_open)                                                                                   \
    X(read_support_filter_gzip)                                                                    \
    X(read_support_filter_zstd)                                                                    \
    X(read_support_format_empty)                                                                   \
    X(read_support_format_tar)                                                                     \
    X(set_error)                                                                                   \
    X(entry_filetype)                                                                              \
    X(entry_gid)                                                                                   \
    X(entry_hardlink)                                                                              \
    X(entry_hardlink_utf8)                                                                         \
    X(entry_mtime)                                                                                 \
    X(entry_mtime_nsec)                                                                            \
    X(entry_pathname)                                                                              \
    X(entry_pathname_utf8)                                                                         \
    X(entry_perm)                                                                                  \
    X(entry_size)                                                                                  \
    X(entry_symlink)                                                                               \
    X(entry_symlink_utf8)                                                                          \
    X(entry_uid)                                                                                   \
    X(entry_xattr_next)                                                                            \
    X(entry_xattr_reset)

struct archive_calls {
#define X(name) __typeof__(archive_##name) *name;
    ARCHIVE_CALLS(X)
#undef X
};

struct unpack {
    struct archive_calls archive;
    int fd, root;
    struct digest *digest;
    const struct unpack_limits *limits;
    struct unpack_result done;
    struct err *e;
    char block[BLOCK];
};

/* An entry's place: its parent's descriptor and its name in it. */
struct place {
    int parent;
    char name[NAME_BYTES_MAX + 1];
};

static enum err_code refuse(struct unpack *u, struct str path, const char *why)
{
    return err_set(u->e, ERR_DENIED, "layer entry \"%.*s\": %s", (int)min_size(path.len, 100),
                   path.at, why);
}

static enum err_code failed(struct unpack *u, struct str path, const char *what)
{
    enum err_code code = errno == ELOOP || errno == EXDEV ? ERR_DENIED : ERR_UNAVAILABLE;
    return err_set(u->e, code, "%s \"%.*s\": %m", what, (int)min_size(path.len, 100), path.at);
}

/* "./a/b/" is a/b. ERR_DENIED: absolute, or with "..". */
static enum err_code clean_path(struct unpack *u, const char *raw, struct str *out)
{
    struct str path = str_of(raw), rest, part;
    if (path.len == 0 || path.len > u->limits->path_bytes)
        return err_set(u->e, ERR_LIMIT, "a layer's path has %zu bytes; 1 to %llu are allowed",
                       path.len, (unsigned long long)u->limits->path_bytes);
    if (path.at[0] == '/')
        return refuse(u, path, "an absolute path");
    while (str_starts(path, STR("./")))
        path = str_slice(path, 2, path.len);
    while (path.len > 0 && path.at[path.len - 1] == '/')
        path.len--;
    rest = path;
    for (uint32_t depth = 0; str_split(&rest, '/', &part); depth++) {
        if (str_is(part, ".."))
            return refuse(u, path, "a path with \"..\"");
        if (part.len > NAME_BYTES_MAX || depth == DEPTH_MAX)
            return err_set(u->e, ERR_LIMIT, "a layer's path is too deep or has too long a name");
    }
    *out = str_is(path, ".") ? (struct str){"", 0} : path;
    return ERR_OK;
}

static int open_beneath(int root, const char *path, uint64_t flags)
{
    struct open_how how = {.flags = flags | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
    return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

/* A directory that is missing on the way is made as tar would: 0755, root's. */
static int open_parent(struct unpack *u, struct str directory)
{
    char path[FS_PATH_MAX];
    if (directory.len >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    snprintf(path, sizeof path, STR_FMT, STR_ARG(directory));
    int fd = open_beneath(u->root, directory.len == 0 ? "." : path, O_RDONLY | O_DIRECTORY);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    size_t cut = directory.len;
    while (cut > 0 && directory.at[cut - 1] != '/')
        cut--;
    int above = open_parent(u, str_slice(directory, 0, cut > 0 ? cut - 1 : 0));
    if (above < 0)
        return -1;
    if (mkdirat(above, path + cut, 0755) != 0 && errno != EEXIST) {
        close(above);
        return -1;
    }
    fd = openat(above, path + cut, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    close(above);
    return fd;
}

static enum err_code find_place(struct unpack *u, struct str path, struct place *out)
{
    size_t cut = path.len;
    while (cut > 0 && path.at[cut - 1] != '/')
        cut--;
    snprintf(out->name, sizeof out->name, "%.*s", (int)(path.len - cut), path.at + cut);
    out->parent = open_parent(u, str_slice(path, 0, cut > 0 ? cut - 1 : 0));
    if (out->parent >= 0)
        return ERR_OK;
    if (errno == ELOOP || errno == ENOTDIR || errno == EXDEV)
        return refuse(u, path, "leads through something that is not a directory");
    return failed(u, path, "open the directory of");
}

/* Makes room for an entry; directories stay. *out_hid: there was a whiteout here. */
static enum err_code clear_place(struct unpack *u, struct str path, const struct place *at,
                                 bool *out_hid)
{
    struct stat st;
    *out_hid = false;
    if (fstatat(at->parent, at->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? ERR_OK : failed(u, path, "look at");
    if (S_ISDIR(st.st_mode))
        return ERR_OK;
    *out_hid = S_ISCHR(st.st_mode) && st.st_rdev == 0;
    return unlinkat(at->parent, at->name, 0) == 0 ? ERR_OK : failed(u, path, "replace");
}

static enum err_code make_opaque(struct unpack *u, struct str path, int directory)
{
    return fsetxattr(directory, "trusted.overlay.opaque", "y", 1, 0) == 0
               ? ERR_OK
               : failed(u, path, "make opaque");
}

/* --- whiteouts --- */

static enum err_code unpack_whiteout(struct unpack *u, struct str path, struct place *at)
{
    const char *hidden = at->name + 4;
    if (strcmp(at->name, ".wh..wh..opq") == 0)
        return make_opaque(u, path, at->parent);
    if (hidden[0] == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
        return refuse(u, path, "hides nothing");
    if (mknodat(at->parent, hidden, S_IFCHR, 0) == 0)
        return ERR_OK;
    if (errno != EEXIST)
        return failed(u, path, "hide");
    /* It hides what is below; the same layer has a new one. */
    CLEANUP(fs_close)
    int fd = openat(at->parent, hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? ERR_OK : make_opaque(u, path, fd);
}

/* --- what an entry carries beside its bytes --- */

static bool may_keep(const char *name)
{
    return strcmp(name, "security.capability") == 0 || strncmp(name, "user.", 5) == 0;
}

static void copy_xattrs(const struct unpack *u, int fd, struct archive_entry *entry)
{
    const char *name;
    const void *value;
    size_t size;
    u->archive.entry_xattr_reset(entry);
    while (u->archive.entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK)
        if (name != NULL && may_keep(name) && size <= XATTR_MAX)
            (void)!fsetxattr(fd, name, value, size, 0); /* A file system without them: as docker. */
}

/* The owner first: changing it clears the set-user-id bits. */
static enum err_code dress(struct unpack *u, struct str path, int fd, struct archive_entry *entry)
{
    struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = u->archive.entry_mtime(entry), .tv_nsec = u->archive.entry_mtime_nsec(entry)}};
    if (fchown(fd, (uid_t)u->archive.entry_uid(entry), (gid_t)u->archive.entry_gid(entry)) != 0)
        return failed(u, path, "give away");
    if (fchmod(fd, u->archive.entry_perm(entry)) != 0)
        return failed(u, path, "set the mode of");
    copy_xattrs(u, fd, entry);
    futimens(fd, times);
    return ERR_OK;
}

/* --- the kinds of entries --- */

static enum err_code unpack_directory(struct unpack *u, struct str path, const struct place *at,
                                      struct archive_entry *entry)
{
    bool hid;
    if (path.len == 0) /* The root itself. */
        return dress(u, path, u->root, entry);
    enum err_code code = clear_place(u, path, at, &hid);
    if (code != ERR_OK)
        return code;
    if (mkdirat(at->parent, at->name, 0700) != 0 && errno != EEXIST)
        return failed(u, path, "make directory");
    CLEANUP(fs_close)
    int fd = openat(at->parent, at->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return failed(u, path, "open");
    if (hid)
        code = make_opaque(u, path, fd);
    return code != ERR_OK ? code : dress(u, path, fd, entry);
}

static enum err_code copy_data(struct unpack *u, struct str path, int fd, struct archive *a)
{
    const void *bytes;
    size_t size;
    la_int64_t offset;
    int rc;

    while ((rc = u->archive.read_data_block(a, &bytes, &size, &offset)) == ARCHIVE_OK) {
        u->done.bytes += size;
        if (u->done.bytes > u->limits->bytes)
            return err_set(u->e, ERR_LIMIT, "the layer unpacks to over %llu bytes",
                           (unsigned long long)u->limits->bytes);
        for (size_t put = 0; put < size;) {
            ssize_t n = pwrite(fd, (const char *)bytes + put, size - put, offset + (off_t)put);
            if (n < 0)
                return failed(u, path, "write");
            put += (size_t)n;
        }
    }
    if (rc != ARCHIVE_EOF)
        return err_set(u->e, ERR_CORRUPT, "the layer: %s", u->archive.error_string(a));
    return ERR_OK;
}

static enum err_code unpack_file(struct unpack *u, struct str path, const struct place *at,
                                 struct archive *a, struct archive_entry *entry)
{
    bool hid;
    la_int64_t size = u->archive.entry_size(entry);
    if (size < 0 || (uint64_t)size > u->limits->bytes)
        return err_set(u->e, ERR_LIMIT, "the layer holds a file of %lld bytes", (long long)size);
    enum err_code code = clear_place(u, path, at, &hid);
    if (code != ERR_OK)
        return code;
    CLEANUP(fs_close)
    int fd =
        openat(at->parent, at->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return failed(u, path, "create");
    code = copy_data(u, path, fd, a);
    if (code == ERR_OK && ftruncate(fd, size) != 0) /* A hole at the end. */
        code = failed(u, path, "size");
    return code != ERR_OK ? code : dress(u, path, fd, entry);
}

/* Where it points does not matter: nobody but the container follows it, in its own root. */
static enum err_code unpack_symlink(struct unpack *u, struct str path, const struct place *at,
                                    struct archive_entry *entry)
{
    bool hid;
    const char *target = u->archive.entry_symlink(entry);
    if (target == NULL)
        target = u->archive.entry_symlink_utf8(entry);
    if (target == NULL || target[0] == '\0')
        return err_set(u->e, ERR_CORRUPT, "the layer has a link to nothing");
    enum err_code code = clear_place(u, path, at, &hid);
    if (code != ERR_OK)
        return code;
    if (symlinkat(target, at->parent, at->name) != 0)
        return failed(u, path, "link");
    if (fchownat(at->parent, at->name, (uid_t)u->archive.entry_uid(entry),
                 (gid_t)u->archive.entry_gid(entry), AT_SYMLINK_NOFOLLOW) != 0)
        return failed(u, path, "give away");
    return ERR_OK;
}

static enum err_code unpack_hardlink(struct unpack *u, struct str path, const struct place *at,
                                     const char *raw)
{
    struct str target;
    struct place from;
    bool hid;
    enum err_code code = clean_path(u, raw, &target);
    if (code == ERR_OK && target.len == 0)
        code = refuse(u, path, "a hard link to the root");
    if (code == ERR_OK)
        code = find_place(u, target, &from);
    if (code != ERR_OK)
        return code;
    code = clear_place(u, path, at, &hid);
    /* Flags 0: a link that is a symbolic link's is to the link, never to where it leads. */
    if (code == ERR_OK && linkat(from.parent, from.name, at->parent, at->name, 0) != 0)
        code = errno == ENOENT ? refuse(u, path, "a hard link to what is not in its layer")
                               : failed(u, path, "link");
    close(from.parent);
    return code;
}

static enum err_code unpack_kind(struct unpack *u, struct str path, struct place *at,
                                 struct archive *a, struct archive_entry *entry)
{
    const char *hard = u->archive.entry_hardlink(entry);
    if (hard == NULL)
        hard = u->archive.entry_hardlink_utf8(entry);
    if (path.len > 0 && strncmp(at->name, ".wh.", 4) == 0)
        return unpack_whiteout(u, path, at);
    if (hard != NULL)
        return path.len == 0 ? refuse(u, path, "the root as a link")
                             : unpack_hardlink(u, path, at, hard);
    if (path.len == 0 && u->archive.entry_filetype(entry) != AE_IFDIR)
        return refuse(u, path, "the root is not a directory");
    switch (u->archive.entry_filetype(entry)) {
    case AE_IFDIR:
        return unpack_directory(u, path, at, entry);
    case AE_IFREG:
        return unpack_file(u, path, at, a, entry);
    case AE_IFLNK:
        return unpack_symlink(u, path, at, entry);
    default:
        return refuse(u, path, "neither a file, a directory nor a link");
    }
}

static enum err_code unpack_entry(struct unpack *u, struct archive *a, struct archive_entry *entry)
{
    struct str path;
    struct place at = {.parent = -1};
    const char *raw = u->archive.entry_pathname(entry);
    if (raw == NULL) /* Not in this locale's letters; bytes are all the same here. */
        raw = u->archive.entry_pathname_utf8(entry);
    if (raw == NULL)
        return err_set(u->e, ERR_CORRUPT, "the layer has an entry without a name");
    if (++u->done.entries > u->limits->entries)
        return err_set(u->e, ERR_LIMIT, "the layer has over %llu entries",
                       (unsigned long long)u->limits->entries);
    enum err_code code = clean_path(u, raw, &path);
    if (code == ERR_OK && path.len > 0)
        code = find_place(u, path, &at);
    if (code == ERR_OK)
        code = unpack_kind(u, path, &at, a, entry);
    fs_close(&at.parent);
    return code;
}

/* --- the archive --- */

static la_ssize_t read_block(struct archive *a, void *state, const void **out)
{
    struct unpack *u = state;
    ssize_t len;
    do
        len = read(u->fd, u->block, sizeof u->block);
    while (len < 0 && errno == EINTR);
    if (len < 0) {
        u->archive.set_error(a, errno, "read the layer");
        return -1;
    }
    digest_add(u->digest, str_from(u->block, (size_t)len));
    *out = u->block;
    return len;
}

static enum err_code read_entries(struct unpack *u, struct archive *a)
{
    struct archive_entry *entry;
    const void *rest;
    int rc;

    u->archive.read_support_format_tar(a);
    u->archive.read_support_format_empty(a);
    u->archive.read_support_filter_gzip(a);
    u->archive.read_support_filter_zstd(a);
    if (u->archive.read_open(a, u, NULL, read_block, NULL) != ARCHIVE_OK)
        return err_set(u->e, ERR_CORRUPT, "the layer: %s", u->archive.error_string(a));
    while ((rc = u->archive.read_next_header(a, &entry)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
        enum err_code code = unpack_entry(u, a, entry);
        if (code != ERR_OK)
            return code;
    }
    if (rc != ARCHIVE_EOF)
        return err_set(u->e, ERR_CORRUPT, "the layer: %s", u->archive.error_string(a));
    while (read_block(a, u, &rest) >
           0) /* Padding behind the archive's end is named by the digest too. */
        continue;
    return ERR_OK;
}

/* It brings ten more libraries and 2.5 MiB with it, and an agent that pulls nothing needs none of it. Once loaded it stays. */
static enum err_code load_library(struct unpack *u)
{
    void *library = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return err_set(u->e, ERR_UNAVAILABLE, "layers need libarchive (Debian: libarchive13): %s",
                       dlerror());
#define X(name)                                                                                    \
    *(void **)&u->archive.name = dlsym(library, "archive_" #name);                                 \
    if (u->archive.name == NULL)                                                                   \
        return err_set(u->e, ERR_UNAVAILABLE, "libarchive has no archive_" #name);
    ARCHIVE_CALLS(X)
#undef X
    return ERR_OK;
}

enum err_code unpack_layer(int fd, const char *directory, struct str digest,
                           const struct unpack_limits *limits, struct unpack_result *out,
                           struct err *e)
{
    char have[DIGEST_TEXT_LEN + 1];
    struct unpack *u = mem_zalloc(1, sizeof *u);
    enum err_code code;

    u->fd = fd;
    u->limits = limits;
    u->e = e;
    u->root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    u->digest = digest_begin();
    if (u->root < 0)
        code = err_set(e, ERR_UNAVAILABLE, "open %s: %m", directory);
    else
        code = load_library(u);
    if (code == ERR_OK) {
        struct archive *a = u->archive.read_new();
        code = read_entries(u, a);
        u->archive.read_free(a);
    }
    fs_close(&u->root);
    digest_end(u->digest, have);
    if (code == ERR_OK && digest.len > 0 && !str_is(digest, have))
        code = err_set(e, ERR_CORRUPT, "the layer's bytes are %s, not " STR_FMT, have,
                       STR_ARG(digest));
    if (code == ERR_OK)
        *out = u->done;
    mem_free(u);
    return code;
}
