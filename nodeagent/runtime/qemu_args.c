/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu_args.c -- from spec to argv.
 *
 * Every word a user chose is either checked against the few characters it may have, or stands in an
 * argument of its own (the kernel's arguments, the firmware's path).
 */
#include "nodeagent/runtime/qemu_args.h"
#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>

struct args {
    struct arena *arena;
    const char **at;
    uint32_t count;
};

/* ---- what can be met ---- */

static bool is_word(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && (c == '\0' || strchr("-._+", c) == NULL))
            return false;
    }
    return s.len <= 128;
}

static bool is_any_of(struct str s, const char *const *words, size_t words_count)
{
    for (size_t i = 0; i < words_count; i++)
        if (str_is(s, words[i]))
            return true;
    return s.len == 0;
}

/* A disk's bus: the one asked for, sata for a drive with a tray, else virtio. */
static struct str disk_bus(const struct runtime_disk *d)
{
    if (d->bus.len > 0)
        return d->bus;
    return d->cdrom ? STR("sata") : STR("virtio");
}

static bool needs_pci(const struct runtime_vm *vm)
{
    if (vm->hostdevs_count > 0)
        return true;
    for (uint32_t i = 0; i < vm->disks_count; i++)
        if (!str_is(disk_bus(&vm->disks[i]), "virtio"))
            return true;
    for (uint32_t i = 0; i < vm->nics_count; i++)
        if (vm->nics[i].model.len > 0 && !str_is(vm->nics[i].model, "virtio"))
            return true;
    return false;
}

enum { QEMU_ADDRESS_MAX = 32 };

/* A PCI address. */
static bool is_word_but_colons(struct str s)
{
    struct str part;
    const size_t len = s.len;
    bool plain = len > 0;
    while (s.at != NULL && str_split(&s, ':', &part))
        plain &= part.len > 0 && is_word(part);
    return plain && len <= QEMU_ADDRESS_MAX;
}

static enum err_code devices_check(const struct runtime_vm *vm, enum qemu_machine machine,
                                   struct err *e)
{
    static const char *const buses[] = {"virtio", "sata", "scsi"};
    static const char *const models[] = {"virtio", "e1000", "e1000e", "rtl8139"};
    uint32_t most = machine == QEMU_Q35 ? QEMU_PCI_MAX : QEMU_MMIO_MAX, sata = 0;

    uint32_t count = vm->disks_count + vm->nics_count + vm->hostdevs_count + vm->cells_count;

    if (vm->disks_count > RUNTIME_DISKS_MAX || vm->nics_count > RUNTIME_NICS_MAX ||
        vm->hostdevs_count > RUNTIME_HOSTDEVS_MAX || count > most)
        return err_set(e, ERR_LIMIT,
                       "%u disks, %u network cards, %u devices of the host in %u NUMA nodes; this "
                       "machine type takes %u",
                       vm->disks_count, vm->nics_count, vm->hostdevs_count, vm->cells_count, most);
    for (uint32_t i = 0; i < vm->hostdevs_count; i++)
        if (!is_word_but_colons(vm->hostdevs[i].address) ||
            vm->hostdevs[i].cell >= (int32_t)vm->cells_count)
            return err_set(e, ERR_INVALID, "device " STR_FMT " of the host is none",
                           STR_ARG(vm->hostdevs[i].address));
    for (uint32_t i = 0; i < vm->disks_count; i++) {
        struct str bus = disk_bus(&vm->disks[i]);
        sata += str_is(bus, "sata");
        if (!is_any_of(bus, buses, COUNT_OF(buses)))
            return err_set(e, ERR_INVALID, "disk " STR_FMT ": no bus " STR_FMT,
                           STR_ARG(vm->disks[i].name), STR_ARG(bus));
        if (vm->disks[i].path.len == 0 && vm->disks[i].size_bytes == 0)
            return err_set(e, ERR_INVALID, "disk " STR_FMT ": neither an image nor a size",
                           STR_ARG(vm->disks[i].name));
    }
    for (uint32_t i = 0; i < vm->nics_count; i++)
        if (!is_any_of(vm->nics[i].model, models, COUNT_OF(models)))
            return err_set(e, ERR_INVALID, "no network card " STR_FMT, STR_ARG(vm->nics[i].model));
    if (sata > QEMU_SATA_MAX)
        return err_set(e, ERR_LIMIT, "%u sata disks; the controller takes %u", sata, QEMU_SATA_MAX);
    if (machine == QEMU_MICROVM && needs_pci(vm))
        return err_set(e, ERR_INVALID, "microvm takes virtio disks and network cards only");
    return ERR_OK;
}

