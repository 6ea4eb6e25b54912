/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/store/vfs.h"

#include "base/check.h"

#include <sqlite3.h>
#include <unistd.h>

struct guarded {
    sqlite3_file base;
    sqlite3_file *real; /* Behind this struct. */
    const char *path;   /* SQLite's: it outlives the file. NULL: a temporary one. */
};

static sqlite3_vfs *system_vfs;
static struct vfs_guard guard;

static struct guarded *guarded_of(sqlite3_file *f)
{
    return (struct guarded *)(void *)f;
}

static sqlite3_file *real_of(sqlite3_file *f)
{
    return guarded_of(f)->real;
}

static int ask(sqlite3_file *f, struct vfs_call call)
{
    call.path = guarded_of(f)->path;
    return call.path == NULL ? SQLITE_OK : guard.ask(guard.state, &call);
}

static int g_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int g_read(sqlite3_file *f, void *at, int n, sqlite3_int64 from)
{
    return real_of(f)->pMethods->xRead(real_of(f), at, n, from);
}

static int g_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 to)
{
    int rc = ask(f, (struct vfs_call){
                        .kind = VFS_WRITE, .at = (uint64_t)to, .bytes = bytes, .len = (size_t)n});
    return rc != SQLITE_OK ? rc : real_of(f)->pMethods->xWrite(real_of(f), bytes, n, to);
}

static int g_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = ask(f, (struct vfs_call){.kind = VFS_TRUNCATE, .at = (uint64_t)size});
    return rc != SQLITE_OK ? rc : real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int g_sync(sqlite3_file *f, int flags)
{
    (void)flags;
    return ask(f, (struct vfs_call){.kind = VFS_SYNC});
}

static int g_size(sqlite3_file *f, sqlite3_int64 *out)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), out);
}

static int g_lock(sqlite3_file *f, int kind)
{
    return real_of(f)->pMethods->xLock(real_of(f), kind);
}

static int g_unlock(sqlite3_file *f, int kind)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), kind);
}

static int g_reserved(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int g_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int g_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int g_device(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int g_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int g_shm_lock(sqlite3_file *f, int from, int n, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), from, n, flags);
}

static void g_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int g_shm_unmap(sqlite3_file *f, int remove)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
}

static const sqlite3_io_methods methods = {.iVersion = 2,
                                           .xClose = g_close,
                                           .xRead = g_read,
                                           .xWrite = g_write,
                                           .xTruncate = g_truncate,
                                           .xSync = g_sync,
                                           .xFileSize = g_size,
                                           .xLock = g_lock,
                                           .xUnlock = g_unlock,
                                           .xCheckReservedLock = g_reserved,
                                           .xFileControl = g_control,
                                           .xSectorSize = g_sector,
                                           .xDeviceCharacteristics = g_device,
                                           .xShmMap = g_shm_map,
                                           .xShmLock = g_shm_lock,
                                           .xShmBarrier = g_shm_barrier,
                                           .xShmUnmap = g_shm_unmap};

static int guarded_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    struct guarded *file = guarded_of(f);
    (void)vfs;
    file->real = (sqlite3_file *)(void *)(file + 1);
    file->base.pMethods = NULL;
    file->path = name;
    if (name != NULL && access(name, F_OK) != 0) {
        int rc = guard.ask(guard.state, &(struct vfs_call){.kind = VFS_NEW, .path = name});
        if (rc != SQLITE_OK)
            return rc;
    }
    int rc = system_vfs->xOpen(system_vfs, name, file->real, flags, out);
    if (rc == SQLITE_OK)
        file->base.pMethods = &methods;
    return rc;
}

static int guarded_delete(sqlite3_vfs *vfs, const char *name, int directory_too)
{
    struct vfs_call call = {.kind = VFS_DELETE, .path = name, .directory_too = directory_too};
    (void)vfs;
    int rc = access(name, F_OK) == 0 ? guard.ask(guard.state, &call) : SQLITE_OK;
    return rc != SQLITE_OK ? rc : system_vfs->xDelete(system_vfs, name, 0);
}

void vfs_use(const struct vfs_guard *g)
{
    static sqlite3_vfs vfs;
    guard = *g;
    if (system_vfs != NULL)
        return; /* Of an earlier call in this process. */
    system_vfs = sqlite3_vfs_find(NULL);
    vfs = *system_vfs;
    vfs.zName = "guarded";
    vfs.pNext = NULL;
    vfs.szOsFile = system_vfs->szOsFile + (int)sizeof(struct guarded);
    vfs.xOpen = guarded_open;
    vfs.xDelete = guarded_delete;
    CHECK(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
}
