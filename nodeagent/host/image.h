/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h -- images on this node: fetched, unpacked once, mounted per container.
 *
 * WHAT   DIR/images holds
 *            refs/HASH/        an OCI layout (index.json) per image name, made by skopeo
 *            blobs/sha256/     what those layouts point to, shared
 *            layers/DIGEST/    each layer unpacked once, named by the sha256 of its bytes
 *        A container's root is an overlay of its image's layers and a directory of its own, mounted in
 *        the host's mount namespace so that it outlives the agent.
 * WHY    A layer is hostile input: what may come out of it is decided here (unpack.h), not by the tar.
 * OWNS   struct image lives in the arena it was read into. Mounts belong to who asked.
 * ASYNC  Synchronous, up to minutes: call on workers (host/worker.h). Several threads may share a store:
 *        what they make has names of its own until a rename makes it true. One thread at a time per
 *        image name for image_ensure(); images_collect() while nobody else calls anything of the store.
 * FAILS  ERR_NOT_FOUND (policy Never and not here; the registry does not know it), ERR_INVALID (the
 *        name), ERR_CORRUPT (digest differs, not an image), ERR_LIMIT (bombs, too many layers),
 *        ERR_DENIED (a path outside the import directory, a registry's refusal), ERR_UNAVAILABLE (the
 *        registry cannot be reached, sends nothing for limits.stall, or takes longer than limits.pull;
 *        nobody wants it any more).
 *
 * Names: "[HOST/]PATH[:TAG][@sha256:...]" from a registry (docker.io/library is added like docker
 * does); "oci:NAME[:TAG]", "oci-archive:NAME", "docker-archive:NAME" from DIR/import, never from
 * elsewhere: who may create pods may not read the node's files. With tag and digest the digest counts.
 *
 * A registry is spoken to by TLS, and its certificate checked, unless the administrator of this node
 * names it as insecure: then its certificate is not checked, and plain HTTP will do. Loopback is no
 * exception as it is with Docker: any user of a machine may listen there. What the host says in
 * registries.conf(5) and certs.d holds as well, for skopeo reads it.
 * Source: OCI image-spec 1.0 (layout, manifest, config, layer).
 */
#ifndef NODEAGENT_HOST_IMAGE_H
#define NODEAGENT_HOST_IMAGE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

enum {
    IMAGE_LAYERS_MAX = 64, /* The mount's option string is one page: this many names fit. */
    IMAGE_NAME_MAX = 512,
    IMAGE_DIGEST_LEN = 71,    /* "sha256:" and 64 hex digits. */
    IMAGE_JSON_MAX = 4 << 20, /* Index, manifest, config. */
};

enum image_policy { IMAGE_IF_NOT_PRESENT, IMAGE_ALWAYS, IMAGE_NEVER };

/* How much a layer may be. */
struct image_limits {
    uint64_t layer_bytes;   /* Unpacked; default 16 GiB. */
    uint64_t layer_entries; /* Default 1,000,000. */
    uint64_t path_bytes;    /* Default 4095. */
    struct span pull;       /* Default 30 min. */
    struct span stall;      /* Without a byte from the registry; default 60 s. */
};

struct image_config {
    struct str name;   /* "docker.io/library/busybox:latest" */
    struct str digest; /* Of the manifest. */
    struct str config; /* Digest of the configuration. */
    struct str user, cwd, stop_signal;
    const struct str *entrypoint, *cmd, *env;
    uint32_t entrypoint_count, cmd_count, env_count;
    struct str layers[IMAGE_LAYERS_MAX]; /* Digests, lowest first. */
    uint32_t layers_count;
    uint64_t size_bytes; /* Of the layers as stored. */
};

struct images;

struct images_options {
    struct str directory;       /* DIR/images, made if missing. */
    struct str import;          /* DIR/import */
    struct image_limits limits; /* Zeroes: the defaults. */
    const char *const
        *insecure; /* HOST[:PORT] as in image names; the caller's, as long as the store. */
    uint32_t insecure_count;
};

MUST_USE enum err_code images_open(const struct images_options *opt, struct images **out,
                                   struct err *e);
void images_close(struct images *s);

struct image_want {
    struct str name;
    enum image_policy policy;
    struct str
        auth; /* What a file in the format of containers-auth.json(5) holds, or empty. It reaches
                      * skopeo through memory, never a disk. */
    const _Atomic bool
        *given_up; /* Another thread sets it: a pull ends at the next look. NULL: never. */
};

/* The whole way to "ready to mount": name, pull by policy, verify, unpack what is new. */
MUST_USE enum err_code image_ensure(struct images *s, const struct image_want *want,
                                    struct arena *a, struct image_config *out, struct err *e);

/* Would image_ensure() do without the network? The caller lets others go first otherwise. */
MUST_USE enum err_code image_is_here(struct images *s, struct str name, enum image_policy policy,
                                     bool *out_here, struct err *e);

/* What is here already, without the network. */
MUST_USE enum err_code image_find(struct images *s, struct str name, struct arena *a,
                                  struct image_config *out, struct err *e);

/* The full name: registry and tag filled in. Pure. */
MUST_USE enum err_code image_name_parse(struct str name, struct arena *a, struct str *out,
                                        struct err *e);

/* directory/{upper,work,rootfs}; rootfs becomes the overlay. Mounted already: ok. */
MUST_USE enum err_code image_mount(struct images *s, const struct image_config *image,
                                   const char *directory, struct err *e);
/* Unmounts directory/rootfs (also when busy: it goes when its last user does) and removes the three. */
MUST_USE enum err_code image_unmount(const char *directory, struct err *e);

/* "user[:group]" of an image or a pod, looked up in the root's /etc/passwd and /etc/group without
 * following a link out of it. Numbers need no file. groups: the supplementary ones, up to *count. */
struct image_user {
    uint32_t uid, gid;
    uint32_t groups[64], groups_count;
    char home[256];
};
MUST_USE enum err_code image_user_find(const char *rootfs, struct str user, struct image_user *out,
                                       struct err *e);

/* An image that was fetched from a registry or an archive; layouts that an operator put here are not told of. */
struct image_entry {
    struct str name; /* The full one. */
    uint64_t size_bytes;
};

/* The largest first, and by name among equals, at most max. Those that do not read are left out, and so is what was fetched
 * before names were kept. */
MUST_USE enum err_code images_list(struct images *s, struct arena *a, uint32_t max,
                                   struct image_entry *out, uint32_t *out_count, struct err *e);

/* How many bytes should go: when the store's file system is high_percent full or more, down to low_percent.
 * 0: none; always so with 100. Kubernetes: KubeletConfiguration.imageGCHighThresholdPercent, ...Low... */
MUST_USE enum err_code images_surplus(const struct images *s, uint32_t high_percent,
                                      uint32_t low_percent, uint64_t *out_bytes, struct err *e);

/* Removes images until bytes are free: what no image name leads to, then whole images, the one mounted
 * longest ago first. Nothing that an overlay in mounts stands on, nothing used within age_min. That fewer
 * bytes could be freed is not a failure. */
struct images_collect {
    uint64_t bytes;
    const char *mounts; /* "/proc/self/mountinfo" of the host's mount namespace. */
    struct wall now;
    struct span age_min;
};
struct images_collected {
    uint64_t bytes;
    uint32_t images;
};
MUST_USE enum err_code images_collect(struct images *s, const struct images_collect *q,
                                      struct images_collected *out, struct err *e);

#endif /* NODEAGENT_HOST_IMAGE_H */
