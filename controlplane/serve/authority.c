/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/authority.h"

#include "base/base64.h"
#include "io/entropy.h"
#include "io/fs.h"
#include "io/seal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CA_DAYS = 3650, CERT_DAYS = 365, FILE_MAX = 64 << 10, OWN_NAMES = 8 };

static struct span days(int64_t count)
{
    return SPAN_S(count * 86400);
}

static void pem_init(struct buf *b)
{
    buf_init(b, FILE_MAX);
}

static void pem_free(struct buf *b)
{
    if (b->at != NULL)
        seal_wipe(b->at, b->size);
    buf_free(b);
}

static enum err_code path_of(char out[FS_PATH_MAX], const char *state, const char *name,
                             struct err *e)
{
    if (!fs_join(out, state, name))
        return err_set(e, ERR_LIMIT, "the path of %s is too long", name);
    return ERR_OK;
}

static enum err_code read_named(const char *state, const char *name, struct buf *out, struct err *e)
{
    char path[FS_PATH_MAX];
    enum err_code code = path_of(path, state, name, e);
    return code == ERR_OK ? fs_read(path, out, e) : code;
}

/* What is there already is not written again: a start on a full disk must not fail for it. */
static enum err_code write_named(const char *state, const char *name, const struct buf *content,
                                 struct err *e)
{
    char path[FS_PATH_MAX];
    struct buf was;
    buf_init(&was, FILE_MAX);
    enum err_code code = path_of(path, state, name, e);
    if (code == ERR_OK &&
        (fs_read(path, &was, e) != ERR_OK || !str_eq(buf_str(&was), buf_str(content))))
        code = fs_write(path, buf_str(content), 0600, e);
    seal_wipe(was.at, was.len);
    buf_free(&was);
    return code;
}

/* The six digits that keep the bridges and cgroups of several clusters on one host apart. */
static enum err_code parse_cluster_id(const char *state, struct str text,
                                      char out[AUTHORITY_ID_LEN + 1], struct err *e)
{
    struct str id = str_trim(text);
    bool good = id.len == AUTHORITY_ID_LEN;
    for (size_t i = 0; good && i < id.len; i++)
        good = strchr("0123456789abcdef", id.at[i]) != NULL;
    if (!good)
        return err_set(e, ERR_CORRUPT, "%s/control/cluster does not hold six hexadecimal digits",
                       state);
    memcpy(out, id.at, AUTHORITY_ID_LEN);
    out[AUTHORITY_ID_LEN] = '\0';
    return ERR_OK;
}

static enum err_code open_cluster_id(const char *state, struct authority *a, struct err *e)
{
    struct buf text;
    buf_init(&text, 64);
    enum err_code code = read_named(state, "control/cluster", &text, e);
    if (code == ERR_NOT_FOUND) {
        buf_printf(&text, "%06x\n", (unsigned)(entropy_u64() & 0xffffff));
        code = write_named(state, "control/cluster", &text, e);
    }
    if (code == ERR_OK)
        code = parse_cluster_id(state, buf_str(&text), a->cluster_id, e);
    buf_free(&text);
    return code;
}

enum err_code authority_cluster_id(const char *state, char out[AUTHORITY_ID_LEN + 1], struct err *e)
{
    struct buf text;
    buf_init(&text, 64);
    enum err_code code = read_named(state, "control/cluster", &text, e);
    if (code == ERR_OK)
        code = parse_cluster_id(state, buf_str(&text), out, e);
    buf_free(&text);
    return code;
}

void authority_holder(const char *state, char out[AUTHORITY_HOLDER_SIZE])
{
    char host[256] = "", path[FS_PATH_MAX];
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    const char *real = realpath(state, path);
    snprintf(out, AUTHORITY_HOLDER_SIZE, "%s %s", host, real == NULL ? state : real);
}