static enum err_code cpus_check(const struct runtime_vm *vm, struct err *e)
{
    uint64_t product = (uint64_t)max_u32(vm->sockets, 1) * max_u32(vm->cores, 1);
    product *= max_u32(vm->threads, 1);
    bool told = vm->sockets + vm->cores + vm->threads > 0;
    if (vm->vcpus == 0 || vm->vcpus > QEMU_VCPUS_MAX)
        return err_set(e, ERR_LIMIT, "%u vCPUs; a machine takes 1 to %u", vm->vcpus,
                       QEMU_VCPUS_MAX);
    if (told && product != vm->vcpus)
        return err_set(e, ERR_INVALID, "%u sockets, %u cores, %u threads are not %u vCPUs",
                       vm->sockets, vm->cores, vm->threads, vm->vcpus);
    return ERR_OK;
}

/* Every vCPU and every byte is in one cell. */
static enum err_code cells_check(const struct runtime_vm *vm, struct err *e)
{
    uint64_t bytes = 0;
    uint32_t vcpus = 0;
    for (uint32_t i = 0; i < vm->cells_count; i++) {
        const struct runtime_cell *c = &vm->cells[i];
        bytes += c->memory_bytes;
        if ((c->vcpus_count > 0 && c->vcpu_first != vcpus) || c->memory_bytes % (1 << 20) != 0)
            return err_set(e, ERR_INVALID, "NUMA node %u of the guest is not whole", i);
        vcpus += c->vcpus_count;
    }
    if (vm->cells_count > RUNTIME_CELLS_MAX)
        return err_set(e, ERR_LIMIT, "%u NUMA nodes; a guest has %d", vm->cells_count,
                       RUNTIME_CELLS_MAX);
    if (vm->cells_count > 0 && (bytes != vm->memory_bytes || vcpus != vm->vcpus))
        return err_set(e, ERR_INVALID,
                       "the guest's NUMA nodes have %llu of %llu bytes, %u of %u "
                       "vCPUs",
                       (unsigned long long)bytes, (unsigned long long)vm->memory_bytes, vcpus,
                       vm->vcpus);
    return ERR_OK;
}

static enum err_code words_check(const struct runtime_vm *vm, struct err *e)
{
    if (!is_word(vm->cpu_model))
        return err_set(e, ERR_INVALID, "not the name of a CPU model");
    if (!is_word(vm->uuid) || (vm->uuid.len != 0 && vm->uuid.len != 36))
        return err_set(e, ERR_INVALID, "not a UUID: " STR_FMT, STR_ARG(vm->uuid));
    if (!str_is(vm->accelerator, "kvm") && !str_is(vm->accelerator, "tcg"))
        return err_set(e, ERR_UNAVAILABLE, "no accelerator: this node runs no machines");
    if (vm->kernel_args.len > QEMU_KERNEL_ARGS_MAX)
        return err_set(e, ERR_LIMIT, "kernel arguments of %zu bytes; Linux takes %d",
                       vm->kernel_args.len, QEMU_KERNEL_ARGS_MAX);
    if (vm->kernel_args.len > 0 && memchr(vm->kernel_args.at, '\0', vm->kernel_args.len) != NULL)
        return err_set(e, ERR_INVALID, "kernel arguments hold a NUL");
    if (vm->kernel.len == 0 && (vm->initrd.len > 0 || vm->kernel_args.len > 0))
        return err_set(e, ERR_INVALID, "kernel arguments or initrd without a kernel");
    return ERR_OK;
}

