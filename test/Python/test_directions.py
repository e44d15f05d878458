# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Directions out of values, against formulas; test/Integration/test_directions_of_texts.py has whole runs."""

from __future__ import annotations

import json

import numpy
import pytest
import safetensors
import safetensors.numpy
import scipy.optimize
import weir
from weir import directions


@pytest.fixture(scope="module")
def sets():
    random = numpy.random.default_rng(0)
    axis = random.normal(size=12)
    shared = random.normal(size=(9, 12)) * 3
    return shared + axis + random.normal(size=(9, 12)), shared - axis + random.normal(size=(9, 12))


def unit(vector):
    return vector / numpy.linalg.norm(vector)


def scaled(vector, positive, negative):
    """As long as the means are apart along it, and that way round."""
    return unit(vector) * (unit(vector) @ (positive.mean(0) - negative.mean(0)))


def test_the_mean_leads_from_one_mean_to_the_other(sets):
    positive, negative = sets
    numpy.testing.assert_allclose(directions.direction(positive, negative[:4]), positive.mean(0) - negative[:4].mean(0))


def test_the_first_component_is_that_of_the_second_moments(sets):
    positive, negative = sets
    differences = positive - negative
    want = numpy.linalg.eigh(differences.T @ differences)[1][:, -1]
    numpy.testing.assert_allclose(directions.direction(positive, negative, "pca", pairs=True),
                                  scaled(want, positive, negative), atol=1e-9)
    middle = (positive.mean(0) + negative[:5].mean(0)) / 2
    points = numpy.concatenate([positive, negative[:5]]) - middle
    want = numpy.linalg.eigh(points.T @ points)[1][:, -1]
    numpy.testing.assert_allclose(directions.direction(positive, negative[:5], "pca"),
                                  scaled(want, positive, negative[:5]), atol=1e-9)


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("penalty", [0.01, 1.0])
@pytest.mark.parametrize("width", [12, 60])  # more and fewer numbers than texts
def test_the_probe_is_the_best_one(pairs, penalty, width):
    random = numpy.random.default_rng(width)
    positive, negative = random.normal(size=(2, 20, width)) + 0.5 * random.normal(size=(2, 1, width))
    middle = (positive + negative) / 2 if pairs else (positive.mean(0) + negative.mean(0)) / 2
    points = numpy.concatenate([positive - middle, negative - middle])
    points /= numpy.sqrt((points ** 2).sum(1).mean())
    labels = numpy.repeat([1, -1], 20)

    def cost(weights):
        margins = labels * (points @ weights[:-1] + weights[-1])
        slopes = -labels / (1 + numpy.exp(margins)) / 40
        return (numpy.logaddexp(0, -margins).mean() + penalty / 2 * weights[:-1] @ weights[:-1],
                numpy.append(slopes @ points + penalty * weights[:-1], slopes.sum()))

    best = scipy.optimize.minimize(cost, numpy.zeros(width + 1), jac=True, options={"gtol": 1e-10}).x[:-1]
    got = directions.direction(positive, negative, "probe", pairs=pairs, penalty=penalty)
    numpy.testing.assert_allclose(got, scaled(best, positive, negative), atol=1e-4)


@pytest.mark.parametrize("method", directions.METHODS)
def test_directions_turn_and_grow_with_the_values(sets, method):
    positive, negative = sets
    got = directions.direction(positive, negative, method)
    assert got @ (positive.mean(0) - negative.mean(0)) > 0
    numpy.testing.assert_allclose(directions.direction(negative, positive, method), -got, atol=1e-9)
    turn = numpy.linalg.qr(numpy.random.default_rng(1).normal(size=(12, 12)))[0]
    moved = [values @ turn * 7 + 100 for values in sets]
    numpy.testing.assert_allclose(directions.direction(*moved, method), got @ turn * 7, atol=1e-5)


def test_texts_that_are_not_apart_have_no_direction(sets):
    positive, negative = sets
    for method in directions.METHODS:
        for pairs in (False, True):
            with pytest.raises(weir.WeirError, match="the same mean"):
                directions.direction(positive, positive, method, pairs=pairs)
    with pytest.raises(weir.WeirError, match="9 positive texts and 4 negative ones make no pairs"):
        directions.direction(positive, negative[:4], pairs=True)
    with pytest.raises(weir.WeirError, match="not finite"):
        directions.direction(positive * numpy.nan, negative)
    assert directions.apart(numpy.array([1.0]), numpy.array([[1], [3], [-9]]), numpy.array([[-4], [-20]])) == 3 / 5


