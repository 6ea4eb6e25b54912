/* SPDX-License-Identifier: Apache-2.0 */
/* Who may write: the fence, the lock, the right etcd, the right certificates. */
#include "tests/conformance/etcd/home.h"
#include "tests/conformance/etcd/traffic.h"
#include "tests/testlib/test.h"

#include "io/clock.h"
#include "io/fs.h"
#include "io/loop.h"
#include "io/pki.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The old writer is in full swing. It is told, and nothing of it lands behind the new one's load. */
TEST(etcd, another_writer_takes_the_fence_under_load)
{
    struct rig *r = home_new(NULL);
    struct traffic t;
    rig_open(r);
    traffic_start(&t, r);
    for (uint32_t round = 0; round < 3; round++) {
        traffic_run(&t, SPAN_MS(200));
        struct rig *other = home_guest(r, NULL); /* The same holder: as after its own crash. */
        rig_open(other);
        cr_assert_eq(rig_load(other), ERR_OK);
        uint64_t head = other->head;
        uint32_t refused = t.refused;
        traffic_run(&t, SPAN_S(5));
        traffic_drain(&t);
        cr_assert_gt(t.refused, refused);
        cr_assert_eq(t.refusal, ERR_CONFLICT);
        cr_assert_eq(rig_put(other, head + 1, 0, "/configmaps/other/x", "mine"), ERR_OK);
        cr_assert_eq(rig_load(other), ERR_OK);
        cr_assert_eq(other->head, head + 1, "something came behind the new writer's load");
        rig_free(other);
        t.next = t.answered = (head + 1) / TRAFFIC_TOGETHER + 1;
        traffic_check(&t);
    }
    rig_free(r);
}

TEST(etcd, a_standby_is_told_who_leads_until_the_lock_ends)
{
    struct rig *r = home_new(NULL), *standby = home_guest(r, "standby /tmp");
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    rig_open(standby);
    cr_assert_eq(rig_load(standby), ERR_BUSY);
    cr_assert_not_null(strstr(standby->done[standby->op].err.text, "rig /tmp"));
    cr_assert_eq(rig_put(r, 1, 0, "/configmaps/a/b", "v"), ERR_OK); /* It was no harm. */
    rig_close(r);
    cr_assert_eq(rig_load(standby), ERR_OK);
    cr_assert_eq(standby->head, 1);
    rig_free(standby);
    rig_free(r);
}

/* What batond rows does: it sees everything, disturbs nobody and can write nothing. */
TEST(etcd, one_that_reads_does_so_beside_who_leads)
{
    struct rig *r = home_new(NULL), *reader = home_guest(r, "reader /tmp");
    char fence[512], again[512];
    reader->reads = reader->must_exist = true;
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    cr_assert_eq(rig_put(r, 1, 0, "/configmaps/a/b", "one"), ERR_OK);
    cr_assert(home_get(r, "/baton/fence", fence));
    rig_open(reader);
    for (uint64_t head = 1; head <= 2; head++) {
        cr_assert_eq(rig_load(reader), ERR_OK);
        cr_assert_eq(reader->head, head);
        cr_assert_eq(reader->rows_count, head);
        cr_assert_eq(reader->fence, 0);
        cr_assert_eq(rig_put(reader, head + 1, 0, "/configmaps/a/x", "not mine"), ERR_CONFLICT);
        cr_assert_neq(rig_compact(reader, head), ERR_OK);
        cr_assert_eq(rig_put(r, head + 1, 0, "/configmaps/a/c", "two"), ERR_OK);
    }
    rig_close(reader);
    cr_assert(home_get(r, "/baton/fence", again));
    cr_assert_str_eq(again, fence);
    cr_assert_eq(rig_put(r, 4, 0, "/configmaps/a/d", "four"), ERR_OK);
    rig_free(reader);
    rig_free(r);
}

/* The lease ends under a leader (etcd was away for longer than it, or an operator revoked it): it goes on
 * writing, because the fence is its, and takes a new lock. */
