# One static library per layer. The link line is the layer's "may use" column (tools/layers.txt
# holds the same table for the includes), so that a program which links a core and not baton_io
# proves that the core needs no I/O.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# baton_library(NAME [SOURCES file...] [USES target...] [PKG pkg-config-name...])
# Without SOURCES: every .c of the folder but main.c.
function(baton_library name)
  cmake_parse_arguments(L "" "" "SOURCES;USES;PKG" ${ARGN})
  if(NOT L_SOURCES)
    file(GLOB L_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
    list(FILTER L_SOURCES EXCLUDE REGEX "/main\\.c$")
  endif()
  if(NOT L_SOURCES)
    return() # Nothing there yet.
  endif()
  add_library(${name} STATIC ${L_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_compile_options(${name} PRIVATE ${BATON_WARNINGS})
  target_link_libraries(${name} PUBLIC ${L_USES})
  foreach(pkg ${L_PKG})
    if(NOT TARGET PkgConfig::${pkg})
      pkg_check_modules(${pkg} REQUIRED IMPORTED_TARGET GLOBAL ${pkg})
    endif()
    target_link_libraries(${name} PUBLIC PkgConfig::${pkg})
  endforeach()
endfunction()

# baton_program(NAME SOURCES file... USES target...)
function(baton_program name)
  cmake_parse_arguments(P "" "" "SOURCES;USES" ${ARGN})
  add_executable(${name} ${P_SOURCES})
  target_compile_options(${name} PRIVATE ${BATON_WARNINGS})
  target_link_libraries(${name} PRIVATE ${P_USES})
endfunction()
