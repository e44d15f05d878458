# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weir-vllm behind vLLM's HTTP server, in processes of its own; and what a server does not start with."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hooks
import pytest
import serving
import specs
from engines import ROOT, Built
from safetensors.torch import load_file, save_file
from serving import Answers, Served
from test_serving import SPEC, WRONG, build

sys.path.append(str(ROOT / "examples"))
import serve_demo  # noqa: E402


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    return Served("llama", tmp_path_factory.mktemp("served"))


def without_markers(text: str) -> str:
    """Without the plan whose scope looks for tokens: steps are scheduled ahead."""
    return text.replace("  behind: [behind]\n", "").replace(
        "  behind: {on: [0/att/2], do: add, strength: 6, tokens: {after: 5}}\n", "")


@pytest.fixture(scope="module")
def built(served, tmp_path_factory):
    """(reference, program) of SPEC; what is served are its kernels."""
    reference, program = build(specs.Case("llama", 3, hooks.read(without_markers(SPEC)), ()), served,
                               tmp_path_factory.mktemp("http"))
    program.served = serving.with_kernels(program, served.archive)
    return reference, program


def changed(program: Built, served: Served, folder: Path, strength: int) -> tuple[hooks.Reference, Built]:
    """The spec of a program with other strengths."""
    shutil.copytree(program.spec.parent, folder / "other", ignore=shutil.ignore_patterns("steered*", "kernels*"))
    spec = folder / "other" / "spec.yaml"
    spec.write_text(program.spec.read_text().replace("strength: 6", f"strength: {strength}"))
    made = Built(spec, served.archive, folder / "changed", lower="kernel")
    return hooks.Reference(spec, served.model), made


class Server:
    """vLLM on two folders: `main`, a copy that a test may change, and `more`, with the same plans and other strengths, on
    PyTorch's operators."""

    def __init__(self, model: Path, main: Path, more: Path):
        self.model, self.main, self.folders = model, main, {"main": str(main), "more": str(more)}
        self.port, self.process = serve_demo.free_port(), None

    def start(self):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(serve_demo, "SERVING", serving.python().parents[1])
            for key, value in serving.environment().items():
                patch.setenv(key, value)
            self.process = serve_demo.serve(
                self.model, self.main, self.port, "--dtype", "float32", "--enforce-eager", "--max-model-len",
                str(serving.POSITIONS), "--max-logprobs", "5",
                weir={"folders": self.folders, "default_plan": None})


@pytest.fixture(scope="module")
def more(built, served, tmp_path_factory):
    reference, program = changed(built[1], served, tmp_path_factory.mktemp("more"), -4)
    return reference, Built(program.spec, served.archive, program.folder.with_name("aten"))


@pytest.fixture(scope="module")
def server(served, built, more, tmp_path_factory):
    main = Path(shutil.copytree(built[1].served, tmp_path_factory.mktemp("server") / "steered"))
    running = Server(served.folder, main, more[1].folder)
    running.start()
    yield running
    running.process.terminate()
    running.process.wait(60)


IDS = [7, 3, 9, 4, 11, 5, 13, 6, 17, 19]


def complete(port: int, plan: str | None, knobs: str | None = None, tokens: int = 6, **more) -> tuple[int, dict]:
    """Plans are those of `main`, unless another folder is named."""
    plan = plan if plan in (None, "none") or "/" in plan else f"main/{plan}"
    extra = {key: value for key, value in (("weir_plan", plan), ("weir_knobs", knobs)) if value is not None}
    return serve_demo.call(port, "/v1/completions", {
        "model": "model", "prompt": IDS, "max_tokens": tokens, "ignore_eos": True, "temperature": 0,
        "logprobs": 0, "return_token_ids": True, **({"vllm_xargs": extra} if extra else {}), **more})


def result_of(answer: dict) -> dict:
    choice, = answer["choices"]
    return {"ids": choice["token_ids"], "logprobs": choice["logprobs"]["token_logprobs"]}


