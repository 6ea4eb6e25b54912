/* SPDX-License-Identifier: Apache-2.0 */
/* Names of users and groups, by the image's own files: passwd(5), group(5). */
#include "nodeagent/host/image_priv.h"
#include "nodeagent/host/inroot.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { ACCOUNTS_MAX = 1 << 20, FIELDS_MAX = 7 };

static void read_accounts(const char *rootfs, const char *path, struct buf *out)
{
    CLEANUP(fs_close) int fd = -1;
    if (inroot_open(rootfs, path, O_RDONLY, &fd, NULL) != ERR_OK)
        return; /* Without the file only numbers are known. */
    for (;;) {
        char *room = buf_reserve(out, 4096);
        ssize_t got = room == NULL ? 0 : read(fd, room, 4096);
        if (got <= 0)
            return;
        buf_commit(out, (size_t)got);
    }
}

static uint32_t split_line(struct str line, struct str field[FIELDS_MAX])
{
    uint32_t count = 0;
    while (count < FIELDS_MAX && str_split(&line, ':', &field[count]))
        count++;
    return count;
}

static bool to_id(struct str text, uint32_t *out)
{
    uint64_t number;
    if (str_parse_u64(text, &number) != ERR_OK || number > UINT32_MAX - 1)
        return false;
    *out = (uint32_t)number;
    return true;
}

/* "name:x:uid:gid:comment:home:shell". By name, or by number when user is one. */
static bool find_user(struct str accounts, struct str user, struct image_user *out,
                      struct str *out_name)
{
    struct str line, f[FIELDS_MAX];
    uint32_t wanted = 0, uid, gid;
    bool by_number = to_id(user, &wanted);
    while (str_split(&accounts, '\n', &line)) {
        if (split_line(line, f) < 6 || !to_id(f[2], &uid) || !to_id(f[3], &gid))
            continue;
        if (by_number ? uid != wanted : !str_eq(f[0], user))
            continue;
        out->uid = uid;
        out->gid = gid;
        snprintf(out->home, sizeof out->home, STR_FMT, STR_ARG(f[5]));
        *out_name = f[0];
        return true;
    }
    return false;
}

static bool find_group(struct str accounts, struct str group, uint32_t *out)
{
    struct str line, f[FIELDS_MAX];
    if (to_id(group, out))
        return true;
    while (str_split(&accounts, '\n', &line))
        if (split_line(line, f) >= 3 && str_eq(f[0], group) && to_id(f[2], out))
            return true;
    return false;
}

/* The groups that list the user: "name:x:gid:member,member". */
static void find_memberships(struct str accounts, struct str user, struct image_user *out)
{
    struct str line, f[FIELDS_MAX], member;
    uint32_t gid;
    while (str_split(&accounts, '\n', &line)) {
        if (split_line(line, f) < 4 || !to_id(f[2], &gid) || gid == out->gid)
            continue;
        while (str_split(&f[3], ',', &member))
            if (member.len > 0 && str_eq(member, user) &&
                out->groups_count < COUNT_OF(out->groups)) {
                out->groups[out->groups_count++] = gid;
                break;
            }
    }
}

enum err_code image_user_find(const char *rootfs, struct str user, struct image_user *out,
                              struct err *e)
{
    struct image_user u = {.home = "/"};
    struct str group = user, name, account = {"", 0};
    struct buf users, groups;
    enum err_code code = ERR_OK;

    str_split(&group, ':', &name);
    buf_init(&users, ACCOUNTS_MAX);
    buf_init(&groups, ACCOUNTS_MAX);
    read_accounts(rootfs, "/etc/passwd", &users);
    read_accounts(rootfs, "/etc/group", &groups);
    if (name.len == 0)
        name = STR("0");
    if (!find_user(buf_str(&users), name, &u, &account) && !to_id(name, &u.uid))
        code = err_set(e, ERR_NOT_FOUND, "the image has no user \"" STR_FMT "\"", STR_ARG(name));
    if (code == ERR_OK && group.len > 0 && !find_group(buf_str(&groups), group, &u.gid))
        code = err_set(e, ERR_NOT_FOUND, "the image has no group \"" STR_FMT "\"", STR_ARG(group));
    if (code == ERR_OK && account.len > 0 && group.len == 0)
        find_memberships(buf_str(&groups), account, &u);
    if (code == ERR_OK)
        *out = u;
    buf_free(&groups);
    buf_free(&users);
    return code;
}
