# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes small dictionaries in sae_lens' layout below a folder: res.0 to res.2 and
mlp.1, six features of width 4, with decoder rows chosen for their cosines."""

import json
import sys
from pathlib import Path

import numpy
from safetensors.numpy import save_file

# Row 1 is against row 0, row 2 somewhat, row 4 a little, rows 3 and 5 are not.
DECODER = numpy.array([[1, 0, 0, 0], [-1, 0, 0, 0], [-1, 1, 0, 0],
                       [1, 1, 0, 0], [-1, 0, 9, 0], [0, 0, 0, 1]], numpy.float32)


def write(folder, **settings):
    folder.mkdir(parents=True, exist_ok=True)
    config = {"architecture": "standard", "d_in": 4, "d_sae": 6, "dtype": "float32",
              "apply_b_dec_to_input": False, "normalize_activations": "none",
              "metadata": {}}
    config.update(settings)
    (folder / "cfg.json").write_text(json.dumps(config))
    tensors = {"W_enc": numpy.ascontiguousarray(DECODER.T), "W_dec": DECODER,
               "b_enc": numpy.zeros(6, numpy.float32),
               "b_dec": numpy.zeros(4, numpy.float32)}
    if config["architecture"] == "jumprelu":
        tensors["threshold"] = numpy.ones(6, numpy.float32)
    save_file(tensors, folder / "sae_weights.safetensors")


root = Path(sys.argv[1])
write(root / "res.0")
write(root / "res.1", architecture="jumprelu")
write(root / "res.2", architecture="topk", k=2,
      normalize_activations="layer_norm")
write(root / "mlp.1", normalize_activations="constant_norm_rescale")
