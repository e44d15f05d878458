# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Doses: strengths as shares of the norms that a site's values have on a text. Random specs have them too
(test_equivalence_tiny.py); here is what the report says, what is measured once, and what is refused."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
from pathlib import Path

import families
import hooks
import numpy
import pytest
import torch
from engines import TOOLS

SPEC = """\
weir: 1
model: {program: tiny.pt2}
dictionaries:
  lines: {format: directions, path: "{site}.{layer}.npy", sites: [res, mlp], layers: 0..2}
knobs:
  loud: {default: 0.5, range: [-4, 4]}
policies:
  share: {on: ["lines:1/res/0", "lines:1/res/1", "lines:2/mlp/0"], do: add, strength: {dose: 0.4, text: text.npy, times: loud}}
  unit: {on: "lines:2/res/1", do: add, strength: {dose: 0.25, text: text.npy, schedule: linear, last: -0.65}, normalize: true, layers: cumulative}
  plain: {on: "lines:2/res/1", do: add, strength: 12}
plans:
  both: [share, unit]
  loud: [plain, unit]
"""


def weirc(*arguments, code: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run([TOOLS / "weirc", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def on_terminal(*arguments) -> str:
    """What weirc says while it works, to somebody who looks."""
    reader, writer = pty.openpty()
    done = subprocess.Popen([TOOLS / "weirc", *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=writer)
    os.close(writer)
    said = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while piece := os.read(reader, 4096):
            said += piece
    os.close(reader)
    assert done.wait() == 0, said
    return said.decode()


def lines() -> dict[str, numpy.ndarray]:
    random = numpy.random.default_rng(4)
    rows = {site: random.standard_normal((4, 32)).astype(numpy.float32) for site in ("res", "mlp")}
    rows["res"][2] = -rows["res"][0]
    rows["res"][3] *= 1e-37
    return rows


def tokens() -> numpy.ndarray:
    ids = numpy.random.default_rng(6).integers(3, families.VOCABULARY, (5, 24))
    ids[3, 9:] = -1
    return ids


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("doses")
    for site, rows in lines().items():
        for layer in range(3):
            numpy.save(folder / f"{site}.{layer}.npy", rows)
    numpy.save(folder / "text.npy", tokens())
    (folder / "tiny.pt2").symlink_to(families.exported("llama"))
    (folder / "spec.yaml").write_text(SPEC)
    return folder


def explained(folder: Path) -> tuple[dict, list[str]]:
    """The report, and what is said about the spec."""
    said = json.loads(weirc("explain", folder / "spec.yaml", "--json", "--cache", folder / "cache").stdout)
    return said["report"], [f"{each['line']}:{each['column']}: {each['severity']}: {each['message']}" for each in said["diagnostics"]]


@pytest.fixture(scope="module")
def medians() -> dict[tuple[int, str], float]:
    """By NumPy, of what hooks on the model see; the first token of a document does not count."""
    model, norms = families.model("llama"), {}

    def keep(layer, kind, x):
        norms.setdefault((layer, kind), []).extend(x[0, 1:].double().norm(dim=1).tolist())
        return x

    wanted = [(layer, kind) for layer in range(3) for kind in ("res", "mlp")]
    with torch.no_grad(), hooks.hooked(model, model.config, wanted, keep):
        for row in tokens():
            model(torch.from_numpy(row[row >= 0]).reshape(1, -1), use_cache=False)
    return {at: float(numpy.median(found)) for at, found in norms.items()}


def test_the_report_has_each_policy_and_site(folder, medians):
    report, said = explained(folder)
    assert report["dose_text"] == "text.npy"
    got = {(entry["policy"], entry["site"]): entry for entry in report["doses"]}
    plain = 12 * numpy.linalg.norm(lines()["res"][1].astype(float)) / medians[2, "res"]
    want = {("share", "1/res"): (0.2, 1.6), ("share", "2/mlp"): (0.2, 1.6), ("unit", "0/res"): (0.25, 0.25),
            ("unit", "1/res"): (0.2, 0.2), ("unit", "2/res"): (0.65, 0.65), ("plain", "2/res"): (plain, plain)}
    assert list(got) == list(want), "in the order of policies, then of layers"
    for at, (dose, most) in want.items():
        layer, site = at[1].split("/")
        assert got[at]["dose"] == pytest.approx(dose, rel=1e-5), at
        assert got[at]["most"] == pytest.approx(most, rel=1e-5), at
        assert got[at]["median_norm"] == pytest.approx(medians[int(layer), site], rel=1e-5), at
    # A knob may take a dose too far, and so may the policies of a plan together.
    notes = "\n".join(report["notes"])
    assert "its knob can bring the dose of `share` at 1/res to 1.6" in notes
    assert f"plan `loud` adds up to a dose of {plain + 0.65:.3g} at 2/res" in notes and "plan `both`" not in notes
    # A policy that is too strong by itself is told at its line.
    assert said == [f"10:51: warning: the dose of 'plain' at 2/res is {plain:.3g}; above 0.7 text falls apart"]
    text = weirc("explain", folder / "spec.yaml", "--cache", folder / "cache").stdout
    assert f"| share | 1/res | 0.2 | 1.6 | {medians[1, 'res']:.3g} |" in text


def test_a_text_is_run_once(folder):
    cache = folder / "once"
    first = on_terminal("explain", folder / "spec.yaml", "--cache", cache)
    assert "measuring norms on text.npy, 100 of 100 tokens" in first, "four documents of 24 - 1, and one of 9 - 1"
    listed = weirc("cache", "ls", "--cache", cache).stdout
    assert listed.count("median norm of") == 4 and "median norm of 2/mlp text=text.npy, 100 tokens" in listed
    assert "measuring" not in on_terminal("explain", folder / "spec.yaml", "--cache", cache)
    # Another site is measured, and nothing else.
    (folder / "spec.yaml").write_text(SPEC.replace("lines:2/mlp/0", "lines:0/mlp/0"))
    try:
        weirc("explain", folder / "spec.yaml", "--cache", cache)
        assert weirc("cache", "ls", "--cache", cache).stdout.count("median norm of") == 5
    finally:
        (folder / "spec.yaml").write_text(SPEC)
    assert not list(cache.rglob("*.recorder")), "nothing of the program that recorded is left"


def test_the_compiled_strength(folder, medians):
    """The program adds what the formula says: |s d| is the dose times the median norm."""
    from engines import Built
    import specs

    (folder / "record.yaml").write_text(SPEC.replace(
        "plans:\n", "  before: {value: 2/res, do: record}\n  behind: {value: 2/res, do: record, after: true}\nplans:\n"
        "  seen: [unit, before, behind]\n"))
    built = Built(folder / "record.yaml", folder / "tiny.pt2", folder / "program")
    _, records = built.run(specs.Batch([[5, 6, 7, 8]], ["seen"], [4], [{}]))
    before, behind = (torch.stack([records[0][policy, f"2/res[{i}]"] for i in range(32)], dim=1) for policy in ("before", "behind"))
    row = torch.from_numpy(lines()["res"][1])
    torch.testing.assert_close(behind - before, (-0.65 * medians[2, "res"] * row / row.norm()).expand(4, -1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("policy, at, message", [
    ('{on: ["lines:1/res/0", "lines:1/res/2"], do: add, strength: {dose: 0.4, text: text.npy}}', "{dose",
     "the directions of 'p' at 1/res add up to nothing, so that no strength gives them a dose"),
    ('{on: "lines:1/res/3", do: add, strength: {dose: 100, text: text.npy}}', "{dose",
     "long: the strength of this dose does not fit a 32-bit float"),
    ('{on: "lines:1/res/0", do: add, strength: {dose: 0.4, text: none.npy}}', "none.npy", "none.npy: cannot open"),
    ('{on: "lines:1/res/0", do: add, strength: {dose: 0.4, text: text.md}}', "text.md", "text.md: text is read from"),
    ('{on: "lines:9/res/0", do: add, strength: {dose: 0.4, text: text.npy}}', "9/res", "has no layer 9"),
    ('{on: "lines:1/res/0", do: add, strength: {dose: 0.4, text: text.npy}, layers: 1..7}', "",
     "the model has no site"),
])
def test_errors_are_at_their_line(folder, policy, at, message):
    spec = folder / "wrong.yaml"
    (folder / "text.md").write_text("a text of another kind")
    spec.write_text("\n".join([*SPEC.splitlines()[:4], "  # more", "knobs: {loud: {default: 1}}", "policies:", f"  p: {policy}", ""]))
    column = 6 + policy.index(at) if at else 3
    said = weirc("explain", spec, "--cache", folder / "cache", code=2).stderr
    assert f"wrong.yaml:8:{column}: error: " in said and message in said, said
    assert said.count("error:") == 1 or "messages before" in said, said


def test_a_cache_that_is_damaged(folder):
    explained(folder)
    entries = sorted((folder / "cache" / "v1").rglob("*.safetensors"))
    for entry in entries:
        os.truncate(entry, entry.stat().st_size - 1)
    before = [entry["median_norm"] for entry in explained(folder)[0]["doses"]]
    assert before == [entry["median_norm"] for entry in explained(folder)[0]["doses"]]
