# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weir.matching against float64 loops and SciPy's assignment."""

import functools
import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from weir import matching
from weir.errors import WeirError

SIMILARITIES = ("cosine", "dot", "mse")
KINDS = ("random", "ties", "duplicates", "zeros", "clusters", "equal", "line", "hubs", "wide")


@functools.cache
def screens() -> tuple[str, ...]:
    """The screens that this processor has."""
    one = np.ones((1, 1), np.float32)
    try:
        matching.top_k(one, one, screen="int8")
    except WeirError as error:
        assert "no exact product of int8" in str(error)
        return "auto", "f32", "bf16"
    return "auto", "f32", "bf16", "int8"


def reference(a: np.ndarray, b: np.ndarray, similarity: str) -> np.ndarray:
    """The definition: float64 sums in the order of the index."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    total = np.zeros((len(a), len(b)))
    squares_a, squares_b = np.zeros(len(a)), np.zeros(len(b))
    for k in range(a.shape[1]):
        left, right = a[:, k, None], b[None, :, k]
        total += (left - right) ** 2 if similarity == "mse" else left * right
        squares_a += a[:, k] * a[:, k]
        squares_b += b[:, k] * b[:, k]
    if similarity == "mse":
        return -(total / a.shape[1])
    if similarity == "cosine":
        norms = np.sqrt(squares_a)[:, None] * np.sqrt(squares_b)[None, :]
        return np.divide(total, norms, out=np.zeros_like(total), where=norms > 0)
    return total


def make(kind: str, n: int, m: int, d: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    a, b = (rng.standard_normal((rows, d)).astype(np.float32) for rows in (n, m))
    if kind == "ties":
        a, b = (rng.integers(-1, 2, side.shape).astype(np.float32) for side in (a, b))
    elif kind == "duplicates":
        a, b = a[rng.integers(0, max(1, n // 4), n)], b[rng.integers(0, max(1, m // 5), m)]
    elif kind == "zeros":
        a[rng.random(n) < 0.4] = 0
        b[rng.random(m) < 0.4] = -0.0
    elif kind == "clusters":
        centres = rng.standard_normal((3, d)).astype(np.float32)
        a, b = (centres[rng.integers(0, 3, len(side))] + np.float32(1e-4) * side for side in (a, b))
    elif kind == "equal":
        a[:], b[:] = a[0], b[0]
    elif kind == "line":  # every row of a orders b alike, or the other way round
        a, b = a[:, :1] * b[:1], b[:, :1] * b[:1]
    elif kind == "hubs":
        b[: max(1, m // 8)] *= 30
    elif kind == "wide":  # norms over the range of float32
        a *= (10.0 ** rng.integers(-30, 18, (n, 1))).astype(np.float32)
        b *= (10.0 ** rng.integers(-30, 18, (m, 1))).astype(np.float32)
    return a, b


def best(values: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-values, axis=1, kind="stable")[:, :k]


def check_top_k(a, b, k, similarity, found):
    values = reference(np.asarray(a), np.asarray(b), similarity)
    expected = best(values, k)
    np.testing.assert_array_equal(found.indices, expected)
    np.testing.assert_array_equal(found.values, np.take_along_axis(values, expected, 1))


@pytest.mark.parametrize("screen", screens())
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_top_k_is_the_float64_order(similarity, screen):
    rng = np.random.default_rng(1)
    for kind, (n, m, d) in itertools.product(KINDS, ((1, 1, 1), (7, 5, 3), (33, 130, 17), (40, 65, 64))):
        a, b = make(kind, n, m, d, rng)
        for k in {1, min(3, m), m}:
            check_top_k(a, b, k, similarity, matching.top_k(a, b, k, similarity, screen=screen))


@pytest.mark.parametrize("screen", screens()[1:])
def test_top_k_over_many_blocks(screen):
    # More columns than a block holds, and enough pairs to settle early.
    rng = np.random.default_rng(2)
    for kind in ("random", "duplicates", "line", "clusters"):
        a, b = make(kind, 70, 2500, 24, rng)
        for similarity, k in zip(SIMILARITIES, (1, 9, 256)):
            check_top_k(a, b, k, similarity, matching.top_k(a, b, k, similarity, screen=screen))


def test_screen_leaves_few():
    rng = np.random.default_rng(3)
    a, b = make("random", 300, 3000, 256, rng)
    for screen, limit in zip(screens()[1:], (1.2, 1.2, 1.2)):
        found = matching.top_k(a, b, screen=screen)
        assert 300 <= found.survivors <= limit * 300
        assert found.screen == screen
    repeated = matching.top_k(a, np.repeat(b, 3, axis=0), screen="f32")
    assert repeated.distinct == 3000
    assert repeated.survivors <= 1.2 * 300


def test_element_types_strides_and_parts():
    rng = np.random.default_rng(4)
    a, b = make("random", 20, 30, 12, rng)
    half = matching.top_k(a.astype(np.float16), b.astype(np.float16), 2, "dot", screen="f32")
    check_top_k(a.astype(np.float16), b.astype(np.float16), 2, "dot", half)
    ta, tb = torch.from_numpy(a).bfloat16(), torch.from_numpy(b).bfloat16()
    found = matching.top_k(ta, tb, 4, "cosine", screen="bf16")
    check_top_k(ta.float(), tb.float(), 4, "cosine", found)
    # Views: transposed, reversed, broadcast.
    views = (np.asfortranarray(a), a[::-1, ::-1], np.broadcast_to(a[:1], a.shape))
    for view in views:
        check_top_k(view, b, 3, "mse", matching.top_k(view, b, 3, "mse", screen="f32"))
    parts_a, parts_b = [a, torch.from_numpy(a[:, :5]).T.contiguous().T, a[:, 0]], [b, b[:, :5], b[:, 0]]
    joined = np.concatenate([a, a[:, :5], a[:, :1]], 1), np.concatenate([b, b[:, :5], b[:, :1]], 1)
    for similarity in SIMILARITIES:
        check_top_k(*joined, 2, similarity, matching.top_k(parts_a, parts_b, 2, similarity))


def check_assignment(a, b, similarity, found):
    cost = -reference(a, b, similarity)
    rows, columns = linear_sum_assignment(cost)
    optimum = cost[rows, columns].sum()
    scale = np.abs(cost).max(initial=0) * max(1, min(cost.shape))
    assert found.cost == pytest.approx(optimum, rel=1e-12, abs=1e-12 * scale)
    matched = found.permutation >= 0
    assert matched.sum() == min(cost.shape)
    chosen = found.permutation[matched]
    assert len(set(chosen.tolist())) == len(chosen)
    assert found.cost == pytest.approx(cost[np.flatnonzero(matched), chosen].sum(), rel=1e-12, abs=1e-12 * scale)
    # The certificate, without trust in what the library says of it.
    u, v = found.certificate.u, found.certificate.v
    slack = cost - u[:, None] - v[None, :]
    rounding = 1e-12 * max(np.abs(cost).max(initial=0), np.abs(u).max(initial=0), np.abs(v).max(initial=0))
    assert slack.min(initial=0) >= -rounding
    assert found.certificate.worst_reduced_cost >= -rounding
    assert slack.min(initial=0) >= found.certificate.worst_reduced_cost - rounding
    assert np.abs(slack[np.flatnonzero(matched), chosen]).max(initial=0) <= rounding
    if len(a) < len(b):
        assert v.max(initial=-1) <= 0 and np.all(np.delete(v, chosen) == 0)
    elif len(a) > len(b):
        assert u.max(initial=-1) <= 0 and np.all(u[~matched] == 0)
    assert found.certificate.dual_cost == pytest.approx(u.sum() + v.sum(), abs=rounding * (len(a) + len(b)))
    assert abs(found.certificate.gap) <= rounding * (len(a) + len(b))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "wide"])
def test_small_assignments_equal_scipy(kind):
    # On the sparse graph and on the full matrix: 2,400 problems over the kinds.
    rng = np.random.default_rng(5)
    for trial in range(100):
        n, m = (int(size) for size in rng.integers(1, 28, 2))
        if trial % 2:
            m = n
        a, b = make(kind, n, m, int(rng.integers(1, 9)), rng)
        similarity = SIMILARITIES[trial % 3]
        for dense_size in (0, 1000):
            found = matching.permutation(a, b, similarity, dense_size=dense_size, candidates=2 + trial % 5)
            check_assignment(a, b, similarity, found)
            assert found.dense or dense_size == 0
        screened = matching.permutation(a, b, similarity, dense_size=0, screen=screens()[1:][trial // 2 % (len(screens()) - 1)])
        check_assignment(a, b, similarity, screened)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "wide"])
def test_larger_assignments_equal_scipy(kind, similarity):
    rng = np.random.default_rng(6)
    for n, m in ((300, 300), (200, 320), (320, 250)):
        a, b = make(kind, n, m, 16, rng)
        check_assignment(a, b, similarity, matching.permutation(a, b, similarity, dense_size=0))


def hard(kind: str, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Thousands of rows of the sorts that dictionaries bring with them."""
    a, b = (rng.standard_normal((count, 48)).astype(np.float32) for _ in range(2))
    if kind == "planted":
        b = (a + np.float32(0.5) * b)[rng.permutation(count)]
    elif kind == "duplicated":
        a, b = a[rng.integers(0, count // 10, count)], a[rng.integers(0, count // 10, count)]
    elif kind == "dead":
        a[rng.random(count) < 0.4] = 0
        b[rng.random(count) < 0.3] = 0
    elif kind == "clustered":
        centres = rng.standard_normal((count // 64, 48)).astype(np.float32)
        a, b = (centres[rng.integers(0, len(centres), count)] + np.float32(0.3) * side for side in (a, b))
    elif kind == "anisotropic":  # a strong common direction, and few that count
        scales = (2.0 ** -np.arange(48)).clip(1e-3).astype(np.float32)
        a, b = (side * scales + np.eye(1, 48, dtype=np.float32) * 3 for side in (a, b))
    elif kind == "equal":
        a[:], b[:] = a[0], a[0]
    elif kind == "norms":  # some columns are the best of every row
        b *= np.exp(rng.standard_normal((count, 1))).astype(np.float32)
    return a, b


# Rounds of pricing, arcs a row, and rows priced a row that these may take: about twice what they do take, and far
# less than a solver needs that goes astray.
BUDGETS = {"planted": (2, 40, 0.1), "uniform": (4, 110, 2), "duplicated": (4, 850, 0.5), "dead": (12, 300, 1.2),
           "clustered": (8, 140, 6), "anisotropic": (22, 650, 20), "equal": (2, 20, 0.1), "norms": (6, 120, 2.5)}


@pytest.mark.parametrize("similarity", ("cosine", "mse", "dot"))
@pytest.mark.parametrize("kind", BUDGETS)
def test_thousands_of_rows_stay_in_budget(kind, similarity):
    count = 3000
    a, b = hard(kind, count, np.random.default_rng(10))
    found = matching.permutation(a, b, similarity)
    rounds, arcs, priced = BUDGETS[kind]
    assert not found.dense
    assert found.rounds <= rounds
    assert found.arcs <= arcs * count
    assert found.priced_rows <= priced * count
    check_certificate(-fast_reference(a, b, similarity), found)


@pytest.mark.parametrize("shape", ((2000, 3500), (3500, 2000)))
def test_thousands_of_rows_of_one_side_stay_free(shape):
    rng = np.random.default_rng(11)
    for kind in ("uniform", "clustered", "dead"):
        a, b = (side[:rows] for side, rows in zip(hard(kind, max(shape), rng), shape))
        found = matching.permutation(a, b, "cosine")
        assert not found.dense and found.rounds <= 12 and found.arcs <= 130 * min(shape)
        check_certificate(-fast_reference(a, b, "cosine"), found)


def fast_reference(a: np.ndarray, b: np.ndarray, similarity: str) -> np.ndarray:
    """As `reference`, but for the order of the sums: within 1e-13 of it."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    dots = a @ b.T
    squares = (a * a).sum(1)[:, None], (b * b).sum(1)[None, :]
    if similarity == "mse":
        return (2 * dots - squares[0] - squares[1]) / a.shape[1]
    if similarity == "cosine":
        norms = np.sqrt(squares[0]) * np.sqrt(squares[1])
        return np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0)
    return dots


def check_certificate(cost: np.ndarray, found: matching.Permutation) -> None:
    """The duals prove the optimum: no need for another solver."""
    u, v = found.certificate.u, found.certificate.v
    matched = np.flatnonzero(found.permutation >= 0)
    chosen = found.permutation[matched]
    assert len(matched) == min(cost.shape) == len(set(chosen.tolist()))
    scale = max(1, np.abs(cost).max(), np.abs(u).max(), np.abs(v).max())
    assert (cost - u[:, None] - v[None, :]).min() >= -1e-12 * scale
    assert abs(cost[matched, chosen].sum() - u.sum() - v.sum()) <= 1e-12 * scale * len(matched)
    if cost.shape[0] != cost.shape[1]:
        free = np.delete(v, chosen) if cost.shape[0] < cost.shape[1] else u[found.permutation < 0]
        assert np.all(free == 0) and (v if cost.shape[0] < cost.shape[1] else u).max() <= 0


def test_planted_permutation_is_found():
    rng = np.random.default_rng(7)
    a = rng.standard_normal((800, 48)).astype(np.float32)
    order = rng.permutation(800)
    b = (a + np.float32(0.3) * rng.standard_normal(a.shape).astype(np.float32))[order]
    for similarity in SIMILARITIES:
        found = matching.permutation(a, b, similarity)
        np.testing.assert_array_equal(found.permutation, np.argsort(order))
        assert not found.dense and found.rounds <= 3 and found.priced_rows < 800


def well_matched(shape: tuple[int, int], noise: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Most rows look like one of the other side, in a part of the numbers already: what is told from the first of
    them. Some look like none, some are there twice, some are dead, and their norms differ."""
    n, m = shape
    a = rng.standard_normal((n, 160)).astype(np.float32)
    b = np.concatenate([a[rng.permutation(n)], rng.standard_normal(a.shape).astype(np.float32)])[:m]
    b += np.float32(noise) * rng.standard_normal(b.shape).astype(np.float32)
    strangers = rng.random(m) < 0.05
    b[strangers] = rng.standard_normal((strangers.sum(), 160))
    a[5], a[9], b[7], b[11] = a[6], 0, b[8], 0
    a *= np.exp(rng.uniform(-0.2, 0.2, (n, 1))).astype(np.float32)
    return a, b


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("noise", (0.1, 0.4, 0.8, 1.5))
def test_rows_that_match_well_are_told_by_their_first_numbers(noise, similarity):
    rng = np.random.default_rng(12)
    for shape in ((2100, 2100), (2300, 2100), (2100, 2600)):
        a, b = well_matched(shape, noise, rng)
        found, whole = (matching.top_k(a, b, 1, similarity, screen=screen) for screen in ("auto", "f32"))
        np.testing.assert_array_equal(found.indices, whole.indices)
        np.testing.assert_array_equal(found.values, whole.values)
        again = matching.top_k(a, b, 1, similarity, threads=2)
        assert np.array_equal(found.indices, again.indices) and found.survivors == again.survivors
        sample = rng.choice(len(a), 40, replace=False)
        values = reference(a[sample], b, similarity)
        np.testing.assert_array_equal(found.indices[sample], best(values, 1))
        np.testing.assert_array_equal(found.values[sample], np.take_along_axis(values, best(values, 1), 1))
        check_certificate(-fast_reference(a, b, similarity), matching.permutation(a, b, similarity))


def test_threads_do_not_matter():
    rng = np.random.default_rng(8)
    before = torch.get_num_threads()
    for kind in ("random", "clusters", "ties"):
        a, b = make(kind, 400, 1500, 32, rng)
        for screen in screens()[1:]:
            one, *others = (matching.top_k(a, b, 5, threads=threads, screen=screen) for threads in (1, 2, 3))
            for other in others:
                np.testing.assert_array_equal(one.indices, other.indices)
                np.testing.assert_array_equal(one.values, other.values)
                assert one.survivors == other.survivors
        for columns in (400, 700):
            one, *others = (matching.permutation(a, b[:columns], "cosine", threads=threads) for threads in (1, 2, 3))
            for other in others:
                np.testing.assert_array_equal(one.permutation, other.permutation)
                assert (one.cost, one.rounds, one.arcs, one.priced_rows, one.survivors) == (
                    other.cost, other.rounds, other.arcs, other.priced_rows, other.survivors)
                np.testing.assert_array_equal(one.certificate.u, other.certificate.u)
                np.testing.assert_array_equal(one.certificate.v, other.certificate.v)
    assert torch.get_num_threads() == before


def test_lower_precision_of_torch_is_allowed_for():
    rng = np.random.default_rng(9)
    a, b = make("random", 60, 1500, 40, rng)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        check_top_k(a, b, 3, "cosine", matching.top_k(a, b, 3, screen="f32"))
    finally:
        torch.set_float32_matmul_precision(before)


def test_compositions_are_numpys():
    rng = np.random.default_rng(12)
    first, second = rng.integers(-1, 40, 60), rng.integers(-1, 30, 40)
    expected = np.where(first < 0, -1, second[first])
    np.testing.assert_array_equal(matching.compose(first, second), expected)
    with pytest.raises(WeirError, match="entry 0 of the first map is 40"):
        matching.compose(np.array([40]), second)
    with pytest.raises(WeirError, match="first: expected int64 of rank 1, got float64"):
        matching.compose(np.ones(3), second)
    a, b, c = (rng.standard_normal((size, 6)).astype(np.float32) for size in (20, 30, 25))
    one, two = matching.top_k(a, b, 4), matching.top_k(b, c, 3)
    steps = []
    for found, size in ((one, 30), (two, 25)):
        step = np.zeros((len(found.indices), size))
        np.put_along_axis(step, found.indices, np.maximum(found.values, 0), 1)
        steps.append(step)
    paths = (steps[0][:, :, None] * steps[1][None]).max(1)
    made = matching.compose_top_k(one, two, 5)
    for i in range(20):
        order = np.argsort(-paths[i], kind="stable")[:5]
        order = order[paths[i, order] > 0]
        got = slice(made.starts[i], made.starts[i + 1])
        np.testing.assert_array_equal(made.indices[got], order)
        np.testing.assert_array_equal(made.weights[got], paths[i, order])
    with pytest.raises(WeirError, match="keep = 0 is less than 1"):
        matching.compose_top_k(one, two, 0)
    with pytest.raises(WeirError, match="the second map has 20 rows"):
        matching.compose_top_k(one, matching.top_k(a, b), 2)


def test_mutual_best_is_numpys():
    rng = np.random.default_rng(13)
    a, b = (rng.standard_normal((size, 5)).astype(np.float32) for size in (50, 70))
    forward, backward = matching.top_k(a, b, 2), matching.top_k(b, a)
    best, back = forward.indices[:, 0], backward.indices[:, 0]
    expected = np.where(back[best] == np.arange(50), best, -1)
    np.testing.assert_array_equal(matching.mutual_best(forward, backward), expected)
    np.testing.assert_array_equal(matching.mutual_best(best[:, None], back[:, None]), expected)
    assert 0 < (expected >= 0).sum() < 50
    with pytest.raises(WeirError, match="but the way back has 50 rows"):
        matching.mutual_best(forward, forward)


def test_quality_is_numpys():
    rng = np.random.default_rng(14)
    a, b = (rng.standard_normal((size, 7)).astype(np.float32) for size in (40, 30))
    match = rng.integers(-1, 30, 40)
    found = matching.quality([a, a[:, 0]], [b, b[:, 0]], match, [0, 0.3, 0.95, 1])
    a, b = (np.concatenate([side, side[:, :1]], 1) for side in (a, b))
    kept = match >= 0
    cosine, error = (reference(a, b, kind)[np.flatnonzero(kept), match[kept]] for kind in ("cosine", "mse"))
    assert found.pairs == kept.sum()
    np.testing.assert_array_equal(found.cosine[kept], cosine)
    np.testing.assert_array_equal(found.squared_error[kept], -error)
    assert np.isnan(found.cosine[~kept]).all() and np.isnan(found.squared_error[~kept]).all()
    assert found.mean_cosine == pytest.approx(cosine.mean()) and found.mean_squared_error == pytest.approx(-error.mean())
    np.testing.assert_allclose(found.error_quantiles, np.quantile(-error, [0, 0.3, 0.95, 1]), rtol=1e-12)
    with pytest.raises(WeirError, match="there are 3 matches"):
        matching.quality(a, b, match[:3])
    with pytest.raises(WeirError, match="quantile is outside"):
        matching.quality(a, b, match, [1.5])
    with pytest.raises(WeirError, match="has match 30"):
        matching.quality(a, b, np.full(40, 30))


def test_folding_keeps_the_output():
    rng = np.random.default_rng(15)
    encoder, decoder = (rng.standard_normal((30, 8)).astype(np.float32) for _ in range(2))
    bias, threshold = (rng.standard_normal(30).astype(np.float32) for _ in range(2))
    means = rng.standard_normal(30).astype(np.float32)
    decoder[4] = 0
    inputs = rng.standard_normal((200, 8)).astype(np.float32)

    def output(encoder, bias, threshold, decoder):
        before = inputs.astype(np.float64) @ encoder.T + bias
        return np.where(before > threshold, before, 0) @ decoder

    whole = output(encoder, bias, threshold, decoder)
    folds = ((lambda d, **more: matching.fold_thresholds(d, more.pop("threshold"), **more), threshold <= 0),
             (matching.fold_decoder_norms, np.arange(30) == 4),
             (lambda d, **more: matching.fold_mean_activations(d, means, **more), means <= 0))
    for fold, stays in folds:
        sides = {"encoder": encoder.copy(), "bias": bias.copy(), "threshold": threshold.copy()}
        rows = decoder.copy()
        np.testing.assert_array_equal(fold(rows, **sides), np.flatnonzero(stays))
        np.testing.assert_allclose(output(**sides, decoder=rows), whole, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(rows[stays], decoder[stays])
        assert not np.array_equal(rows, decoder)
    with pytest.raises(WeirError, match=r"bias: expected a dense float32 array \[30\]"):
        matching.fold_decoder_norms(decoder, bias=bias[:3])
    with pytest.raises(WeirError, match="encoder: expected"):
        matching.fold_decoder_norms(decoder, encoder=encoder.T)
    frozen = decoder.copy()
    frozen.flags.writeable = False
    with pytest.raises(WeirError, match="cannot be written"):
        matching.fold_decoder_norms(frozen)
    with pytest.raises(WeirError, match="mean activation of feature 3 is not finite"):
        means[3] = np.nan
        matching.fold_mean_activations(decoder, means)


def test_devices():
    a, b = make("random", 40, 3000, 32, np.random.default_rng(16))
    one, two = matching.top_k(a, b, 3), matching.top_k(a, b, 3, device="auto")
    np.testing.assert_array_equal(one.indices, two.indices)
    np.testing.assert_array_equal(one.values, two.values)
    with pytest.raises(WeirError, match="unknown device 'tpu'"):
        matching.top_k(a, b, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(WeirError, match="no CUDA device"):
            matching.permutation(a, b, device="cuda")


def test_empty_sides():
    none, some = np.zeros((0, 4), np.float32), np.ones((3, 4), np.float32)
    assert matching.top_k(none, some).indices.shape == (0, 1)
    assert matching.permutation(none, some).permutation.shape == (0,)
    assert matching.permutation(some, none).permutation.tolist() == [-1, -1, -1]


def test_bad_inputs_are_named():
    a, b = np.ones((3, 4), np.float32), np.ones((5, 4), np.float32)
    bad = b.copy()
    bad[2, 3] = np.nan
    with pytest.raises(WeirError, match=r"matrix 'b' has NaN at \[2, 3\]"):
        matching.top_k(a, bad)
    bad[2, 3] = -np.inf
    with pytest.raises(WeirError, match=r"matrix 'b' has infinity at \[2, 0\] of part 1"):
        matching.permutation([a, a[:, 0]], [b, bad[:, 3]])
    with pytest.raises(WeirError, match="rows of 4 numbers, matrix 'b' of 3"):
        matching.top_k(a, b[:, :3])
    with pytest.raises(WeirError, match="k = 6, but matrix 'b' has only 5 rows"):
        matching.top_k(a, b, 6)
    for k in (0, -1, 257):
        with pytest.raises(WeirError, match=f"k = {k} is outside 1..256"):
            matching.top_k(a, b, k)
    with pytest.raises(WeirError, match="matrix 'b' has no row"):
        matching.top_k(a, b[:0])
    with pytest.raises(WeirError, match="rows without numbers"):
        matching.top_k(a[:, :0], b[:, :0])
    with pytest.raises(WeirError, match="matrix 'a' has no part"):
        matching.top_k([], b)
    with pytest.raises(WeirError, match="part 1: 2 rows, but part 0 has 3"):
        matching.top_k([a, a[:2]], [b, b])
    with pytest.raises(WeirError, match="element type float64"):
        matching.top_k(a.astype(np.float64), b)
    with pytest.raises(WeirError, match="element type torch.int64"):
        matching.top_k(torch.ones(3, 4, dtype=torch.int64), b)
    with pytest.raises(WeirError, match="unknown similarity 'pearson'"):
        matching.top_k(a, b, similarity="pearson")
    with pytest.raises(WeirError, match="rank 3"):
        matching.top_k(a[None], b)
    with pytest.raises(WeirError, match="got str"):
        matching.permutation("a", b)
