# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A plugin of pytest for run_all.py: files that take long go first, the longest before the others. What is begun last
should be short, or one process waits for the other.

How long files take is what a whole run measured last in this build folder (`test/seconds-of-files.json` there), and
where there was none yet, what stands here."""

import collections
import json
import os
from pathlib import Path

# Seconds on two busy cores; shorter files are not here.
MEASURED = {
    "test_folding": 724, "test_equivalence_smollm2": 317, "test_nothing_else_is_touched": 246, "test_equivalence_tiny": 238,
    "test_serving": 181, "test_validation": 159, "test_equivalence_fixed": 158, "test_export_smollm2": 142, "test_features": 120,
    "test_serving_http": 111, "test_replaced_layers": 98, "test_fixed_programs": 97, "test_match_ray": 96, "test_export": 86,
    "test_tutorial": 86, "test_coactivation": 84, "test_equivalence_kernels": 84, "test_aot": 76, "test_run_smollm2": 75,
    "test_sites": 73, "test_equivalence_tables": 72, "test_tokenizers": 65, "test_run_families": 65, "test_attach": 61,
    "test_directions_of_texts": 52, "test_input_limits": 50, "test_roundtrip": 49, "test_kernels_elsewhere": 49,
    "test_serving_v2": 130, "test_equivalence_bf16": 46, "test_gguf": 43, "test_sweep": 41, "test_newcomers": 39, "test_run_steered": 39,
    "test_dependencies": 36, "test_export_families": 34, "test_evaluate": 31,
}
# Few are longer, and a new file may be.
UNKNOWN = 30

KEPT = Path(os.environ["WEIR_BUILD"]) / "test" / "seconds-of-files.json" if os.environ.get("WEIR_BUILD") else None
taken: collections.Counter = collections.Counter()


def known() -> dict[str, float]:
    """Seconds by the file's name. Raises nothing: without them, tests only take longer."""
    try:
        seconds = json.loads(KEPT.read_text()) if KEPT else {}
        return {**MEASURED, **{str(name): float(value) for name, value in seconds.items()}}
    except (OSError, ValueError, AttributeError, TypeError):
        return MEASURED


def pytest_collection_modifyitems(items):
    seconds = known()
    items.sort(key=lambda item: -seconds.get(item.path.stem, UNKNOWN))


def pytest_runtest_logreport(report):
    taken[Path(report.nodeid.split("::")[0]).stem] += report.duration


def pytest_sessionfinish(session, exitstatus):
    # Of the process that collects reports, after a run of all that passed.
    if KEPT and not hasattr(session.config, "workerinput") and exitstatus == 0 and len(taken) > len(MEASURED):
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        KEPT.write_text(json.dumps({name: round(value, 1) for name, value in taken.most_common()}, indent=0) + "\n")
