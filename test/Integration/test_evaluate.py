# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`weirc evaluate` against hooks in transformers and NumPy: losses, explained variance, L0, matching scores and their
decay; that no number depends on the size of a batch; judges that fail, hang and answer nonsense."""

from __future__ import annotations

import csv
import json
import os
import re
import resource
import shutil
import struct
import subprocess
import sys
import zipfile

import dictionaries
import families
import hooks
import killed
import letters
import numpy
import pytest
import random_dictionaries
import torch
import weir
from engines import ROOT, TOOLS
from safetensors.numpy import load_file

CONTEXT, SKIP = 12, 1
SPEC = """\
weir: 1
model: {program: tiny.pt2}
dictionaries:
  sae: {format: sae_lens, path: "{site}.{layer}", sites: [res, mlp], layers: 0..2}
matches:
  flow: {dictionary: sae, sites: [res], method: top_k, k: 2}
  permutation: {dictionary: sae, sites: [res], method: permutation}
knobs:
  much: {default: 0.5}
policies:
  push: {on: [0/res/3, 2/res/5], do: add, strength: {value: 3, times: much}, layers: cumulative}
  flip: {on: [1/res/1, 1/res/2, 1/mlp/7], do: scale, factor: -1}
  late: {on: 1/res/4, do: add, strength: 2, tokens: generated}
  watch: {on: 1/res/4, do: record}
plans:
  push: [push, watch]
  both: [push, flip]
  late: [late]
  watched: [watch]
"""
# Those that edit.
PLANS = ("push", "both", "late")
SITES = [(layer, kind) for layer in range(3) for kind in ("res", "mlp")]


@pytest.fixture(scope="module")
def case(tiny, tmp_path_factory):
    """A tiny model with dictionaries of every kind of activation and normalisation, and windows of tokens."""
    folder = tmp_path_factory.mktemp("evaluate")
    model = tiny("llama")
    random = numpy.random.default_rng(11)
    kinds = [("standard", "none"), ("jumprelu", "layer_norm"), ("topk", "none"), ("gated", "constant_norm_rescale"),
             ("jumprelu", "expected_average_only_in"), ("standard", "layer_norm")]
    for (layer, kind), (architecture, normalize) in zip(SITES, kinds):
        width, size = model.sizes[kind]
        random_dictionaries.write_sae(folder / f"{kind}.{layer}", random, width, size, architecture=architecture,
                                      normalize=normalize)
    (folder / "spec.yaml").write_text(SPEC)
    ids = random.integers(3, families.VOCABULARY, (11, 17))
    for row in range(11):
        ids[row, random.integers(2, 18):] = -1
    numpy.save(folder / "ids.npy", ids)
    windows = [row[at:at + CONTEXT] for row in (line[line >= 0].tolist() for line in ids)
               for at in range(0, len(row), CONTEXT)]
    return folder, model, [window for window in windows if len(window) > SKIP]


def command(case, *arguments, spec=None, text=None, cache=None, threads=1):
    folder, model, _ = case
    return [TOOLS / "weirc", "evaluate", spec or folder / "spec.yaml", "--model", model.archive, "--text",
            text or folder / "ids.npy", "--context", str(CONTEXT), "--cache", cache or folder / "cache", "--threads", str(threads),
            *map(str, arguments)]


def evaluated(case, *arguments, environment=None, **inputs) -> dict:
    done = subprocess.run(command(case, "--json", *arguments, **inputs), capture_output=True, text=True,
                          env=os.environ | (environment or {}))
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def refused(case, *arguments, code=2, **inputs) -> str:
    done = subprocess.run(command(case, *arguments, **inputs), capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def got(case):
    return evaluated(case)


def loss_sums(case, plan, prompt_tokens=None, knobs=None):
    """Sums of losses and numbers of predicted tokens of each window, and whether rounding decides about one."""
    folder, model, windows = case
    reference = hooks.Reference(folder / "spec.yaml", model.model)
    sums, counts, doubt = [], [], False
    for window in windows:
        length = len(window) if prompt_tokens is None else min(prompt_tokens, len(window))
        result = reference.run(window, plan, length, knobs)
        doubt |= result.doubtful < len(window)
        scores = result.logits.double().log_softmax(-1)
        at = torch.arange(SKIP, len(window))
        sums.append(-scores[at - 1, torch.tensor(window)[at]].sum().item())
        counts.append(len(at))
    return numpy.array(sums), numpy.array(counts), doubt


def mean(sums, counts):
    """(mean, half width of its 95% interval), by the textbook's formula of a ratio."""
    value = sums.sum() / counts.sum()
    error = numpy.sqrt(len(sums) / (len(sums) - 1) * ((sums - value * counts) ** 2).sum()) / counts.sum()
    return value, 1.96 * error


