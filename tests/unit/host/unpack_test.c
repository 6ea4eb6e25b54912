/* SPDX-License-Identifier: Apache-2.0 */
/* Layers as an enemy would write them, and as an honest builder does. Entries are written by
 * libarchive, which will write anything it is told to. */
#include "nodeagent/host/unpack.h"
#include "io/digest.h"
#include "io/fs.h"
#include "tests/testlib/test.h"
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

struct entry {
    const char *path;
    unsigned type;    /* AE_IF... */
    const char *text; /* Bytes of a file; where a link points; "=PATH": a hard link. */
    unsigned mode;
};

static struct lab {
    char directory[64], root[128], tar[128];
} lab;

static void open_lab(void)
{
    lab = (struct lab){.directory = "/tmp/baton-unpack-XXXXXX"};
    cr_assert(mkdtemp(lab.directory) != NULL);
    snprintf(lab.root, sizeof lab.root, "%s/root", lab.directory);
    snprintf(lab.tar, sizeof lab.tar, "%s/layer", lab.directory);
    cr_assert_eq(mkdir(lab.root, 0755), 0);
}

static void close_lab(void)
{
    cr_assert_eq(fs_remove_tree(lab.directory, NULL), ERR_OK);
}

static void add_entry(struct archive *a, const struct entry *from)
{
    struct archive_entry *e = archive_entry_new();
    const char *text = from->text == NULL ? "" : from->text;
    archive_entry_set_pathname(e, from->path);
    archive_entry_set_filetype(e, from->type);
    archive_entry_set_perm(e, (__LA_MODE_T)(from->mode != 0 ? from->mode : 0644));
    archive_entry_set_uid(e, geteuid());
    archive_entry_set_gid(e, getegid());
    if (text[0] == '=')
        archive_entry_set_hardlink(e, text + 1);
    else if (from->type == AE_IFLNK)
        archive_entry_set_symlink(e, text);
    else if (from->type == AE_IFREG)
        archive_entry_set_size(e, (la_int64_t)strlen(text));
    if (from->type == AE_IFBLK)
        archive_entry_set_rdev(e, makedev(8, 0));
    cr_assert_eq(archive_write_header(a, e), ARCHIVE_OK, "%s", archive_error_string(a));
    if (from->type == AE_IFREG && text[0] != '=' && text[0] != '\0')
        cr_assert_geq(archive_write_data(a, text, strlen(text)), 0);
    archive_entry_free(e);
}

static void write_tar(const struct entry *entries, size_t count, bool gzip)
{
    struct archive *a = archive_write_new();
    archive_write_set_format_pax_restricted(a);
    if (gzip)
        archive_write_add_filter_gzip(a);
    cr_assert_eq(archive_write_open_filename(a, lab.tar), ARCHIVE_OK);
    for (size_t i = 0; i < count; i++)
        add_entry(a, &entries[i]);
    archive_write_close(a);
    archive_write_free(a);
}

static const struct unpack_limits plenty = {1 << 20, 1000, 4095};

static enum err_code unpack_with(const struct unpack_limits *limits, struct str digest,
                                 struct err *e)
{
    struct unpack_result got;
    CLEANUP(fs_close) int fd = open(lab.tar, O_RDONLY | O_CLOEXEC);
    return unpack_layer(fd, lab.root, digest, limits, &got, e);
}

static void text_is(const char *name, const char *want)
{
    char path[512];
    struct buf b;
    buf_init(&b, 4096);
    snprintf(path, sizeof path, "%s/%s", lab.root, name);
    cr_assert_eq(fs_read(path, &b, NULL), ERR_OK, "%s", name);
    cr_assert(str_is(buf_str(&b), want), "%s", name);
    buf_free(&b);
}

/* One hostile layer, what it is refused for, and that nothing came out of the root. */
static void refused(const struct entry *entries, size_t count, enum err_code want, const char *word)
{
    struct err e = {0};
    char outside[128];
    open_lab();
    snprintf(outside, sizeof outside, "%s/escaped", lab.directory);
    write_tar(entries, count, false);
    enum err_code code = unpack_with(&plenty, STR(""), &e);
    cr_assert_eq(code, want, "%s: %s", err_name(code), e.text);
    cr_assert(strstr(e.text, word) != NULL, "\"%s\" says nothing of \"%s\"", e.text, word);
    cr_assert_not(fs_exists(outside));
    cr_assert_not(fs_exists("/tmp/baton-escaped"));
    close_lab();
}

