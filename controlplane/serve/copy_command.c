/* SPDX-License-Identifier: Apache-2.0 */
#include "controlplane/serve/copy_command.h"

#include "base/check.h"
#include "base/log.h"
#include "controlplane/serve/authority.h"
#include "controlplane/serve/shell.h"
#include "controlplane/store/copy.h"
#include "controlplane/store/store_etcd.h"
#include "controlplane/store/store_sqlite.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/fs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct command {
    const char *from, *to; /* As given. */
    struct store_etcd_options etcd;
    void (*say)(const char *line);

    const char *dir;
    bool to_etcd;
    char cluster[AUTHORITY_ID_LEN + 1], holder[AUTHORITY_HOLDER_SIZE];
    char db[FS_PATH_MAX], copying[FS_PATH_MAX], copied[FS_PATH_MAX], marker[FS_PATH_MAX];
    int lock;
    struct seal *seal;
    struct loop *loops[COPY__COUNT];
    struct copy *copy;
};

static const char help[] =
    "usage: batond copy --from sqlite:DIR --to etcd:URL,URL [--etcd-ca FILE] [--etcd-cert FILE]\n"
    "                   [--etcd-key FILE] [--etcd-prefix /NAME/]\n"
    "       batond copy --from etcd:URL,URL --to sqlite:DIR ...";

/* ---- The command line ---- */

static enum err_code parse_one(struct command *c, const char *name, const char *value,
                               struct err *e)
{
    const struct {
        const char *name, **value;
    } rows[] = {{"--from", &c->from},         {"--to", &c->to},
                {"--etcd-ca", &c->etcd.ca},   {"--etcd-cert", &c->etcd.cert},
                {"--etcd-key", &c->etcd.key}, {"--etcd-prefix", &c->etcd.prefix}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(name, rows[i].name) == 0) {
            *rows[i].value = value;
            return ERR_OK;
        }
    return err_set(e, ERR_INVALID, "%s is not an option", name);
}

/* What stands behind KIND: in one of the two; NULL: in neither. */
static const char *behind(const char *text, const char *kind)
{
    size_t len = strlen(kind);
    return strncmp(text, kind, len) == 0 && text[len] != '\0' ? text + len : NULL;
}

static enum err_code parse(struct command *c, int argc, char **argv, struct err *e)
{
    for (int i = 0; i < argc; i += 2) {
        if (i + 1 == argc)
            return err_set(e, ERR_INVALID, "%s needs a value", argv[i]);
        enum err_code code = parse_one(c, argv[i], argv[i + 1], e);
        if (code != ERR_OK)
            return code;
    }
    if (c->from == NULL || c->to == NULL)
        return err_set(e, ERR_INVALID, "--from and --to are needed");
    c->to_etcd = behind(c->to, "etcd:") != NULL;
    c->dir = behind(c->to_etcd ? c->from : c->to, "sqlite:");
    c->etcd.endpoints = behind(c->to_etcd ? c->to : c->from, "etcd:");
    if (c->dir == NULL || c->etcd.endpoints == NULL)
        return err_set(e, ERR_INVALID,
                       "one of --from and --to is sqlite:DIR, the other is etcd:URL,URL");
    return store_etcd_check_endpoints(c->etcd.endpoints, e);
}

/* ---- The directory ---- */

static bool in_dir(const struct command *c, const char *name, char out[FS_PATH_MAX])
{
    return fs_join(out, c->dir, name);
}

static enum err_code check_dir(struct command *c, struct err *e)
{
    if (c->to_etcd && !fs_exists(c->db))
        return err_set(e, ERR_NOT_FOUND, "there is no store in %s", c->db);
    if (c->to_etcd && fs_exists(c->marker))
        return err_set(e, ERR_DENIED, "this cluster's state is in etcd already (%s)", c->marker);
    if (!c->to_etcd && fs_exists(c->db))
        return err_set(e, ERR_DENIED, "%s is there already; move it away", c->db);
    return ERR_OK;
}

