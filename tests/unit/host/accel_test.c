/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/host/accel.h"
#include "base/buf.h"
#include "tests/testlib/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

TEST(accel, versions)
{
    char out[64] = "";
    cr_assert_eq(accel_version_parse(STR("QEMU emulator version 7.2.22 (Debian 1:7.2)\n"), out),
                 ERR_OK);
    cr_assert_str_eq(out, "7.2.22");
    cr_assert_eq(accel_version_parse(STR("QEMU emulator version 9.0.0"), out), ERR_OK);
    cr_assert_str_eq(out, "9.0.0");
    cr_assert_eq(accel_version_parse(STR("QEMU emulator version "), out), ERR_INVALID);
    cr_assert_eq(accel_version_parse(STR("bash: qemu: not found"), out), ERR_INVALID);
}

TEST(accel, the_faster_that_may_be_used)
{
    static const struct {
        uint64_t kvm, tcg;
        const char *error, *name, *reason;
    } cases[] = {
        {20, 50, NULL, "kvm", ""},
        {1600000000, 50000000, NULL, "tcg",
         "kvm took 1600 ms for what tcg does in 50: this /dev/kvm emulates"},
        {0, 50, "there is no /dev/kvm", "tcg", "kvm: there is no /dev/kvm"},
        {20, 50, "closed", "tcg", "kvm: closed"},
        {20, 0, NULL, "kvm", ""},
        {20, 0, "closed", "", "kvm: closed"},
        {0, 0, "nothing", "", "kvm: nothing"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct accel a = {.kvm_ns = cases[i].kvm, .tcg_ns = cases[i].tcg};
        accel_choose(&a, cases[i].error);
        cr_assert_str_eq(a.name, cases[i].name, "case %zu", i);
        cr_assert_str_eq(a.reason, cases[i].reason, "case %zu", i);
        cr_assert_gt(a.vm_bytes, 32 << 20);
    }
}

TEST(accel, the_cache_is_for_one_boot_and_one_version)
{
    struct accel a = {.kvm_ns = 16, .tcg_ns = 5, .vmm_version = "7.2.22"}, got = {0};
    struct buf text;
    accel_choose(&a, NULL);
    buf_init(&text, 4096);
    accel_cache_print(&text, &a, STR("boot-1"));
    struct str all = buf_str(&text);
    cr_assert_eq(accel_cache_parse(all, STR("boot-1"), "7.2.22", &got), ERR_OK);
    cr_assert_str_eq(got.name, "tcg");
    cr_assert_str_eq(got.reason, a.reason);
    cr_assert_eq(got.kvm_ns, 16);
    cr_assert_eq(got.vm_bytes, a.vm_bytes);
    cr_assert(got.cached);
    cr_assert_eq(accel_cache_parse(all, STR("boot-2"), "7.2.22", &got), ERR_NOT_FOUND);
    cr_assert_eq(accel_cache_parse(all, STR("boot-1"), "7.2.23", &got), ERR_NOT_FOUND);
    cr_assert_eq(accel_cache_parse(all, STR(""), "7.2.22", &got), ERR_NOT_FOUND);
    for (size_t len = 0; len + sizeof "reason " < all.len - strlen(a.reason); len++)
        cr_assert_eq(accel_cache_parse(str_slice(all, 0, len), STR("boot-1"), "7.2.22", &got),
                     ERR_NOT_FOUND, "%zu", len);
    buf_free(&text);
}

TEST(accel, without_qemu_or_guest_it_says_so)
{
    struct accel a;
    accel_measure(&(struct accel_options){.qemu = "/nope/qemu", .guest = "/nope"}, &a);
    cr_assert_str_eq(a.name, "");
    cr_assert(strstr(a.reason, "/nope/qemu") != NULL, "%s", a.reason);
    accel_measure(&(struct accel_options){.qemu = "/bin/true", .guest = "/nope"}, &a);
    cr_assert_str_eq(a.reason, "/bin/true does not tell its version");
}

TEST(accel, a_busy_machine_gets_tcg_until_it_is_measured)
{
    static const char text[] = "#!/bin/sh\n"
                               "case $1 in --version) echo QEMU emulator version 7.2.22 ;;\n"
                               "*) exec sleep 10 ;; esac\n";
    char slow[] = "/tmp/baton-accel-XXXXXX", cache[64];
    struct accel a;
    int fd = mkstemp(slow);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, sizeof text - 1), (ssize_t)sizeof text - 1);
    cr_assert_eq(fchmod(fd, 0700), 0);
    close(fd);
    snprintf(cache, sizeof cache, "%s.cache", slow);
    accel_measure(&(struct accel_options){.qemu = slow,
                                          .guest = slow,
                                          .cache = cache,
                                          .boot_id = STR("this boot"),
                                          .limit = SPAN_MS(50)},
                  &a);
    cr_assert_str_eq(a.name, "tcg");
    cr_assert(strstr(a.reason, "too busy") != NULL, "%s", a.reason);
    cr_assert_gt(a.vm_bytes, 0);
    cr_assert_neq(access(cache, F_OK), 0, "a guess is not kept");
    unlink(slow);
}

/* The real one, where there is one. */
TEST(accel, measures_once_and_remembers)
{
    struct accel first, second;
    char cache[] = "/tmp/baton-accel-XXXXXX";
    if (access("/usr/bin/qemu-system-x86_64", X_OK) != 0) {
        fputs("skipped: no qemu-system-x86\n", stderr);
        return;
    }
    int fd = mkstemp(cache);
    cr_assert_geq(fd, 0);
    close(fd);
    struct accel_options o = {.guest = PVH, .cache = cache, .boot_id = STR("this boot")};
    accel_measure(&o, &first);
    cr_assert_not(first.cached);
    cr_assert_neq(first.name[0], '\0', "%s", first.reason);
    cr_assert_gt(first.tcg_ns, 0, "%s", first.reason);
    cr_assert(first.kvm_ns == 0 || first.reason[0] != '\0' || strcmp(first.name, "kvm") == 0);
    accel_measure(&o, &second);
    cr_assert(second.cached);
    cr_assert_str_eq(second.name, first.name);
    cr_assert_eq(second.tcg_ns, first.tcg_ns);
    unlink(cache);
    fprintf(stderr, "accel: %s, tcg %lu ms, kvm %lu ms, %s\n", first.name,
            (unsigned long)first.tcg_ns / 1000000, (unsigned long)first.kvm_ns / 1000000,
            first.reason);
}
