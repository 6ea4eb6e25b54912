/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a registry or an archive into the store, by skopeo. It says nothing while it works, so whether a
 * registry still sends is read from the size of what it writes: a pull may be slow, not silent.
 *
 * A pull does not outlive the agent: it dies with the thread that started it, and everything half done
 * lies in the one temporary directory that images_open() removes.
 */
#include "base/mem.h"
#include "io/proc.h"
#include "nodeagent/host/image_priv.h"
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 32, LOOK_MS = 250, REASON_MAX = 110, AUTH_FD = 3 };
#define AUTH_PATH "/proc/self/fd/3"

/* --- what it said --- */

static bool says(struct str said, const char *text)
{
    return memmem(said.at, said.len, text, strlen(text)) != NULL;
}

/* The words of skopeo 1.9 and of registries (distribution-spec, "Error Codes"). */
static enum err_code code_of(struct str said)
{
    static const struct {
        const char *text;
        enum err_code code;
    } rows[] = {{"manifest unknown", ERR_NOT_FOUND},
                {"name unknown", ERR_NOT_FOUND},
                {"no such file", ERR_NOT_FOUND},
                {"does not match", ERR_CORRUPT}, /* A manifest's digest, */
                {"did not match", ERR_CORRUPT},  /* a blob's. */
                {"unauthorized", ERR_DENIED},
                {"authentication required", ERR_DENIED},
                {"denied", ERR_DENIED}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (says(said, rows[i].text))
            return rows[i].code;
    return ERR_UNAVAILABLE;
}

/* skopeo's last line, without its "time=... level=fatal msg=" and the steps that led there: what went
 * wrong stands at its end, and must not be what a status message has no room for. */
static struct str reason_of(struct str said)
{
    struct str rest = str_trim(said), line, last = {"", 0};
    while (rest.at != NULL && str_split(&rest, '\n', &line))
        last = line;
    for (size_t i = 0; i + 5 < last.len; i++)
        if (memcmp(last.at + i, "msg=\"", 5) == 0) {
            last = str_slice(last, i + 5, last.len - 1);
            break;
        }
    for (size_t i = 0; last.len > REASON_MAX && i + 2 < last.len; i++)
        if (last.at[i] == ':' && last.at[i + 1] == ' ') {
            last = str_slice(last, i + 2, last.len);
            i = 0;
        }
    return last;
}

static enum err_code set_reason(struct str said, struct err *e)
{
    bool plain = says(said, "server gave HTTP response to HTTPS client") ||
                 says(said, "does not look like a TLS handshake");
    struct str reason = reason_of(said);
    char text[sizeof e->text];
    size_t len = 0;
    for (size_t i = 0; i < reason.len && len + 1 < sizeof text; i++)
        if (reason.at[i] != '\\') /* Of \", since all of it stood in quotes. */
            text[len++] = reason.at[i];
    text[len] = '\0';
    return err_set(e, code_of(said), "%s%s", text,
                   plain ? "; without TLS it needs the agent's --insecure-registry" : "");
}

/* --- waiting for it --- */

struct pull {
    struct loop_client client;
    const struct images *images;
    const _Atomic bool *given_up;
    struct proc *proc;
    const char *writes; /* What grows while something comes. */
    uint64_t bytes;
    struct instant begun, grown_at;
    const char *over; /* Why we ended it; NULL: we did not. */
    bool done;
    enum err_code code;
    struct err err;
};

static void pull_done(struct pull *p, const struct io_event *ev)
{
    p->done = true;
    p->proc = NULL;
    if (p->over != NULL)
        p->code = err_set(&p->err, ERR_UNAVAILABLE, "%s", p->over);
    else if (!ev->proc.started)
        p->code = err_set(&p->err, ERR_UNAVAILABLE, "%s", ev->err.text);
    else if (ev->proc.status != 0)
        p->code = set_reason(ev->proc.err, &p->err);
}

static void pull_look(struct pull *p, struct instant now)
{
    uint64_t bytes = image__tree_bytes(p->writes);
    if (bytes != p->bytes)
        p->grown_at = now;
    p->bytes = bytes;
    if (p->given_up != NULL && *p->given_up)
        p->over = "nobody wants it any more";
    else if (instant_sub(now, p->grown_at).ns > p->images->limits.stall.ns)
        p->over = "the registry sends nothing";
    else if (instant_sub(now, p->begun).ns > p->images->limits.pull.ns)
        p->over = "it took longer than a pull may";
    if (p->over != NULL && p->proc != NULL)
        proc_kill(p->proc, SIGKILL);
    else
        loop_set_deadline(&p->client, instant_add(now, SPAN_MS(LOOK_MS)));
}

static void pull_event(struct loop_client *self, const struct io_event *ev)
{
    struct pull *p = CONTAINER_OF(self, struct pull, client);
    if (ev->type == IO_PROC_DONE)
        pull_done(p, ev);
    else if (ev->type == IO_DEADLINE)
        pull_look(p, ev->now);
}

/* auth: behind the child's descriptor AUTH_FD; -1: none. */
static enum err_code watch(const struct images *s, const char *const *argv, const char *writes,
                           int auth, const _Atomic bool *given_up, struct err *e)
{
    struct loop *l = loop_new();
    struct pull p = {
        .client = {.event = pull_event}, .images = s, .given_up = given_up, .writes = writes};

    p.begun = p.grown_at = loop_now(l);
    loop_join(l, &p.client);
    p.proc = proc_run(&p.client, 0,
                      &(struct proc_request){
                          .argv = argv, .fds = {{AUTH_FD, auth}}, .fds_count = auth < 0 ? 0 : 1});
    loop_set_deadline(&p.client, instant_add(p.begun, SPAN_MS(LOOK_MS)));
    while (!p.done)
        loop_step(l, SPAN_S(60));
    loop_leave(&p.client);
    loop_free(l);
    return p.code == ERR_OK ? ERR_OK : err_set(e, p.code, "%s", p.err.text);
}

/* --- asking it --- */

/* HOST[:PORT] of "docker://HOST[:PORT]/PATH". */
static bool is_insecure(const struct images *s, struct str source)
{
    struct str host = str_slice(source, sizeof "docker://" - 1, source.len);
    host = str_slice(host, 0, str_find(host, '/', 0));
    for (uint32_t i = 0; i < s->insecure_count; i++)
        if (str_is(host, s->insecure[i]))
            return true;
    return false;
}

/* Credentials in a file that no path leads to and that ends with its last holder; -1: e says why. */
static int memory_file(struct str bytes, struct err *e)
{
    int fd = memfd_create("auth", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, bytes.at, bytes.len) == (ssize_t)bytes.len)
        return fd;
    err_set(e, ERR_UNAVAILABLE, "hand over the pull secret: %m");
    fs_close(&fd);
    return -1;
}