def test_plans_over_http_and_wrong_requests_among_them(server, built):
    port = server.port
    answers = Answers({"": built[1]}, {"": built[0]})
    asked = [(None, {}), ("late", {}), ("late", {"faith": 3.0}), ("early", {}), ("always", {}), ("ramped", {}), ("none", {})] * 3
    names = {"late": "main/late", "early": "main/early"}
    wrong = [extra | ({"weir_plan": names.get(extra["weir_plan"], extra["weir_plan"])} if "weir_plan" in extra else {})
             for extra, _ in WRONG if isinstance(extra.get("weir_plan", ""), str)] * 20 + [{"weir_plan": "late"}] * 9
    assert len(wrong) >= 300
    with ThreadPoolExecutor(16) as pool:
        right = [pool.submit(complete, port, plan, ",".join(f"{name}={value}" for name, value in knobs.items()) or None)
                 for plan, knobs in asked]
        refused = [pool.submit(complete, port, None, vllm_xargs=extra) for extra in wrong]
        for future in refused:
            status, answer = future.result()
            assert status == 400 and "weir" in answer["error"]["message"] + str(answer["error"].get("param")), answer
        for (plan, knobs), future in zip(asked, right):
            status, answer = future.result()
            assert status == 200, answer
            answers.check({"ids": IDS}, result_of(answer), "", None if plan == "none" else plan, knobs)
    assert answers.compared >= 100


def test_chats_forged_keys_and_beam_search(server):
    port = server.port
    chat = {"model": "model", "messages": [{"role": "user", "content": "w7 w3 w9 w4"}], "max_tokens": 4, "temperature": 0}
    status, answer = serve_demo.call(port, "/v1/chat/completions", chat | {"vllm_xargs": {"weir_plan": "nobody"}})
    assert status == 400 and "there is no plan 'nobody'" in answer["error"]["message"]
    plain, always = (serve_demo.call(port, "/v1/chat/completions", chat | {"vllm_xargs": {"weir_plan": plan}})[1]
                     for plan in ("none", "main/always"))
    assert plain["choices"][0]["message"]["content"] != always["choices"][0]["message"]["content"]
    assert result_of(complete(port, None, vllm_xargs={"weir": "x"})[1]) == result_of(complete(port, None)[1])
    status, answer = complete(port, "always", n=2, use_beam_search=True)
    assert status == 400 and "beam search" in answer["error"]["message"]


def test_what_is_served_and_what_was_edited(server, built):
    port = server.port
    complete(port, "always")
    status, known = serve_demo.call(port, "/v1/weir/plans")
    assert status == 200 and [plan["name"] for plan in known["plans"]] == [
        f"{folder}/{plan}" for folder in ("main", "more") for plan in built[1].plans]
    late = known["plans"][0]
    assert late["knobs"] == [{"name": "faith", "default": 1, "min": 0, "max": 4}]
    assert late["policies"][0]["features"] == ["1/res/4"] and late["policies"][0]["tokens"] == {"set": "generated"}
    assert known["folders"][0]["model"] == built[1].manifest["model"] and "0/res" in known["folders"][0]["sites"]
    assert known["edited_tokens"]["0/res"] >= len(IDS) + 5
    before = known["edited_tokens"]["0/res"]
    complete(port, "always")
    assert serve_demo.call(port, "/v1/weir/plans")[1]["edited_tokens"]["0/res"] >= before + 5
    deadline, text = time.monotonic() + 30, ""
    while time.monotonic() < deadline and 'weir_edited_tokens_total{site="0/res"}' not in text:
        time.sleep(1)
        text = serve_demo.call(port, "/metrics")[1]
    assert 'weir_edited_tokens_total{site="0/res"}' in text


def test_several_folders_in_one_batch(server, built, more):
    answers = Answers({"main": built[1], "more": more[1]}, {"main": built[0], "more": more[0]})
    asked = [(folder, plan) for folder in ("main", "more") for plan in ("late", "early", "always")] * 2
    with ThreadPoolExecutor(12) as pool:
        for (folder, plan), (status, answer) in zip(asked, pool.map(
                lambda each: complete(server.port, "/".join(each)), asked)):
            assert status == 200
            answers.check({"ids": IDS}, result_of(answer), folder, plan, {})
    status, answer = complete(server.port, None, vllm_xargs={"weir_plan": "always"})
    assert status == 400 and "say main/always or more/always" in answer["error"]["message"]


