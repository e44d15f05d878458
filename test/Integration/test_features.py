# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weirc features: contexts, densities, promoted tokens, neighbours and themes, against hooks in transformers and NumPy."""

from __future__ import annotations

import json
import math
import os
import re
import resource
import subprocess

import dictionaries
import families
import hooks
import letters
import numpy
import pytest
import torch
import weir
import yaml
from random_dictionaries import write_sae
from weir.__main__ import main
from weir.meaning import windows
from weir.meaning.specs import Spec

pytestmark = pytest.mark.usefixtures("warm_python")

SITES = [(0, "res"), (1, "res"), (2, "res"), (1, "mlp"), (2, "mlp")]
TEXTS = [("the ant and the tin hat in the inner inn; then another ant ate the thing that ran at ten. " * 2, "ants"),
         ("12, 34 and 55 + 5 = 60\n\tnot é or 名前, nor <b>the</b> end", None), ("a", None), ("", "empty"),
         ("an inner tin\nthe ant thinner than an ant in a tent, e.g. that thin ant there", "ants, again"),
         ("xyz xyz 999 qqq; another than these", None)]
SPEC = """
weir: 1
model: {program: PROGRAM}
dictionaries:
  sae: {format: sae_lens, path: "sae/{site}.{layer}", sites: [res, mlp], layers: 0..2}
matches:
  flow: {dictionary: sae, layers: 1..2, method: top_k, k: 2}
features:
  named: [1/res/3, 2/res/7, 1/mlp/2]
  opposed: {antagonists: 1/res/3, count: 2}
policies:
  more: {on: [2/mlp/1, 1/res/3], do: add, strength: 2}
  other: {on: 0/res/1, do: transfer, to: 0/res/2}
  raw: {value: 1/res, do: record}
"""


@pytest.fixture(scope="module")
def model():
    return letters.model()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("features")
    random = numpy.random.default_rng(5)
    sizes = {}

    def measure(layer, kind, x):
        sizes[layer, kind] = float(x.std())
        return x

    with torch.no_grad(), hooks.hooked(model, model.config, [*SITES, (0, "mlp")], measure):
        model(letters.tokenizer()(TEXTS[0][0][:30], return_tensors="pt")["input_ids"][:, 1:], use_cache=False)
    for layer, kind in [*SITES, (0, "mlp")]:
        write_sae(folder / "sae" / f"{kind}.{layer}", random, letters.WIDTH, sizes[layer, kind], architecture="jumprelu", normalize="none")
    (folder / "spec.yaml").write_text(SPEC.replace("PROGRAM", str(letters.exported())))
    # A match that reaches all layers, for graphs of themes.
    (folder / "wide.yaml").write_text((folder / "spec.yaml").read_text().replace("layers: 1..2, ", ""))
    (folder / "text.jsonl").write_text("\n".join(json.dumps({"text": text, **({"source": source} if source else {})})
                                                 for text, source in TEXTS) + "\n\n")
    return folder


def dictionary(folder, layer: int, kind: str) -> dictionaries.Dictionary:
    return dictionaries.load("sae_lens", folder / "sae" / f"{kind}.{layer}", None)


def parse(feature: str) -> tuple[int, str, int]:
    layer, kind, index = feature.split("/")
    return int(layer), kind, int(index)


def cut(context: int):
    """(document, first token, ids) of each window."""
    for number, (text, _) in enumerate(TEXTS):
        ids = letters.tokenizer()(text, add_special_tokens=False)["input_ids"]
        for begin in range(0, len(ids), context):
            if len(ids[begin:begin + context]) > 1:
                yield number, begin, ids[begin:begin + context]


@torch.no_grad()
def activations(model, folder, features, context: int):
    """For each window (document, first token, ids, activations [S, k] f64)."""
    places = sorted({parse(feature)[:2] for feature in features})
    for number, begin, ids in cut(context):
        seen = {}

        def see(layer, kind, x):
            seen[layer, kind] = x[0].double()
            return x

        with hooks.hooked(model, model.config, places, see):
            model(torch.tensor([ids]), use_cache=False)
        encoded = {place: dictionary(folder, *place).encode(seen[place]) for place in places}
        yield number, begin, ids, numpy.stack([encoded[parse(feature)[:2]][:, parse(feature)[2]].numpy() for feature in features], 1)


