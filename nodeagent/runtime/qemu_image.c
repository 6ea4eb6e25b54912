/* SPDX-License-Identifier: Apache-2.0 */
/* What kernel and disk images are, from their bytes. Users choose those bytes: every offset is checked. */
#include "nodeagent/runtime/qemu_args.h"

#include <elf.h>

enum { NOTE_PHYS32_ENTRY = 18, HEADERS_MAX = 64, NOTES_MAX = 256 };

struct notes {
    bool pvh, linux_kernel;
};

/* size bytes of image at offset, copied out (they may be unaligned). */
static bool copy_out(struct str image, uint64_t offset, void *out, size_t size)
{
    if (offset > image.len || image.len - offset < size)
        return false;
    memcpy(out, image.at + offset, size);
    return true;
}

static void notes_read(struct str image, uint64_t offset, uint64_t size, struct notes *out)
{
    uint64_t end = size > image.len ? image.len : size;
    if (offset > image.len || image.len - offset < end)
        return;
    struct str notes = str_slice(image, offset, offset + end);
    for (size_t at = 0, count = 0; count < NOTES_MAX; count++) {
        Elf64_Nhdr note; /* The same in 32-bit files. */
        if (!copy_out(notes, at, &note, sizeof note))
            return;
        struct str name = str_slice(notes, at + sizeof note, at + sizeof note + note.n_namesz);
        out->pvh = out->pvh || (note.n_type == NOTE_PHYS32_ENTRY && str_eq(name, STR("Xen\0")));
        out->linux_kernel = out->linux_kernel || str_eq(name, STR("Linux\0"));
        at += sizeof note + (((uint64_t)note.n_namesz + 3) & ~3ull) +
              (((uint64_t)note.n_descsz + 3) & ~3ull);
    }
}

static void notes_of_elf64(struct str image, struct notes *out)
{
    Elf64_Ehdr head;
    if (!copy_out(image, 0, &head, sizeof head) || head.e_phentsize != sizeof(Elf64_Phdr))
        return;
    for (uint64_t i = 0; i < min_u32(head.e_phnum, HEADERS_MAX); i++) {
        Elf64_Phdr part;
        if (head.e_phoff > image.len ||
            !copy_out(image, head.e_phoff + i * sizeof part, &part, sizeof part))
            return;
        if (part.p_type == PT_NOTE)
            notes_read(image, part.p_offset, part.p_filesz, out);
    }
}

static void notes_of_elf32(struct str image, struct notes *out)
{
    Elf32_Ehdr head;
    if (!copy_out(image, 0, &head, sizeof head) || head.e_phentsize != sizeof(Elf32_Phdr))
        return;
    for (uint64_t i = 0; i < min_u32(head.e_phnum, HEADERS_MAX); i++) {
        Elf32_Phdr part;
        if (!copy_out(image, head.e_phoff + i * sizeof part, &part, sizeof part))
            return;
        if (part.p_type == PT_NOTE)
            notes_read(image, part.p_offset, part.p_filesz, out);
    }
}

enum qemu_kernel qemu_kernel_kind(struct str image)
{
    struct notes notes = {0};
    if (image.len > EI_CLASS && str_starts(image, STR(ELFMAG))) {
        if (image.at[EI_CLASS] == ELFCLASS64)
            notes_of_elf64(image, &notes);
        else
            notes_of_elf32(image, &notes);
    }
    return notes.pvh && !notes.linux_kernel ? QEMU_KERNEL_PVH : QEMU_KERNEL_OTHER;
}

static uint64_t get_be(struct str bytes, size_t at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | (uint8_t)bytes.at[at + i];
    return value;
}

enum err_code qemu_disk_is_qcow2(struct str head, bool *out, struct err *e)
{
    if (!str_starts(head, STR("QFI\xfb"))) {
        *out = false;
        return ERR_OK;
    }
    if (head.len < 104)
        return err_set(e, ERR_INVALID, "the disk is a qcow2 image without its header");
    uint64_t version = get_be(head, 4, 4), features = version >= 3 ? get_be(head, 72, 8) : 0;
    if (version < 2 || version > 3)
        return err_set(e, ERR_INVALID, "the disk is a qcow2 image of version %llu",
                       (unsigned long long)version);
    if (get_be(head, 8, 8) != 0)
        return err_set(e, ERR_INVALID, "the disk is a qcow2 image that names a backing file");
    if ((features & 4) != 0)
        return err_set(e, ERR_INVALID, "the disk is a qcow2 image that names a data file");
    *out = true;
    return ERR_OK;
}
