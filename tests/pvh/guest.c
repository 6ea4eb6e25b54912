/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.c -- the smallest guest that behaves like a kernel.
 *
 * WHAT   Booted by QEMU's PVH entry on q35 and on microvm. Does rounds of what an ordinary kernel
 *        does and an ordinary program never: control register writes, CPUID, changes of page
 *        tables with the flushes they need, port I/O. Checks that each took effect, writes one
 *        line to the first serial port, and powers the machine off.
 * WHY    nodeagent/host/accel.h times it under each accelerator: a /dev/kvm that opens and runs
 *        small guests may still run a kernel a hundred times slower than emulation. The benchmark
 *        start-vmi uses it as the guest that is up at its first instruction.
 * HOW    Words of the command line: "rounds=N" (decimal, default ROUNDS_DEFAULT; 0: no work at
 *        all), "hold" (wait for the power button instead of leaving). Without ACPI (microvm) the
 *        machine ends by a triple fault: QEMU wants -no-reboot for that.
 */
#include <stdbool.h>
#include <stdint.h>

enum {
    ROUNDS_DEFAULT = 32,
    PAGES = 512,
    FRAMES = 8,
    PASSES = 2,
    TRAPS = 8,
    TICKS_PER_SECOND = 100
};
static const uint64_t APIC = 0xfee00000;

enum {
    PORT_SERIAL = 0x3f8,
    PORT_POST = 0x80,
    PORT_PM1_STATUS = 0x600, /* Where SeaBIOS and qboot put the ICH9's PM block. */
    PORT_PM1_ENABLE = 0x602,
    PORT_PM1_CONTROL = 0x604,
    PM1_POWER_BUTTON = 1 << 8,
    PM1_SLEEP = 1 << 13, /* With type 0, which is S5 on QEMU. */
};

struct start_info { /* Xen's struct hvm_start_info, version 0. */
    uint32_t magic, version, flags, modules_count;
    uint64_t modules, command_line, rsdp;
};

struct table_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

extern uint64_t page_pointers[512]; /* start.S: the first GiB is mapped. */
void tick(void);
void guest_main(const struct start_info *info);

static uint64_t window_directory[512] __attribute__((aligned(4096)));
static uint64_t window_table[PAGES] __attribute__((aligned(4096)));
static uint64_t apic_directory[512] __attribute__((aligned(4096)));
static uint64_t frames[FRAMES][512] __attribute__((aligned(4096)));
static uint64_t gates[33][2] __attribute__((aligned(16)));

/* The window of 4 KiB pages starts at 1 GiB, right above what start.S mapped. */
static volatile uint64_t *const window = (uint64_t *)(1ul << 30);

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port));
}

static inline uint16_t in16(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void print(const char *text)
{
    for (; *text != '\0'; text++) {
        while ((in8(PORT_SERIAL + 5) & 0x20) == 0)
            ; /* The transmitter holds a byte. */
        out8(PORT_SERIAL, (uint8_t)*text);
    }
}

static void print_number(uint64_t value)
{
    char digits[21];
    char *at = digits + sizeof digits - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    print(at);
}

static void window_open(void)
{
    window_directory[0] = (uint64_t)window_table | 3;
    page_pointers[1] = (uint64_t)window_directory | 3;
}

static inline void flush_page(volatile const void *at)
{
    __asm__ volatile("invlpg (%0)" ::"r"(at) : "memory");
}

static inline void flush_all(void)
{
    uint64_t cr3;
    __asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(cr3)::"memory");
}

/* Map every page of the window to another frame than before, and see through it that the
 * translation really changed. Returns how often it had not. */
static uint64_t churn(uint64_t round)
{
    uint64_t wrong = 0;
    for (uint64_t page = 0; page < PAGES; page++) {
        uint64_t frame = (page + round) % FRAMES;
        window_table[page] = (uint64_t)frames[frame] | 3;
        flush_page(&window[page * 512]);
        window[page * 512 + page] = round << 32 | page;
        wrong += frames[frame][page] != (round << 32 | page);
    }
    for (uint64_t page = 0; page < PAGES; page++)
        window_table[page] = 0;
    flush_all();
    return wrong;
}

/* Plain work over 32 KiB of memory: what hardware does at full speed and emulation does not. */
static void compute(uint64_t hash)
{
    for (int pass = 0; pass < PASSES; pass++)
        for (uint64_t i = 0; i < FRAMES * 512; i++)
            hash = (hash ^ frames[i / 512][i % 512]) * 0x100000001b3;
    __asm__ volatile("" ::"r"(hash)); /* Nobody wants the sum; the compiler must not notice. */
}

