# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs requests on vLLM with the plugin, in the serving environment: a JSON file has a list of jobs, each with an engine of
its own, and another gets the list of their results.

    {"model": DIR, "weir": {...} or null, "engine": {...}, "steps": [...]}

A step is {"run": [requests]} (in one batch), {"reset": true} (the prefix cache), {"counts": true}, {"without_keys": true}
(blocks are keyed as vLLM does by itself: what the keys are for has to go wrong then), {"turns": request with "more"} (a
conversation: each prompt is the last one with its answer and the next of "more"), {"arrive": [requests with "at", a step
of the engine, and perhaps "cancel", so many steps later]}, {"kernels": true} (sites that kernels do), {"refuse": extra_args}
or {"told": true} (what the steps were told). A request is {"ids": [...], "extra": {...}, "tokens": N}; its result {"ids",
"logprobs" of these, "cached"}. A job with "like_gpu" runs as on a GPU, as far as that can be, with "graphs" or not; with
$WEIR_SERVING_RUNNER=v2 all do on vLLM's second model runner (serving_like_gpu.py).
"""

from __future__ import annotations

import json
import os
import sys
import traceback

import serving_like_gpu

os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind",
               "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", "VLLM_LOGGING_LEVEL": "WARNING"}


def parameters(request: dict):
    from vllm import SamplingParams

    several = {"n": request["n"], "temperature": 1, "top_k": 1} if "n" in request else {"temperature": 0}
    return SamplingParams(**several, max_tokens=request["tokens"], ignore_eos=True, logprobs=0, extra_args=request.get("extra"))


def results_of(output) -> list[dict]:
    return [{"ids": list(each.token_ids), "cached": output.num_cached_tokens,
             "logprobs": [row[token].logprob for token, row in zip(each.token_ids, each.logprobs)]}
            for each in output.outputs]


def run(llm, requests: list[dict]) -> list[dict]:
    outputs = llm.generate([{"prompt_token_ids": request["ids"]} for request in requests], [*map(parameters, requests)],
                           use_tqdm=False)
    return [result for output in outputs for result in results_of(output)]


def converse(llm, request: dict) -> list:
    turns, ids = [], request["ids"]
    for more in ([], *request["more"]):
        ids = [*ids, *more]
        turn = {"ids": ids, "tokens": request["tokens"], "extra": request["extra"]}
        result, = run(llm, [turn])
        turns.append([turn, result])
        ids = [*ids, *result["ids"]]
    return turns


def arrive(llm, requests: list[dict]) -> dict:
    engine, answers, step, left = llm.llm_engine, [None] * len(requests), 0, set(range(len(requests)))
    preempted = 0
    scheduler = engine.engine_core.engine_core.scheduler
    preempt = scheduler._preempt_request

    def counted(*args, **kwargs):
        nonlocal preempted
        preempted += 1
        return preempt(*args, **kwargs)

    scheduler._preempt_request = counted
    names = {}
    while left or engine.has_unfinished_requests():
        for index, request in enumerate(requests):
            if request["at"] == step:
                names[index] = engine.add_request(str(index), {"prompt_token_ids": request["ids"]}, parameters(request)) or str(index)
            if request.get("cancel") and request["at"] + request["cancel"] == step and index in left:
                engine.abort_request([names[index]])
                left.discard(index)
        for output in engine.step():
            index = int(output.request_id)
            if output.finished and index in left:
                answers[index] = results_of(output)[0]
                left.discard(index)
        step += 1
    return {"answers": answers, "preempted": preempted}


def do(asked: dict) -> list:
    if "like_gpu" not in asked:
        return do_steps(asked, [])
    with serving_like_gpu.like_gpu(with_graphs=asked["like_gpu"] == "graphs") as steps:
        return do_steps(asked, steps)


def do_steps(asked: dict, told: list) -> list:
    from vllm import LLM

    llm = LLM(asked["model"], skip_tokenizer_init=True, dtype=asked.get("dtype", "float32"), disable_log_stats=False,
              additional_config={"weir": asked["weir"]} if asked.get("weir") else {}, **asked.get("engine", {}))
    results = []
    for step in asked["steps"]:
        if "run" in step:
            results.append(run(llm, step["run"]))
        elif "turns" in step:
            results.append(converse(llm, step["turns"]))
        elif "arrive" in step:
            results.append(arrive(llm, step["arrive"]))
        elif "reset" in step:
            llm.reset_prefix_cache()
            results.append(None)
        elif "counts" in step:
            results.append(llm.collective_rpc("weir_counts")[0])
        elif "kernels" in step:
            results.append(llm.collective_rpc("weir_kernels")[0])
        elif "told" in step:
            results.append(list(told))
        elif "without_keys" in step:
            from vllm.v1.core import block_pool, kv_cache_utils

            plain = kv_cache_utils.generate_block_hash_extra_keys.__wrapped__
            kv_cache_utils.generate_block_hash_extra_keys = block_pool.generate_block_hash_extra_keys = plain
            results.append(None)
        elif "refuse" in step:
            try:
                results.append({"said": None, "ran": run(llm, [{"ids": [5, 6], "tokens": 1, "extra": step["refuse"]}])})
            except Exception as error:
                results.append({"said": str(error), "kind": type(error).__name__})
    return results


def main(jobs: str, out: str):
    if os.environ.get("WEIR_SERVING_RUNNER") == "v2":
        serving_like_gpu.second_runner()
    with open(jobs) as file:
        asked = json.load(file)
    try:
        said = {"results": [do(job) for job in asked]}
    except Exception as error:
        said = {"failed": f"{error} {error.__cause__ or ''}\n{traceback.format_exc()[-3000:]}"}
    with open(out, "w") as file:
        json.dump(said, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
