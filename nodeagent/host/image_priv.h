/* SPDX-License-Identifier: Apache-2.0 */
/* image_priv.h -- the parts of image: names, OCI documents, layers. */
#ifndef NODEAGENT_HOST_IMAGE_PRIV_H
#define NODEAGENT_HOST_IMAGE_PRIV_H

#include "io/digest.h"
#include "io/fs.h"
#include "nodeagent/host/image.h"

struct images {
    char directory[2048], import[2048]; /* Short enough that what is below fits FS_PATH_MAX. */
    struct image_limits limits;
    const char *const *insecure;
    uint32_t insecure_count;
    _Atomic uint64_t serial; /* Of temporary names. */
};

/* Where a name's layout is, and who brings it. */
enum image_transport { IMAGE_REGISTRY, IMAGE_LAYOUT, IMAGE_ARCHIVE };

struct image_place {
    enum image_transport transport;
    struct str full;          /* The whole name. */
    struct str source;        /* As skopeo takes it; IMAGE_LAYOUT: none. */
    struct str tag;           /* In the layout's index; empty: its only one. */
    char layout[FS_PATH_MAX]; /* Holds index.json. */
    char blobs[FS_PATH_MAX];  /* Holds sha256/HEX. */
};

MUST_USE enum err_code image__place(const struct images *s, struct str name, struct arena *a,
                                    struct image_place *out, struct err *e);

/* index.json, manifest, config; each but the first verified. ERR_NOT_FOUND: no layout there. */
MUST_USE enum err_code image__read(const struct image_place *p, struct arena *a,
                                   struct image_config *out, struct err *e);

/* From where the place says into its layout; the whole of it or nothing. */
MUST_USE enum err_code image__pull(struct images *s, const struct image_place *p,
                                   const struct image_want *want, struct arena *a, struct err *e);

/* What an image is called, beside its index: its folder is a digest of that. */
MUST_USE enum err_code image__write_name(const char *layout, struct str name, struct err *e);

/* A path in folder that nobody else has; left over after a crash, images_open() removes it. */
void image__temporary(struct images *s, const char *folder, char out[FS_PATH_MAX]);

/* An image's layout is used now: images_collect() goes by its time. */
void image__used(const char *layout);

/* What the files below path take on the disk; 0 when there are none. */
uint64_t image__tree_bytes(const char *path);

/* The name below layers/: half of the digest, because 64 of them must fit one page. */
enum { IMAGE_LAYER_NAME_LEN = 32 };
void image__layer_name(struct str digest, char out[IMAGE_LAYER_NAME_LEN + 1]);

#endif /* NODEAGENT_HOST_IMAGE_PRIV_H */
