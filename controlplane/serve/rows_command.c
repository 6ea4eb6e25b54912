/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/rows_command.h"

#include "base/check.h"
#include "controlplane/core/recording.h"
#include "controlplane/serve/authority.h"
#include "controlplane/store/store_etcd.h"
#include "controlplane/store/store_sqlite.h"
#include "io/entropy.h"
#include "io/fs.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOAD_OP = 1, CLOSE_OP = 2, STEP_MS = 100, FRAME_MAX = 16 << 20, PENDING_BYTES = 1 << 20 };

struct rows {
    const char *state, *out;
    struct store_etcd_options etcd; /* endpoints NULL: the store is SQLite's, in the directory. */
    int lock, fd;
    struct seal *seal;
    struct loop *loop;
    struct store *store;
    struct buf pending; /* Not written yet. */
    uint64_t count, head;
    bool loaded, closed;
    enum err_code code;
    struct err err;
};

static enum err_code parse_one(struct rows *r, const char *name, const char *value, struct err *e)
{
    const struct {
        const char *name, **value;
    } options[] = {{"--state", &r->state},
                   {"--out", &r->out},
                   {"--endpoints", &r->etcd.endpoints},
                   {"--etcd-ca", &r->etcd.ca},
                   {"--etcd-cert", &r->etcd.cert},
                   {"--etcd-key", &r->etcd.key},
                   {"--etcd-prefix", &r->etcd.prefix}};
    for (size_t i = 0; i < COUNT_OF(options); i++)
        if (strcmp(name, options[i].name) == 0) {
            *options[i].value = value;
            return ERR_OK;
        }
    return err_set(e, ERR_INVALID, "%s is not an option", name);
}

static enum err_code parse(struct rows *r, int argc, char **argv, struct err *e)
{
    enum err_code code = ERR_OK;
    for (int i = 0; i + 1 < argc && code == ERR_OK; i += 2)
        code = parse_one(r, argv[i], argv[i + 1], e);
    if (code == ERR_OK && (argc % 2 != 0 || r->state == NULL || r->out == NULL))
        code = err_set(e, ERR_INVALID,
                       "usage: batond rows --state DIR --out FILE [--endpoints URL,URL "
                       "[--etcd-ca FILE] [--etcd-cert FILE] [--etcd-key FILE] "
                       "[--etcd-prefix /NAME/]]");
    return code == ERR_OK && r->etcd.endpoints != NULL
               ? store_etcd_check_endpoints(r->etcd.endpoints, e)
               : code;
}

static void write_pending(struct rows *r)
{
    struct str rest = buf_str(&r->pending);
    while (rest.len > 0 && r->code == ERR_OK) {
        ssize_t put = write(r->fd, rest.at, rest.len);
        if (put < 0)
            r->code = err_set(&r->err, ERR_UNAVAILABLE, "write %s: %m", r->out);
        else
            rest = str_slice(rest, (size_t)put, rest.len);
    }
    buf_clear(&r->pending);
}

static void row(struct rows *r, const struct store_event *ev)
{
    struct arena a;
    arena_init(&a, FRAME_MAX);
    struct str frame = recording_row(&a, ev);
    if (frame.at == NULL)
        r->code = err_set(&r->err, ERR_LIMIT, "a row of revision %llu is too large",
                          (unsigned long long)ev->revision);
    recorder_add_frame(&r->pending, frame);
    arena_free(&a);
    r->count++;
    if (r->pending.len > PENDING_BYTES)
        write_pending(r);
}

static void told(void *state, const struct store_event *ev)
{
    struct rows *r = state;
    if (ev->op == CLOSE_OP) {
        r->closed = true;
    } else if (ev->type == STORE_ROW) {
        row(r, ev);
    } else {
        r->loaded = true;
        r->head = ev->revision;
        if (ev->code != ERR_OK && r->code == ERR_OK) {
            r->code = ev->code;
            r->err = ev->err;
        }
    }
}

static bool in_state(const struct rows *r, const char *name, char out[FS_PATH_MAX])
{
    return fs_join(out, r->state, name);
}

