# The Debian packages behind faces/, media/ and tools/, each as one target. Their headers are "system" headers: our
# warnings are errors, theirs are not ours to mend.
find_package(PkgConfig REQUIRED)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(CLI11 2.1 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(Threads REQUIRED)

pkg_check_modules(LIBAV REQUIRED IMPORTED_TARGET libavformat libavcodec libavutil libswscale)
add_library(doppel_libav INTERFACE)
target_link_libraries(doppel_libav INTERFACE PkgConfig::LIBAV)

find_path(STB_INCLUDE stb_image.h PATH_SUFFIXES stb REQUIRED)
add_library(doppel_stb INTERFACE)
target_include_directories(doppel_stb SYSTEM INTERFACE ${STB_INCLUDE})

add_library(doppel_eigen INTERFACE)
target_link_libraries(doppel_eigen INTERFACE Eigen3::Eigen)

find_package(dlib REQUIRED)
find_file(DOPPEL_LANDMARKS shape_predictor_68_face_landmarks.dat PATHS /usr/share/dlib REQUIRED)
add_library(doppel_dlib INTERFACE)
get_target_property(dlib_include dlib::dlib INTERFACE_INCLUDE_DIRECTORIES)
if(dlib_include)
  target_include_directories(doppel_dlib SYSTEM INTERFACE ${dlib_include})
endif()
target_link_libraries(doppel_dlib INTERFACE dlib::dlib)
target_compile_definitions(doppel_dlib INTERFACE DOPPEL_LANDMARKS_FILE="${DOPPEL_LANDMARKS}")
