# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Matching by activations: correlations and firing together over a text, in one pass of the compiled model, against
hooks in transformers and NumPy; and that a killed run goes on to the same bits."""

from __future__ import annotations

import fcntl
import json
import re
import signal
import subprocess
import zipfile
from pathlib import Path

import dictionaries
import families
import hooks
import matches
import models
import numpy
import pytest
import random_dictionaries
import torch
from engines import ROOT, TOOLS
from safetensors.numpy import load_file
from tokenizers import Tokenizer
from weir.export import cached

TOOL = TOOLS.parent / "test" / "Unit" / "weir-collect-activations"


def command(spec: Path, model: Path, text: Path, out: Path, sites, pairs, **options) -> list[str]:
    arguments = [TOOL, spec, "--model", model, "--text", text, "-o", out, "--threads", 1]
    for layer, kind in sites:
        arguments += ["--site", f"sae/{layer}/{kind}"]
    for first, second in pairs:
        arguments += ["--pair", f"{first}:{second}"]
    for name, value in options.items():
        arguments += [f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}", *([] if value is True else [value])]
    return [str(argument) for argument in arguments]


class Collected:
    """What the tool wrote and said."""

    def __init__(self, *arguments, **options):
        done = subprocess.run(command(*arguments, **options), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        self.arrays = dict(numpy.load(arguments[3]))
        self.key = re.search(r"^key ([0-9a-f]{64})$", done.stderr, re.M)[1]
        self.resumed = int(re.search(r"^resumed (\d+)$", done.stderr, re.M)[1])
        self.progress = [tuple(map(int, line)) for line in re.findall(r"^progress (\d+) (\d+) ", done.stderr, re.M)]


def refused(*arguments, **options) -> str:
    done = subprocess.run(command(*arguments, **options), capture_output=True, text=True)
    assert done.returncode == 2
    return done.stderr


@torch.no_grad()
def reference(model, windows, skip: int, sites, loaded):
    """[tokens, F] activations of each site at the tokens that count, and which features' firing rounding decides at
    one of them, [F]."""
    values = [[] for _ in sites]
    doubtful = [[] for _ in sites]
    for window in windows:
        def read(layer, kind, x):
            for index, site in enumerate(sites):
                if site == (layer, kind):
                    seen = x[0, skip:].to(torch.float64)
                    values[index].append(loaded[index].encode(seen))
                    doubtful[index].append(loaded[index].jumps(seen))
            return x

        with hooks.hooked(model, model.config, sorted(set(sites)), read):
            model(torch.tensor([window]), use_cache=False)
    return [torch.cat(site).numpy() for site in values], [torch.cat(site).any(0).numpy() for site in doubtful]


def correlations(a, b):
    """[F, F'], 0 where a feature is constant."""
    a, b = a - a.mean(0), b - b.mean(0)
    a[:, numpy.abs(a).max(0) < 1e-9] = 0
    b[:, numpy.abs(b).max(0) < 1e-9] = 0
    norms = numpy.sqrt((a * a).sum(0))[:, None] * numpy.sqrt((b * b).sum(0))[None, :]
    return numpy.divide(a.T @ b, norms, out=numpy.zeros_like(norms), where=norms > 0)


def compare(got: dict, pairs, k: int, activations, doubtful, tolerance: float):
    """The arrays of a run with the reference, where rounding does not decide. Returns the part that was compared."""
    compared = total = 0
    for site, values in enumerate(activations):
        sure = ~doubtful[site]
        assert (got[f"site{site}.fired"] == (values > 0).sum(0))[sure].all()
    for number, (first, second) in enumerate(pairs):
        a, b = activations[first], activations[second]
        want = correlations(a, b)
        both = (a > 0).astype(float).T @ (b > 0)
        indices = got[f"pair{number}.indices"]
        pearson = got[f"pair{number}.pearson"]
        assert (numpy.diff(pearson, axis=1) <= 0).all()
        for i in range(a.shape[1]):
            total += 1
            sure = ~doubtful[second] & ~doubtful[first][i]
            if not sure.any():
                continue
            compared += 1
            left_out = sure.copy()
            left_out[indices[i]] = False
            # Nothing better was missed.
            if left_out.any():
                assert want[i, left_out].max() <= pearson[i, k - 1] + tolerance
            for t, j in enumerate(indices[i]):
                if not sure[j]:
                    continue
                assert abs(pearson[i, t] - want[i, j]) <= tolerance
                fired, other, joint = (a[:, i] > 0).sum(), (b[:, j] > 0).sum(), both[i, j]
                assert got[f"pair{number}.together"][i, t] == joint
                with numpy.errstate(invalid="ignore"):
                    ratios = numpy.array([joint, joint, joint]) / [fired, other, fired + other - joint]
                numpy.testing.assert_equal([got[f"pair{number}.{name}"][i, t] for name in ("first", "second", "jaccard")],
                                           ratios)
    return compared / total


@pytest.fixture(scope="module")
def small(tiny, tmp_path_factory):
    """A tiny model and dictionaries of its first two layers."""
    folder = tmp_path_factory.mktemp("coactivation")
    model = tiny("llama")
    random = numpy.random.default_rng(3)
    for layer in (0, 1):
        for kind, architecture in (("res", "standard"), ("mlp", "jumprelu"), ("att", "topk")):
            width, size = model.sizes[kind]
            random_dictionaries.write_sae(folder / f"{kind}.{layer}", random, width, size, architecture=architecture)
    (folder / "spec.yaml").write_text("""
weir: 1
model: {program: tiny.pt2}
dictionaries:
  sae: {format: sae_lens, path: "{site}.{layer}", sites: [res, mlp, att], layers: 0..1}
policies:
  unused: {on: {site: 0/res}, do: record}
""")
    ids = random.integers(3, families.VOCABULARY, (37, 30)).astype(numpy.int32)
    for row in range(37):
        ids[row, random.integers(1, 31):] = -1
    numpy.save(folder / "ids.npy", ids)
    return folder, model, ids


@pytest.mark.parametrize("bos, skip, context, limit", [(False, 1, 10, None), (True, 2, 7, None), (True, 0, 24, 101)])
def test_a_tiny_model_against_hooks(small, bos, skip, context, limit):
    folder, model, ids = small
    sites = [(0, "res"), (1, "res"), (1, "mlp"), (0, "att"), (1, "res")]
    pairs = [(0, 1), (2, 1), (3, 4), (1, 1)]
    options = dict(k=5, skip_first=skip, context=context, record_bytes=20000)
    if bos:
        options["bos"] = True
    if limit:
        options["max_tokens"] = limit
    got = Collected(folder / "spec.yaml", model.archive, folder / "ids.npy", folder / "out.npz", sites, pairs, **options)

    windows, left = [], limit or 10**9
    for row in ids:
        tokens = row[row >= 0].tolist()
        while tokens and left:
            window = ([1] if bos else []) + tokens[:context - bos]
            tokens = tokens[context - bos:]
            window = window[:skip + left]
            if len(window) > skip:
                windows.append(window)
                left -= len(window) - skip
    loaded = [dictionaries.load("sae_lens", folder / f"{kind}.{layer}", None) for layer, kind in sites]
    activations, doubtful = reference(model.model, windows, skip, sites, loaded)
    assert got.progress[-1] == (activations[0].shape[0],) * 2 and len(got.progress) > 1
    part = compare(got.arrays, pairs, 5, activations, doubtful, 1e-4)
    assert part > 0.5, f"only {part:.0%} of the features were compared"


def test_jobs_do_not_mix(small, tmp_path):
    """Checkpoints are of one job each, and a finished job is read from its own."""
    folder, model, _ = small
    arguments = (folder / "spec.yaml", model.archive, folder / "ids.npy", tmp_path / "out.npz")
    sites, pairs = [(0, "res"), (1, "res")], [(0, 1)]
    first = Collected(*arguments, sites, pairs, checkpoints=tmp_path / "c")
    assert first.resumed == 0 and first.progress
    again = Collected(*arguments, sites, pairs, checkpoints=tmp_path / "c")
    assert again.key == first.key and again.resumed == first.progress[-1][0] and not again.progress
    assert all(numpy.array_equal(again.arrays[name], first.arrays[name], equal_nan=True) for name in first.arrays)
    with open(tmp_path / "c" / f"{first.key}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another process is collecting these activations" in refused(*arguments, sites, pairs,
                                                                            checkpoints=tmp_path / "c")
    # What a process leaves that is killed while it writes goes away with the next run.
    (tmp_path / "c" / f".{first.key}.coactivations.weir-part-0a1b2c3d.coactivations").write_text("half")
    keys = {first.key}
    for change in (dict(skip_first=0), dict(context=9), dict(max_tokens=50), dict(bos=True)):
        other = Collected(*arguments, sites, pairs, checkpoints=tmp_path / "c", **change)
        assert other.resumed == 0
        keys.add(other.key)
    assert Collected(*arguments, sites, pairs, checkpoints=tmp_path / "c").resumed
    keys.add(Collected(*arguments, sites, [(1, 0)], checkpoints=tmp_path / "c").key)
    keys.add(Collected(*arguments, [(0, "res"), (1, "mlp")], pairs, checkpoints=tmp_path / "c").key)
    assert len(keys) == 7
    # Nothing but the checkpoints stays.
    assert {path.name for path in (tmp_path / "c").iterdir()} == {f"{key}.coactivations" for key in keys}

    path = tmp_path / "c" / f"{first.key}.coactivations"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "its checksum is wrong" in refused(*arguments, sites, pairs, checkpoints=tmp_path / "c")
    path.write_bytes((tmp_path / "c" / f"{other.key}.coactivations").read_bytes())
    assert "is the checkpoint of another job" in refused(*arguments, sites, pairs, checkpoints=tmp_path / "c")


def test_wrong_input_is_refused(small, tmp_path):
    folder, model, ids = small
    sites, pairs = [(0, "res"), (1, "res")], [(0, 1)]

    def said(text=folder / "ids.npy", sites=sites, pairs=pairs, **options):
        return refused(folder / "spec.yaml", model.archive, text, tmp_path / "out.npz", sites, pairs, **options)

    message = said(sites=[(0, "res"), (7, "res")])
    assert "spec.yaml:5:" in message and "'sae' has no dictionary at 7/res" in message
    assert "pair 0 names dictionary 5 of 2" in said(pairs=[(0, 5)])
    assert "a context of 25 positions; the program holds 1 to 24" in said(context=25)
    assert "skipping 5 of 5 positions leaves none" in said(context=5, skip_first=5)
    (tmp_path / "text.md").write_text("a")
    assert "text is read from .txt and .jsonl files" in said(tmp_path / "text.md")
    assert "missing.txt" in said(tmp_path / "missing.txt")
    for name, array, what in (
            ("large", numpy.array([5, families.VOCABULARY]), f"row 0: id {families.VOCABULARY} is outside"),
            ("left", numpy.array([[4, 5], [-1, 5]]), "row 1: padding (-1) is allowed on the right only"),
            ("float", numpy.zeros(4), "an int64 or int32 array"),
            ("short", numpy.array([5]), "there is no token that counts")):
        numpy.save(tmp_path / f"{name}.npy", array)
        assert what in said(tmp_path / f"{name}.npy")
    assert not (tmp_path / "out.npz").exists()


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory):
    """The embedded model, the example's dictionaries and a text of two documents: (spec, archive, text)."""
    folder = tmp_path_factory.mktemp("smollm2")
    (folder / "dictionaries").symlink_to(ROOT / "examples" / "smollm2" / "dictionaries")
    (folder / "spec.yaml").write_text("""
weir: 1
model: {program: smollm2.pt2}
dictionaries:
  sae: {format: sae_lens, path: "dictionaries/{site}.{layer}", sites: [res, mlp, att], layers: 9..16}
policies:
  unused: {on: {site: 9/res}, do: record}
""")
    words = (ROOT / "LICENSE").read_text()
    documents = [words[:2500], words[2500:4100]]
    (folder / "text.jsonl").write_text("\n\n".join(json.dumps({"text": text}) for text in documents) + "\n")
    return folder / "spec.yaml", cached("smollm2"), folder / "text.jsonl", documents


SITES, PAIRS = [(11, "res"), (12, "res"), (12, "mlp"), (12, "att")], [(1, 0), (1, 2), (1, 3)]


def test_smollm2_against_hooks(smollm2, tmp_path):
    spec, archive, text, documents = smollm2
    got = Collected(spec, archive, text, tmp_path / "out.npz", SITES, PAIRS, k=4, context=48)
    model = models.smollm2()
    with zipfile.ZipFile(archive) as records:
        name = next(name for name in records.namelist() if name.endswith("/extra/tokenizer.json"))
        tokenizer = Tokenizer.from_str(records.read(name).decode())
    windows = []
    for document in documents:
        ids = tokenizer.encode(document, add_special_tokens=False).ids
        windows += [ids[at:at + 48] for at in range(0, len(ids), 48) if len(ids[at:at + 48]) > 1]
    folder = spec.parent / "dictionaries"
    loaded = [dictionaries.load("sae_lens", folder / f"{kind}.{layer}", None) for layer, kind in SITES]
    activations, doubtful = reference(model, windows, 1, SITES, loaded)
    assert 300 < activations[0].shape[0] == got.progress[-1][0]
    part = compare(got.arrays, PAIRS, 4, activations, doubtful, 1e-3)
    assert part > 0.5, f"only {part:.0%} of the features were compared"


def test_a_killed_run_goes_on_to_the_same_bits(smollm2, tmp_path):
    spec, archive, _, documents = smollm2
    text = tmp_path / "text.txt"
    text.write_text(" ".join(documents))
    options = dict(k=3, context=32, checkpoint_seconds=0)
    whole = Collected(spec, archive, text, tmp_path / "whole.npz", SITES, PAIRS, checkpoints=tmp_path / "whole", **options)
    name = f"{whole.key}.coactivations"

    run = subprocess.Popen(command(spec, archive, text, tmp_path / "out.npz", SITES, PAIRS, checkpoints=tmp_path / "cut",
                                   **options), stderr=subprocess.PIPE, text=True)
    for line in run.stderr:
        if line.startswith("progress") and (tmp_path / "cut" / name).exists():
            run.send_signal(signal.SIGKILL)
            break
    assert run.wait() == -signal.SIGKILL
    run.stderr.close()
    assert not (tmp_path / "out.npz").exists()
    # The program that recorded was gone before the kill, with its half gigabyte.
    left = {path.name for path in (tmp_path / "cut").iterdir() if not path.name.startswith(".")}
    assert left == {name, f"{whole.key}.lock"}

    rest = Collected(spec, archive, text, tmp_path / "out.npz", SITES, PAIRS, checkpoints=tmp_path / "cut", **options)
    assert 0 < rest.resumed < whole.progress[-1][0] == rest.progress[-1][0]
    assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert (tmp_path / "out.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()


MATCHES = """\
weir: 1
model: {program: tiny.pt2}
dictionaries:
  sae: {format: sae_lens, path: "{site}.{layer}", sites: [res, mlp, att], layers: 0..1}
matches:
  heard: {method: top_k, k: 3, similarity: pearson, sites: [res, mlp], text: ids.npy}
policies: {}
"""


def test_weirc_matches_by_activations(small, tmp_path):
    """`weirc match` finds what the library collects, shows how often matches fire together, and finds both the matches
    and the statistics again."""
    folder, model, _ = small
    spec = folder / "match.yaml"
    spec.write_text(MATCHES)
    pairs = {"res.0/mlp.0": (0, 1), "res.1/res.0": (2, 0), "res.1/mlp.1": (2, 3)}
    sites = [(0, "res"), (0, "mlp"), (1, "res"), (1, "mlp")]
    want = Collected(folder / "spec.yaml", model.archive, folder / "ids.npy", tmp_path / "out.npz", sites,
                     list(pairs.values()), k=3).arrays
    out, cache = tmp_path / "heard.safetensors", tmp_path / "cache"

    def match():
        done = subprocess.run([TOOLS / "weirc", "match", spec, "--model", model.archive, "--cache", cache, "--export", out,
                               "--threads", "1", "--json"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return {f"{entry['source']}/{entry['target']}": entry for entry in json.loads(done.stdout)["matches"]
                if entry["steps"] == 1}

    first = match()
    assert set(first) == set(pairs) and not any(entry["cached"] for entry in first.values())
    arrays = load_file(out)
    for number, (name, _) in enumerate(pairs.items()):
        numpy.testing.assert_array_equal(arrays[f"heard/{name}/indices"], want[f"pair{number}.indices"])
        numpy.testing.assert_array_equal(arrays[f"heard/{name}/values"], want[f"pair{number}.pearson"])
        numpy.testing.assert_array_equal(arrays[f"heard/{name}/firing"], want[f"pair{number}.first"])
        best = want[f"pair{number}.first"][:, 0]
        assert first[name]["fires_together"]["median"] == pytest.approx(numpy.nanmedian(best))
    statistics = list((cache / "activations").glob("*.coactivations"))
    assert len(statistics) == 1
    written = statistics[0].stat().st_mtime_ns
    assert all(entry["cached"] for entry in match().values())
    assert statistics[0].stat().st_mtime_ns == written
    # As text, the pipeline finds the same, here with a cache of its own.
    module = subprocess.run([TOOLS / "weir-translate", "--import-spec", spec], capture_output=True, text=True, check=True)
    done = subprocess.run(
        [TOOLS / "weir-opt", f"--weir-match=base={folder} model={model.archive} cache={tmp_path / 'own'} threads=1"],
        input=module.stdout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = re.findall(r'flow\.match @sae\.(\S+) -> @sae\.(\S+) .* result <"sha256:(\w+)">', done.stdout)
    keys = {name: entry["key"].removeprefix("sha256:") for name, entry in first.items()}
    assert {f"{source}/{target}": key for source, target, key in found} == keys
    for key in keys.values():
        ours, theirs = (list(each.rglob(f"{key}*.safetensors")) for each in (cache, tmp_path / "own"))
        assert len(ours) == len(theirs) == 1 and ours[0].read_bytes() == theirs[0].read_bytes()
    # They take part in collecting what is not used.
    done = subprocess.run([TOOLS / "weirc", "cache", "gc", "--cache", cache, "--max-size", "0", "--json"],
                          capture_output=True, text=True)
    assert json.loads(done.stdout)["kept"] == 0 and not statistics[0].exists()


def test_weirc_needs_a_text_that_is_there(small, tmp_path):
    folder, model, _ = small
    spec = folder / "missing.yaml"
    spec.write_text(MATCHES.replace("ids.npy", "absent.jsonl"))
    done = subprocess.run([TOOLS / "weirc", "match", spec, "--model", model.archive, "--cache", tmp_path],
                          capture_output=True, text=True)
    assert done.returncode == 2
    assert "missing.yaml:6:3: error:" in done.stderr and "absent.jsonl" in done.stderr


@torch.no_grad()
def test_weirc_folds_mean_activations(small, tmp_path):
    """Rows divided by the means of the activations on a text, assigned as SciPy does with the means of hooks."""
    folder, model, ids = small
    spec = folder / "means.yaml"
    spec.write_text(MATCHES.replace("heard: {method: top_k, k: 3, similarity: pearson, sites: [res, mlp], text: ids.npy}",
                                    "means: {method: permutation, sites: [res], weights: [decoder, encoder], "
                                    "fold: mean_activation, text: ids.npy}\n"
                                    "  plain: {method: permutation, sites: [res], weights: [decoder, encoder]}"))
    cache, out = tmp_path / "cache", tmp_path / "means.safetensors"
    command = [TOOLS / "weirc", "match", spec, "--model", model.archive, "--cache", cache, "--export", out, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    tokens = [row[row >= 0].tolist() for row in ids]
    # What the command takes by itself: windows as long as the program, of which the first position does not count.
    windows = [row[at:at + families.MAX_LENGTH] for row in tokens for at in range(0, len(row), families.MAX_LENGTH)]
    sites = [(0, "res"), (1, "res")]
    loaded = [dictionaries.load("sae_lens", folder / f"{kind}.{layer}", None) for layer, kind in sites]
    activations, _ = reference(model.model, [window for window in windows if len(window) > 1], 1, sites, loaded)
    sides = []
    for (layer, kind), values in zip(sites, activations):
        fired = (values > 0).sum(0)
        means = numpy.divide(values.sum(0), fired, out=numpy.ones(len(fired)), where=fired > 0)
        weights = load_file(folder / f"{kind}.{layer}" / "sae_weights.safetensors")
        sides.append(numpy.concatenate([weights["W_dec"] * means[:, None], weights["W_enc"].T / means[:, None]], axis=1))
        assert fired.min() == 0 or means.std() > 0.1
    table = matches.similarities(*sides, "mse")
    columns, values = matches.assignment(table)
    got = load_file(out)
    found = got["means/res.0/res.1/indices"][:, 0]
    assert sorted(found) == sorted(columns)
    # A mean is off by some rounding of the model's; a near tie may fall the other way.
    assert table[numpy.arange(len(found)), found].sum() == pytest.approx(values.sum(), rel=1e-4)
    numpy.testing.assert_allclose(got["means/res.0/res.1/values"][:, 0], table[numpy.arange(len(found)), found], rtol=1e-3)
    # The fold makes a difference.
    assert not numpy.array_equal(found, got["plain/res.0/res.1/indices"][:, 0])

    [statistics] = (cache / "activations").glob("*.coactivations")
    written = statistics.stat().st_mtime_ns
    again = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert all(entry["cached"] for entry in again["matches"]) and statistics.stat().st_mtime_ns == written