/* Nothing is made here: a directory without keys and name is no control plane's. */
static enum err_code open_dir(struct command *c, struct err *e)
{
    char lock[FS_PATH_MAX], key[FS_PATH_MAX];
    if (!in_dir(c, "control/lock", lock) || !in_dir(c, "control/seal.key", key) ||
        !in_dir(c, "control/store.db", c->db) ||
        !in_dir(c, "control/store.db.copying", c->copying) ||
        !in_dir(c, "control/store.db.copied", c->copied) ||
        !in_dir(c, "control/store.etcd", c->marker))
        return err_set(e, ERR_INVALID, "%s is too long", c->dir);
    enum err_code code = authority_cluster_id(c->dir, c->cluster, e);
    if (code != ERR_OK)
        return err_wrap(e, "%s is no control plane's directory", c->dir);
    if (!fs_exists(key))
        return err_set(e, ERR_NOT_FOUND, "%s is missing: no secret could be read", key);
    code = fs_lock(lock, &c->lock, e);
    if (code != ERR_OK)
        return err_wrap(e, "the control plane must be stopped");
    authority_holder(c->dir, c->holder);
    code = check_dir(c, e);
    return code == ERR_OK ? seal_open_file(key, &c->seal, e) : code;
}

/* A file and what SQLite keeps beside it. */
static enum err_code remove_db(const char *path, struct err *e)
{
    static const char *const tails[] = {"", "-wal", "-shm"};
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(tails) && code == ERR_OK; i++) {
        char name[FS_PATH_MAX + 8];
        snprintf(name, sizeof name, "%s%s", path, tails[i]);
        code = fs_remove(name, e);
    }
    return code;
}

/* A closed database has nothing beside it. */
static enum err_code rename_db(const struct command *c, const char *from, const char *to,
                               struct err *e)
{
    char wal[FS_PATH_MAX + 8], control[FS_PATH_MAX];
    snprintf(wal, sizeof wal, "%s-wal", from);
    if (fs_exists(wal))
        return err_set(e, ERR_UNAVAILABLE, "%s was not closed: %s is still there", from, wal);
    if (rename(from, to) != 0)
        return err_set(e, ERR_UNAVAILABLE, "rename %s: %m", from);
    return in_dir(c, "control", control) ? fs_sync_dir(control, e) : ERR_OK;
}

/* ---- The stores ---- */

static enum err_code open_sqlite(struct command *c, enum copy_end end, struct err *e)
{
    struct store_sink sink = copy_sink(c->copy, end);
    struct store *s;
    struct store_sqlite_options o = {
        .path = end == COPY_FROM ? c->db : c->copying, .seal = c->seal, .loop = c->loops[end]};
    enum err_code code = end == COPY_TO ? remove_db(c->copying, e) : ERR_OK;
    if (code == ERR_OK)
        code = store_sqlite_open(&o, &sink, &s, e);
    if (code == ERR_OK)
        copy_take(c->copy, end, s, c->loops[end]);
    return code;
}

static enum err_code open_etcd(struct command *c, enum copy_end end, struct err *e)
{
    struct store_sink sink = copy_sink(c->copy, end);
    struct store *s;
    c->etcd.use = end == COPY_FROM ? STORE_ETCD_COPY_FROM : STORE_ETCD_COPY_TO;
    c->etcd.must_exist = end == COPY_FROM;
    c->etcd.cluster = c->cluster;
    c->etcd.holder = c->holder;
    c->etcd.seal = c->seal;
    c->etcd.loop = c->loops[end];
    enum err_code code = store_etcd_open(&c->etcd, &sink, &s, e);
    if (code == ERR_OK)
        copy_take(c->copy, end, s, c->loops[end]);
    return code;
}

static void mark_whole(struct store *s, uint64_t op)
{
    store_etcd_mark(s, op, STORE_ETCD_WHOLE);
}

