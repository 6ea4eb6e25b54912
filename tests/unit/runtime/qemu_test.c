/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the QEMU runtime that need no QEMU. tests/conformance/runtime has the rest. */
#include "base/cpuset.h"
#include "io/fs.h"
#include "nodeagent/runtime/qemu_priv.h"
#include "tests/testlib/test.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct qemu_record record(void)
{
    struct qemu_record r = {.id = "u.guest.0",
                            .pid = 4711,
                            .start_time = 1ull << 40,
                            .uid = 1900000007,
                            .vcpus = 3,
                            .exclusive = true,
                            .cpus.bits = {0xe},
                            .pool.bits = {0x1, 0x8000000000000000},
                            .weight_milli = 250,
                            .quota_us = 50000,
                            .memory_bytes = 5ull << 30,
                            .created.ns = 17,
                            .started.ns = INT64_MAX,
                            .guest_ended = true,
                            .serial_log = "/a b/serial.log"};
    return r;
}

TEST(qemu, a_record_is_read_as_it_was_written)
{
    struct qemu_record want = record(), got;
    struct buf text;
    struct err e;
    memset(&got, 0xee, sizeof got);
    buf_init(&text, QEMU_RECORD_MAX);
    qemu_record_print(&text, &want);
    cr_assert_eq(qemu_record_parse(buf_str(&text), &got, &e), ERR_OK, "%s", e.text);
    cr_assert_str_eq(got.id, want.id);
    cr_assert_eq(got.pid, want.pid);
    cr_assert_eq(got.start_time, want.start_time);
    cr_assert_eq(got.uid, want.uid);
    cr_assert_eq(got.vcpus, want.vcpus);
    cr_assert_eq(got.exclusive, want.exclusive);
    cr_assert(cpuset_eq(&got.cpus, &want.cpus));
    cr_assert(cpuset_eq(&got.pool, &want.pool));
    cr_assert_eq(got.weight_milli, want.weight_milli);
    cr_assert_eq(got.quota_us, want.quota_us);
    cr_assert_eq(got.memory_bytes, want.memory_bytes);
    cr_assert_eq(got.created.ns, want.created.ns);
    cr_assert_eq(got.started.ns, want.started.ns);
    cr_assert_eq(got.guest_ended, want.guest_ended);
    cr_assert_str_eq(got.serial_log, want.serial_log);
    cr_assert_str_eq(got.serial_socket, "");
    buf_free(&text);
}

/* Cut anywhere, or with any one line gone, it is no record. */
TEST(qemu, a_record_is_whole_or_none)
{
    struct qemu_record want = record(), got;
    struct buf text;
    buf_init(&text, QEMU_RECORD_MAX);
    qemu_record_print(&text, &want);
    struct str all = buf_str(&text);
    size_t last_line = all.len - sizeof "serial_socket ";
    for (size_t len = 0; len < last_line; len++)
        cr_assert_eq(qemu_record_parse(str_slice(all, 0, len), &got, NULL), ERR_CORRUPT, "%zu",
                     len);
    for (size_t at = 0; at < all.len; at = str_find(all, '\n', at) + 1) {
        struct buf less;
        buf_init(&less, QEMU_RECORD_MAX);
        buf_add(&less, str_slice(all, 0, at));
        buf_add(&less, str_slice(all, str_find(all, '\n', at) + 1, all.len));
        cr_assert_eq(qemu_record_parse(buf_str(&less), &got, NULL), ERR_CORRUPT);
        buf_free(&less);
    }
    text.at[3] = '\0';
    cr_assert_eq(qemu_record_parse(buf_str(&text), &got, NULL), ERR_CORRUPT);
    buf_free(&text);
}

static void fill(const char *path, off_t size, const char *end)
{
    FILE *file = fopen(path, "wb");
    cr_assert(file != NULL && fseek(file, (long)size, SEEK_SET) == 0 && fputs(end, file) >= 0);
    fclose(file);
}

static off_t size_of(const char *path)
{
    struct stat st;
    cr_assert_eq(stat(path, &st), 0, "%s: %m", path);
    return st.st_size;
}

/* Both grow by what a guest does. */
TEST(qemu, its_logs_are_bounded)
{
    char directory[] = "/tmp/baton-qlog-XXXXXX", path[64], old[64], end[8] = "";
    cr_assert_not_null(mkdtemp(directory));
    struct machine *m = calloc(1, sizeof *m);
    snprintf(m->directory, sizeof m->directory, "%s", directory);
    snprintf(m->record.serial_log, sizeof m->record.serial_log, "%s/serial.log", directory);
    fill(m->record.serial_log, QEMU_SERIAL_LOG_MAX, "guest");
    snprintf(path, sizeof path, "%s/qemu.log", directory);
    snprintf(old, sizeof old, "%s/qemu.log.1", directory);
    fill(path, QEMU_LOG_MAX, "virtio");
    machine__trim_logs(m);
    cr_assert_eq(size_of(m->record.serial_log), 0);
    cr_assert_eq(size_of(path), 0);
    cr_assert_eq(size_of(old), QEMU_LOG_MAX);
    FILE *file = fopen(old, "rb");
    cr_assert(fseek(file, -6, SEEK_END) == 0 && fread(end, 1, 6, file) == 6);
    cr_assert_str_eq(end, "virtio");
    fclose(file);
    fill(path, 10, "x");
    machine__trim_logs(m);
    cr_assert_eq(size_of(path), 11, "what is below its limit stays");
    free(m);
    cr_assert_eq(fs_remove_tree(directory, NULL), ERR_OK);
}

