/* SPDX-License-Identifier: Apache-2.0 */
/* Small files: shim.conf in, shim and exit out. */
#include "nodeagent/shim/shim.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static void take_pair(struct shim_conf *c, const char *key, const char *value)
{
    const struct {
        const char *key;
        const char **to;
    } texts[] = {{"runtime", &c->runtime}, {"id", &c->id}, {"log", &c->log}};
    uint64_t number = 0;

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (strcmp(key, texts[i].key) == 0)
            *texts[i].to = value;
    if (strcmp(key, "cgroup") == 0 && c->cgroups_count < SHIM_CGROUPS_MAX)
        c->cgroups[c->cgroups_count++] = value;
    if (strcmp(key, "hide") == 0 && c->hides_count < SHIM_HIDES_MAX)
        c->hides[c->hides_count++] = value;
    if (strcmp(key, "part") == 0 && c->parts_count < SHIM_PARTS_MAX)
        c->parts[c->parts_count++] = value;
    if (str_parse_u64(str_of(value), &number) != ERR_OK)
        return;
    if (strcmp(key, "log_max") == 0)
        c->log_max = number;
    else if (strcmp(key, "log_files") == 0)
        c->log_files = (uint32_t)number;
    else if (strcmp(key, "tty") == 0)
        c->tty = number != 0;
    else if (strcmp(key, "stdin") == 0)
        c->has_stdin = number != 0;
}

enum err_code shim_conf_read(const char *directory, struct shim_conf *out, struct err *e)
{
    char path[SHIM_PATH_MAX];
    memset(out, 0, sizeof *out);
    snprintf(path, sizeof path, "%s/shim.conf", directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_NOT_FOUND, "open %s: %m", path);
    ssize_t len = read(fd, out->text, sizeof out->text);
    close(fd);
    if (len <= 0 || (size_t)len == sizeof out->text || out->text[len - 1] != '\n')
        return err_set(e, ERR_CORRUPT, "%s is empty, cut or too long", path);

    out->directory = directory;
    for (char *at = out->text, *end = out->text + len; at < end;) {
        char *newline = memchr(at, '\n', (size_t)(end - at)), *sign;
        *newline = '\0';
        sign = strchr(at, '=');
        if (sign != NULL) {
            *sign = '\0';
            take_pair(out, at, sign + 1);
        }
        at = newline + 1;
    }
    if (out->runtime == NULL || out->id == NULL || out->log == NULL)
        return err_set(e, ERR_CORRUPT, "%s lacks runtime, id or log", path);
    return ERR_OK;
}

enum err_code shim_write(const char *directory, const char *name, struct str text, struct err *e)
{
    char path[SHIM_PATH_MAX], beside[SHIM_PATH_MAX + 8];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    snprintf(beside, sizeof beside, "%s.new", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "open %s: %m", beside);
    bool written = write(fd, text.at, text.len) == (ssize_t)text.len;
    close(fd);
    if (!written || rename(beside, path) != 0)
        return err_set(e, ERR_UNAVAILABLE, "write %s: %m", path);
    return ERR_OK;
}

int shim_reserve(const char *directory, const char *name)
{
    char path[SHIM_PATH_MAX + 8], room[SHIM_RESERVED];
    snprintf(path, sizeof path, "%s/%s.new", directory, name);
    memset(room, ' ', sizeof room);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0 && write(fd, room, sizeof room) == (ssize_t)sizeof room)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

bool shim_write_reserved(int fd, const char *directory, const char *name, struct str text)
{
    char path[SHIM_PATH_MAX], beside[SHIM_PATH_MAX + 8];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    snprintf(beside, sizeof beside, "%s.new", path);
    return text.len <= SHIM_RESERVED && pwrite(fd, text.at, text.len, 0) == (ssize_t)text.len &&
           ftruncate(fd, (off_t)text.len) == 0 && rename(beside, path) == 0;
}

uint64_t shim_start_time(pid_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    if (len <= 0)
        return 0;
    text[len] = '\0';
    char *name_end = strrchr(text, ')'); /* The name may hold blanks and parentheses. */
    if (name_end == NULL)
        return 0;
    struct str rest = str_of(name_end + 1), field = {0};
    for (int i = 2; i <= 22; i++) /* rest begins with the blank after field 2. */
        if (!str_split(&rest, ' ', &field))
            return 0;
    uint64_t start;
    return str_parse_u64(field, &start) == ERR_OK ? start : 0;
}
