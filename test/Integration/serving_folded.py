# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loads model folders in vLLM as it is, without the plugin, in the serving environment: [[folder, …], [prompt, …], size of the
vocabulary] in; for each folder and prompt the log-probabilities of all tokens behind each but the last token out (.npy, in
the folder `out`). Engines of one process, so that its imports are paid once."""

import gc
import json
import os
import sys

os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_PLUGINS": ""}


def main(job: str, out: str):
    import numpy
    from vllm import LLM, SamplingParams
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

    with open(job) as file:
        folders, prompts, vocabulary = json.load(file)
    asked = SamplingParams(temperature=0, max_tokens=1, ignore_eos=True, prompt_logprobs=vocabulary)
    for number, folder in enumerate(folders):
        llm = LLM(folder, skip_tokenizer_init=True, enforce_eager=True, dtype="float32", max_model_len=64, max_num_seqs=2,
                  max_logprobs=vocabulary)
        outputs = llm.generate([{"prompt_token_ids": prompt} for prompt in prompts], asked, use_tqdm=False)
        rows = [[[at[token].logprob for token in range(vocabulary)] for at in output.prompt_logprobs[1:]] for output in outputs]
        numpy.save(os.path.join(out, f"{number}.npy"), numpy.array(rows))
        del llm
        gc.collect()
        cleanup_dist_env_and_memory()


if __name__ == "__main__":
    main(*sys.argv[1:])
