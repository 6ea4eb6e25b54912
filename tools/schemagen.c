/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/schemagen.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { DESCRIPTORS_MAX = 16 << 20, TABLE_MAX = 16 << 20, MODEL_MAX = 64 << 20 };

NORETURN void gen_fail(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("schemagen: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void read_file(const char *path, struct buf *into)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        gen_fail("%s: %m", path);
    for (;;) {
        char *room = buf_reserve(into, 65536);
        if (room == NULL)
            gen_fail("%s is over %zu bytes", path, into->limit);
        size_t got = fread(room, 1, 65536, f);
        if (got == 0)
            break;
        buf_commit(into, got);
    }
    fclose(f);
}

int main(int argc, char **argv)
{
    struct buf in, out;
    struct gen_model *model = mem_zalloc(1, sizeof *model);

    if (argc != 2)
        gen_fail("usage: schemagen DESCRIPTORS > schema_table.c");
    buf_init(&in, DESCRIPTORS_MAX);
    buf_init(&out, TABLE_MAX);
    arena_init(&model->arena, MODEL_MAX);

    read_file(argv[1], &in);
    gen_load(model, buf_str(&in));
    gen_emit(model, &out);
    if (out.overflow || model->arena.overflow)
        gen_fail("the schema is too big");
    if (fwrite(out.at, 1, out.len, stdout) != out.len || fflush(stdout) != 0)
        gen_fail("write: %m");

    arena_free(&model->arena);
    mem_free(model);
    buf_free(&out);
    buf_free(&in);
    return 0;
}
