/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop_priv.h -- what the rest of io/ sees of the loop.
 *
 * WHAT   The libuv loop itself, and the two ways to reach a client: emit from a libuv callback, post
 *        from inside a client's call.
 */
#ifndef IO_LOOP_PRIV_H
#define IO_LOOP_PRIV_H

#include "io/loop.h"
#include <uv.h>

enum { LOOP_SCRATCH = 64 << 10 };

uv_loop_t *loop__uv(struct loop *l);

/* One buffer for reading, used within a libuv callback only. */
uv_buf_t loop__scratch(struct loop *l);

/* From a libuv callback: the client hears it now. */
void loop__emit(struct loop_client *c, struct io_event *ev);

/* From anywhere: the client hears it in this turn or the next, unless source is dropped before. */
void loop__post(struct loop_client *c, const void *source, const struct io_event *ev);
void loop__drop(struct loop *l, const void *source);

/* A libuv status (<= 0) as ours: what happened, in the system's words. */
enum err_code loop__err(struct err *e, const char *what, int status);

#endif /* IO_LOOP_PRIV_H */
