# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""No command writes, removes or runs anything that its user did not name.

Every command that the documentation shows runs on damaged copies of its inputs, in a folder with other things that
are compared afterwards. It ends in time, with an exit code of its own and not by a signal.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import engines
import families
import hostile
import matches
import numpy
import pytest
import weir
import weir.export
import random_dictionaries
import tokenizers
import warm_python
from transformers import PreTrainedTokenizerFast
from hostile import ANY_FILE, ARCHIVE, ARRAYS, MANIFEST, Place

ROOT = engines.ROOT

SPEC = """\
weir: 1
model: {program: program.pt2}
dictionaries:
  rows: {format: directions, path: rows.npy, sites: [res], layers: 1}
policies:
  push: {on: 1/res/2, do: add, strength: 4}
  look: {on: 1/res/1, do: record}
  turn: {on: 1/res/0, do: add, strength: 1, times: loud}
knobs:
  loud: {default: 1}
plans:
  food: [push, look]
  loud: [turn]
"""

VALIDATED = """\
weir: 1
model: {program: program.pt2}
dictionaries:
  wide: {format: sae_lens, path: "wide/{site}.{layer}", sites: [res], layers: 0..2}
matches:
  flow: {method: top_k, k: 2}
policies: {}
"""

GRAPH = matches.SPEC.replace("policies: {}", "graphs: {way: {from: 2/res/1, match: flow}}\npolicies: {}")


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of the documentation.

    arguments   as a user writes it; the folder of inputs is the current one
    inputs      what it reads, each with its special damages
    outputs     what it may make or change, below the current folder
    """

    arguments: str
    inputs: dict[str, dict] = dataclasses.field(default_factory=dict)
    outputs: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What tells it from others: the tool and its command, and the options that name files or a way to run."""
        words = self.arguments.split()
        if words[:3] == ["python", "-m", "weir"]:
            return " ".join(words[:4])
        nested = words[0] == "weirc"
        head = words[:3] if words[:2] == ["weirc", "cache"] else words[:2] if nested else words[:1]
        files = {"--ids", "--logits", "--record", "--prompts", "--export", "--model", "--prompt"}
        return " ".join([*head, *sorted(files.intersection(words))])


STEERED = {"steered/manifest.json": MANIFEST, "steered/program.pt2": ARCHIVE, "steered/spec.yaml": {}}

COMMANDS = [
    Command("weirc check spec.yaml", {"spec.yaml": {}}),
    Command("weirc check spec.yaml --model program.pt2", {"program.pt2": ARCHIVE, "rows.npy": ARRAYS}),
    Command("weirc explain spec.yaml", {"program.pt2": ARCHIVE}),
    Command("weirc build spec.yaml -o made", {"spec.yaml": {}, "program.pt2": ARCHIVE, "rows.npy": ARRAYS}, ("made",)),
    Command("weirc match match.yaml", {"match.yaml": {}, "dictionaries/res.1/sae_weights.safetensors": ARRAYS,
                                       "dictionaries/res.1/cfg.json": {}}),
    Command("weirc match match.yaml --export matches.csv", {"dictionaries/res.0/cfg.json": {}}, ("matches.csv",)),
    Command("weirc graph graph.yaml", {"graph.yaml": {}}),
    Command("weirc graph graph.yaml -o way.json", {"dictionaries/res.1/cfg.json": {}}, ("way.json",)),
    Command("weirc validate validate.yaml --text ids.npy --sample 4", {"wide/res.1/cfg.json": {}}),
    Command("weirc evaluate spec.yaml --text glad.txt", {"glad.txt": {}}),
    Command("weirc sweep spec.yaml --knob loud=0:2:3 --plan loud --text glad.txt", {"glad.txt": {}}),
    Command("weirc cache ls"),
    Command("weirc cache verify"),
    Command("weirc cache gc --max-size 1K"),
    Command("weir-run steered --prompt hello --plan food --max-new-tokens 2", STEERED),
    Command("weir-run steered --prompts batch.jsonl --json", {"batch.jsonl": {}}),
    Command("weir-run steered --ids ids.npy --prompt-length 5 --logits logits.npy --record records.npz",
            {"ids.npy": ARRAYS, "steered/program.pt2": ARCHIVE}, ("logits.npy", "records.npz")),
    Command("weir-run program.pt2 --ids ids.npy --logits logits.npy", {"program.pt2": ARCHIVE}, ("logits.npy",)),
    Command("python -m weir export checkpoint -o exported.pt2 --max-length 24",
            {"checkpoint/config.json": {}, "checkpoint/model.safetensors": ARRAYS}, ("exported.pt2",)),
    # Only what is refused before anything is compiled; the others are in test_hostile_files_in_python.
    Command("python -m weir aot program.pt2 -o package.pt2", {"program.pt2": {"operator": ARCHIVE["operator"]}},
            ("package.pt2",)),
    Command("weirc direction program.pt2 --positive glad.txt --negative sad.txt --site 1/res -o direction.safetensors",
            {"glad.txt": {}, "program.pt2": {"operator": ARCHIVE["operator"]}}, ("direction.safetensors",)),
    Command("weirc features spec.yaml --text glad.txt --feature 1/res/1", {"glad.txt": {}}),
    Command("weirc rows spec.yaml --site 1/res -o decoder.safetensors", {"rows.npy": ARRAYS}, ("decoder.safetensors",)),
    Command("python -m weir picture graphs.json -o graphs.html", {"graphs.json": {}}, ("graphs.html",)),
    Command("python -m weir sites kernels", {"kernels/manifest.json": MANIFEST, "kernels/program.pt2": {"operator": ARCHIVE["operator"]}}),
    Command("python run.py"),
    Command("weirc chat chats.jsonl", {"chats.jsonl": {}}),
]

