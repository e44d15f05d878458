# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`weirc match`: its table, JSON and exports against NumPy and SciPy, and what it refuses."""

from __future__ import annotations

import csv
import json
import shutil

import families
import matches
import numpy
import pytest
import random_dictionaries
import torch
import weir
from engines import TOOLS
from matches import FLOW, PARTS, PERMUTATION, SPEC, Case
from safetensors.numpy import load_file, save_file

ALL_WEIGHTS = ("decoder", "encoder", "encoder_bias")


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """(case, what the first run says as JSON, its exported tensors)."""
    case = Case(tmp_path_factory.mktemp("match"))
    tensors = case.folder / "matches.safetensors"
    report = case.match("--export", tensors, "--export", case.folder / "matches.csv")
    return case, report, load_file(tensors)


def by_name(report: dict) -> dict:
    return {(entry["matching"], entry["source"], entry["target"]): entry for entry in report["matches"]}


def test_top_k_is_numpys(computed):
    case, _, tensors = computed
    for source, target in FLOW:
        table = matches.similarities(matches.rows(case, source), matches.rows(case, target), "cosine")
        indices, values = matches.best(table, 2)
        assert numpy.array_equal(tensors[f"flow/{source}/{target}/indices"], indices)
        numpy.testing.assert_allclose(tensors[f"flow/{source}/{target}/values"], values, rtol=1e-12)
    for source, target in PARTS:
        a, b = (matches.rows(case, site, ALL_WEIGHTS, "decoder_norm") for site in (source, target))
        indices, values = matches.best(matches.similarities(a, b, "dot"), 1)
        assert numpy.array_equal(tensors[f"parts/{source}/{target}/indices"], indices)
        # Folding rounds to float32, each side in its own order of operations.
        numpy.testing.assert_allclose(tensors[f"parts/{source}/{target}/values"], values, rtol=1e-5)


def test_permutations_are_scipys(computed):
    case, report, tensors = computed
    for source, target in PERMUTATION:
        a, b = (matches.rows(case, site, ALL_WEIGHTS, "threshold") for site in (source, target))
        columns, values = matches.assignment(matches.similarities(a, b, "mse"))
        assert numpy.array_equal(tensors[f"permutation/{source}/{target}/indices"][:, 0], columns)
        numpy.testing.assert_allclose(tensors[f"permutation/{source}/{target}/values"][:, 0], values, rtol=1e-5)
        certificate = by_name(report)["permutation", source, target]["certificate"]
        # The duals' sum is a lower bound of every cost.
        assert certificate["cost"] == pytest.approx(-values.sum(), rel=1e-5)
        assert certificate["dual_cost"] <= certificate["cost"] + 1e-9
        assert certificate["gap"] <= 1e-9 and certificate["worst_reduced_cost"] >= -1e-9


def test_compositions_follow_the_steps(computed):
    _, _, tensors = computed
    first, second = (tensors[f"permutation/{a}/{b}/indices"][:, 0] for a, b in PERMUTATION)
    values = [tensors[f"permutation/{a}/{b}/values"][:, 0] for a, b in PERMUTATION]
    assert numpy.array_equal(tensors["permutation/res.0/res.2/indices"][:, 0], second[first])
    assert numpy.array_equal(tensors["permutation/res.0/res.2/values"][:, 0],
                             numpy.minimum(values[0], values[1][first]))
    # The largest product over the paths, for the two best ends.
    near, far = "flow/res.2/res.1", "flow/res.1/res.0"
    for feature in range(24):
        ends = {}
        for middle, one in zip(tensors[f"{near}/indices"][feature], tensors[f"{near}/values"][feature]):
            for end, two in zip(tensors[f"{far}/indices"][middle], tensors[f"{far}/values"][middle]):
                if one > 0 and two > 0:
                    ends[end] = max(ends.get(end, 0), one * two)
        expected = sorted(ends.items(), key=lambda pair: (-pair[1], pair[0]))[:2]
        expected += [(-1, 0)] * (2 - len(expected))
        got = zip(tensors["flow/res.2/res.0/indices"][feature], tensors["flow/res.2/res.0/values"][feature])
        assert list(got) == expected
    # A product of dot products says nothing.
    assert not any(name.startswith("parts/res.2/res.0") for name in tensors)