#define REFUSED(want, word, ...)                                                                   \
    do {                                                                                           \
        const struct entry list[] = {__VA_ARGS__};                                                 \
        refused(list, COUNT_OF(list), want, word);                                                 \
    } while (0)

TEST(unpack, refuses_absolute_paths)
{
    REFUSED(ERR_DENIED, "absolute", {"/tmp/baton-escaped", AE_IFREG, "x", 0});
}

TEST(unpack, refuses_dot_dot)
{
    REFUSED(ERR_DENIED, "..", {"../escaped", AE_IFREG, "x", 0});
    REFUSED(ERR_DENIED, "..", {"a/../../escaped", AE_IFREG, "x", 0});
    REFUSED(ERR_DENIED, "..", {"a/..", AE_IFDIR, NULL, 0755});
    REFUSED(ERR_DENIED, "..", {"..", AE_IFDIR, NULL, 0755});
}

TEST(unpack, refuses_to_go_through_links)
{
    REFUSED(ERR_DENIED, "leads through", {"out", AE_IFLNK, "..", 0},
            {"out/escaped", AE_IFREG, "x", 0});
    REFUSED(ERR_DENIED, "leads through", {"out", AE_IFLNK, "/tmp", 0},
            {"out/baton-escaped", AE_IFREG, "x", 0});
    REFUSED(ERR_DENIED, "leads through", {"d", AE_IFDIR, NULL, 0755}, {"l", AE_IFLNK, "d", 0},
            {"l/x", AE_IFREG, "x", 0});
    REFUSED(ERR_DENIED, "leads through", {"f", AE_IFREG, "x", 0}, {"f/x", AE_IFREG, "x", 0});
}

TEST(unpack, refuses_hard_links_that_lead_out)
{
    REFUSED(ERR_DENIED, "absolute", {"shadow", AE_IFREG, "=/etc/shadow", 0});
    REFUSED(ERR_DENIED, "..", {"shadow", AE_IFREG, "=../layer", 0});
    REFUSED(ERR_DENIED, "not in its layer", {"x", AE_IFREG, "=missing", 0});
    REFUSED(ERR_DENIED, "leads through", {"e", AE_IFLNK, "/etc", 0},
            {"x", AE_IFREG, "=e/passwd", 0});
}

TEST(unpack, refuses_devices_and_pipes)
{
    REFUSED(ERR_DENIED, "neither", {"sda", AE_IFBLK, NULL, 0});
    REFUSED(ERR_DENIED, "neither", {"null", AE_IFCHR, NULL, 0});
    REFUSED(ERR_DENIED, "neither", {"pipe", AE_IFIFO, NULL, 0});
}

TEST(unpack, refuses_whiteouts_of_nothing)
{
    REFUSED(ERR_DENIED, "hides nothing", {".wh.", AE_IFREG, "", 0});
    REFUSED(ERR_DENIED, "hides nothing", {"d/.wh...", AE_IFREG, "", 0});
}

TEST(unpack, refuses_bombs)
{
    struct err e = {0};
    struct unpack_limits small = plenty;
    char *zeros = calloc(1, 300001);
    memset(zeros, '0', 300000);
    const struct entry big[] = {{"big", AE_IFREG, zeros, 0}};
    const struct entry many[] = {
        {"a", AE_IFREG, "", 0}, {"b", AE_IFREG, "", 0}, {"c", AE_IFREG, "", 0}};
    open_lab();
    write_tar(big, 1, true); /* Compressed to a few hundred bytes. */
    small.bytes = 100000;
    cr_assert_eq(unpack_with(&small, STR(""), &e), ERR_LIMIT, "%s", e.text);
    write_tar(many, 3, false);
    small = plenty;
    small.entries = 2;
    cr_assert_eq(unpack_with(&small, STR(""), &e), ERR_LIMIT, "%s", e.text);
    small = plenty;
    small.path_bytes = 20;
    const struct entry lengthy[] = {{"aaaaaaaaaa/bbbbbbbbbb/c", AE_IFREG, "", 0}};
    write_tar(lengthy, 1, false);
    cr_assert_eq(unpack_with(&small, STR(""), &e), ERR_LIMIT, "%s", e.text);
    free(zeros);
    close_lab();
}

