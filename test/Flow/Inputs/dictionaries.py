# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes small dictionaries in sae_lens' layout below a folder: res.0 to res.2 and
mlp.1, six features of width 4, with decoder rows chosen for their cosines. Below
`flow` are others whose features belong together, below `nan` some with NaN."""

import json
import sys
from pathlib import Path

import numpy
from safetensors.numpy import save_file

# Row 1 is against row 0, row 2 somewhat, row 4 a little, rows 3 and 5 are not.
DECODER = numpy.array([[1, 0, 0, 0], [-1, 0, 0, 0], [-1, 1, 0, 0],
                       [1, 1, 0, 0], [-1, 0, 9, 0], [0, 0, 0, 1]], numpy.float32)


def write(folder, decoder=DECODER, threshold=1.0, **settings):
    features, width = decoder.shape
    folder.mkdir(parents=True, exist_ok=True)
    config = {"architecture": "standard", "d_in": width, "d_sae": features, "dtype": "float32",
              "apply_b_dec_to_input": False, "normalize_activations": "none",
              "metadata": {}}
    config.update(settings)
    (folder / "cfg.json").write_text(json.dumps(config))
    tensors = {"W_enc": numpy.ascontiguousarray(decoder.T), "W_dec": decoder,
               "b_enc": numpy.zeros(features, numpy.float32),
               "b_dec": numpy.zeros(width, numpy.float32)}
    if config["architecture"] == "jumprelu":
        tensors["threshold"] = numpy.full(features, threshold, numpy.float32)
    save_file(tensors, folder / "sae_weights.safetensors")


root = Path(sys.argv[1])
write(root / "res.0")
write(root / "res.1", architecture="jumprelu")
write(root / "res.2", architecture="topk", k=2,
      normalize_activations="layer_norm")
write(root / "mlp.1", normalize_activations="constant_norm_rescale")

# The same rows in every layer, one place further in layer 1 and three in layer 2:
# 0/res/I, 1/res/I+1 and 2/res/I+3 (modulo 6) belong together.
flow = root / "flow"
thresholds = [1, 1, 1, 1, 0, 1]  # feature 4 of layer 1 cannot be folded
write(flow / "res.0", architecture="jumprelu")
write(flow / "res.1", numpy.roll(DECODER, 1, axis=0), thresholds, architecture="jumprelu")
write(flow / "res.2", numpy.roll(DECODER, 3, axis=0), architecture="jumprelu")
# 2/mlp/0 has a cosine of 0.71 with 2/res/3 and 2/res/2, and 0.5 with 2/res/0.
write(flow / "mlp.2", numpy.array([[1, 0, 0, 1], [0, 0, 1, 0], [0, -1, 0, 0]], numpy.float32))
# Not similar to any of those.
write(flow / "mlp.1", numpy.array([[0, 0, 0, -1]], numpy.float32))

# Files that say where they belong: right at 0/res, wrong at 1/res, no site at 2/res, of another model's words at 3/res.
said = root / "said"
for layer, hook in enumerate(("blocks.1.hook_resid_pre", "blocks.1.hook_mlp_out", "blocks.2.ln2.hook_normalized", "gpt.3")):
    write(said / f"res.{layer}", metadata={"hook_name": hook})

nan = DECODER.copy()
nan[2, 1] = numpy.nan
write(root / "nan" / "res.0")
write(root / "nan" / "res.1", nan)
# Rows of another width.
write(root / "nan" / "res.2", numpy.ones((6, 5), numpy.float32))