# Of other tools, or of the working copy and not of a user's files.
NOT_OURS = ("./bootstrap", "ln ", "ls ", "sed ", "pip ", "cmake", "ninja", "python test/", "python docs/", "WEIR_", "cat ", "curl ",
            "awk ", "cc ", "./steer ", "benchmarks/")


def shown() -> set[str]:
    """The commands of the documentation's console blocks."""
    found = set()
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for line in re.findall(r"^\$ (.*)$", page.read_text(), flags=re.M):
            line = re.split(r"\s+(?:#|\|\||>)\s", line)[0].split(" | ")[-1].strip()
            if not line.startswith(NOT_OURS):
                found.add(line)
    return found


def test_every_command_of_the_documentation_is_here():
    """By tool, command, and the options that name files."""
    covered = {Command(command.arguments).key for command in COMMANDS}
    missing = {line for line in shown() if Command(re.sub(r'"[^"]*"', "text", line)).key not in covered}
    # An option that names a file may be shown alone and tested together with others.
    alone = {line for line in missing
             if any(set(Command(line).key.split()) <= set(key.split()) for key in covered)}
    assert not missing - alone, f"in the documentation and not in this test: {sorted(missing - alone)}"


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """Inputs of all commands, undamaged."""
    folder = tmp_path_factory.mktemp("original")
    families.model("llama").save_pretrained(folder / "checkpoint")
    letters = {chr(ord("a") + index): index + 3 for index in range(26)} | {"<s>": 1, "</s>": 2}
    letters |= {chr(0x4e00 + index): index for index in range(families.VOCABULARY) if index not in letters.values()}
    backend = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=letters, merges=[]))
    PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>").save_pretrained(folder / "checkpoint")
    weir.export.export(folder / "checkpoint", folder / "program.pt2", max_batch=3, max_length=24)
    numpy.save(folder / "rows.npy", numpy.random.default_rng(0).normal(size=(3, 32)).astype("f4"))
    numpy.save(folder / "ids.npy", numpy.arange(3, 15).reshape(2, 6))
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "match.yaml").write_text(matches.SPEC)
    (folder / "graph.yaml").write_text(GRAPH)
    (folder / "validate.yaml").write_text(VALIDATED)
    random = numpy.random.default_rng(1)
    for layer in range(3):
        random_dictionaries.write_sae(folder / f"wide/res.{layer}", random, 32, 1.0, architecture="standard", normalize="none",
                                      features=12)
        for site in ("res", "mlp"):
            random_dictionaries.write_sae(folder / f"dictionaries/{site}.{layer}", random, matches.WIDTH, 1.0,
                                          architecture="jumprelu", normalize="none", features=12)
    (folder / "chats.jsonl").write_text(json.dumps(
        {"template": "{{ messages[0].content }}", "messages": [{"role": "user", "content": "hi"}]}) + "\n")
    (folder / "batch.jsonl").write_text('{"prompt": "hello"}\n{"prompt": "you", "plan": "none"}\n')
    (folder / "glad.txt").write_text("hello\nyou\n")
    (folder / "sad.txt").write_text("never\nagain\n")
    (folder / "graphs.json").write_text(json.dumps({"graphs": {"one": {
        "target": ["1/res/2"], "nodes": [{"feature": "0/res/1", "label": None}, {"feature": "1/res/2", "label": "one"}],
        "edges": [{"from": "0/res/1", "to": "1/res/2", "similarity": 0.5, "effect": None}]}}}))
    (folder / "run.py").write_text("import weir\nprint(weir.load('steered')([[5, 6]], plan='food').logits.shape)\n")
    engines.call("weirc", "build", folder / "spec.yaml", "-o", folder / "steered")
    engines.call("weirc", "build", folder / "spec.yaml", "-o", folder / "kernels", "--lower", "kernel")
    return folder


