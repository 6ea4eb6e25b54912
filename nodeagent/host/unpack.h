/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpack.h -- one layer's tar into a directory, trusting nothing in it.
 *
 * WHAT   Reads tar, also gzip or zstd compressed, with libarchive, and writes an overlayfs lower
 *        directory: a whiteout (".wh.NAME") becomes a 0:0 character device, an opaque marker
 *        (".wh..wh..opq") the attribute trusted.overlay.opaque (OCI image-spec, layer.md; kernel,
 *        overlayfs.rst).
 * WHY    libarchive knows neither whiteouts nor who wrote the tar. Each entry is made relative to a
 *        descriptor of its parent that was opened without following any link (openat2,
 *        RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), so that no name leads out, whatever was unpacked
 *        before it.
 * FAILS  ERR_DENIED: "..", a device node, a hard link out of the layer, a path through a link.
 *        ERR_LIMIT: more entries, bytes or longer paths than allowed. ERR_CORRUPT: not a tar, the
 *        digest differs. Nothing is left behind then but the directory, which the caller removes.
 */
#ifndef NODEAGENT_HOST_UNPACK_H
#define NODEAGENT_HOST_UNPACK_H

#include "base/err.h"
#include "base/str.h"

struct unpack_limits {
    uint64_t bytes, entries, path_bytes;
};

struct unpack_result {
    uint64_t bytes, entries;
};

/* fd: the layer's bytes, from their beginning. directory: empty, the layer's root. digest:
 * "sha256:HEX" of the bytes read from fd, compressed as they are; empty: not checked. */
MUST_USE enum err_code unpack_layer(int fd, const char *directory, struct str digest,
                                    const struct unpack_limits *limits, struct unpack_result *out,
                                    struct err *e);

#endif /* NODEAGENT_HOST_UNPACK_H */
