# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes a small .pt2 archive, or one that is wrong in a way that is asked for; compares two.

    archive.py make PATH [EDIT ...]     EDIT is Python that changes `model`, `graph`, `nodes`, ...
    archive.py same A B                 fails unless both hold the same program and payloads
    archive.py show PATH EXPRESSION     prints a part of the program as JSON

The program looks up a table and adds a bias: what torch.export writes, by hand, so that the test
needs no PyTorch.
"""

import json
import struct
import sys
import zipfile

S0 = "Symbol('s0', positive=True, integer=True)"


def expr(text, hint):
    return {"as_expr": {"expr_str": text, "hint": {"as_int": hint}}}


def ints(*values):
    return [{"as_int": value} for value in values]


def meta(sizes, strides, dtype=7, grad=False):
    return {"dtype": dtype, "sizes": sizes, "requires_grad": grad, "device": {"type": "cpu", "index": None},
            "strides": strides, "storage_offset": {"as_int": 0}, "layout": 7}


def tensor(name):
    return {"as_tensor": {"name": name}}


def argument(name, value, kind=1):
    return {"name": name, "arg": value, "kind": kind}


def node(target, inputs, outputs, name, **more):
    return {"target": target, "inputs": inputs, "outputs": outputs,
            "metadata": {"nn_module_stack": "L__self__,,main.Model", "torch_fn": "f"},
            "is_hop_single_tensor_return": None, "name": name, **more}


def leaf():
    return {"type": None, "context": None, "children_spec": []}


def spec(kind, children, context="null"):
    return {"type": f"builtins.{kind}", "context": context, "children_spec": children}


def program():
    table, bias, scale = meta(ints(8, 4), ints(4, 1), grad=True), meta(ints(4), ints(1)), meta([], [])
    rows = [expr(S0, 2)]
    hidden, total = (meta(rows + ints(4), ints(4, 1)) for _ in range(2))
    return {
        "graph_module": {
            "graph": {
                "inputs": [tensor("p_table"), tensor("b_bias"), tensor("c_scale"), tensor("ids")],
                "outputs": [tensor("add")],
                "nodes": [
                    node("torch.ops.aten.sym_size.int",
                         [argument("self", tensor("ids")), argument("dim", {"as_int": 0})],
                         [{"as_sym_int": {"as_name": "rows"}}], "rows"),
                    node("torch.ops.aten.embedding.default",
                         [argument("weight", tensor("p_table")), argument("indices", tensor("ids"))],
                         [tensor("embedding")], "embedding"),
                    node("torch.ops.aten.expand.default",
                         [argument("self", tensor("b_bias")),
                          argument("size", {"as_sym_ints": [{"as_name": "rows"}, {"as_int": 4}]})],
                         [tensor("expand")], "expand"),
                    node("torch.ops.aten.split.Tensor",
                         [argument("self", tensor("embedding")), argument("split_size", {"as_int": 2}),
                          argument("dim", {"as_int": -1})],
                         [{"as_tensors": [{"name": "getitem"}, {"name": "getitem_1"}]}], "split"),
                    node("torch.ops.aten.add.Tensor",
                         [argument("self", tensor("embedding")), argument("other", tensor("expand")),
                          argument("alpha", {"as_float": 2.0}, 2)],
                         [tensor("add")], "add"),
                ],
                "tensor_values": {
                    "p_table": table, "b_bias": bias, "c_scale": scale,
                    "ids": meta(rows, ints(1), 5), "embedding": hidden,
                    "expand": meta(rows + ints(4), ints(0, 1)),
                    "getitem": meta(rows + ints(2), ints(4, 1)), "getitem_1": meta(rows + ints(2), ints(4, 1)),
                    "add": total,
                },
                "sym_int_values": {"rows": expr(S0, 2)}, "sym_bool_values": {}, "sym_float_values": {},
                "is_single_tensor_return": False, "custom_obj_values": {},
            },
            "signature": {
                "input_specs": [
                    {"parameter": {"arg": {"name": "p_table"}, "parameter_name": "table"}},
                    {"buffer": {"arg": {"name": "b_bias"}, "buffer_name": "bias", "persistent": False}},
                    {"tensor_constant": {"arg": {"name": "c_scale"}, "tensor_constant_name": "scale"}},
                    {"user_input": {"arg": tensor("ids")}},
                ],
                "output_specs": [{"user_output": {"arg": tensor("add")}}],
            },
            "module_call_graph": [{"fqn": "", "signature": {
                "inputs": [], "outputs": [],
                "in_spec": json.dumps([1, spec("tuple", [spec("tuple", [leaf()]), spec("dict", [], "[]")])]),
                "out_spec": json.dumps([1, leaf()]), "forward_arg_names": ["ids"]}}],
            "metadata": {}, "treespec_namedtuple_fields": {},
        },
        "opset_version": {"aten": 10}, "range_constraints": {"s0": {"min_val": 1, "max_val": 9}},
        "schema_version": {"major": 8, "minor": 20}, "verifiers": ["TRAINING"], "torch_version": "2.13.0",
        "guards_code": [],
    }


def payload(name, value, parameter):
    return {"path_name": name, "is_param": parameter, "use_pickle": False, "tensor_meta": value}


def make(path, edits):
    model = program()
    names = {
        "model": model, "graph": model["graph_module"]["graph"], "module": model["graph_module"],
        "nodes": model["graph_module"]["graph"]["nodes"],
        "values": model["graph_module"]["graph"]["tensor_values"],
        "inputs": model["graph_module"]["signature"]["input_specs"],
        "outputs": model["graph_module"]["signature"]["output_specs"],
        "tensor": tensor, "argument": argument, "node": node, "meta": meta, "ints": ints, "expr": expr,
        "leaf": leaf, "spec": spec, "json": json,
    }
    weights = {"table": payload("weight_0", meta(ints(8, 4), ints(4, 1), grad=True), True)}
    constants = {"bias": payload("tensor_0", meta(ints(4), ints(1)), False),
                 "scale": payload("tensor_1", meta([], []), False)}
    names.update(weights=weights, constants=constants)
    for edit in edits:
        exec(edit, names)  # the edits are the test's own
    records = {
        "data/weights/weight_0": struct.pack("<32f", *range(32)),
        "data/weights/model_weights_config.json": json.dumps({"config": weights}).encode(),
        "data/constants/tensor_0": struct.pack("<4f", 1, 2, 3, 4),
        "data/constants/tensor_1": struct.pack("<f", 0.5),
        "data/constants/model_constants_config.json": json.dumps({"config": constants}).encode(),
        "models/model.json": json.dumps(model).encode(),
        "data/sample_inputs/model.pt": b"sample",
        "archive_format": b"pt2", "archive_version": b"0", "byteorder": b"little",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in records.items():
            archive.writestr("model/" + name, content)


def read(path):
    with zipfile.ZipFile(path) as archive:
        content = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}
    return {name: json.loads(data) if name.endswith(".json") else data
            for name, data in content.items() if not name.startswith(".data/")}


def difference(a, b, path=""):
    """The first place where two JSON values differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            if key not in a or key not in b:
                return f"{path}/{key} is missing on one side"
            if found := difference(a[key], b[key], f"{path}/{key}"):
                return found
        return None
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, pair in enumerate(zip(a, b)):
            if found := difference(*pair, f"{path}/{index}"):
                return found
        return None
    # True is 1 in Python, and not in JSON.
    equal = a == b and isinstance(a, bool) == isinstance(b, bool)
    return None if equal else f"{path}: {str(a)[:200]} against {str(b)[:200]}"


def main():
    command, path, *rest = sys.argv[1:]
    if command == "make":
        make(path, rest)
    elif command == "same":
        a, b = read(path), read(rest[0])
        print(difference(a, b) or "the same")
    else:
        content = read(path)
        model = content["models/model.json"]
        names = {"model": model, "module": model["graph_module"], "graph": model["graph_module"]["graph"],
                 "content": content, "json": json}
        print(json.dumps(eval(rest[0], names), sort_keys=True, default=repr))


main()