def test_reloading_a_folder_drops_no_request(server, built, more, served, tmp_path):
    """Under load, builds take the place of one of two folders, again and again: requests that run go on as they began,
    later ones get the new plans, and those of the other folder do not notice."""
    port, folder = server.port, server.main
    reference, program = changed(built[1], served, tmp_path, -6)
    versions = [built[1].served, program.folder]
    old, new = Answers({"": built[1]}, {"": built[0]}), Answers({"": program}, {"": reference})
    others = Answers({"": more[1]}, {"": more[0]})
    stop, load = threading.Event(), []

    def ask(plan: str):
        while not stop.is_set():
            load.append((plan, *complete(port, plan, tokens=12)))

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(complete, port, "always", tokens=200) for _ in range(4)]
        loading = [pool.submit(ask, plan) for plan in ("main/always", "more/always", "more/late")]
        try:
            time.sleep(0.5)
            for turn in range(5):
                for path in versions[(turn + 1) % 2].iterdir():
                    shutil.copy(path, folder / path.name)
                status, known = serve_demo.call(port, "/v1/weir/reload", {"go": 1})
                assert status == 200 and known["plans"][0]["name"] == "main/late", known
                own = (new, old)[turn % 2]
                own.check({"ids": IDS}, result_of(complete(port, "always")[1]), "", "always", {})
        finally:
            stop.set()
        for future in loading:
            future.result()
        for future in running:
            status, answer = future.result()
            assert status == 200
            old.check({"ids": IDS}, result_of(answer), "", "always", {})
    assert old.compared >= 800 and len(load) >= 15
    distinct = {}
    for plan, status, answer in load:
        assert status == 200, answer
        result = result_of(answer)
        first = distinct.setdefault((plan, tuple(result["ids"])), result)
        assert max(abs(a - b) for a, b in zip(first["logprobs"], result["logprobs"])) <= serving.TOLERANCE
    seen = set()
    for (plan, _), result in distinct.items():
        if plan != "main/always":
            others.check({"ids": IDS}, result, "", plan.removeprefix("more/"), {})
            continue
        # All of it is of one build.
        by_build = []
        for name, answers in (("old", old), ("new", new)):
            try:
                answers.check({"ids": IDS}, result, "", "always", {})
                by_build.append(name)
            except AssertionError:
                pass
        assert len(by_build) == 1
        seen |= set(by_build)
    assert seen == {"old", "new"}

    # What is wrong with a folder changes nothing.
    table = folder / "sites.safetensors"
    whole = table.read_bytes()
    table.write_bytes(whole[:-8])
    status, answer = serve_demo.call(port, "/v1/weir/reload", {"go": 1})
    assert status == 409 and "site" in answer["error"]["message"]
    table.write_bytes(whole)
    new.check({"ids": IDS}, result_of(complete(port, "always")[1]), "", "always", {})


def test_a_server_that_is_killed_and_started_again(server, served, built, tmp_path):
    """While it answers, with all its processes, as systemd and containers do: who waits is told, and the next one on the same
    port gives what the folder says."""
    for path in built[1].served.iterdir():
        shutil.copy(path, server.main / path.name)
    children = descendants(server.process.pid)
    assert children
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(complete, server.port, "always", tokens=250) for _ in range(4)]
        time.sleep(0.3)
        for process in (server.process.pid, *children):
            os.kill(process, signal.SIGKILL)
        server.process.wait(30)
        for future in waiting:
            with pytest.raises((OSError, http.client.HTTPException)):
                future.result(60)
    server.start()
    answers = Answers({"": built[1]}, {"": built[0]})
    for plan in ("always", "late", "early", "none"):
        answers.check({"ids": IDS}, result_of(complete(server.port, plan)[1]), "", None if plan == "none" else plan, {})
    assert answers.compared == 24


def descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *descendants(child)]
    return found