/* What fetches p into the layout temporary: NULL-terminated, in the arena. */
static enum err_code command(const struct images *s, const struct image_place *p,
                             const struct image_want *want, const char *temporary, struct arena *a,
                             const char *argv[ARGUMENTS_MAX], struct err *e)
{
    bool from_registry = p->transport == IMAGE_REGISTRY;
    uint32_t n = 0;

    argv[n++] = "env"; /* An archive is taken apart there, not in /var/tmp. */
    argv[n++] = arena_printf(a, "TMPDIR=%s", temporary).at;
    argv[n++] = "setpriv"; /* Of util-linux: PR_SET_PDEATHSIG for somebody else's program. */
    argv[n++] = "--pdeathsig";
    argv[n++] = "KILL";
    argv[n++] = "sh"; /* Whoever started it may have died before that was set. */
    argv[n++] = "-c";
    argv[n++] = "[ \"$PPID\" = \"$0\" ] && exec \"$@\"";
    argv[n++] = arena_printf(a, "%d", (int)getpid()).at;
    argv[n++] = "skopeo";
    argv[n++] = "--insecure-policy"; /* Digests are checked by us; signatures come with a policy. */
    argv[n++] = "copy";
    argv[n++] = "--quiet";
    argv[n++] = "--dest-oci-accept-uncompressed-layers"; /* Else the digest would be another one. */
    argv[n++] = "--dest-shared-blob-dir";
    argv[n++] = p->blobs;
    if (from_registry && is_insecure(s, p->source))
        argv[n++] = "--src-tls-verify=false";
    if (from_registry && want->auth.len > 0) {
        argv[n++] = "--src-authfile";
        argv[n++] = AUTH_PATH;
    }
    argv[n++] = arena_dup(a, p->source);
    argv[n++] = arena_printf(a, "oci:%s", temporary).at;
    argv[n] = NULL;
    return arena_status(a, e) == ERR_OK ? ERR_OK : ERR_LIMIT;
}

enum err_code image__pull(struct images *s, const struct image_place *p,
                          const struct image_want *want, struct arena *a, struct err *e)
{
    char temporary[FS_PATH_MAX];
    const char *argv[ARGUMENTS_MAX];
    struct err unused;

    e = e == NULL ? &unused : e;
    image__temporary(s, "refs", temporary);
    if (command(s, p, want, temporary, a, argv, e) != ERR_OK)
        return ERR_LIMIT;
    CLEANUP(fs_close) int secret = -1;
    if (want->auth.len > 0 && (secret = memory_file(want->auth, e)) < 0)
        return ERR_UNAVAILABLE;
    enum err_code code = fs_mkdir(temporary, 0700, e);
    if (code == ERR_OK)
        code = watch(s, argv, temporary, secret, want->given_up, e);
    if (code == ERR_OK)
        code = image__write_name(temporary, p->full, e);
    if (code == ERR_OK)
        code = fs_remove_tree(p->layout, e);
    if (code == ERR_OK && rename(temporary, p->layout) != 0)
        code = err_set(e, ERR_UNAVAILABLE, "rename %s: %m", temporary);
    if (code != ERR_OK) {
        (void)!fs_remove_tree(temporary, NULL);
        err_wrap(e, "pull"); /* Whose image it is stands beside the message. */
    }
    return code;
}
