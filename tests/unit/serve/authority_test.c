/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/authority.h"
#include "io/clock.h"
#include "io/fs.h"
#include "tests/testlib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char dir[64], path[256];
    struct authority_options o;
};

static void place_init(struct place *p)
{
    memcpy(p->dir, "/tmp/baton-authority.XXXXXX", 28);
    cr_assert_not_null(mkdtemp(p->dir));
    p->o = (struct authority_options){.state = p->dir, .port = 6443, .now = clock_wall()};
}

static void place_fini(struct place *p)
{
    struct err e;
    cr_assert_eq(fs_remove_tree(p->dir, &e), ERR_OK, "%s", e.text);
}

static const char *in(struct place *p, const char *name)
{
    snprintf(p->path, sizeof p->path, "%s/%s", p->dir, name);
    return p->path;
}

TEST(authority, the_first_start_makes_and_later_ones_read)
{
    struct place p;
    struct authority first, second;
    struct err e;
    struct stat st;

    place_init(&p);
    cr_assert_eq(authority_open(&p.o, &first, &e), ERR_OK, "%s", e.text);
    cr_assert_eq(authority_open(&p.o, &second, &e), ERR_OK, "%s", e.text);
    cr_assert_str_eq(first.ca_fingerprint, second.ca_fingerprint);
    cr_assert_str_eq(first.cluster_id, second.cluster_id);
    cr_assert(str_eq(buf_str(&first.server_cert), buf_str(&second.server_cert)));
    cr_assert_eq(stat(in(&p, "control/pki/ca.key"), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    cr_assert_eq(stat(in(&p, "kubeconfig"), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    authority_free(&first);
    authority_free(&second);
    place_fini(&p);
}

TEST(authority, other_names_make_another_server_certificate)
{
    static const char *const names[] = {"baton.example", "192.0.2.7"};
    struct place p;
    struct authority first, second;
    struct err e;

    place_init(&p);
    cr_assert_eq(authority_open(&p.o, &first, &e), ERR_OK, "%s", e.text);
    p.o.names = names;
    p.o.names_count = 2;
    cr_assert_eq(authority_open(&p.o, &second, &e), ERR_OK, "%s", e.text);
    cr_assert_str_eq(first.ca_fingerprint, second.ca_fingerprint);
    cr_assert_not(str_eq(buf_str(&first.server_cert), buf_str(&second.server_cert)));
    authority_free(&first);
    authority_free(&second);
    place_fini(&p);
}

TEST(authority, certificates_are_renewed_before_they_end)
{
    struct place p;
    struct authority first, second;
    struct err e;

    place_init(&p);
    cr_assert_eq(authority_open(&p.o, &first, &e), ERR_OK, "%s", e.text);
    p.o.now.ns += SPAN_S(300 * 86400).ns; /* 65 of 365 days are left. */
    cr_assert_eq(authority_open(&p.o, &second, &e), ERR_OK, "%s", e.text);
    cr_assert_not(str_eq(buf_str(&first.server_cert), buf_str(&second.server_cert)));
    authority_free(&first);
    authority_free(&second);
    place_fini(&p);
}

TEST(authority, a_damaged_ca_is_named_and_kept)
{
    struct place p;
    struct authority a;
    struct err e;

    place_init(&p);
    cr_assert_eq(authority_open(&p.o, &a, &e), ERR_OK, "%s", e.text);
    authority_free(&a);
    cr_assert_eq(fs_write(in(&p, "control/pki/ca.key"), STR("nonsense"), 0600, &e), ERR_OK);
    cr_assert_eq(authority_open(&p.o, &a, &e), ERR_CORRUPT);
    cr_assert_not_null(strstr(e.text, "ca.key"), "%s", e.text);
    struct buf kept;
    buf_init(&kept, 64);
    cr_assert_eq(fs_read(in(&p, "control/pki/ca.key"), &kept, &e), ERR_OK);
    cr_assert(str_is(buf_str(&kept), "nonsense"));
    buf_free(&kept);
    place_fini(&p);
}
