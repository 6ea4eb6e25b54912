/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/start/identity.h"

#include "io/clock.h"
#include "io/fs.h"
#include "io/pki.h"
#include "io/seal.h"
#include "nodeagent/start/join.h"

#include <stdio.h>

enum { FILE_MAX = 64 << 10 };

static enum err_code path_of(char out[FS_PATH_MAX], const char *state, const char *name,
                             struct err *e)
{
    return fs_join(out, state, name) ? ERR_OK
                                     : err_set(e, ERR_LIMIT, "%s: the path is too long", name);
}

static enum err_code read_named(const char *state, const char *name, struct buf *out, struct err *e)
{
    char path[FS_PATH_MAX];
    enum err_code code = path_of(path, state, name, e);
    return code == ERR_OK ? fs_read(path, out, e) : code;
}

static enum err_code write_named(const char *state, const char *name, struct str bytes,
                                 struct err *e)
{
    char path[FS_PATH_MAX];
    enum err_code code = path_of(path, state, name, e);
    return code == ERR_OK ? fs_write(path, bytes, 0600, e) : code;
}

enum err_code identity_server(const char *text, char host[256], uint16_t *out_port, struct err *e)
{
    struct str whole = str_of(text), name;
    uint64_t port;
    size_t colon = whole.len;

    while (colon > 0 && whole.at[colon - 1] != ':')
        colon--;
    name = str_slice(whole, 0, colon == 0 ? 0 : colon - 1);
    if (name.len > 2 && name.at[0] == '[' && name.at[name.len - 1] == ']')
        name = str_slice(name, 1, name.len - 1);
    if (name.len == 0 || name.len > 255 ||
        str_parse_u64(str_slice(whole, colon, whole.len), &port) != ERR_OK || port == 0 ||
        port > 65535)
        return err_set(e, ERR_INVALID, "--server %s: wants HOST:PORT", text);
    str_put(host, name);
    host[name.len] = '\0';
    *out_port = (uint16_t)port;
    return ERR_OK;
}

/* ---- STATE/cluster: "name value" a line ---- */

static char *field(struct identity *i, struct str name)
{
    if (str_is(name, "node"))
        return i->node_name;
    return str_is(name, "cluster") ? i->cluster_id : NULL;
}

static void put_field(struct identity *i, struct str name, struct str value)
{
    char *to = field(i, name);
    if (to == NULL || value.len >= IDENTITY_TEXT_MAX)
        return;
    str_put(to, value);
    to[value.len] = '\0';
}

static enum err_code read_cluster(const char *state, struct identity *out, struct err *e)
{
    struct buf text;
    struct str rest, line, name;

    buf_init(&text, FILE_MAX);
    enum err_code code = read_named(state, "cluster", &text, e);
    for (rest = buf_str(&text); code == ERR_OK && str_split(&rest, '\n', &line);)
        if (str_split(&line, ' ', &name) && line.at != NULL)
            put_field(out, name, line);
    if (code == ERR_OK && (out->node_name[0] == '\0' || out->cluster_id[0] == '\0'))
        code = err_set(e, ERR_CORRUPT, "%s/cluster names no node or no cluster", state);
    buf_free(&text);
    return code;
}

/* ---- the certificate ---- */

static enum err_code read_life(struct identity *i, struct pki_identity *out, struct err *e)
{
    enum err_code code = pki_identify(NULL, buf_str(&i->cert), (struct wall){0}, out, e);
    if (code != ERR_OK)
        return err_set(e, ERR_CORRUPT, "the node's certificate is none");
    i->from.ns = out->not_before.ns + SPAN_S(PKI_SKEW_S).ns; /* When it was signed. */
    i->until = out->not_after;
    return ERR_OK;
}

enum err_code identity_request(const struct identity *i, struct buf *out, struct err *e)
{
    return pki_request_make(buf_str(&i->key), i->node_name, out, e);
}

enum err_code identity_renewed(struct identity *i, const char *state, const Agent__JoinReply *reply,
                               struct err *e)
{
    struct identity next = {0};
    struct pki_identity was, is;

    buf_init(&next.cert, FILE_MAX);
    buf_add(&next.cert, str_of(reply->certificate_pem == NULL ? "" : reply->certificate_pem));
    enum err_code code = read_life(i, &was, e);
    if (code == ERR_OK)
        code = read_life(&next, &is, e);
    if (code == ERR_OK && (strcmp(was.key_fingerprint, is.key_fingerprint) != 0 ||
                           strcmp(pki_common_name(&was), pki_common_name(&is)) != 0))
        code = err_set(e, ERR_CORRUPT, "the new certificate is for another node or key");
    if (code == ERR_OK)
        code = write_named(state, "pki/node.crt", buf_str(&next.cert), e);
    if (code != ERR_OK) {
        buf_free(&next.cert);
        return code;
    }
    buf_free(&i->cert);
    i->cert = next.cert;
    i->from = next.from;
    i->until = next.until;
    return ERR_OK;
}

enum err_code identity_read(const char *state, struct identity *out, struct err *e)
{
    struct identity i = {0};