static enum err_code make_ca(const struct authority_options *o, struct buf *cert, struct buf *key,
                             struct err *e)
{
    buf_clear(cert);
    buf_clear(key);
    enum err_code code = pki_ca_make("baton", o->now, days(CA_DAYS), cert, key, e);
    /* The key first: a certificate without its key would lock the next start out. */
    if (code == ERR_OK)
        code = write_named(o->state, "control/pki/ca.key", key, e);
    if (code == ERR_OK)
        code = write_named(o->state, "control/pki/ca.crt", cert, e);
    return code;
}

static enum err_code open_ca(const struct authority_options *o, struct authority *a, struct err *e)
{
    struct buf key;
    pem_init(&key);
    enum err_code code = read_named(o->state, "control/pki/ca.crt", &a->ca_cert, e);
    if (code == ERR_NOT_FOUND)
        code = make_ca(o, &a->ca_cert, &key, e);
    else if (code == ERR_OK)
        code = read_named(o->state, "control/pki/ca.key", &key, e);
    if (code == ERR_OK && pki_ca_load(buf_str(&a->ca_cert), buf_str(&key), &a->ca, e) != ERR_OK) {
        e->code = ERR_CORRUPT;
        code = err_wrap(e, "%s/control/pki/ca.crt and ca.key", o->state);
    }
    if (code == ERR_OK)
        code = pki_fingerprint(buf_str(&a->ca_cert), a->ca_fingerprint, e);
    pem_free(&key);
    return code;
}

/* What the server certificate must name: what was asked for, and what this machine is called. */
static uint32_t server_names(const struct authority_options *o, char host[256],
                             const char *out[PKI_NAMES_MAX])
{
    static const char *const own[] = {"127.0.0.1",          "::1",
                                      "localhost",          "kubernetes",
                                      "kubernetes.default", "kubernetes.default.svc"};
    uint32_t count = 0;
    for (uint32_t i = 0; i < COUNT_OF(own); i++)
        out[count++] = own[i];
    if (gethostname(host, 255) == 0 && host[0] != '\0')
        out[count++] = host;
    for (uint32_t i = 0; i < o->names_count && count < PKI_NAMES_MAX; i++)
        out[count++] = o->names[i];
    return count;
}

/* One line of the names a certificate was made with, kept beside it. */
static void names_line(const char *const *names, uint32_t count, struct buf *out)
{
    for (uint32_t i = 0; i < count; i++)
        buf_printf(out, "%s%s", i == 0 ? "" : " ", names[i]);
    buf_add_char(out, '\n');
}

static bool still_good(const struct authority_options *o, struct authority *a,
                       const struct buf *names)
{
    struct pki_identity id;
    struct buf was;
    struct err e;

    buf_init(&was, FILE_MAX);
    bool good = read_named(o->state, "control/pki/server.crt", &a->server_cert, &e) == ERR_OK &&
                read_named(o->state, "control/pki/server.key", &a->server_key, &e) == ERR_OK &&
                read_named(o->state, "control/pki/server.names", &was, &e) == ERR_OK &&
                str_eq(buf_str(&was), buf_str(names)) &&
                pki_identify(a->ca, buf_str(&a->server_cert), o->now, &id, &e) == ERR_OK &&
                !pki_is_due(&id, o->now);
    buf_free(&was);
    return good;
}

static enum err_code open_server(const struct authority_options *o, struct authority *a,
                                 struct err *e)
{
    const char *names[PKI_NAMES_MAX];
    char host[256] = "";
    struct buf line;
    enum err_code code = ERR_OK;
    uint32_t count = server_names(o, host, names);

    buf_init(&line, FILE_MAX);
    names_line(names, count, &line);
    if (!still_good(o, a, &line)) {
        buf_clear(&a->server_cert);
        buf_clear(&a->server_key);
        code = pki_server_make(a->ca, names, count, o->now, days(CERT_DAYS), &a->server_cert,
                               &a->server_key, e);
        if (code == ERR_OK)
            code = write_named(o->state, "control/pki/server.key", &a->server_key, e);
        if (code == ERR_OK)
            code = write_named(o->state, "control/pki/server.crt", &a->server_cert, e);
        if (code == ERR_OK)
            code = write_named(o->state, "control/pki/server.names", &line, e);
    }
    buf_free(&line);
    return code;
}

