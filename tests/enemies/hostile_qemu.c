/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest that broke out of its QEMU may say to the agent: started in QEMU's place, with QEMU's command line. The
 * kernel's arguments (-append) name how it lies; up to the lie it behaves.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 64 << 10, DEEP = 200000 };

static char piece[PIECE + 1];

static void say(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t put = send(fd, text, len, MSG_NOSIGNAL);
        if (put <= 0) {
            pause(); /* Nobody listens any more: it lives on, as a QEMU would. */
            _exit(1);
        }
        text += put;
        len -= (size_t)put;
    }
}

static void say_text(int fd, const char *text)
{
    say(fd, text, strlen(text));
}

_Noreturn static void for_ever(int fd, const char *text)
{
    size_t len = strlen(text), filled = 0;
    while (filled + len <= PIECE) {
        memcpy(piece + filled, text, len);
        filled += len;
    }
    for (;;)
        say(fd, piece, filled);
}

/* The word behind an option that begins with that; NULL: it is not there. */
static const char *word(int argc, char **argv, const char *option, const char *begins)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], option) == 0 && strncmp(argv[i + 1], begins, strlen(begins)) == 0)
            return argv[i + 1];
    return NULL;
}

/* The next command's line; its number. 0: the agent is gone. */
static unsigned long hear(FILE *in, char line[4096])
{
    if (fgets(line, 4096, in) == NULL)
        return 0;
    const char *id = strstr(line, "\"id\":");
    return id == NULL ? 0 : strtoul(id + 5, NULL, 10);
}

/* As QEMU, until the guest runs. */
static void behave(int fd, FILE *in)
{
    char line[4096], answer[256];
    unsigned long id;

    say_text(fd, "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\n");
    while ((id = hear(in, line)) != 0) {
        bool cpus = strstr(line, "query-cpus-fast") != NULL;
        snprintf(answer, sizeof answer,
                 cpus ? "{\"return\": [{\"cpu-index\": 0, \"thread-id\": %d}], \"id\": %lu}\n"
                      : "{\"return\": {}, \"id\": %2$lu}\n",
                 getpid(), id);
        say_text(fd, answer);
        if (strstr(line, "\"cont\"") != NULL)
            return;
    }
    _exit(0);
}

_Noreturn static void lie(const char *how, int fd)
{
    FILE *in = fdopen(dup(fd), "r");

    if (strcmp(how, "garbage") == 0)
        for_ever(fd, "\x01\xff{[\"\\u0000\n");
    if (strcmp(how, "endless-line") == 0)
        for_ever(fd, "{\"QMP\": ");
    if (strcmp(how, "deep") == 0) {
        for (int i = 0; i < DEEP; i++)
            say_text(fd, i % 2 == 0 ? "[" : "{\"a\":");
        for_ever(fd, "\n");
    }
    if (strcmp(how, "silence") == 0)
        pause();
    behave(fd, in);
    for_ever(fd, "{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 1, \"microseconds\": 2}}\n"
                 "{\"event\": \"NOBODY_KNOWS\", \"data\": {\"a\": [1, 2, 3]}}\n");
}

int main(int argc, char **argv)
{
    const char *qmp = word(argc, argv, "-chardev", "socket,id=qmp,fd=");
    const char *how = word(argc, argv, "-append", "");

    if (qmp == NULL || how == NULL)
        return 2;
    int listener = (int)strtol(strchr(strchr(qmp, '=') + 1, '=') + 1, NULL, 10);
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        return 3;
    lie(how, fd);
}
