# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What features mean.

    specs.py      specs as YAML that is read, changed and written
    windows.py    texts cut into windows of tokens
    recording.py  a program that records features over windows
    checkpoints.py  sums over a text, for a run that is killed and started again
    lens.py       what the end of a model makes of a vector
    report.py     contexts, promoted tokens, density and neighbours of features
    theme.py      the features of a theme, and a spec that steers by them
"""