static enum err_code write_kubeconfig(const struct authority_options *o, const struct authority *a,
                                      const struct buf *cert, const struct buf *key, struct err *e)
{
    struct buf out;
    buf_init(&out, FILE_MAX);
    buf_printf(&out,
               "apiVersion: v1\nkind: Config\ncurrent-context: baton-%s\n"
               "clusters:\n- name: baton-%s\n  cluster:\n    server: https://127.0.0.1:%u\n"
               "    certificate-authority-data: ",
               a->cluster_id, a->cluster_id, o->port);
    buf_add_base64(&out, buf_str(&a->ca_cert));
    buf_printf(&out,
               "\ncontexts:\n- name: baton-%s\n  context:\n    cluster: baton-%s\n"
               "    user: admin\nusers:\n- name: admin\n  user:\n    client-certificate-data: ",
               a->cluster_id, a->cluster_id);
    buf_add_base64(&out, buf_str(cert));
    buf_add(&out, STR("\n    client-key-data: "));
    buf_add_base64(&out, buf_str(key));
    buf_add_char(&out, '\n');
    enum err_code code = buf_status(&out, e);
    if (code == ERR_OK)
        code = write_named(o->state, "kubeconfig", &out, e);
    pem_free(&out);
    return code;
}

static enum err_code open_admin(const struct authority_options *o, struct authority *a,
                                struct err *e)
{
    static const struct pki_subject admin = {"admin", {"system:masters"}, 1};
    struct pki_identity id;
    struct buf cert, key;

    pem_init(&cert);
    pem_init(&key);
    enum err_code code = ERR_OK;
    if (read_named(o->state, "control/pki/admin.crt", &cert, e) != ERR_OK ||
        read_named(o->state, "control/pki/admin.key", &key, e) != ERR_OK ||
        pki_identify(a->ca, buf_str(&cert), o->now, &id, e) != ERR_OK || pki_is_due(&id, o->now)) {
        buf_clear(&cert);
        buf_clear(&key);
        code = pki_client_make(a->ca, &admin, o->now, days(CERT_DAYS), &cert, &key, e);
        if (code == ERR_OK)
            code = write_named(o->state, "control/pki/admin.key", &key, e);
        if (code == ERR_OK)
            code = write_named(o->state, "control/pki/admin.crt", &cert, e);
    }
    if (code == ERR_OK)
        code = write_kubeconfig(o, a, &cert, &key, e); /* Anew: the port may be another. */
    pem_free(&cert);
    pem_free(&key);
    return code;
}

enum err_code authority_open(const struct authority_options *o, struct authority *out,
                             struct err *e)
{
    struct authority a = {0};
    char pki[FS_PATH_MAX];

    if (o->names_count > PKI_NAMES_MAX - OWN_NAMES)
        return err_set(e, ERR_LIMIT, "at most %d further names", PKI_NAMES_MAX - OWN_NAMES);
    pem_init(&a.ca_cert);
    pem_init(&a.server_cert);
    pem_init(&a.server_key);
    enum err_code code = path_of(pki, o->state, "control/pki", e);
    if (code == ERR_OK)
        code = fs_mkdir(pki, 0700, e);
    if (code == ERR_OK)
        code = open_cluster_id(o->state, &a, e);
    if (code == ERR_OK)
        code = open_ca(o, &a, e);
    if (code == ERR_OK)
        code = open_server(o, &a, e);
    if (code == ERR_OK)
        code = open_admin(o, &a, e);
    if (code != ERR_OK) {
        authority_free(&a);
        return code;
    }
    *out = a;
    return ERR_OK;
}

void authority_free(struct authority *a)
{
    pki_ca_free(a->ca);
    pem_free(&a->ca_cert);
    pem_free(&a->server_cert);
    pem_free(&a->server_key);
    a->ca = NULL;
}
