/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/io/site.h"

#include "io/clock.h"
#include "io/fs.h"
#include "tests/testlib/test.h"

#include <signal.h>
#include <stdlib.h>

static void put_file(const struct site *s, const char *name, const struct buf *bytes)
{
    char path[FS_PATH_MAX];
    struct err e = {0};
    fs_join(path, s->dir, name);
    cr_assert_eq(fs_write(path, buf_str(bytes), 0600, &e), ERR_OK, "%s", e.text);
}

static void site_tls(struct site *s)
{
    static const char *const names[] = {"127.0.0.1"};
    struct pki_subject admin = {.common_name = "admin"};
    struct buf ca, ca_key, cert, key, client, client_key;
    struct buf *all[] = {&ca, &ca_key, &cert, &key, &client, &client_key};
    struct pki_ca *signer = NULL;
    struct err e = {0};
    struct wall now = clock_wall();
    for (size_t i = 0; i < COUNT_OF(all); i++)
        buf_init(all[i], PKI_PEM_MAX);
    cr_assert_eq(pki_ca_make("ca", now, SPAN_S(3600), &ca, &ca_key, &e), ERR_OK);
    cr_assert_eq(pki_ca_load(buf_str(&ca), buf_str(&ca_key), &signer, &e), ERR_OK);
    cr_assert_eq(pki_server_make(signer, names, 1, now, SPAN_S(3600), &cert, &key, &e), ERR_OK);
    cr_assert_eq(pki_client_make(signer, &admin, now, SPAN_S(3600), &client, &client_key, &e),
                 ERR_OK);
    struct tls_server_options o = {
        .cert = buf_str(&cert), .key = buf_str(&key), .client_ca = buf_str(&ca)};
    cr_assert_eq(tls_server_config(&o, &s->tls, &e), ERR_OK, "%s", e.text);
    struct tls_client_options c = {
        .ca = buf_str(&ca), .cert = buf_str(&client), .key = buf_str(&client_key)};
    cr_assert_eq(tls_client_config(&c, &s->client_tls, &e), ERR_OK, "%s", e.text);
    put_file(s, "ca", &ca);
    put_file(s, "cert", &client);
    put_file(s, "key", &client_key);
    for (size_t i = 0; i < COUNT_OF(all); i++)
        buf_free(all[i]);
    pki_ca_free(signer);
}

void site_open(struct site *s, const struct http_server_limits *limits,
               void (*event)(void *owner, const struct http_event *ev))
{
    struct err e = {0};
    *s = (struct site){.extra = s->extra, .dir = "/tmp/baton-http-XXXXXX"};
    signal(SIGPIPE, SIG_IGN);
    cr_assert_not_null(mkdtemp(s->dir));
    s->loop = loop_new();
    site_tls(s);
    struct http_server_options o = {
        .address = "127.0.0.1", .tls = s->tls, .limits = *limits, .event = event, .owner = s};
    cr_assert_eq(http_server_open(s->loop, &o, &s->server, &e), ERR_OK, "%s", e.text);
}

void site_close(struct site *s)
{
    struct err e;
    http_server_close(s->server);
    loop_free(s->loop);
    tls_config_free(s->tls);
    tls_config_free(s->client_tls);
    cr_assert_eq(fs_remove_tree(s->dir, &e), ERR_OK);
}
