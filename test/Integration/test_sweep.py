# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`weirc sweep`: its rows are what separate runs give, its losses those of hooks, its scores and budgets those of Python;
the spec that it writes is the old one with one number changed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import unicodedata
import zlib

import hooks
import killed
import letters
import numpy
import psutil
import pytest
import torch
import weir

SPEC = """\
# A sweep changes one number of this.
weir: 1
model: {program: absent.pt2}
dictionaries:
  rows: {format: directions, path: "rows.{layer}.npy", sites: [res], layers: 0..2}
knobs:
  other: {default: 3}
  force: {default: 1.50, range: [-2, 8]} # not the other one
policies:
  push: # what is pushed
    on: [1/res/1, 2/res/0]
    do: add
    strength: {value: 4, times: force}
    layers: cumulative
    tokens: {skip_first: 1}
  more: {on: 0/res/2, do: add, strength: 1, times: other}
plans:
  pushed: [push, more]
  alone: [push]
  quiet: [more]
labels: {2/res/1: what is counted}
"""
TEXT = ["The answer then is in the other hand.", "An ant ran in, and the rain ran on.", "Tea."]
PROMPTS = ["The ", "an ant"]
VALUES = [-2.0, -0.5, 1.0, 2.5, 4.0]
CONTEXT = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    generator = torch.Generator().manual_seed(1)
    for layer in range(letters.LAYERS):
        numpy.save(folder / f"rows.{layer}.npy", torch.randn(3, letters.WIDTH, generator=generator).numpy())
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "text.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXT))
    (folder / "prompts.txt").write_text("\n\n".join(PROMPTS) + "\n")
    return folder


def command(folder, *arguments, knob="force=-2:4:5", spec=None, threads=1):
    return [weir.tool("weirc"), "sweep", spec or folder / "spec.yaml", "--model", letters.exported(), "--threads", str(threads),
            f"--knob={knob}", *map(str, arguments)]


