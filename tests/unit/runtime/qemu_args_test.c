/* SPDX-License-Identifier: Apache-2.0 */
#include "nodeagent/runtime/qemu_args.h"
#include "tests/testlib/test.h"
#include <elf.h>
#include <stdio.h>

static struct runtime_spec spec_of(const char *accelerator)
{
    return (struct runtime_spec){.id = STR("u1.guest.0"),
                                 .kind = RUNTIME_VM,
                                 .vm = {.vcpus = 2,
                                        .memory_bytes = 256 << 20,
                                        .accelerator = str_of(accelerator),
                                        .kernel = STR("/k")}};
}

static struct qemu_plan plan_of(const struct runtime_spec *spec)
{
    struct qemu_plan p = {
        .spec = spec, .kernel = 4, .initrd = -1, .serial_log = 3, .serial = 7, .qmp = 8};
    for (int i = 0; i < RUNTIME_DISKS_MAX; i++)
        p.disks[i] = -1;
    return p;
}

/* The arguments as one line. */
static const char *line_of(struct qemu_plan *p)
{
    static char line[16 << 10];
    struct arena a;
    struct err e = {0};
    const char *const *argv;
    arena_init(&a, 1 << 20);
    cr_assert_eq(qemu_args_make(&a, p, "qemu", &argv, &e), ERR_OK, "%s", e.text);
    size_t len = 0;
    for (; *argv != NULL; argv++)
        len += (size_t)snprintf(line + len, sizeof line - len, "%s%s", len > 0 ? " " : "", *argv);
    arena_free(&a);
    return line;
}

static void assert_has(const char *line, const char *part)
{
    cr_assert_not_null(strstr(line, part), "no \"%s\" in %s", part, line);
}

TEST(qemu_args, a_kernel_on_q35)
{
    struct runtime_spec spec = spec_of("tcg");
    struct qemu_plan p = plan_of(&spec);
    spec.vm.kernel_args = STR("console=ttyS0 a,b=c");
    p.initrd = 5;
    cr_assert_str_eq(
        line_of(&p),
        "qemu -name guest=u1.guest.0,debug-threads=on -S -nodefaults -no-user-config -display none "
        "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny "
        "-machine q35,memory-backend=ram,usb=off,vmport=off,dump-guest-core=off "
        "-accel tcg,thread=multi,tb-size=32 -cpu max "
        "-smp cpus=2,maxcpus=2,sockets=1,cores=2,threads=1 -m size=256M "
        "-object memory-backend-ram,id=ram,size=256M,prealloc=off "
        "-kernel /proc/self/fd/4 -initrd /proc/self/fd/5 -append console=ttyS0 a,b=c "
        "-bios qboot.rom -action shutdown=pause,reboot=reset -add-fd fd=3,set=3 "
        "-chardev socket,id=serial,fd=7,server=on,wait=off,logfile=/dev/fdset/3,"
        "logappend=on -serial chardev:serial "
        "-chardev socket,id=qmp,fd=8,server=on,wait=off -mon chardev=qmp,mode=control");
}

TEST(qemu_args, a_microvm_has_no_pci)
{
    struct runtime_nic nic = {.tap = STR("t0"), .mac = {2, 0, 0xa, 1, 0, 5}};
    struct runtime_disk disk = {.name = STR("d"), .size_bytes = 1};
    struct runtime_spec spec = spec_of("kvm");
    struct qemu_plan p = plan_of(&spec);
    spec.vm.nics = &nic, spec.vm.nics_count = 1;
    spec.vm.disks = &disk, spec.vm.disks_count = 1;
    p.machine = QEMU_MICROVM;
    p.nics[0] = 6;
    const char *line = line_of(&p);
    assert_has(line, "-machine microvm,memory-backend=ram -accel kvm -cpu host ");
    assert_has(line, " -action shutdown=pause,reboot=shutdown ");
    assert_has(line,
               "-drive if=none,id=disk0,file=disk-0.raw,format=raw,discard=unmap,readonly=off "
               "-device virtio-blk-device,drive=disk0 ");
    assert_has(line, "-netdev tap,id=nic0,fd=6 "
                     "-device virtio-net-device,netdev=nic0,mac=02:00:0a:01:00:05");
    cr_assert_null(strstr(line, "pci"), "%s", line);
}