def close(entry, want, tolerance=2e-4):
    assert entry["mean"] == pytest.approx(want[0], abs=tolerance)
    assert entry["half_width"] == pytest.approx(want[1], abs=tolerance)


@pytest.mark.parametrize("prompt_tokens", [None, 2])
def test_losses_are_those_of_hooks(case, got, prompt_tokens):
    if prompt_tokens is not None:
        got = evaluated(case, "--prompt-tokens", prompt_tokens)
    plain, counts, _ = loss_sums(case, None)
    close(got["plain"], mean(plain, counts))
    assert got["text"] | {"file": ""} == {"file": "", "windows": len(counts), "context": CONTEXT,
                                         "tokens": int(counts.sum()), "predicted": int(counts.sum())}
    assert [entry["plan"] for entry in got["plans"]] == list(PLANS)
    for entry in got["plans"]:
        sums, _, doubt = loss_sums(case, entry["plan"], prompt_tokens)
        # Where rounding decides about an edit, one token's loss may differ.
        tolerance = 2e-2 if doubt else 2e-4
        close(entry["loss"], mean(sums, counts), tolerance)
        close(entry["change"], mean(sums - plain, counts), tolerance)
        assert entry["has_effect"] == (entry["plan"] != "late" or prompt_tokens is not None)
        if entry["has_effect"]:
            assert abs(entry["change"]["mean"]) > 1e-3


def test_a_plan_without_effect_is_told(case, got):
    [warning] = [each["message"] for each in got["diagnostics"] if each["severity"] == "warning"
                 and "changes nothing" in each["message"]]
    assert "plan 'late' changes nothing on this text" in warning and "--prompt-tokens" in warning


@torch.no_grad()
def activations(case):
    """By (layer, kind): values x [tokens, d], activations [tokens, F], and features whose firing rounding decides."""
    folder, model, windows = case
    loaded = {site: dictionaries.load("sae_lens", folder / f"{site[1]}.{site[0]}", None) for site in SITES}
    values, found, doubtful = ({site: [] for site in SITES} for _ in range(3))
    for window in windows:
        def read(layer, kind, x):
            seen = x[0, SKIP:].to(torch.float64)
            values[layer, kind].append(seen)
            found[layer, kind].append(loaded[layer, kind].encode(seen))
            doubtful[layer, kind].append(loaded[layer, kind].jumps(seen))
            return x

        with hooks.hooked(model.model, model.model.config, SITES, read):
            model.model(torch.tensor([window]), use_cache=False)
    join = lambda parts: {site: torch.cat(each) for site, each in parts.items()}
    return loaded, join(values), join(found), {site: each.any(0).numpy() for site, each in join(doubtful).items()}


