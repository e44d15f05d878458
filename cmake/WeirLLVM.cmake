# LLVM and MLIR by their static libraries. The shared ones cost each start of a tool
# about 20 ms: half a million relocations, of all that they have. Also a part of the
# installed CMake package.

set(WEIR_LLVM_LIBRARIES LLVMSupport)
set(WEIR_MLIR_LIBRARIES
  MLIRBytecodeReader MLIRBytecodeWriter MLIRIR MLIRInferTypeOpInterface
  MLIRLspServerLib MLIROptLib MLIRParser MLIRPass MLIRRewrite
  MLIRSideEffectInterfaces MLIRSupport MLIRTransformUtils MLIRTransforms
  MLIRTranslateLib)

# Debian's static libraries of MLIR name the shared library of LLVM.
function(weir_make_static target)
  get_property(isDone TARGET ${target} PROPERTY WEIR_IS_STATIC)
  if(isDone)
    return()
  endif()
  set_property(TARGET ${target} PROPERTY WEIR_IS_STATIC TRUE)
  get_target_property(links ${target} INTERFACE_LINK_LIBRARIES)
  if(NOT links)
    return()
  endif()
  if("LLVM" IN_LIST links)
    list(REMOVE_ITEM links LLVM)
    list(APPEND links LLVMRemarks LLVMSupportLSP LLVMSupport)
    set_property(TARGET ${target} PROPERTY INTERFACE_LINK_LIBRARIES "${links}")
  endif()
  foreach(link IN LISTS links)
    if(TARGET "${link}" AND link MATCHES "^MLIR")
      weir_make_static(${link})
    endif()
  endforeach()
endfunction()

# The dialects that kernels are written in.
set(WEIR_KERNEL_LIBRARIES
  MLIRArithDialect MLIRFuncDialect MLIRMathDialect MLIRMemRefDialect MLIRSCFDialect
  MLIRVectorDialect)

foreach(library IN LISTS WEIR_MLIR_LIBRARIES WEIR_KERNEL_LIBRARIES)
  weir_make_static(${library})
endforeach()
