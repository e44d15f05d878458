# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Serves an example spec on vLLM and asks it over HTTP.

Run by `./bootstrap serve-demo`: compiles examples/smollm2/three_plans.yaml for SmolLM2-135M-Instruct in bf16, starts
vLLM with the plugin of python/weir_vllm on it, asks three questions under no plan and under three plans, and prints the
answers side by side.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "examples" / "smollm2" / "three_plans.yaml"
BUILD = Path(os.environ.get("WEIR_BUILD", ROOT / "build"))
SERVING = Path(os.environ.get("WEIR_SERVING", ROOT / ".venv-serving"))
OUT = BUILD / "serve-demo"
QUESTIONS = ["What should I do this weekend?", "Tell me about my home town.", "How do I make friends?"]
PLANS = ["none", "war", "food", "music"]
TOKENS = 40


def run(*command: object) -> str:
    print("$ " + " ".join(str(part) for part in command).replace(str(ROOT) + "/", ""), flush=True)
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True,
                          env=dict(os.environ, PYTHONPATH=str(ROOT / "python"), WEIR_BUILD=str(BUILD))).stdout


def write_model(folder: Path) -> None:
    """SmolLM2's folder as vLLM loads it, from the GGUF file that the exporter uses."""
    if (folder / "config.json").exists():
        return
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from weir.export.sources import resolve

    source = resolve("smollm2")
    scratch = folder.with_name(folder.name + ".new")
    shutil.rmtree(scratch, ignore_errors=True)
    read = source.model(torch.bfloat16)
    # One that never was a GGUF file: what is read from there is not saved as other models are.
    settings = {key: value for key, value in read.config.to_dict().items() if key not in ("quantization_config", "dtype")}
    model = LlamaForCausalLM(LlamaConfig(**settings)).to(torch.bfloat16)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(scratch)
    source.tokenizer().save_pretrained(scratch)
    scratch.rename(folder)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def call(port: int, path: str, body: dict | None = None, method: str | None = None):
    """(status, answer); raises OSError while nobody listens."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode() if body else None,
                                     {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            text = answer.read().decode()
            return answer.status, json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def serve(model: Path, folder: Path, port: int, *options: str, weir: dict | None = None) -> subprocess.Popen:
    """Starts the server and waits until it answers. `weir` are the plugin's settings, if more than the folder."""
    log = open(folder.with_suffix(".log"), "w")
    environment = dict(os.environ, VLLM_PLUGINS="weir", VLLM_CPU_KVCACHE_SPACE="1", VLLM_CPU_OMP_THREADS_BIND="nobind",
                       VLLM_NO_USAGE_STATS="1", HF_HUB_OFFLINE="1", PYTHONPATH=str(ROOT / "python"), WEIR_BUILD=str(BUILD))
    command = [str(SERVING / "bin" / "python"), "-m", "vllm.entrypoints.openai.api_server", "--model", str(model),
               "--served-model-name", "model", "--host", "127.0.0.1", "--port", str(port), "--max-model-len", "1024",
               "--max-num-seqs", "16", "--additional-config", json.dumps({"weir": weir or {"folder": str(folder)}}), *options]
    print("$ " + " ".join(command).replace(str(ROOT) + "/", ""), flush=True)
    server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    for _ in range(1200):
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode}; it wrote {log.name}")
        try:
            if call(port, "/health")[0] == 200:
                return server
        except OSError:
            pass
        time.sleep(0.5)
    server.terminate()
    raise SystemExit(f"the server does not answer; it wrote {log.name}")


def ask(port: int, question: str, plan: str) -> str:
    body = {"model": "model", "messages": [{"role": "user", "content": question}], "max_tokens": TOKENS, "temperature": 0,
            "vllm_xargs": {"weir_plan": plan}}
    status, answer = call(port, "/v1/chat/completions", body)
    if status != 200:
        raise SystemExit(f"the server says {status}: {answer}")
    return " ".join(answer["choices"][0]["message"]["content"].split())


def main() -> int:
    OUT.parent.mkdir(exist_ok=True)
    model = BUILD / "smollm2-hf"
    write_model(model)
    program = run(sys.executable, "-m", "weir", "export", "smollm2", "--dtype", "bf16", "--cached").strip().splitlines()[-1]
    run(BUILD / "bin" / "weirc", "build", SPEC, "--model", program, "--lower", "kernel", "-o", OUT)
    port = free_port()
    server = serve(model, OUT, port, "--dtype", "bfloat16", "--enforce-eager")
    try:
        known = call(port, "/v1/weir/plans")[1]
        print("GET /v1/weir/plans: " + ", ".join(plan["name"] for plan in known["plans"]))
        # All at once: rows of one batch follow different plans.
        with ThreadPoolExecutor(len(QUESTIONS) * len(PLANS)) as pool:
            answers = {(question, plan): pool.submit(ask, port, question, plan) for question in QUESTIONS for plan in PLANS}
        width = max(20, (shutil.get_terminal_size((120, 24)).columns - 3 * len(PLANS)) // len(PLANS))
        for question in QUESTIONS:
            print(f"\n{question}")
            columns = [textwrap.wrap(answers[question, plan].result(), width) for plan in PLANS]
            print(" | ".join(f"{plan:<{width}}" for plan in PLANS))
            print("-+-".join("-" * width for _ in PLANS))
            for line in range(max(map(len, columns))):
                print(" | ".join(f"{column[line] if line < len(column) else '':<{width}}" for column in columns))
        status, answer = call(port, "/v1/completions", {"model": "model", "prompt": "Hi", "vllm_xargs": {"weir_plan": "peace"}})
        print(f"\na plan that there is not: {status}, {answer['error']['message']}")
        edited = call(port, "/v1/weir/plans")[1]["edited_tokens"]
        print("tokens edited: " + ", ".join(f"{count} at {site}" for site, count in edited.items()))
    finally:
        server.terminate()
        server.wait(60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