def test_dictionaries_and_matches_are_those_of_numpy(case, got, tmp_path):
    folder, _, _ = case
    loaded, values, found, doubtful = activations(case)
    assert [(entry["layer"], entry["site"]) for entry in got["dictionaries"]] == SITES
    for entry in got["dictionaries"]:
        site = entry["layer"], entry["site"]
        x, f = values[site], found[site]
        fired = (f > 0).numpy()
        off = doubtful[site].sum()  # each may fire at a token more or less
        assert entry["l0"] == pytest.approx(fired.sum(1).mean(), abs=off / len(x) + 1e-9)
        assert abs(entry["silent"] - (fired.sum(0) == 0).sum()) <= off
        error = (x - loaded[site].decode(f, x)).square().sum()
        spread = (x - x.mean(0)).square().sum()
        assert entry["features"] == f.shape[1]
        assert entry["explained_variance"] == pytest.approx(1 - (error / spread).item(), rel=1e-3, abs=0.02 if off else 1e-3)

    exported = folder / "matches.safetensors"
    subprocess.run([TOOLS / "weirc", "match", folder / "spec.yaml", "--cache", folder / "cache", "--export", exported],
                   check=True, capture_output=True)
    arrays = load_file(exported)
    compared, groups = 0, {}
    for entry in got["matches"]:
        source, target = ((int(layer), kind) for kind, layer in (entry[key].split(".") for key in ("source", "target")))
        best = arrays[f"{entry['matching']}/{entry['source']}/{entry['target']}/indices"][:, 0]
        rows = torch.nn.functional.normalize(loaded[source].rows, dim=1), torch.nn.functional.normalize(
            loaded[target].rows, dim=1)
        kept = best >= 0
        cosine = (rows[0][kept] * rows[1][best[kept]]).sum(1).mean().item()
        assert entry["cosine"] == pytest.approx(cosine, abs=1e-5) and entry["pairs"] == kept.sum()
        a, b = (found[source] > 0).numpy()[:, kept], (found[target] > 0).numpy()[:, best[kept]]
        with numpy.errstate(invalid="ignore"):
            both = (a & b).sum(0)
            scores = {"given_feature": numpy.nanmean(both / a.sum(0)), "given_match": numpy.nanmean(both / b.sum(0)),
                      "jaccard": numpy.nanmean(both / (a | b).sum(0))}
        group = groups.setdefault((entry["matching"], "res", entry["distance"]), [])
        group.append((entry["cosine"], entry["pairs"], *(entry["active"][name] for name in scores),
                      entry["active"]["features"]))
        if not doubtful[source].any() and not doubtful[target].any():
            compared += 1
            for name, want in scores.items():
                assert entry["active"][name] == pytest.approx(want, abs=1e-9), (entry["source"], entry["target"], name)
            assert entry["active"]["features"] == (a.sum(0) > 0).sum()
        else:  # a feature fires at a few tokens more or less
            for name, want in scores.items():
                assert entry["active"][name] == pytest.approx(want, abs=0.1)
    assert {entry["distance"] for entry in got["matches"]} == {1, 2} and len(got["matches"]) == 6
    assert len(got["decay"]) == len(groups) == 4
    for point in got["decay"]:
        cosines, pairs, given, match, jaccard, features = map(
            numpy.array, zip(*groups[point["matching"], point["site"], point["distance"]]))
        assert point["cosine"] == pytest.approx((cosines * pairs).sum() / pairs.sum())
        for name, column in (("given_feature", given), ("given_match", match), ("jaccard", jaccard)):
            assert point["active"][name] == pytest.approx((column * features).sum() / features.sum())


def test_no_number_depends_on_the_batch(case, got):
    # One window at a time, where a batch has three rows otherwise.
    alone = evaluated(case, "--record-bytes", "1")
    for one, other in zip(got["dictionaries"], alone["dictionaries"]):
        assert one["l0"] == other["l0"] and one["silent"] == other["silent"]
        assert one["explained_variance"] == pytest.approx(other["explained_variance"], abs=1e-6)
    assert [entry["active"] for entry in got["matches"]] == [entry["active"] for entry in alone["matches"]]