/* Leave and enter the kernel's write protection and global pages, as a kernel does when it
 * patches itself; ask the processor what it is, which a hypervisor always answers itself. */
static uint64_t privileged(void)
{
    uint64_t cr0, cr4, wrong = 0;
    for (int i = 0; i < TRAPS; i++) {
        uint32_t a = 0, b, c = 0, d;
        __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
        wrong += a == 0;
        __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
        __asm__ volatile("mov %0, %%cr0" ::"r"(cr0 & ~(1ul << 16)) : "memory");
        __asm__ volatile("mov %0, %%cr0" ::"r"(cr0) : "memory");
        __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
        __asm__ volatile("mov %0, %%cr4" ::"r"(cr4 ^ (1ul << 7)) : "memory");
        __asm__ volatile("mov %0, %%cr4" ::"r"(cr4) : "memory");
        out8(PORT_POST, (uint8_t)i);
    }
    return wrong;
}

/* The value behind word ("rounds="), or fallback. A bare word has the value 1. */
static uint64_t option(const char *line, const char *word, uint64_t fallback)
{
    while (line != 0 && *line != '\0') {
        const char *want = word;
        while (*want != '\0' && *line == *want)
            line++, want++;
        if (*want == '\0') {
            uint64_t value = 0;
            if (want[-1] != '=')
                return *line == '\0' || *line == ' ';
            while (*line >= '0' && *line <= '9')
                value = value * 10 + (uint64_t)(*line++ - '0');
            return value;
        }
        while (*line != '\0' && *line != ' ')
            line++;
        while (*line == ' ')
            line++;
    }
    return fallback;
}

static inline void apic_set(uint64_t offset, uint32_t value)
{
    *(volatile uint32_t *)(APIC + offset) = value;
}

/* Sleep until the power button, woken a hundred times a second by the timer. */
static void guest_wait(void)
{
    uint64_t entry = (uint64_t)tick;
    gates[32][0] = (entry & 0xffff) | 8ul << 16 | 0x8eul << 40 | (entry >> 16 & 0xffff) << 48;
    gates[32][1] = entry >> 32;
    struct table_pointer pointer = {sizeof gates - 1, (uint64_t)gates};
    __asm__ volatile("lidt %0" ::"m"(pointer));

    /* The local APIC's own timer: needs no 8259 or 8254, which a microvm may lack. */
    apic_directory[APIC >> 21 & 511] = APIC | 0x93; /* 2 MiB, uncached. */
    page_pointers[3] = (uint64_t)apic_directory | 3;
    apic_set(0xf0, 0x1ff);         /* Spurious vector: on. */
    apic_set(0x350, 1 << 16);      /* LINT0, the 8259: masked. */
    apic_set(0x3e0, 3);            /* Divide by 16. */
    apic_set(0x320, 1 << 17 | 32); /* Timer: periodic, vector 32. */
    apic_set(0x380, 1000000000 / 16 / TICKS_PER_SECOND);

    out16(PORT_PM1_ENABLE, PM1_POWER_BUTTON);
    for (;;) {
        uint16_t status = in16(PORT_PM1_STATUS);
        if (status != 0xffff && (status & PM1_POWER_BUTTON) != 0) /* All ones: nothing there. */
            return;
        __asm__ volatile("sti; hlt; cli");
    }
}

static void power_off(void)
{
    struct table_pointer none = {0, 0};
    bool acpi = in16(PORT_PM1_STATUS) != 0xffff; /* All ones: nothing there. */
    out16(PORT_PM1_CONTROL, PM1_SLEEP);
    while (acpi)
        __asm__ volatile("cli; hlt"); /* The machine stops a little after it was told. */

    /* No ACPI: a page fault without a handler, thus a double, thus a triple one. */
    __asm__ volatile("lidt %0" ::"m"(none));
    *(volatile uint8_t *)(3ul << 30) = 0;
}

void guest_main(const struct start_info *info)
{
    const char *line = (const char *)info->command_line;
    uint64_t rounds = option(line, "rounds=", ROUNDS_DEFAULT), wrong = 0;

    window_open();
    for (uint64_t round = 1; round <= rounds; round++) {
        wrong += churn(round) + privileged();
        compute(round);
    }

    print(wrong == 0 ? "baton-guest: ok rounds=" : "baton-guest: WRONG rounds=");
    print_number(rounds);
    print("\n");
    while (option(line, "flood", 0) != 0)
        print("nobody wants to read all of this, and yet it does not end: it is said again and "
              "again\n");
    if (option(line, "hold", 0) != 0)
        guest_wait();
    power_off();
}
