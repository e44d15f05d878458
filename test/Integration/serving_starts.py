# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Starts vLLM with settings that it should refuse, in the serving environment: [[model, settings, engine], …] in, what each
said out. Engines of one process, so that its imports are paid once."""

import json
import os
import sys

os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}


def main(cases: str, out: str):
    from vllm import LLM

    said = []
    with open(cases) as file:
        for model, settings, engine in json.load(file):
            try:
                LLM(model, skip_tokenizer_init=True, enforce_eager=True, max_model_len=64, max_num_seqs=2,
                    additional_config={"weir": settings}, **{"dtype": "float32", **engine})
                said.append("started")
            except Exception as error:
                said.append(f"{error} {error.__cause__ or ''}")
    with open(out, "w") as file:
        json.dump(said, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
