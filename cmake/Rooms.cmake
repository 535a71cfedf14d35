# One library per room. A room's headers are reached as "room/header.h" through a private include root that holds nothing
# but that room, so that an include of a room that is not named under USES does not resolve and the build fails.
find_package(OpenMP REQUIRED)
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

set(werror $<$<BOOL:${DOPPEL_WERROR}>:-Werror>)
# -Wrestrict: GCC 12 reports std::string's own operator+ (its bug 105651).
add_library(doppel_flags INTERFACE)
target_compile_options(doppel_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;${werror};-Wshadow;-Wno-unknown-pragmas;-Wno-restrict;-march=native;-fno-math-errno;-fno-trapping-math>")
target_link_libraries(doppel_flags INTERFACE OpenMP::OpenMP_CXX)
if(DOPPEL_SANITIZE)
  # GCC 12 sees uninitialised members in its own <regex> once AddressSanitizer has rewritten the code.
  target_compile_options(doppel_flags INTERFACE -Wno-maybe-uninitialized
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_link_options(doppel_flags INTERFACE -fsanitize=address,undefined)
endif()

function(doppel_room name)
  cmake_parse_arguments(ROOM "" "" "USES;EXCEPT" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${name}/*.cc)
  foreach(file ${ROOM_EXCEPT})
    list(REMOVE_ITEM sources ${CMAKE_SOURCE_DIR}/${name}/${file})
  endforeach()
  set(root ${CMAKE_BINARY_DIR}/rooms/${name})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${name} ${root}/${name} SYMBOLIC)
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC ${root})
  target_link_libraries(${name} PRIVATE doppel_flags PUBLIC ${ROOM_USES})
endfunction()
