# The warnings our own code is held to; generated code is a target without them.
option(BATON_WERROR "A warning is an error" OFF)

set(BATON_WARNINGS
  -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wundef -Wformat=2
  -Wimplicit-fallthrough -Wswitch-enum -Wvla -Wshadow -Wpointer-arith -Wcast-align=strict)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND BATON_WARNINGS -Wno-format-truncation) # Cutting a text to its room is what snprintf is for.
else()
  list(REMOVE_ITEM BATON_WARNINGS -Wcast-align=strict)
endif()
if(BATON_WERROR)
  list(APPEND BATON_WARNINGS -Werror)
endif()

add_compile_definitions(_GNU_SOURCE)
add_compile_options($<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
