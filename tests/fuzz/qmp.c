/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that broke out of its QEMU owns this socket: byte 0 says how the rest is cut into reads. */
#include "base/check.h"
#include "nodeagent/runtime/qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct counts {
    uint32_t asked, answered, ended;
};

static void drain(struct qmp *q, struct counts *n)
{
    struct qmp_event ev;
    while (qmp_next(q, &ev)) {
        CHECK(n->ended == 0);
        CHECK(memchr(ev.reason, '\0', sizeof ev.reason) != NULL);
        n->answered += ev.type == QMP_ANSWERED;
        n->ended += ev.type == QMP_ENDED;
        for (uint32_t i = 0; i < ev.threads_count; i++)
            CHECK(ev.threads[i] > 0);
        enum qmp_command command = 1 + n->asked % (QMP__COMMANDS - 1);
        if (qmp_ask(q, command, n->asked, NULL) == ERR_OK)
            n->asked++;
        qmp_sent(q, qmp_output(q).len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qmp q;
    struct counts n = {0};
    size_t step = size == 0 ? 1 : (size_t)data[0] + 1;
    qmp_init(&q);
    for (size_t at = 1; at < size; at += step) {
        qmp_feed(&q, str_from(data + at, min_size(step, size - at)));
        drain(&q, &n);
    }
    qmp_end(&q);
    drain(&q, &n);
    CHECK(n.ended == 1 && n.asked == n.answered);
    qmp_fini(&q);
    return 0;
}