static enum err_code open_sqlite(struct rows *r, const struct store_sink *sink, struct err *e)
{
    char lock[FS_PATH_MAX], db[FS_PATH_MAX], marker[FS_PATH_MAX];
    if (!in_state(r, "control/lock", lock) || !in_state(r, "control/store.db", db) ||
        !in_state(r, "control/store.etcd", marker))
        return err_set(e, ERR_INVALID, "%s is too long", r->state);
    if (!fs_exists(db) && fs_exists(marker))
        return err_set(e, ERR_NOT_FOUND, "this cluster's state is in etcd: --endpoints URL,URL");
    if (!fs_exists(db))
        return err_set(e, ERR_NOT_FOUND, "%s is missing", db);
    enum err_code code = fs_lock(lock, &r->lock, e);
    if (code != ERR_OK)
        return err_wrap(e, "the control plane must be stopped, or this be a copy");
    struct store_sqlite_options o = {.path = db, .seal = r->seal, .loop = r->loop};
    return store_sqlite_open(&o, sink, &r->store, e);
}

/* Beside whoever leads: of the directory only the cluster's name and the key are needed. */
static enum err_code open_etcd(struct rows *r, const struct store_sink *sink, struct err *e)
{
    char cluster[AUTHORITY_ID_LEN + 1], holder[AUTHORITY_HOLDER_SIZE];
    enum err_code code = authority_cluster_id(r->state, cluster, e);
    if (code != ERR_OK)
        return code;
    authority_holder(r->state, holder);
    r->etcd.use = STORE_ETCD_READ;
    r->etcd.must_exist = true;
    r->etcd.cluster = cluster;
    r->etcd.holder = holder;
    r->etcd.seal = r->seal;
    r->etcd.loop = r->loop;
    return store_etcd_open(&r->etcd, sink, &r->store, e);
}

/* Nothing is made here. */
static enum err_code open_store(struct rows *r, struct err *e)
{
    char key[FS_PATH_MAX];
    struct store_sink sink = {.post = told, .state = r};
    if (!in_state(r, "control/seal.key", key))
        return err_set(e, ERR_INVALID, "%s is too long", r->state);
    if (!fs_exists(key))
        return err_set(e, ERR_NOT_FOUND, "%s is missing", key);
    enum err_code code = seal_open_file(key, &r->seal, e);
    r->loop = loop_new();
    if (code != ERR_OK)
        return code;
    return r->etcd.endpoints != NULL ? open_etcd(r, &sink, e) : open_sqlite(r, &sink, e);
}

static enum err_code dump(struct rows *r, struct err *e)
{
    r->fd = open(r->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (r->fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "open %s: %m", r->out);
    buf_add(&r->pending, STR(RECORDING_MAGIC));
    r->store->ops->load(r->store, LOAD_OP);
    while (!r->loaded)
        loop_step(r->loop, SPAN_MS(STEP_MS));
    write_pending(r);
    if (r->code == ERR_OK && fsync(r->fd) != 0)
        r->code = err_set(&r->err, ERR_UNAVAILABLE, "sync %s: %m", r->out);
    if (r->code != ERR_OK)
        *e = r->err;
    return r->code;
}

static void end(struct rows *r)
{
    if (r->store != NULL) {
        r->store->ops->close(r->store, CLOSE_OP);
        while (!r->closed)
            loop_step(r->loop, SPAN_MS(STEP_MS));
    }
    if (r->loop != NULL)
        loop_free(r->loop);
    seal_free(r->seal);
    buf_free(&r->pending);
    fs_close(&r->fd);
    fs_close(&r->lock);
}

int rows_command(int argc, char **argv, void (*say)(const char *line))
{
    struct rows r = {.lock = -1, .fd = -1};
    struct err e = {0};
    char line[400];

    buf_init(&r.pending, 2 * FRAME_MAX);
    signal(SIGPIPE, SIG_IGN);
    str_hash_seed(entropy_u64(), entropy_u64());
    enum err_code code = parse(&r, argc, argv, &e);
    if (code == ERR_OK)
        code = open_store(&r, &e);
    if (code == ERR_OK)
        code = dump(&r, &e);
    if (code != ERR_OK && r.fd >= 0)
        unlink(r.out);
    end(&r);
    if (code == ERR_OK)
        snprintf(line, sizeof line, "%llu rows up to revision %llu", (unsigned long long)r.count,
                 (unsigned long long)r.head);
    else
        snprintf(line, sizeof line, "batond rows: %s", e.text);
    say(line);
    return code == ERR_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