TEST(qemu_args, disks_of_every_kind)
{
    struct runtime_disk disks[] = {
        {.name = STR("root"), .path = STR("/i"), .ephemeral = true},
        {.name = STR("cd"), .path = STR("/c"), .cdrom = true, .read_only = true},
        {.name = STR("s"), .path = STR("/s"), .bus = STR("scsi")},
        {.name = STR("ro"), .path = STR("/r"), .read_only = true, .bus = STR("sata")},
        {.name = STR("empty"), .size_bytes = 1 << 20, .ephemeral = true},
    };
    struct runtime_spec spec = spec_of("tcg");
    struct qemu_plan p = plan_of(&spec);
    spec.vm.disks = disks, spec.vm.disks_count = COUNT_OF(disks);
    spec.vm.kernel = (struct str){0};
    p.kernel = -1;
    for (int i = 0; i < 4; i++)
        p.disks[i] = 10 + i;
    p.disks_qcow2[0] = true;
    const char *line = line_of(&p);
    assert_has(line, "-bios bios-256k.bin ");
    assert_has(line, "-add-fd fd=10,set=10 -drive if=none,id=disk0,file=/dev/fdset/10,format=qcow2,"
                     "discard=unmap,snapshot=on -device virtio-blk-pci,drive=disk0,bootindex=1 ");
    assert_has(line, "file=/dev/fdset/11,format=raw,discard=unmap,readonly=on "
                     "-device ide-cd,drive=disk1,bootindex=2 ");
    assert_has(line, "-device virtio-scsi-pci,id=scsi ");
    assert_has(line, "-device scsi-hd,drive=disk2,bus=scsi.0,bootindex=3 ");
    assert_has(line, "file=disk-4.raw,format=raw,discard=unmap,readonly=off ");
    assert_has(line, "file=/dev/fdset/13,format=raw,discard=unmap,readonly=on "
                     "-device ide-hd,drive=disk3,bootindex=4");
    cr_assert_null(strstr(line, "-kernel"));
}

TEST(qemu_args, memory_is_bound_where_there_are_several_nodes)
{
    struct runtime_spec spec = spec_of("tcg");
    struct qemu_plan p = plan_of(&spec);
    spec.cpu.numa_nodes[0] = 1, spec.cpu.numa_nodes[1] = 3, spec.cpu.numa_nodes_count = 2;
    spec.vm.memory_bytes = 100000000; /* Not whole MiB: up, never down. */
    spec.vm.prealloc = true;
    cr_assert_null(strstr(line_of(&p), "host-nodes"));
    p.numa = true;
    assert_has(line_of(&p), "-m size=96M -object memory-backend-ram,id=ram,size=96M,"
                            "prealloc=on,policy=bind,host-nodes=1,host-nodes=3 ");
}

/* Two nodes of the host, as such in the guest; a device beside the second, one nobody knows where. */
TEST(qemu_args, the_guests_nodes_and_devices)
{
    static const struct runtime_cell cells[] = {
        {.host_node = 0, .vcpus_count = 1, .memory_bytes = 160 << 20, .distances = {10, 21}},
        {.host_node = 4,
         .vcpu_first = 1,
         .vcpus_count = 1,
         .memory_bytes = 96 << 20,
         .distances = {21, 10}}};
    static const struct runtime_hostdev devices[] = {
        {.address = STR("0000:81:00.0"), .group = 20, .cell = 1},
        {.address = STR("0000:90:00.0"), .group = 9, .cell = -1}};
    struct runtime_spec spec = spec_of("kvm");
    struct qemu_plan p = plan_of(&spec);
    struct err e = {0};
    enum qemu_machine machine;
    spec.vm.cells = cells, spec.vm.cells_count = 2;
    spec.vm.hostdevs = devices, spec.vm.hostdevs_count = 2;
    spec.vm.page_bytes = 2 << 20;
    p.numa = true;
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_PVH, &machine, &e), ERR_OK, "%s",
                 e.text);
    cr_assert_eq(machine, QEMU_Q35);
    const char *line = line_of(&p);
    assert_has(line, "-machine q35,usb=off,");
    assert_has(line,
               "-m size=256M "
               "-object memory-backend-memfd,id=ram0,size=160M,hugetlb=on,hugetlbsize=2M,"
               "prealloc=on,policy=bind,host-nodes=0 -numa node,nodeid=0,cpus=0-0,memdev=ram0 "
               "-object memory-backend-memfd,id=ram1,size=96M,hugetlb=on,hugetlbsize=2M,"
               "prealloc=on,policy=bind,host-nodes=4 -numa node,nodeid=1,cpus=1-1,memdev=ram1 "
               "-numa dist,src=0,dst=1,val=21 -numa dist,src=1,dst=0,val=21 ");
    assert_has(line, "-bios bios-256k.bin ");
    assert_has(line, "-device pxb-pcie,id=pxb1,bus=pcie.0,bus_nr=81,numa_node=1 "
                     "-device pcie-root-port,id=port0,bus=pxb1,chassis=1 "
                     "-device vfio-pci,id=hostdev0,host=0000:81:00.0,bus=port0 "
                     "-device pcie-root-port,id=port1,bus=pcie.0,chassis=2 "
                     "-device vfio-pci,id=hostdev1,host=0000:90:00.0,bus=port1");
}

