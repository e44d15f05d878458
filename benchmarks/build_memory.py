# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What memory `weirc build` takes when a program needs the whole encoder of a large TopK dictionary.

    python benchmarks/build_memory.py [--features 65536] [--width 4096] [--weirc build/bin/weirc] [--folder FOLDER]

A model of one layer and a dictionary of random numbers are written to a folder (about 3 GB with the defaults, some
minutes), and a spec that reads one feature, for which the program holds all of the encoder. Printed are the largest
resident set of the build, the size of the files that it maps, which a resident set counts while their pages are in
memory, and the difference: what the compiler itself holds.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy

ROOT = Path(__file__).resolve().parents[1]
SPEC = """weir: 1
model: {program: model.pt2}
dictionaries:
  sae: {format: sae_lens, path: sae, sites: [res], layers: 0..0}
policies:
  less: {on: {features: [0/res/5]}, do: scale, factor: 0.5}
"""


def write_model(folder: Path, width: int):
    import transformers

    config = transformers.LlamaConfig(vocab_size=64, hidden_size=width, intermediate_size=64, num_hidden_layers=1,
                                      num_attention_heads=32, num_key_value_heads=1, head_dim=16,
                                      max_position_embeddings=64)
    transformers.LlamaForCausalLM(config).save_pretrained(folder / "model")
    subprocess.run([sys.executable, "-m", "weir", "export", folder / "model", "-o", folder / "model.pt2"], check=True)


def write_dictionary(folder: Path, features: int, width: int):
    """A .safetensors file written in pieces: the numbers are never all in memory."""
    (folder / "sae").mkdir()
    (folder / "sae" / "cfg.json").write_text(json.dumps({
        "architecture": "topk", "d_in": width, "d_sae": features, "k": 32, "dtype": "float32",
        "apply_b_dec_to_input": False, "normalize_activations": "none",
        "metadata": {"hook_name": "blocks.0.hook_resid_post"}}))
    shapes = {"W_enc": (width, features), "W_dec": (features, width), "b_enc": (features,), "b_dec": (width,)}
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 4 * int(numpy.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    generator = numpy.random.default_rng(0)
    with open(folder / "sae" / "sae_weights.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            left = int(numpy.prod(shape))
            while left:
                piece = min(left, 1 << 24)
                file.write((generator.standard_normal(piece, numpy.float32) / width ** 0.5).tobytes())
                left -= piece


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=65536)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--weirc", default=str(ROOT / "build" / "bin" / "weirc"))
    parser.add_argument("--folder", type=Path, help="keeps the files, and takes those of a run before")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "spec.yaml").exists():
            write_model(folder, options.width)
            write_dictionary(folder, options.features, options.width)
            (folder / "spec.yaml").write_text(SPEC)
        # The export took more than the build may: only a child of a child tells them apart.
        probe = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
                 "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
        told = subprocess.run([sys.executable, "-c", probe, options.weirc, "build", str(folder / "spec.yaml"), "-o",
                               str(folder / "out")], check=True, capture_output=True, text=True)
        peak = int(told.stdout.split()[-1]) * 1024
        mapped = sum((folder / name).stat().st_size for name in ("model.pt2", "sae/sae_weights.safetensors"))
        program = (folder / "out" / "program.pt2").stat().st_size
        print(f"largest resident set {peak / 1e6:.0f} MB, mapped files {mapped / 1e6:.0f} MB, "
              f"difference {(peak - mapped) / 1e6:+.0f} MB, program written {program / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
