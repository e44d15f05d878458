# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Makes and checks files for InteropTest.cpp: interop.py COMMAND FOLDER."""

import json
import pathlib
import sys

import numpy as np
import safetensors.torch
import torch

NUMPY_TYPES = "float64 float32 float16 int64 int32 int16 int8 uint8 bool".split()


def ramp(dtype):
    numbers = np.arange(12).reshape(3, 4)
    return (numbers % 2 if dtype == "bool" else numbers).astype(dtype)


def make_tensors(folder):
    arrays = {name: ramp(name) for name in NUMPY_TYPES}
    fortran = np.asfortranarray(ramp("float32"))
    np.savez(folder / "stored.npz", fortran=fortran, **arrays)
    np.savez_compressed(folder / "deflated.npz", fortran=fortran, **arrays)
    np.save(folder / "plain.npy", ramp("float32"))
    np.save(folder / "fortran.npy", np.asfortranarray(ramp("float64")))
    np.save(folder / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(folder / "big.npy", ramp("float32").astype(">f4"))
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    tensors["bfloat16"] = torch.from_numpy(ramp("float32")).to(torch.bfloat16)
    safetensors.torch.save_file(tensors, folder / "x.safetensors")
    turned = tensors | {"fortran": torch.from_numpy(fortran), "parameter": torch.nn.Parameter(tensors["float32"])}
    torch.save(turned, folder / "x.pt")
    layer = torch.nn.Linear(4, 3, bias=False)
    layer.weight.data = torch.from_numpy(ramp("float32"))
    torch.save(layer.state_dict(), folder / "module.pt")
    torch.save(layer, folder / "object.pt")


def check_tensors(folder):
    written = safetensors.torch.load_file(folder / "out.safetensors")
    expected = safetensors.torch.load_file(folder / "x.safetensors")
    assert written.keys() == expected.keys()
    for name, tensor in expected.items():
        assert written[name].dtype == tensor.dtype, name
        assert torch.equal(written[name], tensor), name
    with safetensors.safe_open(folder / "out.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
    arrays = np.load(folder / "out.npz")
    assert sorted(arrays.files) == sorted(NUMPY_TYPES)
    for name in NUMPY_TYPES:
        assert arrays[name].dtype == ramp(name).dtype, name
        assert np.array_equal(arrays[name], ramp(name)), name
    for mode in (None, "r"):
        assert np.load(folder / "out.npy", mmap_mode=mode).shape == (3, 4)
    scalar = np.load(folder / "scalar.npy")
    assert scalar.shape == () and scalar == 7


class Model(torch.nn.Module):
    """Small, with what makes archives particular: tied weights, a view with
    strides and an offset, types besides f32, constants, a zero with a sign."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = torch.nn.Embedding(11, 8)
        self.middle = torch.nn.Linear(8, 8)
        self.head = torch.nn.Linear(8, 11, bias=False)
        self.head.weight = self.embedding.weight
        grid = torch.randn(4, 5)
        self.register_buffer("grid", grid)
        self.register_buffer("slice", grid[1:, :4].t())
        self.register_buffer("steps", torch.arange(4))
        self.register_buffer("mask", torch.tensor([True, False, True]))
        self.register_buffer("none", torch.zeros(0, 3))
        self.register_buffer("cache", torch.ones(3, 4, dtype=torch.bfloat16), persistent=False)

    def forward(self, ids):
        x = self.middle(self.embedding(ids)) * 0.1 + 1e-5
        x = torch.clamp(x, -float("inf"), 3.4028234663852886e38)
        x = torch.nn.functional.gelu(x, approximate="tanh") + torch.tensor([0.25])
        zero = torch.full((1,), -0.0).copysign(torch.full((1,), -0.0))
        extra = self.slice.sum() + self.cache.float().sum() + self.steps.sum() + self.mask.sum()
        return self.head(x) + extra + self.grid.mean() + self.none.sum(), zero


def make_program(folder):
    ids = torch.arange(10).reshape(2, 5)
    program = torch.export.export(
        Model().eval(), (ids,), dynamic_shapes={"ids": {1: torch.export.Dim("length", max=64)}}
    )
    torch.export.save(
        program, folder / "program.pt2", extra_files={"weir.json": json.dumps({"weir": 1})}
    )


def check_program(folder):
    extra = {"weir.json": "", "added.txt": ""}
    before = torch.export.load(folder / "program.pt2")
    after = torch.export.load(folder / "rewritten.pt2", extra_files=extra)
    assert extra == {"weir.json": '{"weir": 1}', "added.txt": "a text"}, extra
    assert str(before.graph) == str(after.graph)
    ids = torch.arange(21).reshape(3, 7)[:2] % 11
    for expected, given in zip(before.module()(ids), after.module()(ids), strict=True):
        assert torch.equal(expected, given)
        assert torch.equal(expected.signbit(), given.signbit())
    ramp = torch.arange(1.0, 7.0)
    assert torch.equal(after.state_dict["weir.p"], ramp.reshape(2, 3))
    assert isinstance(after.state_dict["weir.p"], torch.nn.Parameter)
    assert torch.equal(after.state_dict["weir.b"], ramp.view(torch.int8))
    assert torch.equal(after.constants["weir.c"], ramp)
    assert after.constants["weir.empty"].shape == (0, 2)
    # Torch saves what it loaded, so the program is whole.
    torch.export.save(after, folder / "again.pt2")


if __name__ == "__main__":
    command = {
        "make-tensors": make_tensors,
        "check-tensors": check_tensors,
        "make-program": make_program,
        "check-program": check_program,
    }[sys.argv[1]]
    command(pathlib.Path(sys.argv[2]))