START = [
    ({}, "give \"folder\""),
    ({"folder": "FOLDER", "default_plan": "nobody"}, "default_plan: there is no plan 'nobody'"),
    ({"folder": "FOLDER", "colour": 1}, "there is no option 'colour'"),
    ({"folder": "/nowhere"}, "there is no such file"),
    ({"folder": "CHANGED"}, "is not the one that"),
    ({"folder": "KERNELS"}, "kernels.so: its SHA-256 is"),
    ({"folder": "OTHER"}, "is not the model that"),
    ({"folder": "RECORDS"}, "policy 'watch' of plan 'push' records"),
]


def test_what_a_server_does_not_start_with(built, served, tmp_path):
    """In one process, one after the other: each failure is said before or while the model is loaded."""
    folder = built[1].folder
    damaged = Path(shutil.copytree(folder, tmp_path / "damaged"))
    bytes_of = bytearray((folder / "sites.safetensors").read_bytes())
    bytes_of[-1] ^= 1  # of a number
    (damaged / "sites.safetensors").write_bytes(bytes_of)
    kernels = Path(shutil.copytree(built[1].served, tmp_path / "other-kernels"))
    bytes_of = bytearray((kernels / "kernels.so").read_bytes())
    bytes_of[-1] ^= 1
    (kernels / "kernels.so").write_bytes(bytes_of)
    model = Path(shutil.copytree(served.folder, tmp_path / "model"))
    weights = load_file(model / "model.safetensors")
    weights["model.layers.1.mlp.down_proj.weight"][0, 0] += 0.01
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    records = hooks.read(SPEC)
    records["policies"] = {"push": records["policies"]["early"], "watch": {"on": ["0/res/1"], "do": "record"}}
    records["plans"] = {"push": ["push", "watch"]}
    recording = build(specs.Case("llama", 3, records, ()), served, tmp_path / "records")[1].folder
    cases = []
    folders = {"FOLDER": folder, "CHANGED": damaged, "KERNELS": kernels, "OTHER": folder, "RECORDS": recording}
    for settings, _ in START:
        asked = {key: str(folders.get(value, value)) for key, value in settings.items()}
        cases.append([str(model if settings.get("folder") == "OTHER" else served.folder), asked, {}])
    good = {"folder": str(folder)}
    more = [({"dtype": "bfloat16"}, "was built for a model of f32"),
            ({"speculative_config": {"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_max": 2}}, "speculative"),
            ({"enable_prompt_embeds": True}, "embeddings"), ({"load_format": "dummy"}, "it cannot be told")]
    cases += [[str(served.folder), good, engine] for engine, _ in more]
    # Another family, with the same weights.
    other = Path(shutil.copytree(served.folder, tmp_path / "granite"))
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(
        config | {"model_type": "granite", "architectures": ["GraniteForCausalLM"]}))
    cases.append([str(other), good, {}])
    more.append(({}, "models of vLLM's class GraniteForCausalLM cannot be steered; LlamaForCausalLM, "))
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    code, text = serving.run_script(Path(__file__).with_name("serving_starts.py"), tmp_path / "cases.json", tmp_path / "said.json",
                                    folder=tmp_path)
    assert code == 0, text[-3000:]
    said = json.loads((tmp_path / "said.json").read_text())
    for (_, wanted), text in zip([*START, *more], said, strict=True):
        assert wanted in text, (wanted, text)


def test_a_vllm_without_a_patch_point_does_not_start(tmp_path):
    """By the name of what is missing; and the check of arguments sees another signature."""
    script = """
import vllm.v1.worker.gpu_model_runner as runner
{}
import weir_vllm
try:
    weir_vllm.load()
except RuntimeError as error:
    print(error)
"""
    for change, wanted in (("del runner.GPUModelRunner._prepare_inputs", "has no vllm.v1.worker.gpu_model_runner"),
                           ("runner.GPUModelRunner._prepare_inputs = lambda self, output: None", "no argument")):
        (tmp_path / "script.py").write_text(script.format(change))
        code, said = serving.run_script(tmp_path / "script.py", folder=tmp_path)
        assert code == 0 and wanted in said, said[-2000:]