def run(*words) -> str:
    """What the command prints."""
    done = subprocess.run([weir.tool("weirc"), "features", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


ALL = ["0/res/1", "0/res/2", "1/mlp/2", "1/res/3", "2/mlp/1", "2/res/7"]


@pytest.fixture(scope="module")
def found(folder):
    """What the command prints for the features that the spec selects, with windows of 16 tokens."""
    done = run(folder / "spec.yaml", "--text", folder / "text.jsonl", "--context", 16, "--contexts", 4, "--around", 3, "--promotes", 6,
               "--neighbours", 4, "--json")
    return {row["feature"]: row for row in json.loads(done)["features"]}, json.loads(done)["tokens"]


def test_the_features_of_lists_and_policies_against_hooks(model, folder, found):
    rows, tokens = found
    rows_of = dictionary(folder, 1, "res").rows.numpy()
    unit = rows_of / numpy.linalg.norm(rows_of, axis=1, keepdims=True)
    opposed = numpy.argsort(unit @ unit[3])[:2]
    names = list(rows)
    assert set(names) == {*ALL, *(f"1/res/{index}" for index in opposed)} and len(names) == 8
    windows = list(activations(model, folder, names, 16))
    assert tokens == sum(len(ids) - 1 for _, _, ids, _ in windows)
    for column, name in enumerate(names):
        values = numpy.concatenate([seen[1:, column] for *_, seen in windows])
        row = rows[name]
        assert row["density"] == pytest.approx((values > 0).mean()) and row["largest"] == pytest.approx(values.max(), rel=1e-4)
        assert row["mean"] == pytest.approx(values[values > 0].mean() if (values > 0).any() else 0, rel=1e-4)
        # The strongest place of each window, the strongest windows first.
        peaks = sorted(((-seen[1:, column].max(), order, 1 + int(seen[1:, column].argmax())) for order, (*_, seen) in enumerate(windows)
                        if seen[1:, column].max() > 0))[:4]
        assert len(row["contexts"]) == len(peaks)
        for context, (value, order, at) in zip(row["contexts"], peaks):
            number, begin, ids, seen = windows[order]
            assert (context["document"], context["position"], context["source"]) == (number, begin + at, TEXTS[number][1])
            first, last = max(0, at - 3), min(len(ids), at + 4)
            expected = seen[first:last, column].copy()
            if first == 0:
                expected[0] = 0  # the first position does not count
            numpy.testing.assert_allclose(context["activations"], expected, rtol=1e-4, atol=1e-4 * -value)
            text = "".join(context["tokens"])
            assert text in TEXTS[number][0] and len(context["tokens"]) == last - first
            whole = letters.tokenizer().decode(ids[first:last])
            assert text == whole or "\ufffd" in whole
    assert any(len(row["contexts"]) == 4 for row in rows.values()) and 0 < min(row["density"] for row in rows.values()) < 0.5


@torch.no_grad()
def test_promoted_tokens_against_the_models_own_end(model, folder, found):
    for name, row in found[0].items():
        layer, kind, index = parse(name)
        logits = model.lm_head(model.model.norm(dictionary(folder, layer, kind).rows[index].float()[None, None]))[0, 0]
        values, ids = logits.topk(6)
        assert [one["id"] for one in row["promotes"]] == ids.tolist()
        numpy.testing.assert_allclose([one["logit"] for one in row["promotes"]], values, rtol=1e-4)
        for one in row["promotes"]:
            whole = letters.tokenizer().decode([letters.tokenizer().encode("x", add_special_tokens=False)[0], one["id"]])
            assert "x" + one["token"] == whole or "\ufffd" in whole


def cosines(folder, place, other):
    rows = [dictionary(folder, *one).rows.numpy() for one in (place, other)]
    rows = [one / numpy.linalg.norm(one, axis=1, keepdims=True) for one in rows]
    return rows[0] @ rows[1].T


def test_neighbours_by_cosine_and_by_matches(folder, found):
    for name, row in found[0].items():
        layer, kind, index = parse(name)
        near = cosines(folder, (layer, kind), (layer, kind))[index]
        near[index] = -1
        order = [int(other) for other in numpy.argsort(-near, kind="stable")[:4] if near[other] > 0]
        assert [one["feature"] for one in row["neighbours"] if one["by"] == "cosine"] == [f"{layer}/{kind}/{other}" for other in order]
        assert [one["similarity"] for one in row["neighbours"] if one["by"] == "cosine"] == pytest.approx(near[order].tolist(), rel=1e-5)

    def links(name):
        return {one["by"]: (one["feature"], pytest.approx(one["similarity"], rel=1e-6)) for one in found[0][name]["neighbours"]
                if one["by"] != "cosine"}

    # Layers 1 and 2 are matched: a residual feature at 2 with the residual stream at 1 and the MLP at 2.
    before = [(cosines(folder, (2, "res"), place)[7], place) for place in ((1, "res"), (2, "mlp"))]
    value, (layer, kind), index = max((values.max(), place, int(values.argmax())) for values, place in before)
    assert links("2/res/7") == {"flow, before": (f"{layer}/{kind}/{index}", value)}
    best = numpy.argsort(-cosines(folder, (2, "res"), (1, "res")), axis=1, kind="stable")[:, :2]
    behind = {int(row): cosines(folder, (2, "res"), (1, "res"))[row, 3] for row in numpy.flatnonzero((best == 3).any(1))}
    got = links("1/res/3")
    assert got.get("flow, behind", (None,))[0] == (f"2/res/{max(behind, key=behind.get)}" if behind else None)
    assert not links("0/res/1")


def test_from_python_with_features_sites_and_token_ids(model, folder):
    ids = [letters.tokenizer()(text, add_special_tokens=False)["input_ids"] for text, _ in TEXTS]
    longest = max(map(len, ids))
    numpy.save(folder / "text.npy", numpy.array([[*row, *[-1] * (longest - len(row))] for row in ids]))
    report = weir.features(folder / "spec.yaml", folder / "text.npy", features=["2/res/7"], sites=["1/mlp"], context=16, contexts=2)
    same = weir.features(folder / "spec.yaml", folder / "text.jsonl", features=["2/res/7"], context=16, promotes=0, neighbours=0)
    assert report.features == [*(f"1/mlp/{index}" for index in range(24)), "2/res/7"] and report.density.dtype == numpy.float64
    assert report.promotes.shape == (25, 10) and report.tokens == same.tokens
    assert report.density[-1] == same.density[0] and report.largest[-1] == same.largest[0]
    one, other = report.contexts[-1][0], same.contexts[0][0]
    assert (one.position, one.source) == (other.position, None) and numpy.array_equal(one.activations, other.activations)
    assert same.promotes.shape == (1, 0) and same.neighbours == [[]] or same.neighbours[0][0].by.startswith("flow")


def test_what_a_batch_holds_changes_nothing(folder, monkeypatch):
    """Windows one by one, and as many at a time as the program takes."""
    from weir.meaning import recording

    options = dict(features=["1/res/3", "2/res/7"], context=12, promotes=0, neighbours=0, begin_with_bos=True)
    batch = weir.features(folder / "spec.yaml", folder / "text.jsonl", **options)
    monkeypatch.setattr(recording, "_RECORD_BYTES", 1)
    single = weir.features(folder / "spec.yaml", folder / "text.jsonl", **options)
    assert numpy.array_equal(batch.density, single.density)
    numpy.testing.assert_allclose(batch.mean, single.mean, rtol=1e-5)
    assert [[(c.document, c.position) for c in row] for row in batch.contexts] == [[(c.document, c.position) for c in row] for row in single.contexts]


def test_nothing_depends_on_threads(folder, found):
    done = subprocess.run([weir.tool("weirc"), "features", folder / "spec.yaml", "--text", folder / "text.jsonl", "--context", "16",
                           "--contexts", "4", "--around", "3", "--promotes", "6", "--neighbours", "4", "--json"], capture_output=True,
                          text=True, env=os.environ | {"OMP_NUM_THREADS": "2"})
    assert done.returncode == 0, done.stderr
    rows = {row["feature"]: row for row in json.loads(done.stdout)["features"]}
    assert rows.keys() == found[0].keys()
    for name, row in found[0].items():
        assert rows[name]["density"] == row["density"] and rows[name]["mean"] == pytest.approx(row["mean"], rel=1e-5)
        for key in ("contexts", "promotes", "neighbours"):
            assert [(each.get("document"), each.get("position"), each.get("token"), each.get("feature")) for each in rows[name][key]] == [
                (each.get("document"), each.get("position"), each.get("token"), each.get("feature")) for each in row[key]]


def test_a_full_disk_costs_the_resumption_only(folder, tmp_path, monkeypatch):
    """A limit on the size of files stands for it, from the second batch on."""
    from weir.meaning import checkpoints, recording

    def result():
        return weir.features(folder / "spec.yaml", folder / "text.jsonl", features=["1/res/3", "2/res/7"], context=12, promotes=0,
                             neighbours=0, cache=tmp_path).to_json()

    whole = result()
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    batches, limit = recording.Recorder.batches, resource.getrlimit(resource.RLIMIT_FSIZE)

    def filled(self, windows, begin=0):
        try:
            for number, batch in enumerate(batches(self, windows, begin)):
                if number == 1:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (1, limit[1]))
                yield batch
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)

    monkeypatch.setattr(recording.Recorder, "batches", filled)
    assert result() == whole
    assert not list((tmp_path / "features").iterdir())