    buf_init(&i.key, FILE_MAX);
    buf_init(&i.cert, FILE_MAX);
    buf_init(&i.ca, FILE_MAX);
    enum err_code code = read_named(state, "pki/node.crt", &i.cert, e);
    if (code == ERR_OK)
        code = read_named(state, "pki/node.key", &i.key, e);
    if (code == ERR_OK)
        code = read_named(state, "pki/ca.crt", &i.ca, e);
    if (code == ERR_OK)
        code = read_cluster(state, &i, e);
    struct pki_identity id;
    if (code == ERR_OK && read_life(&i, &id, e) != ERR_OK)
        code = err_set(e, ERR_CORRUPT, "%s/pki/node.crt is not a certificate", state);
    if (code == ERR_OK)
        *out = i;
    else
        identity_free(&i);
    return code;
}

void identity_free(struct identity *i)
{
    if (i->key.at != NULL)
        seal_wipe(i->key.at, i->key.size);
    buf_free(&i->key);
    buf_free(&i->cert);
    buf_free(&i->ca);
}

/* ---- the join ---- */

/* The key of an earlier try is used again: a name is bound to it. */
static enum err_code open_key(const char *state, struct buf *key, struct err *e)
{
    enum err_code code = read_named(state, "pki/node.key", key, e);
    if (code != ERR_NOT_FOUND)
        return code;
    code = pki_key_make(key, e);
    return code == ERR_OK ? write_named(state, "pki/node.key", buf_str(key), e) : code;
}

/* The certificate last: it is what says that the join is complete. */
static enum err_code keep(const char *state, const Agent__JoinReply *r, struct err *e)
{
    struct buf text;

    if (r->certificate_pem == NULL || r->ca_pem == NULL || r->node_name == NULL ||
        r->cluster == NULL || r->cluster->id == NULL)
        return err_set(e, ERR_CORRUPT, "the answer to the join lacks a certificate or the cluster");
    buf_init(&text, FILE_MAX);
    buf_printf(&text, "node %s\ncluster %s\n", r->node_name, r->cluster->id);
    enum err_code code = write_named(state, "cluster", buf_str(&text), e);
    if (code == ERR_OK)
        code = write_named(state, "pki/ca.crt", str_of(r->ca_pem), e);
    if (code == ERR_OK)
        code = write_named(state, "pki/node.crt", str_of(r->certificate_pem), e);
    buf_free(&text);
    return code;
}

static enum err_code ask(const struct options *o, const char *name, struct str token,
                         struct str key, struct err *e)
{
    struct join_request r = {.token = token, .node_name = name};
    char host[256];
    struct buf csr;
    Agent__JoinReply *reply;

    buf_init(&csr, FILE_MAX);
    enum err_code code = identity_server(o->server, host, &r.port, e);
    if (code == ERR_OK)
        code = pki_request_make(key, name, &csr, e);
    r.host = host;
    r.csr = buf_str(&csr);
    if (code == ERR_OK)
        code = join_by_token(&r, &reply, e);
    if (code == ERR_OK) {
        code = keep(o->state, reply, e);
        agent__join_reply__free_unpacked(reply, NULL);
    }
    buf_free(&csr);
    return code;
}

static enum err_code join(const struct options *o, const char *name, struct err *e)
{
    char pki[FS_PATH_MAX];
    struct buf key, token;

    if (o->token_file == NULL)
        return err_set(e, ERR_INVALID,
                       "this node has not joined yet: --token-file FILE is missing");
    buf_init(&key, FILE_MAX);
    buf_init(&token, FILE_MAX);
    enum err_code code = path_of(pki, o->state, "pki", e);
    if (code == ERR_OK)
        code = fs_mkdir(pki, 0700, e);
    if (code == ERR_OK)
        code = fs_read(o->token_file, &token, e);
    if (code == ERR_OK)
        code = open_key(o->state, &key, e);
    if (code == ERR_OK)
        code = ask(o, name, str_trim(buf_str(&token)), buf_str(&key), e);
    seal_wipe(token.at, token.len);
    if (key.at != NULL)
        seal_wipe(key.at, key.size);
    buf_free(&token);
    buf_free(&key);
    return code;
}

/* Nobody was reachable for a third of its life, or the clock is wrong: only a token helps. */
static enum err_code join_again(const struct options *o, const struct identity *was, struct err *e)
{
    char when[WALL_TEXT_MAX];
    wall_print(was->until, when);
    if (o->token_file != NULL && join(o, was->node_name, e) == ERR_OK)
        return ERR_OK;
    if (o->token_file == NULL)
        return err_set(
            e, ERR_DENIED,
            "this node's certificate ended at %s; join again with --token-file and a new "
            "token (baton token create)",
            when);
    return err_wrap(e, "certificate ended at %s; a new token (baton token create) is needed in %s",
                    when, o->token_file);
}

enum err_code identity_open(const struct options *o, const char *hostname, struct identity *out,
                            struct err *e)
{
    struct identity was;
    enum err_code code = identity_read(o->state, &was, e);
    if (code == ERR_OK && was.until.ns > clock_wall().ns) {
        *out = was;
        return ERR_OK;
    }
    if (code == ERR_OK) {
        code = join_again(o, &was, e);
        identity_free(&was);
    } else if (code == ERR_NOT_FOUND) {
        code = join(o, o->node_name == NULL ? hostname : o->node_name, e);
    }
    return code == ERR_OK ? identity_read(o->state, out, e) : code;
}
