# What every program is linked with. A position independent program lists each pointer in its constants, 24 bytes a
# pointer, and the loader reads them all: for our tables of messages half a megabyte that stays in memory. The packed
# form is a bit a pointer (glibc 2.36, which such a program demands by name).
include(CheckLinkerFlag)
check_linker_flag(C "-Wl,-z,pack-relative-relocs" BATON_PACKS_RELOCATIONS)
if(BATON_PACKS_RELOCATIONS)
  add_link_options("-Wl,-z,pack-relative-relocs")
endif()
