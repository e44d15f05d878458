# `cmake --install build --prefix PREFIX`: tools in bin/, libraries in lib/, headers
# in include/, the CMake package in lib/cmake/Weir and the Python package in
# lib/pythonX.Y/site-packages, so that PREFIX may be a virtual environment. PREFIX
# can be moved as a whole: parts find each other from where they are.

include(CMakePackageConfigHelpers)

weir_install(weir_options weir_llvm weir_mlir weir_torch)
foreach(tree IN ITEMS ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  install(DIRECTORY ${tree}/include/weir DESTINATION include
    FILES_MATCHING PATTERN "*.h" PATTERN "*.td" PATTERN "*.inc" PATTERN CMakeFiles EXCLUDE)
endforeach()

install(EXPORT Weir NAMESPACE Weir:: DESTINATION lib/cmake/Weir FILE WeirTargets.cmake)
configure_package_config_file(cmake/WeirConfig.cmake.in
  ${CMAKE_BINARY_DIR}/WeirConfig.cmake INSTALL_DESTINATION lib/cmake/Weir)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/WeirConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/WeirConfig.cmake ${CMAKE_BINARY_DIR}/WeirConfigVersion.cmake
    cmake/WeirLLVM.cmake
  DESTINATION lib/cmake/Weir)

install(DIRECTORY python/weir DESTINATION ${WEIR_PYTHON_PACKAGES}
  FILES_MATCHING PATTERN "*.py" PATTERN "pictures/page.*" PATTERN "pictures/drawing.css"
  PATTERN __pycache__ EXCLUDE)
# The build folder looks as an installed one does.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/${WEIR_PYTHON_PACKAGES})
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/python/weir
  ${CMAKE_BINARY_DIR}/${WEIR_PYTHON_PACKAGES}/weir SYMBOLIC)