TEST(qemu, a_vcpu_belongs_on_its_own_granted_cpu)
{
    struct qemu_pins p = {.exclusive = true, .cpus.bits = {0x50, 1}, .pool.bits = {3}};
    struct cpuset want = {.bits = {0x10}};
    struct cpuset got = qemu_pin_of_vcpu(&p, 0);
    cr_assert(cpuset_eq(&got, &want));
    want = (struct cpuset){.bits = {0, 1}};
    got = qemu_pin_of_vcpu(&p, 2);
    cr_assert(cpuset_eq(&got, &want));
    got = qemu_pin_of_vcpu(&p, 3);
    cr_assert(cpuset_is_empty(&got), "there is no fourth");
    p.exclusive = false;
    got = qemu_pin_of_vcpu(&p, 3);
    cr_assert(cpuset_eq(&got, &p.pool));
}

TEST(qemu, helpers_have_what_is_granted_beyond_the_vcpus)
{
    struct qemu_pins p = {
        .exclusive = true, .cpus.bits = {0x50, 1}, .pool.bits = {3}, .vcpus_count = 2};
    struct cpuset want = {.bits = {0, 1}}, got = qemu_pin_of_helpers(&p);
    cr_assert(cpuset_eq(&got, &want));
    p.vcpus_count = 3;
    got = qemu_pin_of_helpers(&p);
    cr_assert(cpuset_eq(&got, &p.pool));
    p.vcpus_count = 2;
    p.exclusive = false;
    got = qemu_pin_of_helpers(&p);
    cr_assert(cpuset_eq(&got, &p.pool));
}

/* Our own process plays QEMU. */
TEST(qemu, only_threads_of_the_process_are_touched)
{
    struct cpuset pool = {0}, got;
    struct err e;
    cpu_set_t mask;
    cr_assert_eq(sched_getaffinity(0, sizeof mask, &mask), 0);
    memcpy(&pool, &mask, sizeof pool);
    int32_t self = getpid(), other = getppid();
    struct qemu_pins p = {.pid = self, .vcpus = &self, .vcpus_count = 1, .pool = pool};
    cr_assert_eq(qemu_pin_set(&p, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(qemu_pin_read(&p, &got, &e), ERR_OK, "%s", e.text);
    cr_assert(cpuset_eq(&got, &pool));

    p.vcpus = &other; /* A QEMU that lies would have us pin somebody else. */
    cr_assert_eq(qemu_pin_set(&p, &e), ERR_CORRUPT);
    p.vcpus = &self;
    p.pool = (struct cpuset){.bits = {1ull << 63}};
    cr_assert_eq(qemu_pin_read(&p, &got, &e), ERR_CONFLICT);
    p.pid = INT32_MAX;
    cr_assert_eq(qemu_pin_read(&p, &got, &e), ERR_NOT_FOUND);
}

/* While a machine is made somebody else is given a core, and the kernel takes it from the group that it shares. */
TEST(qemu, a_pool_that_became_narrower_meanwhile_is_no_failure)
{
    struct cpuset here = {0}, got;
    struct err e;
    cpu_set_t mask;
    cr_assert_eq(sched_getaffinity(0, sizeof mask, &mask), 0);
    memcpy(&here, &mask, sizeof here);
    int32_t self = getpid();
    struct qemu_pins p = {.pid = self, .vcpus = &self, .vcpus_count = 1, .pool = here};
    cpuset_add(&p.pool, RUNTIME_CPUS_MAX - 1);
    cr_assert(!cpuset_eq(&p.pool, &here), "no machine of the tests has that many");
    cr_assert_eq(qemu_pin_set(&p, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(qemu_pin_read(&p, &got, &e), ERR_OK, "%s", e.text);
    cr_assert(cpuset_eq(&got, &here));

    p.pool = (struct cpuset){0};
    cpuset_add(&p.pool, RUNTIME_CPUS_MAX - 1);
    cr_assert_eq(qemu_pin_read(&p, &got, &e), ERR_CONFLICT, "it runs on what is not the pool's");
    p.exclusive = true; /* What was granted is had, all of it. */
    p.cpus = here;
    cpuset_add(&p.cpus, RUNTIME_CPUS_MAX - 1);
    p.order = (const uint16_t[]){RUNTIME_CPUS_MAX - 1};
    p.order_count = 1;
    cr_assert_eq(qemu_pin_read(&p, &got, &e), ERR_CONFLICT);
}

TEST(qemu, the_drawing_is_the_table)
{
    struct buf drawn;
    char golden[8192] = "";
    buf_init(&drawn, sizeof golden);
    sm_dot(&drawn, "machine", machine_states, MACHINE__COUNT);
    const char *path = TESTS_DIR "/../docs/states/machine.dot";
    FILE *file = fopen(path, getenv("BATON_DRAW") != NULL ? "w+b" : "rb");
    cr_assert_not_null(file, "%s", path);
    if (getenv("BATON_DRAW") != NULL) {
        fwrite(drawn.at, 1, drawn.len, file);
        rewind(file);
    }
    size_t len = fread(golden, 1, sizeof golden, file);
    fclose(file);
    cr_assert(str_eq(str_from(golden, len), buf_str(&drawn)), "BATON_DRAW=1, then look at it");
    buf_free(&drawn);
}
