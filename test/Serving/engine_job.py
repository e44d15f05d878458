# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs requests on vLLM with the plugin, in the serving environment: a job is a JSON file, its results another.

    {"model": DIR, "weir": {...} or null, "engine": {...}, "steps": [...]}

A step is {"run": [requests]} (in one batch), {"reset": true} (the prefix cache), {"counts": true}, {"without_keys": true}
(blocks are keyed as vLLM does by itself: what the keys are for has to go wrong then) or {"refuse": extra_args}. A request
is {"ids": [...], "extra": {...}, "tokens": N}; its result {"ids", "logprobs" of these, "cached"}.
"""

from __future__ import annotations

import json
import os
import sys

os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind",
               "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", "VLLM_LOGGING_LEVEL": "WARNING"}


def run(llm, requests: list[dict]) -> list[dict]:
    from vllm import SamplingParams

    outputs = llm.generate(
        [{"prompt_token_ids": request["ids"]} for request in requests],
        [SamplingParams(temperature=0, max_tokens=request["tokens"], min_tokens=request["tokens"], ignore_eos=True, logprobs=0,
                        n=request.get("n", 1), extra_args=request.get("extra")) for request in requests], use_tqdm=False)
    results = []
    for output in outputs:
        for each in output.outputs:
            results.append({"ids": list(each.token_ids), "cached": output.num_cached_tokens,
                            "logprobs": [row[token].logprob for token, row in zip(each.token_ids, each.logprobs)]})
    return results


def main(job: str, out: str):
    with open(job) as file:
        asked = json.load(file)
    from vllm import LLM

    try:
        llm = LLM(asked["model"], skip_tokenizer_init=True, dtype=asked.get("dtype", "float32"), disable_log_stats=False,
                  additional_config={"weir": asked["weir"]} if asked.get("weir") else {}, **asked.get("engine", {}))
    except Exception as error:
        with open(out, "w") as file:
            json.dump({"failed": str(error)}, file)
        return
    results = []
    for step in asked["steps"]:
        if "run" in step:
            results.append(run(llm, step["run"]))
        elif "reset" in step:
            llm.reset_prefix_cache()
            results.append(None)
        elif "counts" in step:
            results.append(llm.collective_rpc("weir_counts")[0])
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
    with open(out, "w") as file:
        json.dump({"results": results}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