static bool is_q35(struct str name)
{
    return str_starts(name, STR("q35")) || str_starts(name, STR("pc-q35"));
}

enum err_code qemu_machine_choose(const struct runtime_vm *vm, enum qemu_kernel kernel,
                                  enum qemu_machine *out, struct err *e)
{
    enum qemu_machine machine = QEMU_Q35;
    if (str_is(vm->machine, "microvm"))
        machine = QEMU_MICROVM;
    else if (vm->machine.len == 0 && kernel == QEMU_KERNEL_PVH && !needs_pci(vm) &&
             vm->disks_count + vm->nics_count <= QEMU_MMIO_MAX)
        machine = QEMU_MICROVM;
    else if (vm->machine.len > 0 && (!is_q35(vm->machine) || !is_word(vm->machine)))
        return err_set(e, ERR_INVALID, "no machine type " STR_FMT "; there are q35 and microvm",
                       STR_ARG(vm->machine));
    if (machine == QEMU_MICROVM && kernel == QEMU_KERNEL_NONE)
        return err_set(e, ERR_INVALID, "microvm boots a kernel, not a disk");

    enum err_code code = words_check(vm, e);
    if (code == ERR_OK)
        code = cpus_check(vm, e);
    if (code == ERR_OK)
        code = cells_check(vm, e);
    if (code == ERR_OK)
        code = devices_check(vm, machine, e);
    if (code == ERR_OK)
        *out = machine;
    return code;
}

uint64_t qemu_memory_mib(const struct runtime_vm *vm)
{
    return (vm->memory_bytes + (1 << 20) - 1) >> 20;
}

/* ---- the words ---- */

static void add(struct args *a, const char *word)
{
    CHECK(a->count < QEMU_ARGS_MAX);
    a->at[a->count++] = word;
}

static void add_printf(struct args *a, const char *option, const char *fmt, ...) PRINTF(3, 4);
static void add_printf(struct args *a, const char *option, const char *fmt, ...)
{
    char text[512];
    va_list list;
    va_start(list, fmt);
    int len = vsnprintf(text, sizeof text, fmt, list);
    va_end(list);
    CHECK(len >= 0 && (size_t)len < sizeof text); /* Every part was checked before. */
    add(a, option);
    add(a, arena_dup(a->arena, str_from(text, (size_t)len)));
}

static void add_machine(struct args *a, const struct qemu_plan *p)
{
    const struct runtime_vm *vm = &p->spec->vm;
    bool kvm = str_is(vm->accelerator, "kvm");
    const char *memory = vm->cells_count > 0 ? "" : ",memory-backend=ram";

    if (p->machine == QEMU_MICROVM)
        add_printf(a, "-machine", "microvm%s", memory);
    else
        add_printf(a, "-machine", STR_FMT "%s,usb=off,vmport=off,dump-guest-core=off",
                   STR_ARG(vm->machine.len > 0 ? vm->machine : STR("q35")), memory);
    if (kvm)
        add_printf(a, "-accel", "kvm");
    else
        add_printf(a, "-accel", "tcg,thread=multi,tb-size=%d", QEMU_TCG_BUFFER_MIB);

    bool best = vm->cpu_model.len == 0 || str_is(vm->cpu_model, "host-model") ||
                str_is(vm->cpu_model, "host-passthrough");
    add_printf(a, "-cpu", STR_FMT, STR_ARG(!best ? vm->cpu_model : kvm ? STR("host") : STR("max")));
    add_printf(a, "-smp", "cpus=%u,maxcpus=%u,sockets=%u,cores=%u,threads=%u", vm->vcpus, vm->vcpus,
               max_u32(vm->sockets, 1),
               vm->cores > 0 ? vm->cores
                             : vm->vcpus / (max_u32(vm->sockets, 1) * max_u32(vm->threads, 1)),
               max_u32(vm->threads, 1));
    if (vm->uuid.len > 0)
        add_printf(a, "-uuid", STR_FMT, STR_ARG(vm->uuid));
}