def run(place: Place, command: str, **more: str) -> subprocess.CompletedProcess:
    """Runs a command, with a second to spare on a busy machine for each that it may take."""
    env = dict(os.environ, HOME=str(place.home), TMPDIR=str(place.scratch), WEIR_CACHE=str(place.home / "cache"),
               PYTHONPATH=str(ROOT / "python"), OMP_NUM_THREADS="1", PYTHONDONTWRITEBYTECODE="1",
               PATH=os.pathsep.join([str(engines.TOOLS), str(Path(sys.executable).parent), os.environ["PATH"]])) | more
    # What this process has set for itself is no part of what a user has.
    env.pop("TORCHINDUCTOR_CACHE_DIR", None)
    # The kernel ends what takes more than is accepted anywhere: addresses, and time of the processor.
    def bounded():
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return subprocess.run(command.split(), cwd=place.work, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", timeout=120, preexec_fn=bounded)


def differences(before: dict, after: dict) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def left_in_scratch(place: Place, arguments: str) -> list[Path]:
    """What is left in the folder of temporaries. PyTorch in a program of the user's own makes a folder there."""
    own = arguments.startswith("python ") and " -m weir " not in arguments
    return [path for path in place.scratch.iterdir() if not (own and path.name.startswith("torchinductor_"))]


def check(place: Place, command: Command, before: dict, what: str, wanted: set[int], **more: str) -> subprocess.CompletedProcess:
    done = run(place, command.arguments, **more)
    said = f"{command.arguments}\n{what}: exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    assert not place.marker.exists(), f"ran what a file told it to: {said}"
    assert done.returncode in wanted, said
    assert "Traceback" not in done.stderr, said
    changed = [name for name in differences(before, place.snapshot())
               if not any(name == f"work/{own}" or name.startswith(f"work/{own}/") for own in command.outputs)]
    assert not changed, f"changed {changed}: {said}"
    assert not left_in_scratch(place, command.arguments), f"left {list(place.scratch.iterdir())}: {said}"
    if done.returncode:
        assert done.stderr.strip(), f"failed without a word: {said}"
        left = [own for own in command.outputs if os.path.lexists(place.work / own)]
        assert not left, f"failed and left {left}: {said}"
    return done


def laid_out(tmp_path: Path, original: Path) -> Place:
    place = Place(tmp_path)
    shutil.copytree(original, place.work, dirs_exist_ok=True)
    return place


@pytest.fixture(scope="module")
def warm(tmp_path_factory, request) -> dict[str, str]:
    """The environment in which `python -m weir`, called by a user or by weirc, has PyTorch imported already."""
    with warm_python.started(tmp_path_factory, request.config, "torch.export") as python:
        yield {"WEIR_PYTHON": str(python.path),
               "PATH": os.pathsep.join([str(python.path.parent), str(engines.TOOLS), os.environ["PATH"]])}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.arguments.replace("/", "_"))
