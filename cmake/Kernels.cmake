# The CUDA kernels (kernels/*.cu) in the room `kernels`: as plain C++ on the host emulator always, and by nvcc when it is
# found. Each .cu is wrapped in a .cc for the host's compiler, so that CMake can hold it for CUDA as well.
file(GLOB DOPPEL_KERNEL_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/*.cu)
file(GLOB DOPPEL_EMULATOR_SOURCES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/emulator/*.cc)

# doppel_wrap_kernels(OUT FOLDER SOURCES...): .cc files that include the .cu files.
function(doppel_wrap_kernels out folder)
  set(wrappers)
  foreach(source ${ARGN})
    get_filename_component(name ${source} NAME_WE)
    # A relative path, so that a compiler cache knows the file in another clone.
    file(RELATIVE_PATH relative ${folder} ${source})
    file(CONFIGURE OUTPUT ${folder}/${name}.cc CONTENT "#include \"${relative}\"\n")
    list(APPEND wrappers ${folder}/${name}.cc)
  endforeach()
  set(${out} ${wrappers} PARENT_SCOPE)
endfunction()

doppel_wrap_kernels(wrappers ${CMAKE_BINARY_DIR}/emulated ${DOPPEL_KERNEL_SOURCES})
target_sources(kernels PRIVATE ${DOPPEL_EMULATOR_SOURCES} ${wrappers})

# What times of kernels are valid for (kernels/kernel_generation.h).
file(GLOB generation CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/conv2d* ${CMAKE_SOURCE_DIR}/kernels/dense*
  ${CMAKE_SOURCE_DIR}/kernels/device/* ${CMAKE_SOURCE_DIR}/kernels/vendor/* ${CMAKE_SOURCE_DIR}/kernels/activation*
  ${CMAKE_SOURCE_DIR}/kernels/finish* ${CMAKE_SOURCE_DIR}/kernels/dtype.h)
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/kernel_generation.cc
  COMMAND ${CMAKE_COMMAND} -DOUT=${CMAKE_BINARY_DIR}/kernel_generation.cc
    -P ${CMAKE_SOURCE_DIR}/cmake/kernel_generation.cmake -- ${generation}
  DEPENDS ${generation} ${CMAKE_SOURCE_DIR}/cmake/kernel_generation.cmake VERBATIM)
target_sources(kernels PRIVATE ${CMAKE_BINARY_DIR}/kernel_generation.cc)

# The checked build of kernels. GCC's ThreadSanitizer and UndefinedBehaviorSanitizer instrument every load and store, but
# their runtimes are not linked: kernels/checked/ provides the functions that the instrumentation calls. A program that
# names these objects before the library `kernels` gets them instead of the plain ones. Not with AddressSanitizer, which
# GCC does not combine with this.
#
# -O1 keeps nearly every access where it is written and is fast enough; -g is for the lines in the reports.
set(DOPPEL_INSTRUMENT -O1 -g -fsanitize=thread -fsanitize=bounds,alignment --param=tsan-instrument-func-entry-exit=0)
if(NOT DOPPEL_SANITIZE)
  file(GLOB checked CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/checked/*.cc)
  doppel_wrap_kernels(wrappers ${CMAKE_BINARY_DIR}/checked ${DOPPEL_KERNEL_SOURCES})
  set_source_files_properties(${wrappers} PROPERTIES COMPILE_OPTIONS "${DOPPEL_INSTRUMENT}")
  add_library(kernels_checked OBJECT ${checked} ${wrappers})
  target_compile_definitions(kernels_checked PRIVATE DOPPEL_CHECKED)
  target_link_libraries(kernels_checked PRIVATE doppel_flags PUBLIC kernels)
endif()

# Of each kernel, by architecture: registers of a thread, static shared memory, spilled bytes. Written by a build with
# nvcc, for bench_roofline.
set(DOPPEL_KERNEL_RESOURCES ${CMAKE_BINARY_DIR}/kernel_resources.tsv)

# The same sources for the card, where nvcc is found: machine code for five architectures, and PTX of two for those that
# are in between or still to come. One object per .cu, so that they compile side by side.
if(NOT DOPPEL_SANITIZE)
  include(CheckLanguage)
  check_language(CUDA)
endif()
set(found OFF)
if(CMAKE_CUDA_COMPILER)
  set(found ON)
endif()
option(DOPPEL_CUDA "Compile the CUDA kernels with nvcc" ${found})
if(DOPPEL_CUDA)
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90 120)
  endif()
  enable_language(CUDA)
  # CMake 3.25 does not know how nvcc is asked for C++20.
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  find_package(CUDAToolkit REQUIRED)
  # What ptxas says of each kernel is kept beside its object; kernels/*.cu have it printed below.
  set(CMAKE_CUDA_COMPILER_LAUNCHER bash ${CMAKE_SOURCE_DIR}/cmake/ptxas_log.sh ${CCACHE})

  add_library(doppel_cuda_flags INTERFACE)
  target_compile_options(doppel_cuda_flags INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;$<$<BOOL:${DOPPEL_WERROR}>:-Werror=all-warnings>;-Xptxas=-v;-Xcompiler=-Wall,-Wextra$<$<BOOL:${DOPPEL_WERROR}>:$<COMMA>-Werror>,-Wno-unknown-pragmas>")

  # Kernels that use wgmma run on compute capability 9.0 alone, and are compiled for nothing else.
  function(doppel_for_hopper target)
    set_target_properties(${target} PROPERTIES CUDA_ARCHITECTURES OFF)
    target_compile_options(${target} PRIVATE "--generate-code=arch=compute_90a,code=[sm_90a]")
  endfunction()
  set(hopper ${DOPPEL_KERNEL_SOURCES})
  list(FILTER hopper INCLUDE REGEX "wgmma")
  set(others ${DOPPEL_KERNEL_SOURCES})
  list(FILTER others EXCLUDE REGEX "wgmma")
  add_library(kernels_hopper OBJECT ${hopper})
  doppel_for_hopper(kernels_hopper)
  target_include_directories(kernels_hopper PRIVATE ${CMAKE_BINARY_DIR}/rooms/kernels)
  target_link_libraries(kernels_hopper PRIVATE doppel_cuda_flags)

  add_library(kernels_cuda STATIC ${others} $<TARGET_OBJECTS:kernels_hopper>
    ${CMAKE_SOURCE_DIR}/kernels/device/launch.cu ${CMAKE_SOURCE_DIR}/kernels/device/tma.cu)
  target_include_directories(kernels_cuda PRIVATE ${CMAKE_BINARY_DIR}/rooms/kernels)
  target_link_libraries(kernels_cuda PRIVATE doppel_cuda_flags PUBLIC CUDA::cudart_static)
  target_compile_definitions(kernels PUBLIC DOPPEL_CUDA)
  # Each needs functions of the other.
  target_link_libraries(kernels PUBLIC kernels_cuda)
  target_link_libraries(kernels_cuda INTERFACE kernels)

  set(logs)
  foreach(source ${others})
    get_filename_component(name ${source} NAME)
    list(APPEND logs ${CMAKE_BINARY_DIR}/CMakeFiles/kernels_cuda.dir/kernels/${name}.o.ptxas)
  endforeach()
  foreach(source ${hopper})
    get_filename_component(name ${source} NAME)
    list(APPEND logs ${CMAKE_BINARY_DIR}/CMakeFiles/kernels_hopper.dir/kernels/${name}.o.ptxas)
  endforeach()
  add_custom_command(TARGET kernels_cuda POST_BUILD
    COMMAND bash ${CMAKE_SOURCE_DIR}/cmake/ptxas_report.sh $<BOOL:${DOPPEL_WERROR}> ${DOPPEL_KERNEL_RESOURCES} ${logs}
    VERBATIM)

  # Convolution and dense layers by cuDNN and cuBLASLt (kernels/vendor.h). Only their headers are needed: the libraries
  # are opened at run time, so that the same program runs on machines without them.
  find_path(CUDNN_INCLUDE cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  find_path(CUBLASLT_INCLUDE cublasLt.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  set(found OFF)
  if(CUDNN_INCLUDE AND CUBLASLT_INCLUDE)
    set(found ON)
  endif()
  option(DOPPEL_CUDNN "Compile the convolutions and dense layers by cuDNN and cuBLASLt" ${found})
  if(DOPPEL_CUDNN)
    file(GLOB vendor CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/vendor/*.cc)
    target_sources(kernels PRIVATE ${vendor})
    target_compile_definitions(kernels PUBLIC DOPPEL_CUDNN)
    target_include_directories(kernels SYSTEM PUBLIC ${CUDNN_INCLUDE} ${CUBLASLT_INCLUDE})
    target_link_libraries(kernels PRIVATE ${CMAKE_DL_LIBS})
  endif()
endif()