static void mark_left(struct store *s, uint64_t op)
{
    store_etcd_mark(s, op, STORE_ETCD_LEFT);
}

static enum err_code finish_to_etcd(struct command *c, struct err *e)
{
    enum err_code code = copy_op(c->copy, COPY_TO, mark_whole, e);
    if (code == ERR_OK)
        code = shell_leave_marker(c->marker, e);
    copy_close(c->copy, COPY_FROM);
    return code == ERR_OK ? rename_db(c, c->db, c->copied, e) : code;
}

static enum err_code finish_to_sqlite(struct command *c, struct err *e)
{
    copy_close(c->copy, COPY_TO);
    enum err_code code = rename_db(c, c->copying, c->db, e);
    if (code == ERR_OK)
        code = copy_op(c->copy, COPY_FROM, mark_left, e);
    return code == ERR_OK ? fs_remove(c->marker, e) : code;
}

/* ---- The command ---- */

static void progress(void *state, uint64_t changes, uint64_t bytes)
{
    struct command *c = state;
    char line[100];
    snprintf(line, sizeof line, "  %llu changes, %.1f MiB", (unsigned long long)changes,
             (double)bytes / (1 << 20));
    c->say(line);
}

static enum err_code run(struct command *c, struct copy_sum *sum, struct err *e)
{
    enum copy_end sqlite = c->to_etcd ? COPY_FROM : COPY_TO;
    c->loops[COPY_FROM] = loop_new();
    c->loops[COPY_TO] = loop_new();
    c->copy = copy_new(progress, c);
    enum err_code code = open_etcd(c, c->to_etcd ? COPY_TO : COPY_FROM, e);
    if (code == ERR_OK)
        code = open_sqlite(c, sqlite, e);
    if (code == ERR_OK)
        code = copy_run(c->copy, sum, e);
    if (code == ERR_OK)
        code = c->to_etcd ? finish_to_etcd(c, e) : finish_to_sqlite(c, e);
    return code;
}

static void end(struct command *c)
{
    copy_free(c->copy);
    for (uint32_t i = 0; i < COPY__COUNT; i++)
        if (c->loops[i] != NULL)
            loop_free(c->loops[i]);
    seal_free(c->seal);
    fs_close(&c->lock);
}

static void say_done(const struct command *c, const struct copy_sum *sum)
{
    char line[400];
    snprintf(
        line, sizeof line,
        "copied and read back: %llu objects (%llu secrets), %llu changes up to revision %llu, %s",
        (unsigned long long)sum->objects, (unsigned long long)sum->secrets,
        (unsigned long long)sum->changes, (unsigned long long)sum->head, sum->digest);
    c->say(line);
    if (c->to_etcd)
        snprintf(line, sizeof line,
                 "start it with: batond --store etcd --endpoints %s; the old store is %s",
                 c->etcd.endpoints, c->copied);
    else
        snprintf(line, sizeof line, "start it with: batond --store sqlite; etcd's copy is left, %s",
                 "and refused from now on");
    c->say(line);
}

int copy_command(int argc, char **argv, void (*say)(const char *line))
{
    struct command c = {.say = say, .lock = -1};
    struct copy_sum sum;
    struct err e = {0};
    char line[400];

    if (parse(&c, argc, argv, &e) != ERR_OK) {
        snprintf(line, sizeof line, "batond copy: %s", e.text);
        say(line);
        say(help);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    str_hash_seed(entropy_u64(), entropy_u64());
    snprintf(line, sizeof line, "copying %s to %s", c.from, c.to);
    say(line);
    enum err_code code = open_dir(&c, &e);
    if (code == ERR_OK)
        code = run(&c, &sum, &e);
    end(&c);
    if (code != ERR_OK) {
        snprintf(line, sizeof line, "not copied: %s", e.text);
        say(line);
        return EXIT_FAILURE;
    }
    say_done(&c, &sum);
    return EXIT_SUCCESS;
}
