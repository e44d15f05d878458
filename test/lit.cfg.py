# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tests of the lowering: lit runs the tools, FileCheck reads what they say.

A test is a file of IR (.mlir), a spec (.yaml) or a script (.test) with RUN lines. Files that belong
to a test but are none lie in a folder `Inputs` beside it.
"""

import os

import lit.formats

config.name = "Weir"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".yaml", ".test"]
config.excludes = ["Inputs", "Unit", "Fuzz", "Python", "Integration", "CMakeLists.txt", "run_all.py",
                   "lit.cfg.py", "lit.site.cfg.py.in"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.weir_build_dir, "test")

# The tools under test come first, then FileCheck, not and count.
config.environment["PATH"] = os.pathsep.join(
    [os.path.join(config.weir_build_dir, "bin"), config.llvm_tools_dir,
     os.path.dirname(config.python_executable), config.environment["PATH"]])
config.environment["PYTHONPATH"] = os.path.join(config.weir_source_dir, "python")
config.environment["OMP_NUM_THREADS"] = "1"
config.environment["FILECHECK_OPTS"] = "--enable-var-scope"

config.substitutions.append(("%python", config.python_executable))
config.substitutions.append(("%weir_source", config.weir_source_dir))
config.substitutions.append(("%weir_build", config.weir_build_dir))