TEST(etcd, a_lost_lease_is_replaced_and_nothing_stops)
{
    struct rig *r = home_new(NULL);
    struct traffic t;
    char lock[512], command[128], *id;
    rig_open(r);
    traffic_start(&t, r);
    cr_assert(home_get(r, "/baton/lock", lock));
    cr_assert_eq(etcd_ctl(&r->etcd[0], "lease list", lock, sizeof lock), 0);
    id = strchr(lock, '\n') + 1; /* "found 1 leases\nHEX\n" */
    id[strcspn(id, "\n")] = '\0';
    snprintf(command, sizeof command, "lease revoke %s", id);
    cr_assert_eq(etcd_ctl(&r->etcd[0], command, NULL, 0), 0);
    cr_assert(!home_get(r, "/baton/lock", lock));
    struct instant until = instant_add(clock_now(), SPAN_S(12));
    while (!home_get(r, "/baton/lock", lock) && clock_now().ns < until.ns)
        traffic_run(&t, SPAN_MS(100));
    cr_assert_str_eq(lock, "rig /tmp");
    cr_assert_eq(t.refused + t.doubtful, 0);
    traffic_check(&t);
    rig_free(r);
}

/* ---- The wrong etcd ---- */

TEST(etcd, a_store_of_another_cluster_is_refused)
{
    struct err e;
    struct rig *r = home_new(NULL), *other = home_guest(r, NULL);
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    rig_close(r);
    other->cluster = "c2";
    cr_assert_eq(rig_try_open(other, &e), ERR_DENIED);
    cr_assert_not_null(strstr(e.text, "belongs to cluster c1"));
    rig_free(other);
    rig_free(r);
}

/* A mistake in --endpoints must not split the log over two etcds. */
TEST(etcd, an_endpoint_of_another_etcd_is_not_written_to)
{
    char endpoints[256], out[512];
    struct rig *r = home_new(NULL), *other = home_new(NULL);
    struct traffic t;
    home_wait(&other->etcd[0]);
    snprintf(endpoints, sizeof endpoints, "%s,%s", r->etcd[0].client_url,
             other->etcd[0].client_url);
    r->endpoints = endpoints;
    rig_open(r);
    traffic_start(&t, r);
    traffic_run(&t, SPAN_MS(100));
    etcd_server_kill(&r->etcd[0]);
    traffic_run(&t, SPAN_MS(500)); /* It turns to the other one, and sees that it is another. */
    etcd_server_start(&r->etcd[0]);
    traffic_check(&t);
    cr_assert_eq(etcd_ctl(&other->etcd[0], "get --prefix --keys-only /", out, sizeof out), 0);
    cr_assert_str_empty(out);
    rig_free(r);
    rig_free(other);
}

/* ---- Certificates ---- */

struct authority {
    struct buf cert, key;
    struct pki_ca *ca;
    char path[160], key_path[160];
};

static void put_file(const struct rig *r, const char *name, struct str bytes, char out[160])
{
    struct err e;
    snprintf(out, 160, "%s/%s", r->dir, name);
    cr_assert_eq(fs_write(out, bytes, 0600, &e), ERR_OK);
}

static void authority_make(struct authority *a, struct rig *r, const char *name)
{
    struct err e;
    char file[40];
    buf_init(&a->cert, PKI_PEM_MAX);
    buf_init(&a->key, PKI_PEM_MAX);
    struct wall then = {clock_wall().ns - SPAN_S(86400).ns};
    cr_assert_eq(pki_ca_make(name, then, SPAN_S(10 * 86400), &a->cert, &a->key, &e), ERR_OK);
    cr_assert_eq(pki_ca_load(buf_str(&a->cert), buf_str(&a->key), &a->ca, &e), ERR_OK);
    snprintf(file, sizeof file, "%s.crt", name);
    put_file(r, file, buf_str(&a->cert), a->path);
    snprintf(file, sizeof file, "%s.key", name);
    put_file(r, file, buf_str(&a->key), a->key_path);
}

static void authority_fini(struct authority *a)
{
    pki_ca_free(a->ca);
    buf_free(&a->cert);
    buf_free(&a->key);
}

struct pair {
    char cert[160], key[160];
};

