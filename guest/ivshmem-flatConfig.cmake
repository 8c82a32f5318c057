# SPDX-License-Identifier: Apache-2.0
#
#   find_package(ivshmem-flat REQUIRED)
#   target_link_libraries(your-firmware PRIVATE ivshmem-flat::ivshmem-flat)

if(NOT TARGET ivshmem-flat::ivshmem-flat)
  add_library(ivshmem-flat::ivshmem-flat INTERFACE IMPORTED)
  # Of PREFIX/share/cmake/ivshmem-flat, wherever the prefix has been moved to
  get_filename_component(ivshmem-flat_INCLUDE_DIR
    "${CMAKE_CURRENT_LIST_DIR}/../../../include/ivshmem-flat" ABSOLUTE)
  set_target_properties(ivshmem-flat::ivshmem-flat PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${ivshmem-flat_INCLUDE_DIR}")
endif()