/* The longest line of arguments that passes all checks: eight nodes of a host, each at a distance from each other. */
TEST(qemu_args, as_many_nodes_disks_and_devices_as_there_may_be)
{
    enum { CELLS = RUNTIME_CELLS_MAX, DEVICES = 8, DISKS = QEMU_PCI_MAX - CELLS - DEVICES };
    struct runtime_cell cells[CELLS];
    struct runtime_disk disks[DISKS];
    struct runtime_hostdev devices[DEVICES];
    struct runtime_spec spec = spec_of("kvm");
    struct qemu_plan p = plan_of(&spec);
    struct err e = {0};
    enum qemu_machine machine;
    for (uint32_t i = 0; i < CELLS; i++) {
        cells[i] = (struct runtime_cell){
            .host_node = i, .vcpu_first = i, .vcpus_count = 1, .memory_bytes = 64 << 20};
        for (uint32_t k = 0; k < CELLS; k++)
            cells[i].distances[k] = i == k ? 10 : 32;
    }
    for (uint32_t i = 0; i < DISKS; i++) {
        disks[i] = (struct runtime_disk){.name = STR("d"), .path = STR("/i"), .bus = STR("scsi")};
        p.disks[i] = 40 + (int)i;
    }
    for (uint32_t i = 0; i < DEVICES; i++)
        devices[i] = (struct runtime_hostdev){
            .address = STR("0000:81:00.0"), .group = 20, .cell = (int32_t)i};
    spec.vm.cells = cells, spec.vm.cells_count = CELLS;
    spec.vm.disks = disks, spec.vm.disks_count = DISKS;
    spec.vm.hostdevs = devices, spec.vm.hostdevs_count = DEVICES;
    spec.vm.vcpus = CELLS;
    spec.vm.memory_bytes = CELLS * (64ull << 20);
    spec.vm.uuid = STR("11111111-2222-3333-4444-555555555555");
    spec.vm.kernel_args = STR("hold");
    p.initrd = 5;
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &machine, &e), ERR_OK, "%s",
                 e.text);
    const char *line = line_of(&p);
    assert_has(line, "-numa dist,src=7,dst=6,val=32 ");
    assert_has(line, ",bus=port7");
    devices[0].address =
        STR("0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0:0");
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &machine, &e), ERR_INVALID);
}

TEST(qemu_args, nodes_and_devices_that_are_none)
{
    struct runtime_cell cells[] = {{.vcpus_count = 2, .memory_bytes = 128 << 20},
                                   {.memory_bytes = 128 << 20}};
    struct runtime_hostdev device = {.address = STR("0000:81:00.0"), .cell = 0};
    struct runtime_spec spec = spec_of("tcg");
    struct err e = {0};
    enum qemu_machine machine;
    spec.vm.cells = cells, spec.vm.cells_count = 2;
    spec.vm.hostdevs = &device, spec.vm.hostdevs_count = 1;
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &machine, &e), ERR_OK, "%s",
                 e.text);
    spec.vm.machine = STR("microvm");
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_PVH, &machine, &e), ERR_INVALID);
    spec.vm.machine = STR("q35");
    device.address = STR("0000:81:00.0,x-igd=1");
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &machine, &e), ERR_INVALID);
    device.address = STR("0000:81:00.0"), device.cell = 2;
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &machine, &e), ERR_INVALID);
    device.cell = -1, cells[1].memory_bytes -= 1 << 20;
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &machine, &e), ERR_INVALID);
    cells[1].memory_bytes += 1 << 20, cells[0].vcpus_count = 1;
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &machine, &e), ERR_INVALID);
}

