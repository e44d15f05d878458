# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Pictures and stories of flow graphs.

    graph.py    graphs out of the JSON that weirc writes
    about.py    what is known of their features: contexts, promoted tokens, density
    layout.py   where nodes lie, by Graphviz
    drawing.py  the picture as SVG
    page.py     one HTML file around it
    story.py    a graph told as text
"""
