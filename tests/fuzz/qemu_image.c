/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels and disks come out of images that anybody may have made. */
#include "nodeagent/runtime/qemu_args.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool qcow2;
    struct str image = str_from(data, size);
    (void)qemu_kernel_kind(image);
    (void)!qemu_disk_is_qcow2(image, &qcow2, NULL);
    return 0;
}
