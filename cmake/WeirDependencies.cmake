# Everything Weir links against. MLIR and LLVM are taken as static libraries only:
# mixing in their shared ones would register the same command-line options and
# type ids twice.

find_package(Python3 3.11 REQUIRED COMPONENTS Interpreter)

# Where a prefix has Python packages.
set(WEIR_PYTHON_PACKAGES lib/python${Python3_VERSION_MAJOR}.${Python3_VERSION_MINOR}/site-packages)

find_package(MLIR 22.1 REQUIRED CONFIG HINTS
  /usr/lib/llvm-22/lib/cmake/mlir
  # The part of these packages that bootstrap unpacks where they are not installed.
  ${CMAKE_CURRENT_LIST_DIR}/../third_party-llvm/usr/lib/llvm-22/lib/cmake/mlir)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)
separate_arguments(WEIR_LLVM_DEFINITIONS NATIVE_COMMAND "${LLVM_DEFINITIONS}")

# LibTorch lives inside the Python wheel; the wheel knows where.
if(NOT Torch_DIR)
  execute_process(
    COMMAND ${Python3_EXECUTABLE} -c
            "import importlib.util,os;print(os.path.join(os.path.dirname(importlib.util.find_spec('torch').origin),'share','cmake','Torch'))"
    OUTPUT_VARIABLE WEIR_TORCH_DIR OUTPUT_STRIP_TRAILING_WHITESPACE
    COMMAND_ERROR_IS_FATAL ANY)
  set(Torch_DIR ${WEIR_TORCH_DIR} CACHE PATH "Directory of TorchConfig.cmake")
endif()
find_package(Torch REQUIRED CONFIG)

find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(yaml-cpp REQUIRED)
find_package(Threads REQUIRED)