def test_the_table_of_pairs_is_the_tensors(computed):
    case, report, tensors = computed
    found = {name: numpy.full_like(tensor, -1) if name.endswith("indices") else numpy.zeros_like(tensor)
             for name, tensor in tensors.items()}
    steps = {}
    with open(case.folder / "matches.csv", newline="") as file:
        for line in csv.DictReader(file):
            name = f"{line['matching']}/{line['source']}/{line['target']}"
            at = int(line["source_feature"]), int(line["rank"]) - 1
            found[f"{name}/indices"][at] = int(line["target_feature"])
            found[f"{name}/values"][at] = float(line["similarity"])
            steps[name] = int(line["steps"])
    assert matches.same(found, tensors)
    assert steps == {f"{m}/{a}/{b}": entry["steps"] for (m, a, b), entry in by_name(report).items()}


def test_the_report_is_about_decoder_cosines(computed):
    case, report, tensors = computed
    assert report["ok"] and report["diagnostics"] == []
    entries = by_name(report)
    composed = {("flow", "res.2", "res.0"), ("permutation", "res.0", "res.2")}
    assert entries.keys() == composed | {(name, *pair) for name, pairs in
                                         (("flow", FLOW), ("parts", PARTS), ("permutation", PERMUTATION))
                                         for pair in pairs}
    pooled = {}
    for (matching, source, target), entry in entries.items():
        indices = tensors[f"{matching}/{source}/{target}/indices"][:, 0]
        table = matches.similarities(matches.rows(case, source), matches.rows(case, target), "cosine")
        cosines = table[numpy.arange(len(indices)), indices][indices >= 0]
        want = {"count": len(cosines), "mean": cosines.mean(),
                **{name: numpy.percentile(cosines, q) for name, q in
                   (("p10", 10), ("p25", 25), ("median", 50), ("p75", 75), ("p90", 90))}}
        assert entry["cosines"] == pytest.approx(want, rel=1e-9)
        assert entry["shares"] == pytest.approx(
            {name: (cosines >= float(name)).sum() / len(indices) for name in ("0.3", "0.5", "0.7", "0.9")})
        assert (entry["features"], entry["targets"]) == table.shape
        assert entry["steps"] == (2 if (matching, source, target) in composed else 1)
        assert not entry["cached"] and entry["key"].startswith("sha256:")
        if source[:3] == target[:3]:
            pooled.setdefault((matching, "res", entry["steps"]), []).append(cosines)
    assert {(p["matching"], p["site"], p["distance"]): p["cosines"]["mean"] for p in report["curve"]} == pytest.approx(
        {key: numpy.concatenate(parts).mean() for key, parts in pooled.items()})


def test_the_second_run_finds_everything(computed):
    case, report, tensors = computed
    said = case.run().stdout
    again = case.match()
    assert all(entry["cached"] for entry in again["matches"])
    again["matches"] = [{**entry, "cached": False} for entry in again["matches"]]
    assert again == report
    assert matches.same(case.export("again.safetensors"), tensors)
    # The table for people says the same, and which results were there.
    lines = [line.split() for line in said.split("\n") if line.startswith(("flow ", "parts ", "permutation "))]
    for line in lines[:len(FLOW) + len(PARTS) + len(PERMUTATION)]:
        entry = by_name(report)[tuple(line[:3])]
        assert int(line[3]) == entry["features"]
        assert [float(number) for number in line[4:9]] == pytest.approx(
            [entry["cosines"][name] for name in ("p10", "p25", "median", "p75", "p90")], abs=5.1e-4)
        assert line[-1] == "~"
    assert "Similarity over distance" in said


def test_sizes_may_differ(tmp_path):
    case = Case(tmp_path, SPEC.replace("sites: [res], method: permutation, fold: threshold",
                                       "sites: [mlp], method: permutation, fold: threshold"))
    tensors = case.export()
    for source, target in (("mlp.0", "mlp.1"), ("mlp.1", "mlp.2")):
        a, b = (matches.rows(case, site, ALL_WEIGHTS, "threshold") for site in (source, target))
        assert len(a) < len(b)
        columns, _ = matches.assignment(matches.similarities(a, b, "mse"))
        assert numpy.array_equal(tensors[f"permutation/{source}/{target}/indices"][:, 0], columns)