@pytest.mark.parametrize("what", ["features", "theme"])
def test_a_run_that_was_killed_goes_on(folder, tmp_path, monkeypatch, what):
    from weir.meaning import checkpoints, recording

    def result():
        if what == "features":
            return weir.features(folder / "spec.yaml", folder / "text.jsonl", features=["1/res/3", "2/res/7"], context=12, promotes=0,
                                 neighbours=0, cache=tmp_path).to_json()
        return weir.theme(folder / "spec.yaml", folder / "text.jsonl", "ant", near=1, count=1, context=12, cache=tmp_path).to_json()

    whole = result()
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    batches, begun = recording.Recorder.batches, []

    def killed(self, windows, begin=0):
        begun.append(begin)
        for number, batch in enumerate(batches(self, windows, begin)):
            if number == 2 and len(begun) == 1:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(recording.Recorder, "batches", killed)
    with pytest.raises(KeyboardInterrupt):
        result()
    assert len(list((tmp_path / "features").iterdir())) == 1
    assert result() == whole and begun == [0, 2 * letters.MAX_BATCH] and not list((tmp_path / "features").iterdir())
    # What is damaged is no checkpoint.
    begun.clear()
    with pytest.raises(KeyboardInterrupt):
        result()
    next((tmp_path / "features").iterdir()).write_bytes(b"PK damaged")
    assert result() == whole and begun == [0, 0]