/* Anonymous memory: a private mapping of a memfd would hold, and be charged for, every page that the
 * guest writes twice. Huge pages that are not there are missed now, not when the guest comes to them.
 * where: ",policy=bind,host-nodes=..." or nothing. */
static void add_backend(struct args *a, const struct runtime_vm *vm, const char *id, uint64_t mib,
                        const char *where)
{
    unsigned long long page = vm->page_bytes, size = mib;
    if (page > 0)
        add_printf(
            a, "-object",
            "memory-backend-memfd,id=%s,size=%lluM,hugetlb=on,hugetlbsize=%lluM,prealloc=on%s", id,
            size, page >> 20, where);
    else
        add_printf(a, "-object", "memory-backend-ram,id=%s,size=%lluM,prealloc=%s%s", id, size,
                   vm->prealloc ? "on" : "off", where);
}

/* Each node of the guest out of memory of its node of the host, with the distances between those. */
static void add_cells(struct args *a, const struct qemu_plan *p)
{
    const struct runtime_vm *vm = &p->spec->vm;
    for (uint32_t i = 0; i < vm->cells_count; i++) {
        const struct runtime_cell *c = &vm->cells[i];
        char where[64] = "", id[16], memory[32] = "", vcpus[48] = "";
        snprintf(id, sizeof id, "ram%u", i);
        if (p->numa)
            snprintf(where, sizeof where, ",policy=bind,host-nodes=%u", c->host_node);
        if (c->memory_bytes > 0) {
            add_backend(a, vm, id, c->memory_bytes >> 20, where);
            snprintf(memory, sizeof memory, ",memdev=%s", id);
        }
        if (c->vcpus_count > 0)
            snprintf(vcpus, sizeof vcpus, ",cpus=%u-%u", c->vcpu_first,
                     c->vcpu_first + c->vcpus_count - 1);
        add_printf(a, "-numa", "node,nodeid=%u%s%s", i, vcpus, memory);
    }
    for (uint32_t i = 0; i < vm->cells_count; i++)
        for (uint32_t k = 0; k < vm->cells_count; k++)
            if (i != k && vm->cells[i].distances[k] > 10)
                add_printf(a, "-numa", "dist,src=%u,dst=%u,val=%u", i, k,
                           vm->cells[i].distances[k]);
}

static void add_memory(struct args *a, const struct qemu_plan *p)
{
    const struct runtime_cpu *cpu = &p->spec->cpu;
    char where[16 + 8 * 24] = "";
    size_t len = 0;
    add_printf(a, "-m", "size=%lluM", (unsigned long long)qemu_memory_mib(&p->spec->vm));
    if (p->spec->vm.cells_count > 0) {
        add_cells(a, p);
        return;
    }
    for (uint32_t i = 0; p->numa && i < min_u32(cpu->numa_nodes_count, 8); i++)
        len += (size_t)snprintf(where + len, sizeof where - len, "%s,host-nodes=%u",
                                i == 0 ? ",policy=bind" : "", cpu->numa_nodes[i]);
    add_backend(a, &p->spec->vm, "ram", qemu_memory_mib(&p->spec->vm), where);
}