BUILD_SPEC = """\
weir: 1
model: {program: absent.pt2}
dictionaries:
  sae: {format: sae_lens, path: "{site}.{layer}", sites: [res], layers: 0..2}
MATCHES
policies:
  push: {on: [ON], do: add, strength: 2}
"""


@torch.no_grad()
def test_a_policy_follows_a_match(tmp_path):
    random = numpy.random.default_rng(1)
    for layer in range(3):
        random_dictionaries.write_sae(tmp_path / f"res.{layer}", random, 32, 1.0, architecture="standard",
                                              normalize="none")
    rows = [load_file(tmp_path / f"res.{layer}/sae_weights.safetensors")["W_dec"].astype(numpy.float64)
            for layer in range(3)]
    table = matches.similarities(rows[2], rows[1], "cosine")
    wanted = int(table[5].argmax())
    assert table[5, wanted] > 0
    followed, named = tmp_path / "followed.yaml", tmp_path / "named.yaml"
    followed.write_text(BUILD_SPEC.replace("MATCHES", "matches: {flow: {method: top_k}}")
                        .replace("ON", "{predecessors: 2/res/5, match: flow}"))
    named.write_text(BUILD_SPEC.replace("MATCHES\n", "").replace("ON", f"1/res/{wanted}"))
    cache = tmp_path / "cache"
    model = families.exported("llama")

    def build(spec, folder):
        result = weir.compile(spec, tmp_path / folder, model=model, cache=cache)
        return result, weir.load(tmp_path / folder)

    result, program = build(followed, "one")
    assert [site["site"] for site in result["report"]["sites"]] == ["1/res"]
    _, direct = build(named, "two")
    ids = torch.tensor([[5, 6, 7, 8]])
    logits = program(ids, plan="default").logits
    assert torch.equal(logits, direct(ids, plan="default").logits)
    assert not torch.equal(logits, program(ids, plan=[None]).logits)

    # Only the one match that is needed was computed, and it is not computed again.
    entries = list((cache / "v1").rglob("*.safetensors"))
    assert len(entries) == 1
    first = entries[0].stat().st_ino
    done = matches.run([str(TOOLS / "weirc"), "build", str(followed), "-o", str(tmp_path / "three"), "--model",
                        str(model), "--cache", str(cache), "--remarks"])
    assert "MatchFound" in done.stderr and "MatchComputed" not in done.stderr
    assert list((cache / "v1").rglob("*.safetensors")) == entries and entries[0].stat().st_ino == first
    assert torch.equal(weir.load(tmp_path / "three")(ids, plan="default").logits, logits)


# What is refused: the error is at the line of the YAML and says what is wrong.


def refused(case: Case, *arguments) -> list[dict]:
    done = case.run("--json", *arguments, code=2)
    report = json.loads(done.stdout)
    assert not report["ok"]
    errors = [message for message in report["diagnostics"] if message["severity"] == "error"]
    assert errors and not case.entries()
    return errors


def change(case: Case, site: str, **tensors):
    path = case.weights_file(site)
    save_file({**load_file(path), **tensors}, path)


@pytest.mark.parametrize("number, name", [(numpy.nan, "NaN"), (numpy.inf, "infinite"), (-numpy.inf, "infinite")])
@pytest.mark.parametrize("tensor", ["W_dec", "W_enc", "b_enc", "threshold"])
def test_weights_that_are_no_numbers(tmp_path, number, name, tensor):
    spec = SPEC.replace("  flow: {method: top_k, k: 2}\n", "")
    case = Case(tmp_path, spec[:spec.index("  parts")] + spec[spec.index("  permutation"):])
    weights = load_file(case.weights_file("res.1"))[tensor].copy()
    weights.flat[3] = number
    change(case, "res.1", **{tensor: weights})
    [error] = refused(case)
    assert error["line"] == case.line("permutation:")
    assert name in error["message"] and tensor in error["message"] and "res.1" in error["message"]


