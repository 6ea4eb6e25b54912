/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.S -- from the PVH entry to 64-bit C.
 *
 * The Xen x86/HVM direct boot ABI ("PVH") enters at the address in the ELF note of type 18 in
 * 32-bit protected mode: flat segments, paging and interrupts off, %ebx = physical address of
 * struct hvm_start_info. Identity-mapped tables of 2 MiB pages cover the first GiB; guest.c adds
 * a window of 4 KiB pages above it.
 */
    .section .note.pvh, "a", @note
    .balign 4
    .long 4             /* Bytes of the name, ... */
    .long 8             /* ... of the value, ... */
    .long 18            /* ... and XEN_ELFNOTE_PHYS32_ENTRY. */
    .asciz "Xen"
    .quad start32

    .section .text.start, "ax"
    .code32
    .globl start32
start32:
    cli
    cld
    mov $stack_end, %esp
    mov %ebx, %edi      /* guest_main()'s argument in the 64-bit calling convention. */

    mov $page_map, %eax
    mov $page_pointers, %ebx
    or $3, %ebx         /* Present, writable. */
    mov %ebx, (%eax)
    mov $page_directory, %ebx
    or $3, %ebx
    mov %ebx, page_pointers

    xor %ecx, %ecx
    mov $0x83, %ebx     /* Present, writable, 2 MiB. */
1:  mov %ebx, page_directory(,%ecx,8)
    add $0x200000, %ebx
    inc %ecx
    cmp $512, %ecx
    jb 1b

    mov %eax, %cr3
    mov %cr4, %eax
    or $0x20, %eax      /* PAE */
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax     /* EFER.LME */
    wrmsr
    mov %cr0, %eax
    or $0x80010000, %eax /* PG, WP */
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $start64

    .code64
start64:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $stack_end, %rsp
    mov %edi, %edi      /* The upper half is undefined across the mode switch. */
    call guest_main
1:  cli
    hlt
    jmp 1b

/* The timer tick of guest_wait(): hlt returns, nothing else happens. */
    .globl tick
tick:
    push %rax
    mov $0xfee000b0, %eax
    movl $0, (%rax)     /* End of interrupt. */
    pop %rax
    iretq

    .section .rodata
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9a000000ffff /* 8: 64-bit code */
    .quad 0x00cf92000000ffff /* 16: data */
gdt_pointer:
    .word . - gdt - 1
    .quad gdt

    .bss
    .balign 4096
    .globl page_map, page_pointers
page_map:       .skip 4096
page_pointers:  .skip 4096
page_directory: .skip 4096
    .skip 16384
stack_end:

    .section .note.GNU-stack, "", @progbits
