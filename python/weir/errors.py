# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What goes wrong and can be told in one line."""


class WeirError(Exception):
    """Something the person can mend: a missing file, a bad option, a model that is not supported."""


class InputError(WeirError):
    """A file that was read and is not what it has to be: the message names the place in it. Commands end with status 2."""


class WeirWarning(UserWarning):
    """Something that was done, and that the person may want otherwise."""


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its type where it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