def test_hostile_inputs(command, original, warm, tmp_path):
    place = laid_out(tmp_path, original)
    # Undamaged it works, in an interpreter of its own, whose imports touch nothing either: a damage is what a failure
    # comes from. A package takes a minute, which other tests spend.
    if not command.arguments.startswith("python -m weir aot"):
        assert check(place, command, place.snapshot(), "undamaged", {0}).returncode == 0
        for own in command.outputs:
            hostile.remove(place.work / own)
    # Python takes seconds to start, so it sees fewer of the damages that every file can have.
    # What measures a text takes as long as the text is.
    slow = command.arguments.startswith(("python", "weirc direction", "weirc features", "weirc evaluate", "weirc sweep"))
    for name, special in command.inputs.items():
        common = {"pipe": ANY_FILE["pipe"]} if slow else ANY_FILE
        for what, damage in {**common, **special}.items():
            path = place.work / name
            damage(path, place)
            check(place, command, place.snapshot(), f"{what} {name}", {0, 1, 2}, **warm)
            for own in command.outputs:
                hostile.remove(place.work / own)
            hostile.remove(path)
            shutil.copyfile(original / name, path)


LOADS = """\
import json, os, sys
import weir, weir.archives
marker, *paths = sys.argv[1:]
for path in paths:
    load = weir.load if os.path.isdir(path) else weir.archives.load
    try:
        load(path)
        said = "loaded"
    except weir.WeirError as error:
        said = str(error)
    print(json.dumps([path, said, os.path.lexists(marker)]), flush=True)
"""


def test_hostile_files_in_python(original, tmp_path):
    """weir.load and what `python -m weir aot` reads with, on every damage, in one process."""
    place = laid_out(tmp_path, original)
    paths = []
    for name, damages in (("program.pt2", {**ANY_FILE, **ARCHIVE}), ("manifest.json", {**ANY_FILE, **MANIFEST})):
        for what, damage in damages.items():
            folder = place.work / f"{what}-{name}"
            shutil.copytree(original / "steered", folder)
            damage(folder / name, place)
            paths += [folder.name, f"{folder.name}/program.pt2"] if name == "program.pt2" else [folder.name]
    (place.work / "loads.py").write_text(LOADS)
    before = place.snapshot()
    done = run(place, " ".join(["python", "loads.py", str(place.marker), *paths]))
    assert done.returncode == 0, done.stderr[-4000:]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [path for path, _, _ in results] == paths
    for path, said, touched in results:
        assert not touched, f"{path} ran what it was told to: {said}"
        # Guards and sample inputs are replaced by Weir's own, and spec.yaml is for readers.
        if not path.startswith(("guards", "pickled_sample")):
            assert said != "loaded", path
    assert differences(before, place.snapshot()) == []
    assert not left_in_scratch(place, "python loads.py")


