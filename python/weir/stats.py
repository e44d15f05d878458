# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a program edited, and what it recorded of nothing."""

from __future__ import annotations

import warnings

from .errors import WeirError, WeirWarning


class EditStats:
    """How many tokens policies edited, of a program that was built to count them (`weirc build --stats`,
    `weir.compile(…, stats=True)`), since it was loaded or `reset` was called.

    tokens  tokens that went through the program, padding left out
    edited  {policy: {"12/res": tokens}}, every policy at every site that it edits

    A token is edited where a coefficient is not zero: an addition whose knob is 0 edits nothing, and neither does the
    ablation of a feature that is off.
    """

    def __init__(self, manifest: dict):
        self._manifest = manifest
        self._counts = manifest.get("counts", [])
        self.reset()

    def reset(self):
        self.tokens = 0
        self._edited = {(policy, f"{count['layer']}/{count['site']}"): 0
                        for count in self._counts for policy in count["policies"]}
        self._of_plan: dict[int, int] = {}  # edits of rows that follow a plan

    def _check(self):
        if not self._counts:
            raise WeirError("the program does not say which tokens it edits: build it with `weirc build --stats`, or "
                            "weir.compile(…, stats=True)")

    @property
    def edited(self) -> dict[str, dict[str, int]]:
        self._check()
        found: dict[str, dict[str, int]] = {}
        for (policy, site), tokens in self._edited.items():
            found.setdefault(policy, {})[site] = tokens
        return found

    def assert_steered(self):
        """Raises WeirError if a plan that was followed has something to edit and edited nothing, or if no row followed
        such a plan."""
        self._check()
        plans = self._manifest["plans"]
        acting = {plan for policy in self._manifest.get("policies", []) if policy["edits"] for plan in policy["plans"]}
        followed = {plans[index]: edits for index, edits in self._of_plan.items() if index >= 0 and plans[index] in acting}
        if not followed:
            raise WeirError("nothing is steered: no row follows a plan that edits")
        if idle := [plan for plan, edits in followed.items() if not edits]:
            raise WeirError(f"not steered: {', '.join(map(repr, idle))} edited none of the tokens")

    def watching(self, module):
        """The program's function with every pass counted; the same one where there is nothing to count."""
        if not self._counts:
            return module
        takes = self._manifest["inputs"]

        def counted(*inputs):
            outputs = module(*inputs)
            positions = inputs[takes.index("positions")]
            # A program with one plan compiled in is not told which.
            self.count(positions, inputs[takes.index("plan")].tolist() if "plan" in takes else [0] * len(positions), outputs)
            return outputs

        counted.__wrapped__ = module
        return counted

    def count(self, positions, plans: list[int], outputs):
        """Counts a pass over rows that follow `plans`: positions [b, S], outputs of the program by their numbers."""
        if not self._counts:
            return
        tokens = (positions >= 0).sum(1).tolist()
        self.tokens += sum(tokens)
        for plan in plans:
            self._of_plan.setdefault(plan, 0)
        for count in self._counts:
            rows = outputs[count["output"]].sum(1).tolist()
            for plan, columns in zip(plans, rows):
                for policy, edits in zip(count["policies"], columns):
                    self._edited[policy, f"{count['layer']}/{count['site']}"] += int(edits)
                    self._of_plan[plan] += int(edits)

    def __repr__(self):
        if not self._counts:
            return "<weir.EditStats: the program does not count what it edits>"
        return f"<weir.EditStats: of {self.tokens} tokens, {self.edited}>"


class Records(dict):
    """Records by name. Reading one warns if no row follows a plan that records: it is all zeros then."""

    def __init__(self, values: dict, manifest: dict, plans: list[int]):
        super().__init__(values)
        recording = {plan for policy in manifest.get("policies", []) if not policy["edits"] for plan in policy["plans"]}
        names = manifest.get("plans", [])
        self._empty = bool(values) and "policies" in manifest and not any(
            plan >= 0 and names[plan] in recording for plan in plans)

    def __getitem__(self, name):
        if self._empty:
            warnings.warn("no row follows a plan that records: the values are zeros", WeirWarning, stacklevel=2)
        return super().__getitem__(name)