/* The pages are taken before the guest begins: a node without them is told of at create. */
TEST(qemu_args, huge_pages)
{
    struct runtime_spec spec = spec_of("tcg");
    struct qemu_plan p = plan_of(&spec);
    spec.vm.page_bytes = 2 << 20;
    assert_has(line_of(&p), "-m size=256M -object memory-backend-memfd,id=ram,size=256M,hugetlb=on,"
                            "hugetlbsize=2M,prealloc=on -kernel");
    spec.vm.page_bytes = 1 << 30;
    spec.vm.memory_bytes = 2ull << 30;
    spec.cpu.numa_nodes[0] = 1, spec.cpu.numa_nodes_count = 1;
    p.numa = true;
    assert_has(line_of(&p), "size=2048M,hugetlb=on,hugetlbsize=1024M,prealloc=on,policy=bind,"
                            "host-nodes=1 ");
}

TEST(qemu_args, words_that_would_be_options)
{
    static const struct {
        size_t at;
        const char *value;
        enum err_code code;
    } cases[] = {
        {offsetof(struct runtime_vm, cpu_model), "max,help=on", ERR_INVALID},
        {offsetof(struct runtime_vm, cpu_model), "EPYC-v3", ERR_OK},
        {offsetof(struct runtime_vm, uuid), "00000000-0000-0000-0000-00000000000,", ERR_INVALID},
        {offsetof(struct runtime_vm, uuid), "7d0c", ERR_INVALID},
        {offsetof(struct runtime_vm, uuid), "00000000-0000-0000-0000-000000000001", ERR_OK},
        {offsetof(struct runtime_vm, machine), "q35,kernel-irqchip=off", ERR_INVALID},
        {offsetof(struct runtime_vm, machine), "pc", ERR_INVALID},
        {offsetof(struct runtime_vm, machine), "pc-q35-7.2", ERR_OK},
        {offsetof(struct runtime_vm, accelerator), "", ERR_UNAVAILABLE},
        {offsetof(struct runtime_vm, accelerator), "xen", ERR_UNAVAILABLE},
        {offsetof(struct runtime_vm, kernel), "", ERR_INVALID}, /* Arguments without a kernel. */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct runtime_spec spec = spec_of("tcg");
        struct err e = {0};
        enum qemu_machine machine;
        spec.vm.kernel_args = STR("x");
        *(struct str *)(void *)((char *)&spec.vm + cases[i].at) = str_of(cases[i].value);
        enum err_code code = qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &machine, &e);
        cr_assert_eq(code, cases[i].code, "%zu: %s %s", i, err_name(code), e.text);
    }
}

TEST(qemu_args, an_id_that_would_be_an_option)
{
    struct runtime_spec spec = spec_of("tcg");
    struct qemu_plan p = plan_of(&spec);
    struct arena a;
    struct err e;
    const char *const *argv;
    arena_init(&a, 1 << 20);
    spec.id = STR("a,b");
    cr_assert_eq(qemu_args_make(&a, &p, "qemu", &argv, &e), ERR_INVALID);
    arena_free(&a);
}

TEST(qemu_args, limits_of_machines)
{
    static struct runtime_disk disks[RUNTIME_DISKS_MAX + 1];
    struct runtime_spec spec = spec_of("tcg");
    enum qemu_machine m;
    struct err e;
    for (size_t i = 0; i < COUNT_OF(disks); i++)
        disks[i] = (struct runtime_disk){.name = STR("d"), .size_bytes = 1};
    spec.vm.disks = disks;

    spec.vm.disks_count = QEMU_PCI_MAX;
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &m, &e), ERR_OK);
    spec.vm.disks_count = QEMU_PCI_MAX + 1;
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &m, &e), ERR_LIMIT);
    spec.vm.disks_count = 1;
    disks[0].size_bytes = 0;
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &m, &e), ERR_INVALID);
    disks[0].size_bytes = 1;
    disks[0].bus = STR("usb");
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &m, &e), ERR_INVALID);
    spec.vm.disks_count = 0;

    spec.vm.sockets = 2, spec.vm.cores = 2;
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &m, &e), ERR_INVALID);
    spec.vm.vcpus = 4;
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &m, &e), ERR_OK);
    spec.vm.sockets = UINT32_MAX, spec.vm.cores = UINT32_MAX, spec.vm.threads = 0;
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &m, &e), ERR_INVALID);
    spec.vm.vcpus = 0;
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &m, &e), ERR_LIMIT);
}