def test_the_table_for_people(folder, capsys):
    assert main(["features", str(folder / "spec.yaml"), "--text", str(folder / "text.jsonl"), "--feature", "1/res/3", "--contexts", "2"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^1/res/3$", text, re.M) and re.search(r"fires at \d+\.\d+% of the tokens", text)
    assert len(re.findall(r"^ +[\d.]+  .*\[.*\]", text, re.M)) == 2 and "promotes" in text and "(cosine)" in text


MISTAKES = [
    (["--text", "none.jsonl"], "none.jsonl: No such file"),
    (["--text", "spec.yaml"], "text is read from .txt and .jsonl"),
    (["--text", "one.txt"], "one.txt: there is no token that counts"),
    (["--text", "bad.jsonl"], 'bad.jsonl:2: a line is an object with a string "text"'),
    (["--text", "broken.jsonl"], "broken.jsonl:2: column 10: Expecting value\n"),
    (["--text", "text.jsonl", "--feature", "9/res/1"], "has no layer 9; it covers 0 to 2"),
    (["--text", "text.jsonl", "--feature", "1/res/9999"], "1/res/9999"),
    (["--text", "text.jsonl", "--contexts", "-1"], "invalid number value"),
    (["--text", "text.jsonl", "--theme", "xylophone"], "has no token of the theme: none of xylophone"),
    (["--text", "text.jsonl", "--theme", "ant", "-o", "text.jsonl"], "is an input, which would be replaced"),
    (["--text", "text.jsonl", "--theme", "ant", "-o", "taken.yaml"], "was not written by weirc features"),
    (["--text", "text.jsonl", "--theme", "ant", "--count", "0"], "0 features"),
    (["--text", "text.jsonl", "--theme", "ant", "--dose", "nan"], "a dose of nan"),
    (["--text", "text.jsonl", "--theme", "ant", "--feature", "1/res/1"], "exclude each other"),
    (["--text", "text.jsonl", "-o", "x.yaml"], "-o belongs to --theme")]


@pytest.mark.parametrize("words, reason", MISTAKES, ids=[reason for _, reason in MISTAKES])
def test_mistakes(folder, monkeypatch, capsys, words, reason):
    monkeypatch.chdir(folder)
    (folder / "one.txt").write_text("a")
    (folder / "taken.yaml").write_text("weir: 1\n")
    (folder / "bad.jsonl").write_text('{"text": "the ant"}\n{"texts": 1}\n')
    (folder / "broken.jsonl").write_text('{"text": "the ant"}\n{"text": }\n')
    try:
        code = main(["features", "spec.yaml", *words])
    except SystemExit as end:  # of argparse
        code = end.code
    assert code in (1, 2) and reason in capsys.readouterr().err and not (folder / "x.yaml").exists()
    assert (folder / "taken.yaml").read_text() == "weir: 1\n"


def test_a_name_of_no_feature_is_an_error_at_its_line(folder, capsys):
    spec = folder / "wrong_name.yaml"
    spec.write_text((folder / "spec.yaml").read_text() + 'labels:\n  1/res/3: middle\n  1/res/9999: nothing\n')
    assert main(["features", str(spec), "--text", str(folder / "text.jsonl")]) == 2
    line = len(spec.read_text().splitlines())
    assert f"{spec}:{line}:3: error: feature 1/res/9999 is out of range" in capsys.readouterr().err


def test_windows_are_within_what_the_program_holds(folder):
    program = weir.load(letters.exported())
    documents = windows.documents_of(folder / "text.jsonl", program)
    for options, reason in (({"context": 400}, "a context of 400 positions; the program holds 1 to 40"),
                            ({"context": 4, "skip_first": 4}, "skipping 4 of 4 positions leaves none"), ({"max_tokens": 0}, "not 0"),
                            ({"context": 1, "skip_first": 0, "begin_with_bos": True}, "a window of one position")):
        with pytest.raises(weir.WeirError, match=re.escape(reason)):
            windows.cut(documents, program, **options)
    some = windows.cut(documents, program, context=16, begin_with_bos=True, max_tokens=30)
    every = windows.cut(documents, program, context=16, begin_with_bos=True)
    assert some.whole == every.whole == every.counted > 30 and every.windows[0] == some.windows[0]
    assert some.counted == 30 and some.ids(some.windows[0]) == [1, *documents[0].ids[:15].tolist()]
    # Tokens put together are the text, whatever they are bytes of.
    for document, (text, _) in zip(documents, TEXTS):
        assert "".join(document.tokens(0, len(document.ids), program)) == text


def test_token_ids_for_a_model_without_a_tokenizer(tiny, tmp_path, capsys):
    """They are their own words."""
    random = numpy.random.default_rng(4)
    for layer in range(3):
        write_sae(tmp_path / f"sae/res.{layer}", random, *tiny("llama").sizes["res"], architecture="standard", normalize="none")
    spec = SPEC.replace("PROGRAM", str(tiny("llama").archive)).replace("sites: [res, mlp]", "sites: [res]")
    (tmp_path / "spec.yaml").write_text(spec[:spec.index("matches:")] + "policies: {}\n")
    ids = random.integers(3, families.VOCABULARY, (4, 20))
    numpy.save(tmp_path / "text.npy", ids)
    (tmp_path / "text.txt").write_text("words")
    arguments = ["features", str(tmp_path / "spec.yaml"), "--text", str(tmp_path / "text.npy")]
    assert main([*arguments, "--feature", "1/res/3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["features"][0]
    assert all(one["token"] == f" {one['id']}" for one in told["promotes"]) and len(told["promotes"]) == 10
    rows = {"".join(f" {token}" for token in row) for row in ids}
    assert told["contexts"] and all(any("".join(one["tokens"]) in row for row in rows) for one in told["contexts"])
    for words, reason in ((["--theme", "war"], "a theme needs a model with a tokenizer"),
                          (["--feature", "1/res/3", "--text", str(tmp_path / "text.txt")],
                           "text.txt: the program has no tokenizer to read text with: give token ids, in an .npy")):
        assert main([*arguments, *words]) == 1 and reason in capsys.readouterr().err
    with pytest.raises(weir.WeirError, match="the model has no tokenizer, and a direction is one of texts"):
        weir.directions.values(tiny("llama").archive, ["war"], ["1/res"])


def test_what_is_left_out_is_told(folder, monkeypatch, found):
    """Only the beginning of a long text is read unless all of it is asked for."""
    words = [folder / "spec.yaml", "--text", folder / "text.jsonl", "--feature", "1/mlp/2", "--contexts", 1, "--promotes", 0,
             "--neighbours", 0, "--context", 16]
    assert run(*words).splitlines()[0] == f"on {found[1]} tokens"
    first = run(*words, "--max-tokens", 40).splitlines()[0]
    assert first == f"on the first 40 of {found[1]} tokens (--max-tokens 40; 0 for all)"
    row = json.loads(run(*words, "--max-tokens", 0, "--cache", folder / "another-cache", "--json"))
    assert row["tokens"] == row["text_tokens"] == found[1]
    report = weir.features(folder / "spec.yaml", folder / "text.jsonl", features=["1/mlp/2"], max_tokens=40, promotes=0, neighbours=0,
                           context=16)
    assert (report.tokens, report.text_tokens) == (40, found[1]) and windows.MAX_TOKENS == 16384
    # `--promotes` and `--neighbours` read rows of dictionaries, wherever the cache is.
    again = run(*words[:5], "--max-tokens", 40, "--cache", folder / "another-cache", "--contexts", 0)
    assert "promotes" in again and "near" in again


@pytest.mark.parametrize("wrong, reason", [("1/mlp/2222]", "1/mlp/2222"), ("1/mlp/2]\n  more on: 3", "more on")])
def test_an_error_of_a_spec_is_told_at_its_line(folder, capsys, wrong, reason):
    (folder / "wrong.yaml").write_text((folder / "spec.yaml").read_text().replace("1/mlp/2]", wrong))
    assert main(["features", str(folder / "wrong.yaml"), "--text", str(folder / "text.jsonl")]) == 2
    line = 1 + (folder / "wrong.yaml").read_text()[:(folder / "wrong.yaml").read_text().index(reason)].count("\n")
    said = capsys.readouterr().err
    assert f"wrong.yaml:{line}:" in said and reason in said


#===---- Decoder rows ------------------------------------------------------------------------------===#

def test_files_that_a_spec_names_are_found_from_another_folder(folder, tmp_path):
    graphs = "graphs: {way: {from: 2/res/1, match: flow, keep: {effect: 0.1}, text: text.jsonl}}"
    (folder / "graphs.yaml").write_text((folder / "wide.yaml").read_text() + graphs + "\n")
    Spec(folder / "graphs.yaml").write(tmp_path / "written.yaml", ("model", "dictionaries", "matches", "graphs"), policies={})
    written = yaml.safe_load((tmp_path / "written.yaml").read_text())
    assert written["graphs"]["way"]["text"] == str(folder / "text.jsonl")
    assert written["dictionaries"]["sae"]["path"].startswith(str(folder))


def test_decoder_rows_in_a_file(folder):
    from safetensors.numpy import load_file

    def rows(*words, code=0):
        done = subprocess.run([weir.tool("weirc"), "rows", folder / "spec.yaml", *map(str, words)], capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done

    done = rows("--site", "1/res", "--site", "sae:2/mlp", "-o", folder / "rows.safetensors")
    tensors = load_file(folder / "rows.safetensors")
    assert set(tensors) == {"sae/1/res", "sae/2/mlp"} and "sae/1/res  [24, 32]" in done.stdout
    for name, place in (("sae/1/res", (1, "res")), ("sae/2/mlp", (2, "mlp"))):
        numpy.testing.assert_allclose(tensors[name], dictionary(folder, *place).rows, rtol=1e-6)
    assert json.loads(rows("--site", "1/res", "-o", folder / "rows.safetensors", "--json").stdout)["rows"] == [
        {"dictionary": "sae", "site": "1/res", "tensor": "sae/1/res", "features": 24, "width": 32}]
    for words, reason in ((("--site", "7/res"), "there is no dictionary at 7/res"), (("--site", "res"), "'res' is no site"),
                          (("--site", "x:1/res"), "no dictionaries 'x'"), (("--site", "1/res", "--site", "1/res"), "is there twice")):
        assert reason in rows(*words, "-o", folder / "other.safetensors", code=2).stderr
    assert "not replaced" in rows("--site", "1/res", "-o", folder / "sae/res.1/sae_weights.safetensors", code=2).stderr
    assert not (folder / "other.safetensors").exists()


#===---- Themes ------------------------------------------------------------------------------------===#

RES = [f"{layer}/res/{index}" for layer in range(3) for index in range(24)]


def of_theme(text: str, words: list[str], near: int) -> numpy.ndarray:
    """Which tokens of a text are near one of the words, by the bytes that each token stands for."""
    ids = letters.tokenizer()(text, add_special_tokens=False)["input_ids"]
    lengths = [len(letters.tokenizer().convert_ids_to_tokens(token)) for token in ids]  # a letter of the alphabet for each byte
    starts = numpy.cumsum([0, *lengths])
    result = numpy.zeros(len(ids), dtype=bool)
    for match in re.finditer(r"\b(?:%s)\b" % "|".join(words), text, re.IGNORECASE):
        first, last = len(text[:match.start()].encode()), len(text[:match.end()].encode()) - 1
        inside = [at for at in range(len(ids)) if starts[at] <= last and starts[at + 1] > first]
        result[max(0, min(inside) - near):max(inside) + near + 1] = True
    return result


@torch.no_grad()
def test_a_theme_against_hooks(model, folder, monkeypatch):
    output = folder / "theme.yaml"
    result = json.loads(run(folder / "wide.yaml", "--text", folder / "text.jsonl", "--theme", "ant, tin", "--near", 2, "--count", 3,
                            "--context", 16, "--json", "-o", output))
    windows = list(activations(model, folder, RES, 16))
    marks = [of_theme(text, ["ant", "tin"], 2) for text, _ in TEXTS]
    seen = numpy.concatenate([values[1:] for *_, values in windows])
    mark = numpy.concatenate([marks[number][begin + 1:begin + len(ids)] for number, begin, ids, _ in windows])
    assert result["theme"]["tokens"] == {"theme": int(mark.sum()), "rest": int((~mark).sum())}
    with numpy.errstate(invalid="ignore"):
        contrast = numpy.nan_to_num((seen[mark].mean(0) - seen[~mark].mean(0)) / seen.std(0))
    order = numpy.argsort(-contrast, kind="stable")[:12]
    assert {one["feature"] for one in result["tried"]} == {RES[index] for index in order}
    # The words' first tokens behind a space, as they are and with a capital.
    ids = list(dict.fromkeys(next(token for token in letters.tokenizer()(f" {word}", add_special_tokens=False)["input_ids"]
                                  if letters.tokenizer().decode([token]).strip()) for word in ("ant", "Ant", "tin", "Tin")))
    from weir.meaning.theme import PROMPTS

    for one in result["tried"]:
        layer, kind, index = parse(one["feature"])
        assert one["contrast"] == pytest.approx(contrast[RES.index(one["feature"])], rel=1e-4)
        norms = []

        def see(layer, kind, x):
            norms.append(x[0, 1:].norm(dim=-1))
            return x

        with hooks.hooked(model, model.config, [(layer, "res")], see):
            for *_, some in cut(16):
                model(torch.tensor([some]), use_cache=False)
        assert one["strength"] == pytest.approx(0.4 * float(torch.cat(norms).median()), rel=1e-3)
        row = dictionary(folder, layer, kind).rows[index].float()
        rise = []
        for prompt in PROMPTS:
            given = letters.tokenizer()(prompt, return_tensors="pt")["input_ids"]

            def add(layer, kind, x):
                x = x.clone()
                x[:, 1:] += one["strength"] * row / row.norm()
                return x

            plain = model(given, use_cache=False).logits[0, -1].double().log_softmax(-1)[ids].logsumexp(0)
            with hooks.hooked(model, model.config, [(layer, "res")], add):
                rise.append(float(model(given, use_cache=False).logits[0, -1].double().log_softmax(-1)[ids].logsumexp(0) - plain))
        assert one["output"] == pytest.approx(sum(rise) / len(rise), abs=1e-3)
    scores = [one["output"] for one in result["tried"]]
    assert scores == sorted(scores, reverse=True) and result["features"] == [one for one in result["tried"] if one["output"] > 0][:3]
    # A second time, in place of the first, with a graph of several layers; and without a match that reaches all of them.
    from weir.meaning import theme

    monkeypatch.setattr(theme, "_KEEP", {"res": 0.1})
    weir.theme(folder / "wide.yaml", folder / "text.jsonl", "ant, tin", near=2, count=3, context=16, output=output)
    weir.theme(folder / "spec.yaml", folder / "text.jsonl", "ant, tin", near=2, count=3, context=16, output=folder / "alone.yaml")
    dose = sum(one["strength"] for one in result["features"]) / len(result["features"])
    chosen = [one["feature"] for one in result["features"]]
    specs = [yaml.safe_load((folder / name).read_text().replace("on:", "where:")) for name in ("theme.yaml", "alone.yaml")]
    assert [spec["features"]["theme"] for spec in specs] == [chosen, chosen] and "graphs" in specs[0] and "graphs" not in specs[1]
    assert specs[0]["policies"]["theme"]["where"] == {"graph": "theme", "sites": ["res"]}
    for spec, name in zip(specs, ("theme.yaml", "alone.yaml")):
        weights = weights_of(folder / name) if "graphs" in spec else dict.fromkeys(chosen, 1.0)
        assert (len(weights) > len(chosen)) == ("graphs" in spec)
        strength = spec["policies"]["theme"]["strength"]["value"]
        assert strength == pytest.approx(dose / sum(weights.values()), abs=0.006)
        compiled_adds(model, folder, name, {feature: 2 * strength * weight for feature, weight in weights.items()})


def weights_of(path) -> dict[str, float]:
    """Of the residual features of the graph of a theme, the best product of similarities on a path to a target."""
    done = subprocess.run([weir.tool("weirc"), "graph", path, "--json"], capture_output=True, text=True)
    graph = json.loads(done.stdout)["graphs"]["theme"]
    names = [node["feature"] for node in graph["nodes"]]
    best = numpy.eye(len(names))
    for edge in graph["edges"]:
        one, other = names.index(edge["from"]), names.index(edge["to"])
        best[one, other] = best[other, one] = edge["similarity"]
    for middle in range(len(names)):
        best = numpy.maximum(best, best[:, middle, None] * best[None, middle])
    targets = [names.index(name) for name in graph["target"]]
    return {name: float(best[number, targets].max()) for number, name in enumerate(names) if "/res/" in name}


def compiled_adds(model, folder, name: str, strengths: dict[str, float]):
    """The spec compiles, and with its knob at 2 adds unit rows with these strengths."""
    weir.compile(folder / name, folder / "themed")
    program = weir.load(folder / "themed")
    assert program.plans == ["theme"] and program.knobs["theme"] == {"default": 1, "min": 0, "max": 4}
    given = torch.tensor([program.encode("the ant")])
    rows = {}
    for feature, strength in strengths.items():
        layer, kind, index = parse(feature)
        row = dictionary(folder, layer, kind).rows[index].float()
        rows[layer] = rows.get(layer, 0) + strength * row / row.norm()

    def push(layer, kind, x):
        x = x.clone()
        x[:, 1:] += rows[layer]
        return x

    with hooks.hooked(model, model.config, [(layer, "res") for layer in rows], push):
        want = model(given, use_cache=False).logits
    torch.testing.assert_close(program(given, plan="theme", knobs={"theme": 2}).logits, want, rtol=0, atol=2e-3)


def test_a_theme_given_as_texts(folder):
    (folder / "ants.jsonl").write_text("\n".join(json.dumps({"text": text}) for text, source in TEXTS if source))
    (folder / "others.jsonl").write_text("\n".join(json.dumps({"text": text}) for text, source in TEXTS if not source))
    found = weir.theme(folder / "spec.yaml", folder / "others.jsonl", folder / "ants.jsonl", count=2, context=16)
    assert "the" in {word.strip() for word in found.words} and len(found.features) <= 2 and math.isfinite(found.features[0].output)
    counted = [sum(len(ids) - 1 for number, _, ids in cut(16) if bool(TEXTS[number][1]) == of) for of in (True, False)]
    assert list(found.tokens) == counted
