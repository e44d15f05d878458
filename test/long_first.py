# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A plugin of pytest for run_all.py: files that take minutes go first, the longest before the others. What is begun
last should be short, or one process waits for the other."""

LONGEST = ("test_equivalence_smollm2", "test_equivalence_tiny", "test_export_families", "test_roundtrip",
           "test_equivalence_fixed", "test_match_ray", "test_export_smollm2", "test_tutorial", "test_run_families")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))
