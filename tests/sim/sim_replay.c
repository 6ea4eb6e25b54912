/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/mem.h"
#include "nodeagent/core/flight.h"
#include "tests/sim/replay.h"

#include <stdio.h>

enum { FILE_MAX = 1 << 30 };

static bool read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    size_t got = 1;
    while (f != NULL && got > 0 && !out->overflow) {
        char *room = buf_reserve(out, 1 << 16);
        got = room == NULL ? 0 : fread(room, 1, 1 << 16, f);
        buf_commit(out, got);
    }
    if (f != NULL)
        fclose(f);
    return f != NULL && !out->overflow;
}

/* Whose life it is, by its first frame. */
static bool is_control(struct str frames)
{
    struct arena a;
    Flight__Frame *first;
    arena_init(&a, FILE_MAX);
    bool is = flight_next(&frames, &a, &first) && first->frame_case == FLIGHT__FRAME__FRAME_CONTROL;
    arena_free(&a);
    return is;
}

/* A recording's frames, or a rows file's: behind the magic. */
static bool open_frames(const char *path, struct buf *file, struct str *out)
{
    struct str magic = STR(FLIGHT_MAGIC);
    if (!read_file(path, file) || !str_starts(buf_str(file), magic)) {
        fprintf(stderr, "baton-sim: %s: not a recording\n", path);
        return false;
    }
    *out = str_slice(buf_str(file), magic.len, file->len);
    return true;
}

int replay(const char *path, const char *rows_path)
{
    struct replay_sum sum = {0};
    struct str frames, rows = STR("");
    struct buf file, rows_file;

    buf_init(&file, FILE_MAX);
    buf_init(&rows_file, FILE_MAX);
    bool good = open_frames(path, &file, &frames) &&
                (rows_path == NULL || open_frames(rows_path, &rows_file, &rows));
    good = good &&
           (is_control(frames) ? replay_control(frames, rows, &sum) : replay_agent(frames, &sum));
    if (!good)
        fprintf(stderr, "baton-sim: %s could not be read to its end\n", path);
    printf("%llu steps, %llu compared with what was recorded, %llu different\n",
           (unsigned long long)sum.steps, (unsigned long long)sum.compared,
           (unsigned long long)sum.different);
    buf_free(&file);
    buf_free(&rows_file);
    return !good || sum.different > 0;
}
