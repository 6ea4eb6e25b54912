/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's records through a power cut: a file system in a file, and a copy of that file is what a disk holds whose power
 * went at that moment. Needs root, a loop device and mkfs.ext4. */
#include "io/fs.h"
#include "nodeagent/shell/records.h"
#include "proto/baton/agent/v1.pb-c.h"
#include "tests/testlib/test.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

struct disk {
    char dir[64], image[96], cut[96], state[96];
};

static bool run(const char *const *argv)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static bool mount_disk(struct disk *d, const char *image)
{
    return run((const char *const[]){"mount", "-o", "loop", image, d->state, NULL});
}

/* An own mount namespace: what a test that fails leaves mounted goes with its process. */
static bool disk_open(struct disk *d)
{
    struct err e;
    char records[128];
    *d = (struct disk){.dir = "/tmp/baton-records-XXXXXX"};
    cr_assert_not_null(mkdtemp(d->dir));
    snprintf(d->image, sizeof d->image, "%s/image", d->dir);
    snprintf(d->cut, sizeof d->cut, "%s/cut", d->dir);
    snprintf(d->state, sizeof d->state, "%s/state", d->dir);
    snprintf(records, sizeof records, "%s/records", d->state);
    cr_assert_eq(fs_mkdir(d->state, 0700, &e), ERR_OK, "%s", e.text);
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        !run((const char *const[]){"truncate", "-s", "16M", d->image, NULL}) ||
        !run((const char *const[]){"mkfs.ext4", "-q", "-F", d->image, NULL}) ||
        !mount_disk(d, d->image)) {
        fputs("skipped: needs root, a loop device and mkfs.ext4\n", stderr);
        cr_assert_eq(fs_remove_tree(d->dir, &e), ERR_OK, "%s", e.text);
        return false;
    }
    cr_assert_eq(fs_mkdir(records, 0700, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(fs_sync_dir(d->state, &e), ERR_OK, "%s", e.text);
    return true;
}

/* The power goes, and comes back. */
static void disk_cut(struct disk *d)
{
    char was[sizeof d->image];
    cr_assert(run((const char *const[]){"cp", d->image, d->cut, NULL}));
    cr_assert_eq(umount(d->state), 0, "%s", strerror(errno));
    memcpy(was, d->image, sizeof was);
    memcpy(d->image, d->cut, sizeof was);
    memcpy(d->cut, was, sizeof was);
    cr_assert(mount_disk(d, d->image));
}

static void disk_close(struct disk *d)
{
    struct err e;
    cr_assert_eq(umount(d->state), 0, "%s", strerror(errno));
    cr_assert_eq(fs_remove_tree(d->dir, &e), ERR_OK, "%s", e.text);
}

static struct str record_of(const char *placement_uid, uint8_t room[128])
{
    Agent__Record r = AGENT__RECORD__INIT;
    Agent__Assign a = AGENT__ASSIGN__INIT;
    uint8_t bytes[] = {1};
    a.placement_uid = (char *)(uintptr_t)placement_uid;
    a.has_placement = a.has_workload = true;
    a.placement = a.workload = (ProtobufCBinaryData){sizeof bytes, bytes};
    r.assign = &a;
    return str_from(room, agent__record__pack(&r, room));
}

static void save(struct disk *d, const char *uid, const char *says, bool unsynced)
{
    struct err e;
    uint8_t room[128];
    cr_assert_eq(records_save(d->state, str_of(uid), record_of(says, room), unsynced, &e), ERR_OK,
                 "%s", e.text);
}

static void on_record(void *arg, struct str bytes)
{
    struct buf *found = arg;
    Agent__Record *r = agent__record__unpack(NULL, bytes.len, (const uint8_t *)bytes.at);
    cr_assert_not_null(r, "half a record was read");
    buf_printf(found, "%s ", r->assign->placement_uid);
    agent__record__free_unpacked(r, NULL);
}

/* As the agent's start does it. out: what the records say, a blank behind each. */
static void start(struct disk *d, struct buf *out)
{
    struct err e;
    buf_clear(out);
    cr_assert_eq(records_mend(d->state, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(records_load(d->state, on_record, out, &e), ERR_OK, "%s", e.text);
    buf_add_char(out, '\0');
}

TEST(powercut, what_is_saved_stays_and_what_is_forgotten_does_not_come_back)
{
    struct disk d;
    struct err e;
    struct buf found;
    if (!disk_open(&d))
        return;
    buf_init(&found, 1 << 12);
    save(&d, "a", "first", true);
    save(&d, "a", "runs", false);
    save(&d, "b", "runs", false);
    save(&d, "c", "ended", false);
    cr_assert_eq(records_forget(d.state, STR("b"), &e), ERR_OK);
    cr_assert_eq(records_forget(d.state, STR("c"), &e), ERR_OK);
    cr_assert_eq(records_sync(d.state, &e), ERR_OK);
    disk_cut(&d);
    start(&d, &found);
    cr_assert_str_eq(found.at, "runs ");
    buf_free(&found);
    disk_close(&d);
}

/* Lost, or a name without bytes: whichever of the two, nothing else suffers and nothing of it stays. */
TEST(powercut, a_first_record_is_whole_or_gone)
{
    struct disk d;
    struct err e;
    struct buf found;
    char path[128];
    if (!disk_open(&d))
        return;
    buf_init(&found, 1 << 12);
    save(&d, "a", "runs", false);
    save(&d, "b", "first", true);
    disk_cut(&d);
    start(&d, &found);
    snprintf(path, sizeof path, "%s/records/b", d.state);
    cr_assert(strcmp(found.at, "runs ") == 0 || strcmp(found.at, "runs first ") == 0, "%s",
              found.at);
    cr_assert_eq(fs_exists(path), strcmp(found.at, "runs ") != 0);

    save(&d, "b", "first", true); /* The same cut, with the name on the disk already. */
    cr_assert_eq(records_sync(d.state, &e), ERR_OK);
    disk_cut(&d);
    start(&d, &found);
    cr_assert(strcmp(found.at, "runs ") == 0 || strcmp(found.at, "runs first ") == 0, "%s",
              found.at);
    buf_free(&found);
    disk_close(&d);
}

/* What disks are known to leave: nothing, zeros, a part, another file's bytes. */
TEST(powercut, what_is_no_record_is_removed)
{
    struct err e;
    struct buf found;
    struct disk d = {.dir = "/tmp/baton-records-XXXXXX"};
    uint8_t room[128];
    static const char zeros[512];
    char path[128];
    cr_assert_not_null(mkdtemp(d.dir));
    snprintf(d.state, sizeof d.state, "%s", d.dir);
    snprintf(path, sizeof path, "%s/records", d.dir);
    cr_assert_eq(fs_mkdir(path, 0700, &e), ERR_OK);
    struct str whole = record_of("whole", room);
    const struct {
        const char *uid;
        struct str bytes;
    } rows[] = {{"empty", STR("")},
                {"zeros", str_from(zeros, sizeof zeros)},
                {"other", STR("[Unit]\nDescription=something else\n")},
                {"whole", whole},
                {"whole.0123abcd.tmp", whole}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        cr_assert_eq(records_save(d.dir, str_of(rows[i].uid), rows[i].bytes, true, &e), ERR_OK);
    for (size_t len = 1; len < whole.len; len++) {
        char uid[32];
        snprintf(uid, sizeof uid, "torn-%zu", len);
        cr_assert_eq(records_save(d.dir, str_of(uid), str_slice(whole, 0, len), true, &e), ERR_OK);
    }
    buf_init(&found, 1 << 12);
    start(&d, &found);
    cr_assert_str_eq(found.at, "whole ");
    cr_assert_eq(records_forget(d.dir, STR("whole"), &e), ERR_OK);
    cr_assert_eq(rmdir(path), 0, "something is left");
    buf_free(&found);
    cr_assert_eq(fs_remove_tree(d.dir, &e), ERR_OK);
}
