# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What goes wrong in an export."""

from ..errors import WeirError


class ExportError(WeirError):
    """Something the person can mend: a missing file, a bad option, a model that is not supported."""


class UnsupportedModel(ExportError):
    """The model does something that an exported program with a KV cache inside would not do."""