def test_no_number_depends_on_threads(case, got, tmp_path):
    other = evaluated(case, threads=2, cache=tmp_path, environment={"OMP_NUM_THREADS": "2"})
    assert other["resumed"] == {"rows": 0, "windows": 0}
    for one, two in zip([got["plain"]] + [plan["loss"] for plan in got["plans"]],
                        [other["plain"]] + [plan["loss"] for plan in other["plans"]]):
        assert one["mean"] == pytest.approx(two["mean"], rel=1e-6) and one["half_width"] == pytest.approx(two["half_width"], rel=1e-5)
    for one, two in zip(got["dictionaries"], other["dictionaries"]):
        assert one["l0"] == two["l0"] and one["silent"] == two["silent"]
        assert one["explained_variance"] == pytest.approx(two["explained_variance"], abs=1e-6)
    assert [entry["active"] for entry in got["matches"]] == [entry["active"] for entry in other["matches"]]


def test_tables_and_python(case, got, tmp_path):
    folder, model, _ = case
    result = weir.evaluate(folder / "spec.yaml", folder / "ids.npy", model=model.archive, context=CONTEXT,
                           cache=folder / "cache", threads=1, csv=tmp_path / "table.csv")
    assert result.loss == got["plain"]["mean"] and result.plans.plan == list(PLANS)
    numpy.testing.assert_array_equal(result.plans.change, [entry["change"]["mean"] for entry in got["plans"]])
    numpy.testing.assert_array_equal(result.dictionaries.l0, [entry["l0"] for entry in got["dictionaries"]])
    numpy.testing.assert_array_equal(result.decay.jaccard, [point["active"]["jaccard"] for point in got["decay"]])
    assert result.judged == [] and result.windows == got["text"]["windows"]
    with open(tmp_path / "table.csv") as file:
        rows = {(row["section"], row["name"], row["measure"]): float(row["value"]) for row in csv.DictReader(file)}
    assert rows["loss", "(plain)", "loss"] == got["plain"]["mean"]
    assert rows["loss", "both", "change"] == got["plans"][1]["change"]["mean"]
    assert rows["dictionary", "sae.mlp.1", "l0"] == got["dictionaries"][3]["l0"]
    assert rows["decay", "permutation/res/2", "cosine"] == got["decay"][-1]["cosine"]
    shown = subprocess.run(command(case), capture_output=True, text=True, check=True).stdout
    assert "(plain)" in shown and f"{got['plans'][1]['change']['mean']:+.4f}" in shown
    assert "Over distance, matches composed layer by layer" in shown


def test_plots(case, tmp_path):
    """As SVG and PNG, the same bytes each time; nothing of somebody else is replaced."""
    paths = [tmp_path / "plot.svg", tmp_path / "plot.png"]
    options = [word for path in paths for word in ("--plot", path)]
    evaluated(case, *options)
    svg, png = (path.read_bytes() for path in paths)
    assert b"<svg" in svg and b"explained variance" in svg and b"cosine over distance" in svg
    assert png.startswith(b"\x89PNG")
    evaluated(case, *options)
    assert [path.read_bytes() for path in paths] == [svg, png]
    other = tmp_path / "other.svg"
    other.write_text("<svg/>")
    assert "is not replaced" in refused(case, "--plot", other, code=1) and other.read_text() == "<svg/>"
    assert "ends in .svg or .png" in refused(case, "--plot", tmp_path / "plot.pdf", code=1)


def test_a_full_disk_is_the_fault_of_no_line(case, got):
    """What cannot be written is named, and nothing of the spec. A limit on the size of files stands for a full disk."""
    done = subprocess.run(command(case, "--max-tokens", 30), capture_output=True, text=True, restore_signals=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)))
    assert done.returncode == 2
    assert re.fullmatch(r"weirc: error: /\S+: cannot write: File too large\n", done.stderr), done.stderr


