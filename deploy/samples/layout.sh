# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# An OCI image layout from a directory, with nothing but tar and sha256sum. Sourced.
# Source: OCI image-spec 1.0, image-layout.md, manifest.md, config.md.

# layout_blob OUT FILE: moves FILE into the layout, sets layout_digest and layout_size.
layout_blob() {
    layout_digest=$(sha256sum "$2" | cut -d ' ' -f 1)
    layout_size=$(stat -c %s "$2")
    mkdir -p "$1/blobs/sha256"
    mv "$2" "$1/blobs/sha256/$layout_digest"
}

# layout_write OUT TAG ROOT CONFIG: OUT is a layout with one image of one layer, ROOT's files owned by root. CONFIG is the
# image's "config" object: {"Cmd":["/bin/sh"]}
layout_write() {
    layout_work=$(mktemp -d)
    mkdir -p "$1"
    printf '{"imageLayoutVersion":"1.0.0"}' >"$1/oci-layout"

    tar -C "$3" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$layout_work/layer" .
    layout_blob "$1" "$layout_work/layer"
    layout_layer=$layout_digest layout_layer_size=$layout_size

    printf '{"architecture":"amd64","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
        "$4" "$layout_layer" >"$layout_work/config"
    layout_blob "$1" "$layout_work/config"

    printf '{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"%s","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"%s","digest":"sha256:%s","size":%s}]}' \
        application/vnd.oci.image.manifest.v1+json \
        application/vnd.oci.image.config.v1+json "$layout_digest" "$layout_size" \
        application/vnd.oci.image.layer.v1.tar "$layout_layer" "$layout_layer_size" >"$layout_work/manifest"
    layout_blob "$1" "$layout_work/manifest"

    printf '{"schemaVersion":2,"manifests":[{"mediaType":"%s","digest":"sha256:%s","size":%s,"annotations":{"org.opencontainers.image.ref.name":"%s"}}]}' \
        application/vnd.oci.image.manifest.v1+json "$layout_digest" "$layout_size" "$2" >"$1/index.json"
    rm -rf "$layout_work"
}