static void add_boot(struct args *a, const struct qemu_plan *p)
{
    const struct runtime_vm *vm = &p->spec->vm;
    if (p->kernel >= 0) {
        add_printf(a, "-kernel", "/proc/self/fd/%d", p->kernel);
        if (p->initrd >= 0)
            add_printf(a, "-initrd", "/proc/self/fd/%d", p->initrd);
        if (vm->kernel_args.len > 0) {
            add(a, "-append");
            add(a, arena_dup(a->arena, vm->kernel_args));
        }
    }
    add(a, "-bios"); /* qboot knows kernels only, and is up 200 ms before SeaBIOS. */
    if (vm->firmware.len > 0)
        add(a, arena_dup(a->arena, vm->firmware));
    else
        add(a, p->kernel >= 0 && vm->hostdevs_count == 0 ? "qboot.rom" : "bios-256k.bin");
    /* A machine that ended stays, standing, until the agent has heard of it: it may be away now. A
     * microvm's guest often cannot but reset in order to end. */
    add_printf(a, "-action", "shutdown=pause,reboot=%s",
               p->machine == QEMU_MICROVM ? "shutdown" : "reset");
}

static void add_serial(struct args *a, const struct qemu_plan *p)
{
    char log[64] = "";
    if (p->serial_log >= 0)
        snprintf(log, sizeof log, ",logfile=/dev/fdset/%d,logappend=on", p->serial_log);
    add_printf(a, "-chardev", "socket,id=serial,fd=%d,server=on,wait=off%s", p->serial, log);
    add_printf(a, "-serial", "chardev:serial");
    add_printf(a, "-chardev", "socket,id=qmp,fd=%d,server=on,wait=off", p->qmp);
    add_printf(a, "-mon", "chardev=qmp,mode=control");
}

/* Descriptor n is set n: QEMU opens it by name where it wants a path. */
static void add_fdset(struct args *a, int fd)
{
    if (fd >= 0)
        add_printf(a, "-add-fd", "fd=%d,set=%d", fd, fd);
}

/* -drive and not -blockdev: it alone can put a throw-away overlay on top (snapshot=on), which is an
 * unlinked file in TMPDIR and so cannot be left behind. */
static void add_disk(struct args *a, const struct qemu_plan *p, uint32_t i)
{
    const struct runtime_disk *d = &p->spec->vm.disks[i];
    struct str bus = disk_bus(d);
    char file[64];

    add_fdset(a, p->disks[i]);
    if (p->disks[i] >= 0)
        snprintf(file, sizeof file, "/dev/fdset/%d", p->disks[i]);
    else
        snprintf(file, sizeof file, "disk-%u.raw", i);
    add_printf(a, "-drive", "if=none,id=disk%u,file=%s,format=%s,discard=unmap,%s", i, file,
               p->disks_qcow2[i] ? "qcow2" : "raw",
               p->disks[i] >= 0 && d->ephemeral && !d->read_only ? "snapshot=on"
               : d->read_only || d->cdrom                        ? "readonly=on"
                                                                 : "readonly=off");
    if (str_is(bus, "sata"))
        add_printf(a, "-device", "ide-%s,drive=disk%u,bootindex=%u", d->cdrom ? "cd" : "hd", i,
                   i + 1);
    else if (str_is(bus, "scsi"))
        add_printf(a, "-device", "scsi-%s,drive=disk%u,bus=scsi.0,bootindex=%u",
                   d->cdrom ? "cd" : "hd", i, i + 1);
    else if (p->machine == QEMU_MICROVM)
        add_printf(a, "-device", "virtio-blk-device,drive=disk%u", i);
    else
        add_printf(a, "-device", "virtio-blk-pci,drive=disk%u,bootindex=%u", i, i + 1);
}