TEST(unpack, refuses_what_is_not_a_tar_or_not_the_one)
{
    struct err e = {0};
    const struct entry one[] = {{"a", AE_IFREG, "hello", 0}};
    char have[DIGEST_TEXT_LEN + 1];
    struct buf b;
    open_lab();
    cr_assert_eq(fs_put(lab.tar, STR("this is not an archive, not even nearly"), 0600, NULL),
                 ERR_OK);
    cr_assert_eq(unpack_with(&plenty, STR(""), &e), ERR_CORRUPT, "%s", e.text);
    write_tar(one, 1, true);
    cr_assert_eq(unpack_with(&plenty, STR("sha256:00"), &e), ERR_CORRUPT, "%s", e.text);
    buf_init(&b, 1 << 20);
    cr_assert_eq(fs_read(lab.tar, &b, NULL), ERR_OK);
    digest_of(buf_str(&b), have);
    buf_free(&b);
    cr_assert_eq(unpack_with(&plenty, str_of(have), &e), ERR_OK, "%s", e.text);
    text_is("a", "hello");
    close_lab();
}

TEST(unpack, makes_what_the_layer_says)
{
    struct err e = {0};
    struct stat st;
    char path[256], target[64] = "";
    const struct entry list[] = {{"./", AE_IFDIR, NULL, 0755},
                                 {"./bin/", AE_IFDIR, NULL, 0711},
                                 {"./bin/tool", AE_IFREG, "old", 04755},
                                 {"./bin/tool", AE_IFREG, "new", 04755}, /* The later one counts. */
                                 {"./bin/same", AE_IFREG, "=bin/tool", 0},
                                 {"./etc/deep/file", AE_IFREG, "made on the way", 0600},
                                 {"./link", AE_IFLNK, "/etc/shadow", 0}};
    open_lab();
    write_tar(list, COUNT_OF(list), true);
    cr_assert_eq(unpack_with(&plenty, STR(""), &e), ERR_OK, "%s", e.text);
    text_is("bin/tool", "new");
    text_is("etc/deep/file", "made on the way");
    snprintf(path, sizeof path, "%s/bin/same", lab.root);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_nlink, 2);
    cr_assert_eq(st.st_mode & 07777, 04755);
    snprintf(path, sizeof path, "%s/bin", lab.root);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0711);
    snprintf(path, sizeof path, "%s/link", lab.root);
    cr_assert_gt(readlink(path, target, sizeof target - 1), 0);
    cr_assert_str_eq(target, "/etc/shadow"); /* In the container that is its own. */
    close_lab();
}

TEST(unpack, whiteouts_become_overlayfs_own)
{
    struct err e = {0};
    struct stat st;
    char path[256], value[4];
    const struct entry list[] = {
        {"gone/.wh.file", AE_IFREG, "", 0},      {"fresh", AE_IFDIR, NULL, 0755},
        {"fresh/.wh..wh..opq", AE_IFREG, "", 0}, {"fresh/new", AE_IFREG, "n", 0},
        {".wh.both", AE_IFREG, "", 0},           {"both", AE_IFDIR, NULL, 0755}};
    if (geteuid() != 0)
        return; /* Device nodes and trusted.* are root's. */
    open_lab();
    write_tar(list, COUNT_OF(list), false);
    cr_assert_eq(unpack_with(&plenty, STR(""), &e), ERR_OK, "%s", e.text);
    snprintf(path, sizeof path, "%s/gone/file", lab.root);
    cr_assert_eq(lstat(path, &st), 0);
    cr_assert(S_ISCHR(st.st_mode) && st.st_rdev == 0);
    snprintf(path, sizeof path, "%s/fresh", lab.root);
    cr_assert_eq(getxattr(path, "trusted.overlay.opaque", value, sizeof value), 1);
    snprintf(path, sizeof path, "%s/both", lab.root);
    cr_assert_eq(lstat(path, &st), 0);
    cr_assert(S_ISDIR(st.st_mode));
    cr_assert_eq(getxattr(path, "trusted.overlay.opaque", value, sizeof value), 1);
    close_lab();
}