def swept(folder, *arguments, environment=None, **options) -> dict:
    done = subprocess.run(command(folder, "--json", *arguments, **options), capture_output=True, text=True,
                          env=os.environ | (environment or {}))
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def refused(folder, *arguments, code=2, **options) -> str:
    done = subprocess.run(command(folder, *arguments, **options), capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr


BOTH = ["--text", "text.jsonl", "--prompts", "prompts.txt", "-n", "12", "--context", CONTEXT]


def both(folder) -> list:
    return [folder / word if str(word).startswith(("text.", "prompts.")) else word for word in BOTH]


@pytest.fixture(scope="module")
def got(folder):
    return swept(folder, *both(folder), "--words", "the,an")


@pytest.fixture(scope="module")
def steered(folder):
    """What weir-run makes of the prompts at a point: its rows, without end-of-sequence tokens."""
    weir.compile(folder / "spec.yaml", folder / "steered", model=letters.exported())

    def run(point: dict, count: int) -> list[dict]:
        plan, value = ("pushed", point["value"]) if "value" in point else ("none", 0)
        done = subprocess.run([weir.tool("weir-run"), folder / "steered", "--prompts", folder / "prompts.txt", "--json", "--threads",
                               "1", "-n", str(count), "--plan", plan, f"--knob=force={value}"],
                              capture_output=True, text=True, check=True)
        rows = json.loads(done.stdout)["rows"]
        return [row | {"tokens": row["tokens"][:-1] if row["finish"] == "eos" else row["tokens"]} for row in rows]

    return run


def _words(text: str) -> list[str]:
    """Runs of letters, digits, marks and apostrophes, in lower case."""
    kept = "".join(each if unicodedata.category(each)[0] in "LNM" or each in "'’" else " " for each in text)
    return kept.lower().split()


def test_losses_are_those_of_hooks(folder, got):
    model = letters.model()
    model.set_attn_implementation("eager")
    reference = hooks.Reference(folder / "spec.yaml", model)
    windows = []
    for text in TEXT:
        ids = letters.tokenizer()(text, add_special_tokens=False).input_ids
        windows += [ids[at:at + CONTEXT] for at in range(0, len(ids), CONTEXT)]
    windows = [window for window in windows if len(window) > 1]

    def loss(plan, knobs):
        total = 0.0
        for window in windows:
            scores = reference.run(window, plan, len(window), knobs).logits.double().log_softmax(-1)
            at = torch.arange(1, len(window))
            total -= scores[at - 1, torch.tensor(window)[at]].sum().item()
        return total / sum(len(window) - 1 for window in windows)

    plain = loss(None, {})
    assert got["plain"]["loss"]["mean"] == pytest.approx(plain, rel=1e-4)
    assert [point["value"] for point in got["points"]] == VALUES
    for point in got["points"]:
        want = loss("pushed", {"force": point["value"], "other": 3.0})
        assert point["loss"]["mean"] == pytest.approx(want, rel=1e-4)
        assert point["change"]["mean"] == pytest.approx(want - plain, abs=1e-3)
        assert point["change"]["half_width"] > 0
    assert len({point["loss"]["mean"] for point in got["points"]}) == len(VALUES)


def test_rows_are_separate_runs(folder, got, steered):
    """A point alone, and weir-run with the knob's value; the numbers of texts by Python."""
    for at, value in enumerate(VALUES[::2]):
        alone = swept(folder, *both(folder), "--words", "the,an", knob=f"force={value}:{value}:1")
        point = got["points"][2 * at]
        assert alone["points"][0]["texts"] == point["texts"] and alone["plain"]["texts"] == got["plain"]["texts"]
        assert alone["points"][0]["loss"]["mean"] == pytest.approx(point["loss"]["mean"], rel=1e-6)
        assert alone["points"][0]["score"] == point["score"] and alone["points"][0]["distinct"] == point["distinct"]
    for point in [got["plain"], *got["points"]]:
        rows = steered(point, 12)
        assert point["texts"] == [row["text"] for row in rows]
        tokens = [row["tokens"] for row in rows]
        for n in (1, 2, 3, 4):
            grams = [[tuple(row[at:at + n]) for at in range(len(row) - n + 1)] for row in tokens]
            shares = [len(set(row)) / len(row) for row in grams if row]
            if n < 4:
                assert point["distinct"][n - 1] == pytest.approx(numpy.mean(shares) if shares else 0)
            else:
                assert point["repetition"] == pytest.approx(
                    sum(1 - len(set(row)) / len(row) for row in grams if row) / len(grams))
        words = [_words(text) for text in point["texts"]]
        assert point["score"] == pytest.approx(
            numpy.mean([sum(word in ("the", "an") for word in row) / len(row) if row else 0 for row in words]))


def test_nothing_depends_on_threads(folder, got, tmp_path):
    other = swept(folder, *both(folder), "--words", "the,an", "--cache", tmp_path, threads=2, environment={"OMP_NUM_THREADS": "2"})
    assert other["resumed"] == {"rows": 0, "texts": 0}
    for one, two in zip([got["plain"], *got["points"]], [other["plain"], *other["points"]]):
        assert one["texts"] == two["texts"] and one["score"] == two["score"] and one["repetition"] == two["repetition"]
        assert one["loss"]["mean"] == pytest.approx(two["loss"]["mean"], rel=1e-6)


def test_samples_have_seeds(folder):
    """The same random numbers under every setting: the plain model's texts do not depend on the points."""
    options = ["--prompt", "The ", "--samples", 3, "--temperature", 0.9, "-n", 8, "--seed", 7]
    one, other = swept(folder, *options), swept(folder, *options, knob="force=0:0:1")
    assert one["plain"]["texts"] == other["plain"]["texts"] and len(set(one["plain"]["texts"])) > 1
    rows = folder / "samples.jsonl"
    rows.write_text("".join(json.dumps({"prompt": "The ", "seed": 7 + at}) + "\n" for at in range(3)))
    done = subprocess.run([weir.tool("weir-run"), letters.exported(), "--prompts", rows, "--json", "-n", "8",
                           "--temperature", "0.9", "--threads", "1"], capture_output=True, text=True, check=True)
    assert [row["text"] for row in json.loads(done.stdout)["rows"]] == one["plain"]["texts"]


@torch.no_grad()
def test_a_feature_rates_what_the_plain_model_reads(folder, steered):
    got = swept(folder, "--prompts", folder / "prompts.txt", "-n", 6, "--feature", "2/res/1")
    assert (got["scored_by"], got["feature"], got["label"]) == ("feature", "2/res/1", "what is counted")
    shown = subprocess.run(command(folder, "--prompt", "a", "-n", 1, "--feature", "2/res/1"), capture_output=True, text=True, check=True)
    assert "score: the mean activation of 2/res/1 (what is counted)" in shown.stdout
    model = letters.model()
    row = torch.from_numpy(numpy.load(folder / "rows.2.npy")[1]).double()
    seen = []

    def read(layer, kind, x):
        seen.append(x[0].double() @ row / (row @ row))
        return x

    for point in [got["plain"], *got["points"]]:
        means = []
        for text in steered(point, 6):
            start = letters.tokenizer()(text["prompt"]).input_ids
            with hooks.hooked(model, model.config, [(2, "res")], read):
                model(torch.tensor([[*start, *text["tokens"]]]), use_cache=False)
            means.append(seen.pop()[len(start):].mean().item() if text["tokens"] else 0.0)
        assert point["score"] == pytest.approx(numpy.mean(means), rel=1e-3, abs=1e-5)


def test_forms_have_one_budget(folder):
    got = swept(folder, "--text", folder / "text.jsonl", "--schedules", "push", "--plan", "alone", knob="force=0:2:3")
    rows = {(1, 1): numpy.load(folder / "rows.1.npy")[1], (2, 0): numpy.load(folder / "rows.2.npy")[0]}

    def budget(keys: str) -> float:
        policy = hooks.read(f"{{{keys}}}") if keys else {"strength": 4.0, "layers": "cumulative"}
        path = folder / "form.yaml"
        path.write_text(SPEC.replace("    strength: {value: 4, times: force}\n    layers: cumulative\n", "".join(
            f"    {key}: {json.dumps(value)}\n" for key, value in policy.items())))
        spec = hooks.Spec(path, letters.model())
        return sum(abs(spec.strength("push", layer)) * numpy.linalg.norm(rows[feature.layer, feature.index])
                   for feature in spec.features("push", "on") for layer in spec.written_layers("push", feature))

    # What is written is cumulative and constant: it is not there a second time.
    names = ["as written", "own", "cumulative linear", "cumulative exponential", "cumulative gaussian"]
    assert [form["name"] for form in got["forms"]] == names
    for form in got["forms"]:
        assert form["budget"] == pytest.approx(budget(form["yaml"]), rel=1e-4)
        assert form["budget"] == pytest.approx(got["forms"][0]["budget"], rel=1e-5)
    by_form = {name: [point for point in got["points"] if point["form"] == name] for name in names}
    assert all([point["value"] for point in points] == [0, 1, 2] for points in by_form.values())
    # Nothing at 0, and they differ.
    for points in by_form.values():
        assert points[0]["loss"]["mean"] == pytest.approx(got["plain"]["loss"]["mean"], rel=1e-6)
    assert len({round(points[2]["loss"]["mean"], 5) for points in by_form.values()}) == 5
    # A form is what its keys say.
    form = got["forms"][4]
    spec = folder / "gaussian.yaml"
    keys = hooks.read(f"{{{form['yaml']}}}")
    spec.write_text(SPEC.replace("    strength: {value: 4, times: force}\n", f"    strength: {json.dumps(keys['strength'] | {'times': 'force'})}\n"))
    done = subprocess.run([weir.tool("weirc"), "sweep", spec, "--model", letters.exported(), "--knob=force=0:2:3", "--plan", "alone",
                           "--text", folder / "text.jsonl", "--json", "--threads", "1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)["points"]
    assert [point["loss"]["mean"] for point in again] == pytest.approx(
        [point["loss"]["mean"] for point in by_form["cumulative gaussian"]], rel=1e-5)


GRAPH = SPEC.replace("knobs:\n", """\
matches:
  flow: {method: top_k, k: 3, similarity: cosine}
graphs:
  way: {from: [2/res/0, 2/res/1], match: flow, width: 3}
knobs:
""").replace("    on: [1/res/1, 2/res/0]\n", "    on: {graph: way}\n").replace(
    "{value: 4, times: force}\n    layers: cumulative\n", "{value: 4, times: force, weight: similarity}\n    normalize: NORMALIZE\n")


@pytest.mark.parametrize("normalize", ["true", "false"])
def test_budgets_count_the_weights_of_graphs(folder, normalize):
    """Σ over features and layers of |s| |w| |d|, with weights of a walk in NumPy; and each form is, with its weights, what its
    keys say."""
    path = folder / f"graph {normalize}.yaml"
    text = GRAPH.replace("NORMALIZE", normalize)
    path.write_text(text)
    options = ["--text", folder / "text.jsonl", "--plan", "alone"]
    got = swept(folder, *options, "--schedules", "push", knob="force=0.5:1:2", spec=path)
    assert [form["name"] for form in got["forms"]] == [
        "as written", "cumulative constant", "cumulative linear", "cumulative exponential", "cumulative gaussian"]
    weights = {}
    for form in got["forms"]:
        keys = hooks.read(f"{{{form['yaml']}}}") if form["yaml"] else {"strength": {"value": 4.0}, "layers": "own"}
        strength = keys["strength"] if isinstance(keys["strength"], dict) else {"value": keys["strength"]}
        kept = json.dumps(strength | {"times": "force", "weight": "similarity"})
        formed = folder / "form of a graph.yaml"
        formed.write_text(text.replace("{value: 4, times: force, weight: similarity}", f"{kept}\n    layers: {keys['layers']}"))
        spec, budget = hooks.Spec(formed, letters.model()), 0
        for feature in spec.features("push", "on"):
            weights[feature] = spec.weight("push", feature)
            row = numpy.load(folder / f"rows.{feature.layer}.npy")[feature.index]
            length = 1 if normalize == "true" else numpy.linalg.norm(row)
            budget += sum(abs(spec.strength("push", layer)) * weights[feature] * length
                          for layer in spec.written_layers("push", feature))
        assert form["budget"] == pytest.approx(budget, rel=1e-5) == pytest.approx(got["forms"][0]["budget"], rel=1e-5)
        own = swept(folder, *options, knob="force=1:1:1", spec=formed)["points"][0]
        point = next(point for point in got["points"] if (point["form"], point["value"]) == (form["name"], 1))
        assert own["loss"]["mean"] == pytest.approx(point["loss"]["mean"], rel=1e-5)
    # Targets count whole, what leads to them less: without weights every budget would be another.
    assert max(weights.values()) == 1 and min(weights.values()) < 0.9 and len(weights) > 3


def test_the_best_setting_is_written_as_a_spec(folder, tmp_path):
    judge = tmp_path / "judge.py"
    # Its taste is odd, but known.
    judge.write_text("import json, sys, zlib\nfor line in sys.stdin:\n    question = json.loads(line)\n"
                     "    assert question['kind'] == 'text' and question['prompt'] in ('The ', 'an ant')\n"
                     "    print(json.dumps({'id': question['id'], 'score': zlib.crc32(question['text'].encode()) / 2**32}))\n")
    best = folder / "best.yaml"
    best.unlink(missing_ok=True)
    got = swept(folder, *both(folder), "--judge", f"{sys.executable} {judge}", "--write", best, "--max-loss-increase", 1000)
    scores = [point["score"] for point in got["points"]]
    for point in got["points"]:
        assert point["score"] == pytest.approx(numpy.mean([zlib.crc32(text.encode()) for text in point["texts"]]) / 2**32)
    assert scores[got["best"]] == max(scores) and got["best_of_all"] == got["best"]
    value = got["points"][got["best"]]["value"]
    assert best.read_text() == SPEC.replace("1.50", f"{value:g}")
    subprocess.run([weir.tool("weirc"), "check", best], check=True)
    # Never over a file, never where its paths mean something else.
    assert "is there already and is not replaced" in refused(folder, *both(folder), "--regex", "a", "--write", best)
    assert "relative to its folder" in refused(folder, *both(folder), "--regex", "a", "--write", tmp_path / "best.yaml")
    best.unlink()
    # Limits: nothing costs so little.
    message = refused(folder, *both(folder), "--regex", ".", "--write", best, "--max-loss-increase", -1000)
    assert "no setting has a higher score than the plain model within --max-loss-increase -1000" in message and not best.exists()
    # What was measured is there all the same.
    table = folder / "measured.csv"
    table.unlink(missing_ok=True)
    refused(folder, *both(folder), "--regex", ".", "--write", best, "--max-loss-increase", -1000, "--csv", table)
    assert len(table.read_text().splitlines()) == 2 + len(got["points"]) and not best.exists()
    costs = sorted(point["change"]["mean"] for point in got["points"])
    limited = swept(folder, *both(folder), "--judge", f"{sys.executable} {judge}", "--max-loss-increase", costs[1])
    allowed = [point["score"] for point in limited["points"] if point["change"]["mean"] <= costs[1]
               and point["score"] > limited["plain"]["score"]]
    assert (limited["points"][limited["best"]]["score"] if allowed else limited["best"]) == (max(allowed) if allowed else None)


LAYOUTS = {
    "block": SPEC,
    "braces": SPEC.replace("""  push: # what is pushed
    on: [1/res/1, 2/res/0]
    do: add
    strength: {value: 4, times: force}
    layers: cumulative
    tokens: {skip_first: 1}
""", """  push: {on: [1/res/1, 2/res/0], do: add, strength: 4, # what is pushed
    times: force, tokens: {skip_first: 1}}
"""),
    "lines": SPEC.replace("    strength: {value: 4, times: force}\n    layers: cumulative\n", """    strength:
      value: 4
      times: force
      schedule: linear
      last: 1
"""),
    "weights": GRAPH.replace("NORMALIZE", "true"),
    "weights over lines": GRAPH.replace("NORMALIZE", "true").replace("{value: 4, times: force, weight: similarity}", """
      weight: similarity # targets get all of it
      value: 4
      times: "force\""""),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_best_schedule_is_written_as_well(folder, tmp_path, layout):
    spec, best = folder / f"{layout}.yaml", folder / f"best of {layout}.yaml"
    best.unlink(missing_ok=True)
    spec.write_text(LAYOUTS[layout])
    judge = tmp_path / "judge.py"
    # The later the better: the last form at its last value.
    judge.write_text("import json, sys\nfor line in sys.stdin:\n    id = json.loads(line)['id']\n"
                     "    print(json.dumps({'id': id, 'score': id / 1000}))\n")
    # A knob that is set belongs to the setting as well.
    options = ["--text", folder / "text.jsonl", "--prompt", "The ", "-n", 2, "--knob=other=0.5"]
    got = swept(folder, *options, "--schedules", "push", "--judge", f"{sys.executable} {judge}", "--max-loss-increase", 1000, "--write",
                best, knob="force=1:2:2", spec=spec)
    point, form = got["points"][got["best_of_all"]], got["forms"][-1]
    assert (point["form"], point["value"]) == (form["name"], 2) == ("cumulative gaussian", 2)
    text, data, want = best.read_text(), hooks.read(best.read_text()), hooks.read(LAYOUTS[layout])
    assert "# what is pushed" in text and "# not the other one" in text
    form = hooks.read(f"{{{form['yaml']}}}")
    policy = want["policies"]["push"]
    old = policy["strength"]
    kept = {key: old[key] for key in ("times", "weight") if key in old} if isinstance(old, dict) else {}
    policy |= {"layers": "cumulative", "strength": form["strength"] | kept}
    want["knobs"]["force"]["default"], want["knobs"]["other"]["default"] = 2, 0.5
    assert data == want
    # And it is that setting.
    again = swept(folder, *options, knob="force=2:2:1", spec=best)["points"][0]
    assert again["loss"]["mean"] == pytest.approx(point["loss"]["mean"], rel=1e-6) and again["texts"] == point["texts"]


def test_a_dose_has_no_budget(folder):
    spec = folder / "dose.yaml"
    spec.write_text(SPEC.replace("{value: 4, times: force}", "{dose: 0.4, text: text.jsonl, times: force}"))
    assert "doses have no budget in common" in refused(folder, "--text", folder / "text.jsonl", "--schedules", "push", spec=spec)


def test_judges_that_fail(folder):
    for judge, message in (("exit 4", "--judge: the judge ended with exit code 4"),
                           ("echo nonsense", "line 1 of the judge's answers is not JSON: nonsense"),
                           ("cat > /dev/null", "left 12 of 12 questions without an answer")):
        assert message in refused(folder, "--prompts", folder / "prompts.txt", "-n", 2, "--judge", judge)
    assert "took longer than 0.5 s" in refused(
        folder, "--prompts", folder / "prompts.txt", "-n", 2, "--judge", "sleep 100", "--judge-seconds", 0.5)


def test_a_signal_ends_the_judge_too(folder, tmp_path):
    environment = dict(os.environ, TMPDIR=str(tmp_path))
    judge = f"sleep 600 & echo $! > {tmp_path}/child; wait"
    run = subprocess.Popen(command(folder, "--prompt", "a", "-n", 1, "--judge", judge), env=environment,
                           stderr=subprocess.DEVNULL)
    child = tmp_path / "child"
    deadline = time.monotonic() + 60
    while not (child.exists() and child.read_text().strip()):
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    run.send_signal(signal.SIGTERM)
    assert run.wait(timeout=30) == -signal.SIGTERM
    process = int(child.read_text())
    while psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [path.name for path in tmp_path.iterdir()] == ["child"]


def test_a_run_that_was_killed_goes_on(folder, tmp_path):
    (tmp_path / "long.jsonl").write_text((folder / "text.jsonl").read_text() * 60)
    (tmp_path / "many.txt").write_text("".join(f"{prompt}{letter}\n" for prompt in PROMPTS for letter in "abcdefghijklmnopqrst"))

    def words(cache):
        return [*command(folder, "--json", "--text", tmp_path / "long.jsonl", "--prompts", tmp_path / "many.txt", "-n", 12, "--context",
                         CONTEXT, "--words", "the,an"), "--cache", cache]

    def finished(cache):
        done = subprocess.run(words(cache), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        return said.pop("resumed"), said

    nothing, whole = finished(tmp_path / "whole")
    assert nothing == {"rows": 0, "texts": 0} and len(whole["points"][0]["texts"]) == 40
    cache = tmp_path / "killed"
    logs = killed.kill(words(cache), cache, "measures", lambda changes: bool(changes) and changes[0] > 3)
    os.truncate(logs[0], logs[0].stat().st_size - 7)
    assert "what was finished before is kept" in killed.fill_disk(
        words(cache), cache, "measures", lambda changes: bool(changes) and changes[0] > 2)
    killed.kill(words(cache), cache, "measures", lambda changes: len(changes) == 2 and changes[1] > 2)
    resumed, said = finished(cache)
    assert said == whole and resumed["rows"] > 0 and 0 < resumed["texts"] < 40
    again, said = finished(cache)
    assert said == whole and again == {"rows": resumed["rows"], "texts": 40}


def test_tables_python_and_plots(folder, got, tmp_path):
    result = weir.sweep(folder / "spec.yaml", "force=-2:4:5", model=letters.exported(), text=folder / "text.jsonl",
                        prompts=folder / "prompts.txt", max_new_tokens=12, context=CONTEXT, words="the,an", threads=1,
                        csv=tmp_path / "table.csv", plot=[tmp_path / "plot.svg", tmp_path / "plot.png"])
    numpy.testing.assert_array_equal(result.values, VALUES)
    numpy.testing.assert_array_equal(result.loss[0], [point["loss"]["mean"] for point in got["points"]])
    numpy.testing.assert_array_equal(result.distinct[0], [point["distinct"] for point in got["points"]])
    assert result.texts[0] == [point["texts"] for point in got["points"]] and result.prompts == PROMPTS
    assert (result.best is None) == (got["best"] is None)
    with open(tmp_path / "table.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["form"] for row in rows] == ["(plain)"] + ["as written"] * 5
    assert [float(row["score"]) for row in rows[1:]] == [point["score"] for point in got["points"]]
    assert b"change of the loss" in (tmp_path / "plot.svg").read_bytes()
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    shown = subprocess.run(command(folder, *both(folder)), capture_output=True, text=True, check=True).stdout
    assert f"{got['points'][3]['change']['mean']:+.4f}" in shown and "After 'The '" in shown


def test_a_plan_that_changes_nothing_is_told(folder):
    (folder / "generated.yaml").write_text(SPEC.replace("{skip_first: 1}", "generated"))
    for more, told in ((), True), (("--prompt-tokens", 2), False):
        arguments = command(folder, "--plan", "alone", "--text", folder / "text.jsonl", *more)
        arguments[2] = folder / "generated.yaml"
        done = subprocess.run(arguments, capture_output=True, text=True)
        assert done.returncode == 0 and ("no value of the knob changes anything on" in done.stderr) == told, done.stderr


def test_wrong_input(folder, tmp_path):
    text = ["--text", folder / "text.jsonl"]
    for knob, message in (("faith=0:1:2", "the spec has no knob 'faith'; it has other, force"),
                          ("force=0:9:4", "9 is outside of the range of the knob 'force'")):
        assert message in refused(folder, *text, knob=knob)
    assert "spec.yaml:8:" in refused(folder, *text, knob="force=0:9:4")
    assert "no policy of the plan 'quiet' has `times: force`" in refused(folder, *text, "--plan", "quiet")
    assert "the spec has no plan 'loud'; it has pushed, alone, quiet" in refused(folder, *text, "--plan", "loud")
    assert "the spec has no policy 'pull'" in refused(folder, *text, "--schedules", "pull")
    assert "is no policy of the plan" in refused(folder, *text, "--schedules", "more", "--plan", "alone")
    numpy.save(tmp_path / "one.npy", numpy.array([5]))
    assert "there is no token that counts" in refused(folder, "--text", tmp_path / "one.npy")
    prompts = ["--prompts", folder / "prompts.txt"]
    assert "a(b" in refused(folder, *prompts, "--regex", "a(b", "-n", 1)
    assert "is not one word" in refused(folder, *prompts, "--words", "a b", "-n", 1)
    assert "it has no dictionary at 2/mlp" in refused(folder, *prompts, "--feature", "2/mlp/1")
    assert "spec.yaml:5:" in refused(folder, *prompts, "--feature", "2/res/99")
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a"}\n{"prompt": 3}\n')
    assert "prompts.jsonl:2: a line is an object" in refused(folder, "--prompts", tmp_path / "prompts.jsonl")
    for arguments, message in (
            ([], "give --text, or --prompt or --prompts"),
            ([*text, "--words", "a"], "what rates texts needs --prompt"),
            ([*prompts, "--words", "a", "--regex", "b"], "give one of --words, --regex, --feature and --judge"),
            ([*text, "--write", folder / "new.yaml"], "--write needs something that rates texts"),
            ([*prompts, "--samples", 2], "--samples needs a --temperature"),
            ([*text, "--knob", "other=0:1:2"], "one knob is swept"),
            ([*text, "--knob", "force=2"], "'force' is given twice")):
        assert message in refused(folder, *arguments, code=1)
    assert "one knob is swept" in refused(folder, *text, code=1, knob="force=2")
    assert not list(folder.glob(".*")) and not (folder / "new.yaml").exists()