def test_widths_that_differ(tmp_path):
    case = Case(tmp_path)
    shutil.rmtree(case.folder / "dictionaries/res.1")
    random_dictionaries.write_sae(case.folder / "dictionaries/res.1", numpy.random.default_rng(0), 9, 1.0,
                                          architecture="jumprelu", normalize="none")
    done = case.run("--json", code=2)
    [error] = [m for m in json.loads(done.stdout)["diagnostics"] if m["severity"] == "error"]
    assert error["line"] == case.line("flow:")
    assert "8" in error["message"] and "9" in error["message"] and "res.1" in error["message"]


@pytest.mark.parametrize("old, new, at, texts", [
    ("k: 2", "k: 14", "flow:", ["14", "sae.mlp.0", "12"]),
    ("k: 2", "k: 257", "flow:", ["1 to 256"]),
    ("k: 2", "k: 2, layers: 3..3", "flow:", ["covers 0 to 2"]),
    ("sites: [res], method: permutation", "sites: [res], layers: 1, method: permutation", "permutation:",
     ["nothing to match"]),
    ("flow: {", "flow: {sites: [mlp], layers: 1..1, ", "flow:", ["nothing to match"]),
    ("layers: 0..2", "layers: 0..3", "flow:", ["res.3"]),
])
def test_specs_that_cannot_be_matched(tmp_path, old, new, at, texts):
    case = Case(tmp_path, SPEC.replace(old, new))
    error = refused(case)[0]
    assert error["line"] == case.line(at), error
    assert all(text in error["message"] for text in texts), error


def test_a_dictionary_that_is_not_there(tmp_path):
    case = Case(tmp_path)
    case.weights_file("mlp.2").unlink()
    error = refused(case)[0]
    assert error["line"] == case.line("flow:")
    assert "mlp.2" in error["message"] and "No such file" in error["message"]


def test_no_thresholds_to_fold(tmp_path):
    case = Case(tmp_path, SPEC[:SPEC.index("  flow")] + SPEC[SPEC.index("  permutation"):])
    path = case.folder / "dictionaries/res.2"
    shutil.rmtree(path)
    random_dictionaries.write_sae(path, numpy.random.default_rng(0), matches.WIDTH, 1.0,
                                          architecture="standard", normalize="none")
    done = case.run("--json", code=2)
    [error] = [m for m in json.loads(done.stdout)["diagnostics"] if m["severity"] == "error"]
    assert error["line"] == case.line("permutation:")
    assert "no thresholds to fold" in error["message"] and "decoder_norm" in error["message"]


def test_nothing_to_match(tmp_path):
    case = Case(tmp_path, SPEC[:SPEC.index("matches:")] + "policies: {}\n")
    for arguments in ([], ["--parts"], ["--part", "flow/sae.res.1/sae.res.0/0..23"]):
        [error] = refused(case, *arguments)
        assert "no section 'matches'" in error["message"]
        assert error["file"].endswith("spec.yaml")


def test_an_export_is_one_file(tmp_path):
    case = Case(tmp_path)
    matches.run([str(TOOLS / "weirc"), "match", "--cache", str(case.cache), "--export", str(tmp_path / "a.csv"),
                 "--export", str(tmp_path / "b.safetensors"), str(case.path)])
    assert (tmp_path / "a.csv").stat().st_size and load_file(tmp_path / "b.safetensors")


def test_exports_are_refused_before_anything_is_computed(tmp_path):
    case = Case(tmp_path)
    done = case.run("--export", "matches.txt", code=1)
    assert "has to end in .safetensors or .csv" in done.stderr
    assert not case.cache.exists()
    done = case.run("--export", case.folder / "nowhere/matches.csv", code=2)
    assert "nowhere" in done.stderr and "No such file" in done.stderr


@pytest.mark.parametrize("arguments", [["--part-rows", "0"], ["--part-rows", "-3"], ["--threads", "-1"],
                                       ["--parts", "--part", "x"]])
def test_arguments(tmp_path, arguments):
    assert Case(tmp_path).run(*arguments, code=1).stderr
