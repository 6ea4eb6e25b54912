/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/shell/records.h"

#include "base/log.h"
#include "io/fs.h"
#include "nodeagent/core/agent.h"
#include "proto/baton/agent/v1.pb-c.h"

#include <stdio.h>

static enum err_code path_of(char out[FS_PATH_MAX], const char *state, struct str uid,
                             struct err *e)
{
    int len = snprintf(out, FS_PATH_MAX, "%s/records/" STR_FMT, state, STR_ARG(uid));
    if (len < 0 || len >= FS_PATH_MAX || str_find(uid, '/', 0) < uid.len || uid.len == 0)
        return err_set(e, ERR_INVALID, "\"" STR_FMT "\" names no record", STR_ARG(uid));
    return ERR_OK;
}

static enum err_code folder_of(char out[FS_PATH_MAX], const char *state, struct err *e)
{
    return fs_join(out, state, "records")
               ? ERR_OK
               : err_set(e, ERR_LIMIT, "the path of the records is too long");
}

enum err_code records_save(const char *state, struct str uid, struct str bytes, bool unsynced,
                           struct err *e)
{
    char path[FS_PATH_MAX];
    enum err_code code = path_of(path, state, uid, e);
    if (code != ERR_OK)
        return code;
    return unsynced ? fs_put(path, bytes, 0600, e) : fs_write(path, bytes, 0600, e);
}

enum err_code records_forget(const char *state, struct str uid, struct err *e)
{
    char path[FS_PATH_MAX];
    enum err_code code = path_of(path, state, uid, e);
    return code == ERR_OK ? fs_remove(path, e) : code;
}

enum err_code records_sync(const char *state, struct err *e)
{
    char path[FS_PATH_MAX];
    enum err_code code = folder_of(path, state, e);
    return code == ERR_OK ? fs_sync_dir(path, e) : code;
}

/* ---- the start ---- */

struct walk {
    const char *state;
    void (*visit)(void *arg, struct str bytes);
    void *arg;
    struct err *err;
    enum err_code code;
};

static enum err_code walk(struct walk *w, bool (*one)(void *arg, const char *name))
{
    char path[FS_PATH_MAX];
    enum err_code code = folder_of(path, w->state, w->err);
    if (code == ERR_OK)
        code = fs_list(path, one, w, w->err);
    return code == ERR_OK ? w->code : code;
}

/* That it can be read at all; what it says is the core's to judge. */
static bool is_record(struct str bytes)
{
    Agent__Record *r = agent__record__unpack(NULL, bytes.len, (const uint8_t *)bytes.at);
    bool is = r != NULL && r->assign != NULL && r->assign->placement_uid != NULL &&
              r->assign->has_placement && r->assign->has_workload;
    if (r != NULL)
        agent__record__free_unpacked(r, NULL);
    return is;
}

static bool mend_one(void *arg, const char *name)
{
    struct walk *w = arg;
    char path[FS_PATH_MAX];
    struct buf bytes;
    bool is_whole = false;

    w->code = path_of(path, w->state, str_of(name), w->err);
    buf_init(&bytes, AGENT_MESSAGE_MAX);
    bool is_begun = str_ends(str_of(name), STR(".tmp")); /* A write that was cut off: no record. */
    if (w->code == ERR_OK && !is_begun)
        w->code = fs_read(path, &bytes, w->err);
    if (w->code == ERR_OK && !is_begun)
        is_whole = is_record(buf_str(&bytes));
    if (w->code == ERR_OK && !is_begun && !is_whole)
        log_event(LOG_WARN, "record.broken", "uid=%s bytes=%zu then=%s",
                  log_quote(str_of(name)).text, bytes.len,
                  "\"it is removed, and what is left of its workload with it; the control plane "
                  "assigns it again\"");
    if (w->code == ERR_OK && !is_whole)
        w->code = fs_remove(path, w->err);
    buf_free(&bytes);
    return w->code == ERR_OK;
}

enum err_code records_mend(const char *state, struct err *e)
{
    struct walk w = {.state = state, .err = e};
    return walk(&w, mend_one);
}

static bool load_one(void *arg, const char *name)
{
    struct walk *w = arg;
    char path[FS_PATH_MAX];
    struct buf bytes;

    w->code = path_of(path, w->state, str_of(name), w->err);
    buf_init(&bytes, AGENT_MESSAGE_MAX);
    if (w->code == ERR_OK)
        w->code = fs_read(path, &bytes, w->err);
    if (w->code == ERR_OK)
        w->visit(w->arg, buf_str(&bytes));
    buf_free(&bytes);
    return w->code == ERR_OK;
}

enum err_code records_load(const char *state, void (*visit)(void *arg, struct str bytes), void *arg,
                           struct err *e)
{
    struct walk w = {.state = state, .visit = visit, .arg = arg, .err = e};
    return walk(&w, load_one);
}