static void add_nic(struct args *a, const struct qemu_plan *p, uint32_t i)
{
    const struct runtime_nic *n = &p->spec->vm.nics[i];
    bool virtio = n->model.len == 0 || str_is(n->model, "virtio");
    char model[32];

    if (virtio)
        snprintf(model, sizeof model, "virtio-net-%s",
                 p->machine == QEMU_MICROVM ? "device" : "pci");
    else
        snprintf(model, sizeof model, STR_FMT, STR_ARG(n->model));
    add_printf(a, "-netdev", "tap,id=nic%u,fd=%d", i, p->nics[i]);
    add_printf(a, "-device", "%s,netdev=nic%u,mac=%02x:%02x:%02x:%02x:%02x:%02x%s", model, i,
               n->mac[0], n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5],
               p->machine == QEMU_MICROVM
                   ? ""
                   : ",romfile="); /* No boot ROM: a network is not a boot disk. */
}

/* Buses behind an expander: its own, and one for each root port. */
enum { EXPANDER_BUS_FIRST = 64, EXPANDER_BUSES = RUNTIME_HOSTDEVS_MAX + 1 };

_Static_assert(EXPANDER_BUS_FIRST + RUNTIME_CELLS_MAX * EXPANDER_BUSES <= 256, "a bus has 8 bits");

static bool cell_has_device(const struct runtime_vm *vm, uint32_t cell)
{
    for (uint32_t i = 0; i < vm->hostdevs_count; i++)
        if (vm->hostdevs[i].cell == (int32_t)cell)
            return true;
    return false;
}

static void add_hostdevs(struct args *a, const struct runtime_vm *vm)
{
    for (uint32_t i = 0; i < vm->cells_count; i++)
        if (cell_has_device(vm, i))
            add_printf(a, "-device", "pxb-pcie,id=pxb%u,bus=pcie.0,bus_nr=%u,numa_node=%u", i,
                       EXPANDER_BUS_FIRST + EXPANDER_BUSES * i, i);
    for (uint32_t i = 0; i < vm->hostdevs_count; i++) {
        const struct runtime_hostdev *d = &vm->hostdevs[i];
        char bus[16] = "pcie.0";
        if (d->cell >= 0)
            snprintf(bus, sizeof bus, "pxb%d", d->cell);
        add_printf(a, "-device", "pcie-root-port,id=port%u,bus=%s,chassis=%u", i, bus, i + 1);
        add_printf(a, "-device", "vfio-pci,id=hostdev%u,host=" STR_FMT ",bus=port%u", i,
                   STR_ARG(d->address), i);
    }
}

static bool has_scsi(const struct runtime_vm *vm)
{
    for (uint32_t i = 0; i < vm->disks_count; i++)
        if (str_is(disk_bus(&vm->disks[i]), "scsi"))
            return true;
    return false;
}

enum err_code qemu_args_make(struct arena *arena, const struct qemu_plan *p, const char *command,
                             const char *const **out_argv, struct err *e)
{
    if (p->spec->id.len == 0 || !is_word(p->spec->id))
        return err_set(e, ERR_INVALID, "not the id of an instance");
    const char **at = arena_zalloc(arena, QEMU_ARGS_MAX + 1, sizeof *at);
    if (at == NULL)
        return arena_status(arena, e);
    struct args a = {.arena = arena, .at = at};

    add(&a, command);
    add_printf(&a, "-name", "guest=" STR_FMT ",debug-threads=on", STR_ARG(p->spec->id));
    add(&a, "-S");
    add(&a, "-nodefaults");
    add(&a, "-no-user-config");
    add_printf(&a, "-display", "none");
    add_printf(&a, "-sandbox",
               "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    add_machine(&a, p);
    add_memory(&a, p);
    add_boot(&a, p);
    add_fdset(&a, p->serial_log);
    add_serial(&a, p);
    if (has_scsi(&p->spec->vm))
        add_printf(&a, "-device", "virtio-scsi-pci,id=scsi");
    for (uint32_t i = 0; i < p->spec->vm.disks_count; i++)
        add_disk(&a, p, i);
    for (uint32_t i = 0; i < p->spec->vm.nics_count; i++)
        add_nic(&a, p, i);
    add_hostdevs(&a, &p->spec->vm);
    *out_argv = a.at;
    return arena_status(arena, e);
}