def test_which_positions_count():
    assert directions.positions_of([1, 0, 0, 0, 1], "mean") == [1, 2, 3]
    assert directions.positions_of([1, 0, 0, 0, 1], "last") == [3]
    # Without a token before the text its own first one is left out, if it is not the only one.
    assert directions.positions_of([0, 0, 0], "mean") == [1, 2]
    assert directions.positions_of([0], "mean") == directions.positions_of([0, 1], "last") == [0]
    assert directions.positions_of([1, 1], "mean") == []


def test_sites():
    assert directions.sites_of(["1..2/res", "0/mlp", "2/res", "att"], 3) == ["1/res", "2/res", "0/mlp", "0/att", "1/att", "2/att"]
    for name in ("13", "res/13", "1/rex", "1..res", "-1/res", "1/res/5", "²/res", ""):
        with pytest.raises(weir.WeirError, match="is no site; sites are such as 13/res"):
            directions.sites_of([name], 3)
    for name in ("3/res", "1..3/res", "2..1/res"):
        with pytest.raises(weir.WeirError, match=f"there is no {name}; the model's layers are 0 to 2"):
            directions.sites_of([name], 3)


def test_texts(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffone\r\n\n two \n".encode())
    assert directions.texts_of(tmp_path / "a.txt") == ["one", " two "]
    (tmp_path / "a.jsonl").write_text('{"text": "a\\nb"}\n\n{"prompt": "c", "plan": "x"}\n')
    assert directions.texts_of(tmp_path / "a.jsonl") == ["a\nb", "c"]
    for name, text, reason in (("b.txt", "\n\n", "there is no text"), ("b.jsonl", "[1]", "line 1: an object with"),
                               ("c.jsonl", '{"text": "a"}\n{"text": 1}', "line 2: an object with"),
                               ("d.jsonl", "{", "line 1: "), ("e.jsonl", '{"text": "a", "prompt": "b"}', "line 1: an object")):
        (tmp_path / name).write_text(text)
        with pytest.raises(weir.WeirError, match=reason):
            directions.texts_of(tmp_path / name)


def test_files(tmp_path):
    one = directions.Direction("2/res", numpy.arange(3, dtype=numpy.float32), 1.0)
    pattern = str(tmp_path / "x" / "{site}.{layer}.safetensors")
    paths = directions.paths_for(pattern, ["1/res", "2/res"])
    assert [path.name for path in paths] == ["res.1.safetensors", "res.2.safetensors"]
    for _ in range(2):  # it may take the place of an older one
        directions.write(one, directions.paths_for(pattern, ["2/res"])[0], {"method": "mean"})
    assert safetensors.numpy.load_file(paths[1])["directions"].tolist() == [[0, 1, 2]]
    with safetensors.safe_open(paths[1], "np") as file:
        assert file.metadata() == {"format": "weir.direction", "site": "2/res", "method": "mean"}
    with pytest.raises(weir.WeirError, match="several sites: put {layer} and {site}"):
        directions.paths_for(str(tmp_path / "x.safetensors"), ["1/res", "2/res"])
    with pytest.raises(weir.WeirError, match="written as .safetensors"):
        directions.paths_for(str(tmp_path / "x.npy"), ["1/res"])
    with pytest.raises(weir.WeirError, match="is an input"):
        directions.paths_for(str(paths[1]), ["1/res"], [paths[1]])
    safetensors.numpy.save_file({"directions": numpy.zeros((1, 3), numpy.float32)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("not mine")
    (tmp_path / "json.safetensors").write_text(json.dumps({"format": "weir.direction"}))
    for name in ("other", "text", "json"):
        with pytest.raises(weir.WeirError, match="is there and no direction of Weir's"):
            directions.paths_for(str(tmp_path / f"{name}.safetensors"), ["1/res"])
    (tmp_path / "empty.safetensors").touch()
    assert directions.paths_for(str(tmp_path / "empty.safetensors"), ["1/res"])