TARGETS = {
    "a folder of something else": "site",
    "a link to a folder of others": "link",
    "a file": "notes.txt",
    "a folder with others' files": "dictionaries",
    "an artefact with a note in it": "annotated",
    "an artefact with a folder in it": "nested",
    "an artefact whose manifest names other files": "lying",
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_targets_that_are_not_its_own(target, original, tmp_path):
    place = laid_out(tmp_path, original)
    for name in ("annotated", "nested", "lying"):
        shutil.copytree(original / "steered", place.work / name)
    (place.work / "annotated" / "notes.txt").write_text("why I chose 4")
    (place.work / "nested" / "spec.d").mkdir()
    (place.work / "nested" / "spec.d" / "notes.txt").write_text("older specs")
    hostile.MANIFEST["through_a_link"](place.work / "lying" / "manifest.json", place)
    (place.work / "lying" / "letter.txt").write_text("mine")
    before = place.snapshot()
    done = check(place, Command(f"weirc build spec.yaml -o {target}"), before, "target", {2})
    # A link is followed, and named by what is there.
    assert (os.path.basename(os.path.realpath(place.work / target))) in done.stderr


@pytest.mark.parametrize("arguments", [
    "weirc match match.yaml --export link", "weirc match match.yaml --export site",
    "weir-run steered --ids ids.npy --logits site", "weir-run steered --ids ids.npy --record link",
    "weirc direction program.pt2 --positive glad.txt --negative sad.txt --site 1/res -o rows.safetensors",
    "python -m weir export checkpoint -o site", "python -m weir aot program.pt2 -o link",
    "python -m weir export checkpoint -o checkpoint/model.safetensors", "python -m weir export checkpoint -o tokens.pt2",
], ids=lambda arguments: arguments.replace("/", "_"))
def test_files_are_not_written_over_folders(arguments, original, tmp_path):
    place = laid_out(tmp_path, original)
    (place.work / "tokens.pt2").symlink_to("checkpoint/tokenizer.json")
    shutil.copyfile(place.work / "checkpoint/model.safetensors", place.work / "rows.safetensors")
    check(place, Command(arguments), place.snapshot(), "target", {1, 2})


def test_modules_of_the_current_folder_are_not_run(original, tmp_path):
    """weirc calls Python; what lies where it is called is not what it imports."""
    place = laid_out(tmp_path, original)
    for name in ("weir.py", "torch.py"):
        (place.work / name).write_text(f"open({str(place.marker)!r}, 'w')\n")
    python = tmp_path / "python"
    # Stops once the modules are there: a package takes a minute.
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$1" -c "import os, sys, torch, weir; sys.exit(print(os.path.realpath(weir.__file__), file=sys.stderr) or 3)"\n')
    python.chmod(0o755)
    before = place.snapshot()
    done = run(place, "weirc build spec.yaml -o made --engine aot", WEIR_PYTHON=str(python), PYTHONPATH=f"{ROOT / 'python'}:")
    assert done.returncode == 2 and str(ROOT / "python" / "weir") in done.stderr, done.stderr
    assert not place.marker.exists() and differences(before, place.snapshot()) == []


def test_a_package_beside_a_program_has_to_be_asked_for(original, tmp_path):
    """A manifest beside a .pt2 may be anybody's: the package that it names is taken with `--engine aot` only."""
    place = laid_out(tmp_path, original)
    package = place.work / "steered" / "program.aot.pt2"
    package.write_bytes(b"no package at all")
    manifest = place.work / "steered" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["aot"] = {"path": package.name, "sha256": hashlib.sha256(package.read_bytes()).hexdigest()}
    manifest.write_text(json.dumps(content))
    forward = "--ids ids.npy --logits logits.npy"
    assert run(place, f"weir-run steered/program.pt2 {forward}").returncode == 0
    assert run(place, f"weir-run steered --no-verify {forward}").returncode == 0
    for words in ("weir-run steered", "weir-run steered/program.pt2 --engine aot", "weir-run steered --no-verify --engine aot"):
        done = run(place, f"{words} {forward}")
        assert done.returncode != 0 and "program.aot.pt2" in done.stderr, words
    assert not list(place.scratch.iterdir())


def test_a_cache_keeps_what_is_not_its_own(original, tmp_path):
    """Collecting and verifying remove entries only, in the folder of entries only."""
    place = laid_out(tmp_path, original)
    cache = place.home / "cache"
    assert run(place, "weirc match match.yaml").returncode == 0
    entries = [path for path in cache.rglob("*.safetensors")]
    assert entries
    others = [cache / "notes.txt", entries[0].parent / "notes.txt", cache / "v1" / "thesis.safetensors"]
    for path in others:
        path.write_text("mine")
    (entries[0].parent / "link").symlink_to(place.elsewhere)
    before = place.snapshot()
    for command in ("weirc cache verify --remove", "weirc cache gc --max-size 0", "weirc cache gc --unused-for 0d"):
        run(place, command)
    assert [path for path in others if not path.exists()] == []
    assert differences(before, place.snapshot()) == []
    assert not [path for path in entries if path.exists()], "collected entries are gone"