TEST(qemu_args, machine_by_need)
{
    struct runtime_disk sata = {.name = STR("d"), .size_bytes = 1, .bus = STR("sata")};
    struct runtime_spec spec = spec_of("tcg");
    enum qemu_machine m;
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_PVH, &m, NULL), ERR_OK);
    cr_assert_eq(m, QEMU_MICROVM, "a unikernel");
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_OTHER, &m, NULL), ERR_OK);
    cr_assert_eq(m, QEMU_Q35, "Linux");
    spec.vm.machine = STR("q35");
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_PVH, &m, NULL), ERR_OK);
    cr_assert_eq(m, QEMU_Q35, "asked for");
    spec.vm.machine = (struct str){0};
    spec.vm.disks = &sata, spec.vm.disks_count = 1;
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_PVH, &m, NULL), ERR_OK);
    cr_assert_eq(m, QEMU_Q35, "sata needs PCI");
    spec.vm.machine = STR("microvm");
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_PVH, &m, NULL), ERR_INVALID);
    spec.vm.disks_count = 0;
    cr_assert_eq(qemu_machine_choose(&spec.vm, QEMU_KERNEL_NONE, &m, NULL), ERR_INVALID);
}

/* An ELF file of one note segment with these notes. */
static struct str elf_of(const char *name, uint32_t type)
{
    static char file[512];
    Elf64_Ehdr head = {.e_phoff = 64, .e_phnum = 1, .e_phentsize = sizeof(Elf64_Phdr)};
    Elf64_Phdr part = {.p_type = PT_NOTE, .p_offset = 128, .p_filesz = 20 + 24};
    Elf64_Nhdr first = {.n_namesz = 4, .n_descsz = 3, .n_type = 7};
    Elf64_Nhdr note = {.n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = 4, .n_type = type};
    memcpy(head.e_ident, ELFMAG, SELFMAG);
    head.e_ident[EI_CLASS] = ELFCLASS64;
    memset(file, 0, sizeof file);
    memcpy(file, &head, sizeof head);
    memcpy(file + 64, &part, sizeof part);
    memcpy(file + 128, &first, sizeof first);
    memcpy(file + 148, &note, sizeof note);
    memcpy(file + 160, name, strlen(name));
    return str_from(file, sizeof file);
}

TEST(qemu_args, kernels)
{
    cr_assert_eq(qemu_kernel_kind(elf_of("Xen", 18)), QEMU_KERNEL_PVH);
    cr_assert_eq(qemu_kernel_kind(elf_of("Xen", 6)), QEMU_KERNEL_OTHER);
    cr_assert_eq(qemu_kernel_kind(elf_of("Linux", 18)), QEMU_KERNEL_OTHER);
    cr_assert_eq(qemu_kernel_kind(STR("")), QEMU_KERNEL_OTHER);
    struct str elf = elf_of("Xen", 18);
    for (size_t len = 0; len < 160 + 4; len++)
        cr_assert_eq(qemu_kernel_kind(str_slice(elf, 0, len)), QEMU_KERNEL_OTHER, "%zu", len);
}

TEST(qemu_args, the_guest_of_tests_pvh_is_one)
{
    static char bytes[64 << 10];
    FILE *file = fopen("pvh.elf", "rb"); /* ctest runs in the build directory's tests/. */
    if (file == NULL)
        file = fopen("../pvh.elf", "rb");
    cr_assert_not_null(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    cr_assert_eq(qemu_kernel_kind(str_from(bytes, len)), QEMU_KERNEL_PVH);
}

TEST(qemu_args, disk_images)
{
    char head[512] = "QFI\xfb\0\0\0\3";
    bool qcow2 = false;
    struct str all = str_from(head, sizeof head);
    cr_assert_eq(qemu_disk_is_qcow2(all, &qcow2, NULL), ERR_OK);
    cr_assert(qcow2);
    head[15] = 1;
    cr_assert_eq(qemu_disk_is_qcow2(all, &qcow2, NULL), ERR_INVALID, "a backing file");
    head[15] = 0, head[79] = 4;
    cr_assert_eq(qemu_disk_is_qcow2(all, &qcow2, NULL), ERR_INVALID, "a data file");
    head[79] = 0, head[7] = 4;
    cr_assert_eq(qemu_disk_is_qcow2(all, &qcow2, NULL), ERR_INVALID, "version 4");
    cr_assert_eq(qemu_disk_is_qcow2(str_slice(all, 0, 103), &qcow2, NULL), ERR_INVALID, "cut");
    head[0] = 'M';
    cr_assert_eq(qemu_disk_is_qcow2(all, &qcow2, NULL), ERR_OK);
    cr_assert(!qcow2);
    cr_assert_eq(qemu_disk_is_qcow2(STR(""), &qcow2, NULL), ERR_OK);
}
