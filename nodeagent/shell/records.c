/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/shell/records.h"

#include "io/fs.h"
#include "nodeagent/core/agent.h"

#include <stdio.h>

static enum err_code path_of(char out[FS_PATH_MAX], const char *state, struct str uid,
                             struct err *e)
{
    int len = snprintf(out, FS_PATH_MAX, "%s/records/" STR_FMT, state, STR_ARG(uid));
    if (len < 0 || len >= FS_PATH_MAX || str_find(uid, '/', 0) < uid.len || uid.len == 0)
        return err_set(e, ERR_INVALID, "\"" STR_FMT "\" names no record", STR_ARG(uid));
    return ERR_OK;
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

struct loading {
    const char *state;
    void (*visit)(void *arg, struct str bytes);
    void *arg;
    struct err *err;
    enum err_code code;
};

static bool load_one(void *arg, const char *name)
{
    struct loading *l = arg;
    char path[FS_PATH_MAX];
    struct buf bytes;

    l->code = path_of(path, l->state, str_of(name), l->err);
    if (l->code == ERR_OK && str_ends(str_of(name), STR(".tmp"))) {
        l->code = fs_remove(path, l->err); /* A write that a crash cut off: never the record. */
        return l->code == ERR_OK;
    }
    buf_init(&bytes, AGENT_MESSAGE_MAX);
    if (l->code == ERR_OK)
        l->code = fs_read(path, &bytes, l->err);
    if (l->code == ERR_OK && bytes.len == 0) /* Its name was on the disk before its bytes. */
        l->code = fs_remove(path, l->err);
    else if (l->code == ERR_OK)
        l->visit(l->arg, buf_str(&bytes));
    buf_free(&bytes);
    return l->code == ERR_OK;
}

enum err_code records_load(const char *state, void (*visit)(void *arg, struct str bytes), void *arg,
                           struct err *e)
{
    struct loading l = {.state = state, .visit = visit, .arg = arg, .err = e};
    char path[FS_PATH_MAX];

    if (!fs_join(path, state, "records"))
        return err_set(e, ERR_LIMIT, "the path of the records is too long");
    enum err_code code = fs_list(path, load_one, &l, e);
    return code == ERR_OK ? l.code : code;
}