/* A client's, valid for an hour from begun_s ago. */
static void client_make(const struct authority *a, const struct rig *r, const char *name,
                        int64_t begun_s, struct pair *out)
{
    struct pki_subject subject = {.common_name = "baton"};
    struct wall begun = {clock_wall().ns - SPAN_S(begun_s).ns};
    struct buf cert, key;
    struct err e;
    char file[40];
    buf_init(&cert, PKI_PEM_MAX);
    buf_init(&key, PKI_PEM_MAX);
    cr_assert_eq(pki_client_make(a->ca, &subject, begun, SPAN_S(3600), &cert, &key, &e), ERR_OK);
    snprintf(file, sizeof file, "%s.crt", name);
    put_file(r, file, buf_str(&cert), out->cert);
    snprintf(file, sizeof file, "%s.key", name);
    put_file(r, file, buf_str(&key), out->key);
    buf_free(&cert);
    buf_free(&key);
}

/* The server's. With --client-cert-auth etcd's gateway shows it to etcd as a client's, so it must be good for both,
 * which no certificate of ours is. */
static void server_make(const struct authority *a, const struct rig *r, struct pair *out)
{
    char command[1200], said[512];
    snprintf(out->cert, sizeof out->cert, "%s/server.crt", r->dir);
    snprintf(out->key, sizeof out->key, "%s/server.key", r->dir);
    snprintf(
        command, sizeof command,
        "cd %s && printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n'"
        " >server.ext && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        " -keyout server.key -subj /CN=etcd -out server.csr 2>&1 &&"
        " openssl x509 -req -in server.csr -CA %s -CAkey %s -CAcreateserial -days 1"
        " -extfile server.ext -out server.crt 2>&1",
        r->dir, a->path, a->key_path);
    cr_assert_eq(etcd_shell(command, said, sizeof said), 0, "%s", said);
}

static void refused_with(struct rig *r, const char *text)
{
    struct err e;
    cr_assert_neq(rig_try_open(r, &e), ERR_OK, "it was let in; expected: %s", text);
    cr_assert_not_null(strstr(e.text, text), "\"%s\" does not say \"%s\"", e.text, text);
}

/* An etcd that asks for certificates, and all of ours. */
struct site {
    struct rig *rig;
    struct authority ours, wrong;
    struct pair server, client, foreign, old;
};

static void site_make(struct site *s)
{
    struct rig *r = s->rig = home_new_tls();
    authority_make(&s->ours, r, "ours");
    authority_make(&s->wrong, r, "wrong");
    server_make(&s->ours, r, &s->server);
    client_make(&s->ours, r, "client", 60, &s->client);
    client_make(&s->wrong, r, "foreign", 60, &s->foreign);
    client_make(&s->ours, r, "old", 7200, &s->old);
    const char *args[] = {"--cert-file",       s->server.cert, "--key-file",        s->server.key,
                          "--trusted-ca-file", s->ours.path,   "--client-cert-auth"};
    memcpy(r->etcd[0].args, args, sizeof args);
    etcd_server_start(&r->etcd[0]);
    r->tls.ca = s->ours.path;
    r->tls.cert = s->client.cert;
    r->tls.key = s->client.key;
    rig_open(r);
    cr_assert_eq(rig_load(r), ERR_OK);
    cr_assert_eq(rig_put(r, 1, 0, "/configmaps/a/b", "v"), ERR_OK);
    rig_close(r);
}

static void site_end(struct site *s)
{
    authority_fini(&s->ours);
    authority_fini(&s->wrong);
    rig_free(s->rig);
}

TEST(etcd, the_right_client_certificate_opens_and_one_of_another_ca_does_not)
{
    struct site s;
    site_make(&s);
    s.rig->tls.cert = s.foreign.cert;
    s.rig->tls.key = s.foreign.key;
    refused_with(s.rig, "client certificate");
    s.rig->tls.key = "/nonexistent/key";
    refused_with(s.rig, "/nonexistent/key");
    site_end(&s);
}

TEST(etcd, an_expired_client_certificate_does_not_open)
{
    struct site s;
    site_make(&s);
    s.rig->tls.cert = s.old.cert;
    s.rig->tls.key = s.old.key;
    refused_with(s.rig, "client certificate");
    site_end(&s);
}

TEST(etcd, no_client_certificate_does_not_open)
{
    struct site s;
    site_make(&s);
    s.rig->tls.cert = s.rig->tls.key = NULL;
    refused_with(s.rig, "client certificate");
    site_end(&s);
}

TEST(etcd, an_etcd_of_another_ca_is_not_believed)
{
    struct site s;
    site_make(&s);
    s.rig->tls.ca = s.wrong.path;
    refused_with(s.rig, "SSL certificate problem");
    site_end(&s);
}