def test_a_run_that_was_killed_goes_on(case, tmp_path):
    """While losses are computed, and while activations are counted, by a signal and by a full disk; a finished one is there at
    once."""
    folder, model, _ = case
    numpy.save(tmp_path / "long.npy", numpy.concatenate([numpy.load(folder / "ids.npy")] * 100))

    def words(cache):
        return command(case, "--json", "--record-bytes", 200_000, "--checkpoint-seconds", 0, text=tmp_path / "long.npy", cache=cache)

    def finished(cache):
        done = subprocess.run(words(cache), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        return said.pop("resumed"), said

    whole_resumed, whole = finished(tmp_path / "whole")
    assert whole_resumed == {"rows": 0, "windows": 0}
    rows = whole["text"]["windows"] * (1 + len(PLANS))
    cache = tmp_path / "killed"
    logs = killed.kill(words(cache), cache, "measures", lambda changes: bool(changes) and changes[0] > 3)
    assert len(logs) == 1
    os.truncate(logs[0], logs[0].stat().st_size - 7)  # as if the disk had taken half of what was written last
    assert "what was finished before is kept" in killed.fill_disk(
        words(cache), cache, "measures", lambda changes: bool(changes) and changes[0] > 2)
    killed.kill(words(cache), cache, "measures", lambda changes: len(changes) == 2)
    assert "what was finished before is kept" in killed.fill_disk(
        words(cache), cache, "measures", lambda changes: len(changes) == 2 and changes[1] > 2)
    resumed, said = finished(cache)
    assert resumed["rows"] == rows and 0 < resumed["windows"] < whole["text"]["windows"]
    assert said == whole
    assert finished(cache) == ({"rows": rows, "windows": whole["text"]["windows"]}, whole)


@pytest.mark.parametrize("command, more", [("evaluate", []), ("sweep", ["--knob", "much=0:1:2"]), ("validate", ["--sample", 1])])
def test_a_damaged_model_is_refused(case, tmp_path, command, more):
    """One bit of one weight, which is read from the model's own file and never copied."""
    folder, model, _ = case
    damaged = tmp_path / "damaged.pt2"
    shutil.copyfile(model.archive, damaged)
    with zipfile.ZipFile(damaged) as archive:
        weights = [member for member in archive.infolist() if "/data/weights/weight_" in member.filename]
    largest = max(weights, key=lambda member: member.file_size)
    with open(damaged, "r+b") as file:
        file.seek(largest.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
        file.seek(largest.header_offset + 30 + name + extra + largest.file_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    done = subprocess.run(list(map(str, [TOOLS / "weirc", command, folder / "spec.yaml", "--model", damaged, "--text", folder / "ids.npy",
                                         "--context", CONTEXT, "--cache", tmp_path / "cache", *more])), capture_output=True, text=True)
    assert done.returncode == 2 and f"'{largest.filename.partition('/')[2]}' has a wrong checksum" in done.stderr, done.stderr
    assert str(damaged) in done.stderr and done.stdout == ""


def test_wrong_input(case, tmp_path):
    folder, _, _ = case
    numpy.save(tmp_path / "one.npy", numpy.array([5]))
    assert "there is no token that counts" in refused(case, text=tmp_path / "one.npy")
    assert "a table's name ends in .csv" in refused(case, "--csv", tmp_path / "table.txt", code=1)
    (tmp_path / "mine.csv").write_text("a,b\n1,2\n")
    assert "is not replaced" in refused(case, "--csv", tmp_path / "mine.csv", code=1)
    broken = folder / "broken.yaml"
    broken.write_text(SPEC.replace("2/res/5", "2/res/99"))
    assert "broken.yaml:11:" in refused(case, spec=broken)
    # Nothing is left behind.
    assert not list(tmp_path.glob(".*")) and not list(folder.glob("weir-*"))


# --- Judges -------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def readable(tmp_path_factory):
    """A tiny model that reads letters, two dictionaries of it, and a text."""
    folder = tmp_path_factory.mktemp("judged")
    random = numpy.random.default_rng(2)
    for layer in (0, 1):
        random_dictionaries.write_sae(folder / f"res.{layer}", random, letters.WIDTH, 1.0, architecture="standard",
                                      normalize="none")
    (folder / "spec.yaml").write_text("""
weir: 1
model: {program: absent.pt2}
dictionaries:
  sae: {format: sae_lens, path: "res.{layer}", sites: [res], layers: 0..1}
matches:
  flow: {method: top_k, k: 1}
labels:
%s
policies: {}
""" % "\n".join(f"  1/res/{index}: the {index}th" for index in range(random_dictionaries.FEATURES)))
    (folder / "text.txt").write_text((ROOT / "LICENSE").read_text()[:1500])
    return folder


JUDGE = """\
import json, sys
with open({log!r}, "w") as log:
    for line in sys.stdin:
        question = json.loads(line)
        log.write(line)
        tokens = [{{context["token"] for context in side}} for side in question["contexts"]]
        verdict = "SAME" if tokens[0] == tokens[1] else "MAYBE" if tokens[0] & tokens[1] else "DIFFERENT"
        print(json.dumps({{"id": question["id"], "verdict": verdict}}))
"""


def test_a_judge_of_pairs(readable, tmp_path):
    folder = readable
    log = tmp_path / "questions.jsonl"
    (tmp_path / "judge.py").write_text(JUDGE.format(log=str(log)))
    options = dict(model=letters.exported(), context=32, max_tokens=400, judge_pairs=12, cache=tmp_path / "cache",
                   judge=f"{sys.executable} {tmp_path}/judge.py")
    result = weir.evaluate(folder / "spec.yaml", folder / "text.txt", **options)
    questions = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(result.judged) == len(questions) == 12
    whole = (folder / "text.txt").read_text()
    for pair, question in zip(result.judged, questions):
        assert question["kind"] == "pair" and question["features"] == [pair.source, pair.target]
        sides = [{context["token"] for context in side} for side in question["contexts"]]
        assert pair.verdict == ("SAME" if sides[0] == sides[1] else "MAYBE" if sides[0] & sides[1] else "DIFFERENT")
        for side in question["contexts"]:
            assert 1 <= len(side) <= 5
            assert [context["activation"] for context in side] == sorted(
                (context["activation"] for context in side), reverse=True)
            for context in side:
                assert context["text"] in whole and context["token"] in context["text"]
    again = weir.evaluate(folder / "spec.yaml", folder / "text.txt", **options)
    assert again.judged == result.judged
    for pair in result.judged:
        for feature, label in (pair.source, pair.source_label), (pair.target, pair.target_label):
            assert label == (f"the {feature.rpartition('/')[2]}th" if feature.startswith("1/") else None)
    shown = subprocess.run([TOOLS / "weirc", "evaluate", folder / "spec.yaml", "--text", folder / "text.txt", *(
        str(word) for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value))], capture_output=True, text=True)
    pair = result.judged[0]
    assert re.search(rf"^  {pair.verdict} +{pair.source}.* and {pair.target}", shown.stdout, re.M), shown.stdout + shown.stderr
    assert f"{pair.source} ({pair.source_label})" in shown.stdout or f"{pair.target} ({pair.target_label})" in shown.stdout
    other = weir.evaluate(folder / "spec.yaml", folder / "text.txt", **options | {"seed": 1})
    assert [pair.source for pair in other.judged] != [pair.source for pair in result.judged]


def test_judges_of_pairs_that_fail(readable, tmp_path):
    folder = readable
    for judge, message in (("exit 4", "--judge: the judge ended with exit code 4"),
                           ("echo nonsense", "line 1 of the judge's answers is not JSON: nonsense"),
                           ("cat > /dev/null", "left 12 of 12 questions without an answer"),
                           ("sleep 100", "took longer than 0.5 s")):
        with pytest.raises(weir.WeirError, match=re.escape(message)):
            weir.evaluate(folder / "spec.yaml", folder / "text.txt", model=letters.exported(), context=32, max_tokens=400,
                          judge_pairs=12, cache=tmp_path / "cache", judge=judge, judge_seconds=0.5 if "sleep" in judge else None)


def test_judges_need_matches_and_a_tokenizer(case):
    assert "no tokenizer" in refused(case, "--judge", "cat")
    folder, _, _ = case
    spec = folder / "unmatched.yaml"
    spec.write_text("\n".join(line for line in SPEC.split("\n") if "method:" not in line and "matches:" not in line))
    assert "the spec has no section 'matches'" in refused(case, "--judge", "cat", spec=spec)
