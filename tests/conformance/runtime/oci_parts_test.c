/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of volumes: looked up on the host, where another container of the pod may write. */
#include "io/fs.h"
#include "tests/conformance/runtime/oci_rig.h"
#include "tests/testlib/test.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct volume {
    char path[128], here[160], link[160], command[160];
    struct runtime_mount mount;
} volume;

/* volume/here/mine, beside volume/link, which leads out. */
static void make_volume(const char *sub)
{
    char mine[192];
    struct err e = {0};
    snprintf(volume.path, sizeof volume.path, "%s/volume", oci_own.directory);
    snprintf(volume.here, sizeof volume.here, "%s/here", volume.path);
    snprintf(volume.link, sizeof volume.link, "%s/link", volume.path);
    snprintf(mine, sizeof mine, "%s/mine", volume.here);
    cr_assert_eq(fs_mkdir(volume.here, 0755, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(fs_put(mine, STR("x"), 0644, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(symlink("/etc", volume.link), 0);
    volume.mount = (struct runtime_mount){
        .source = str_of(sub), .target = STR("/mnt"), .below = str_of(volume.path)};
}

static void fill_sub(struct rig *r, struct runtime_spec *spec, const char *command)
{
    static struct str args[] = {{"/bin/sh", 7}, {"-c", 2}, {0}};
    oci_fill(r, spec, "l1.main.0", RIG_RUNS);
    args[2] = str_of(command);
    spec->container.args = args;
    spec->container.mounts = &volume.mount;
    spec->container.mounts_count = 1;
}

static void a_link_in_a_volume_leads_nowhere(const struct rig_kind *k)
{
    struct rig r = {0};
    struct runtime_spec spec;
    if (!k->open(&r))
        return;
    make_volume(volume.link);
    fill_sub(&r, &spec, "true");
    const struct runtime_event *ev = oci_run(k, &r, &spec);
    cr_expect_neq(ev->code, ERR_OK);
    cr_expect_not_null(strstr(ev->text, "link: a link lies on the way"), "%s", ev->text);
    rig_ok(k, &r, rig_call(&r, r.runtime->ops->destroy, "l1.main.0"));
    rig_close(k, &r);
}

TEST(oci, a_link_in_a_volume_leads_nowhere)
{
    a_link_in_a_volume_leads_nowhere(&oci_rig);
}

/* Our look is over when the runtime's command begins: this one puts the link there and then becomes the real one. */
static void a_link_put_there_during_the_start_leads_nowhere(const struct rig_kind *k,
                                                            const char *command, const char *name)
{
    struct rig r = {0};
    struct runtime_spec spec;
    char script[1024];
    struct err e = {0};
    if (!k->open(&r))
        return;
    make_volume(volume.here);
    snprintf(volume.command, sizeof volume.command, "%s/%s", oci_own.directory, name);
    snprintf(script, sizeof script,
             "#!/bin/sh\nif mv %s %s.old; then ln -s /etc %s; fi 2>/dev/null\nexec %s \"$@\"\n",
             volume.here, volume.here, volume.here, command);
    cr_assert_eq(fs_put(volume.command, str_of(script), 0755, &e), ERR_OK, "%s", e.text);
    oci_own.command = volume.command;
    oci_reopen(&r);
    fill_sub(&r, &spec, "test -e /mnt/mine || exit 9; echo y >/mnt/yours");
    const struct runtime_event *ev = oci_run(k, &r, &spec);
    cr_assert_eq(ev->code, ERR_OK, "%s", ev->text);
    cr_expect_eq(rig_wait(k, &r, RUNTIME_EXITED, 0)->exit_code, 0);
    snprintf(script, sizeof script, "%s.old/yours", volume.here);
    cr_expect(fs_exists(script), "what it wrote is not in the volume");
    rig_ok(k, &r, rig_call(&r, r.runtime->ops->destroy, "l1.main.0"));
    cr_expect(fs_exists(script), "the instance's end took the volume along");
    rig_close(k, &r);
}

TEST(oci, a_link_put_there_during_the_start_leads_nowhere)
{
    a_link_put_there_during_the_start_leads_nowhere(&oci_rig, "/usr/bin/crun", "crun-slow");
}

TEST(runc, a_link_put_there_during_the_start_leads_nowhere)
{
    a_link_put_there_during_the_start_leads_nowhere(&runc_rig, "/usr/sbin/runc", "runc-slow");
}

static void a_part_is_mounted(const char *part, const char *command)
{
    struct rig r = {0};
    struct runtime_spec spec;
    char path[256];
    if (!oci_rig.open(&r))
        return;
    snprintf(path, sizeof path, "%s/volume/%s", oci_own.directory, part);
    make_volume(path);
    cr_assert_eq(chmod(volume.path, 01777), 0);
    volume.mount.make = true;
    fill_sub(&r, &spec, command);
    const struct runtime_event *ev = oci_run(&oci_rig, &r, &spec);
    cr_assert_eq(ev->code, ERR_OK, "%s", ev->text);
    cr_expect_eq(rig_wait(&oci_rig, &r, RUNTIME_EXITED, 0)->exit_code, 0);
    cr_expect(fs_exists(path));
    rig_ok(&oci_rig, &r, rig_call(&r, r.runtime->ops->destroy, "l1.main.0"));
    rig_close(&oci_rig, &r);
}

TEST(oci, a_file_of_a_volume_is_mounted)
{
    a_part_is_mounted("here/mine", "test -f /mnt");
}

/* With the volume's mode, as Kubernetes makes it; the container's own umask is none of it. */
TEST(oci, a_folder_that_a_volume_lacks_is_made)
{
    a_part_is_mounted("a/./b", "test $(busybox stat -c %a /mnt) = 1777 && test $(umask) = 0022");
}
