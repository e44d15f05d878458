# Part of the Weir project, under the Apache License v2.0 with LLVM Exceptions. See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""weir.matching against float64 loops and SciPy's assignment."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from weir import matching
from weir.errors import WeirError

SIMILARITIES = ("cosine", "dot", "mse")
KINDS = ("random", "ties", "duplicates", "zeros", "clusters", "equal", "line", "hubs", "wide")


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


@pytest.mark.parametrize("screen", ("auto", "f32", "bf16"))
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_top_k_is_the_float64_order(similarity, screen):
    rng = np.random.default_rng(1)
    for kind, (n, m, d) in itertools.product(KINDS, ((1, 1, 1), (7, 5, 3), (33, 130, 17), (40, 65, 64))):
        a, b = make(kind, n, m, d, rng)
        for k in {1, min(3, m), m}:
            check_top_k(a, b, k, similarity, matching.top_k(a, b, k, similarity, screen=screen))


@pytest.mark.parametrize("screen", ("f32", "bf16"))
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
    for screen, limit in (("f32", 1.2), ("bf16", 6)):
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
        screened = matching.permutation(a, b, similarity, dense_size=0, screen=("f32", "bf16")[trial // 2 % 2])
        check_assignment(a, b, similarity, screened)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "wide"])
def test_larger_assignments_equal_scipy(kind, similarity):
    rng = np.random.default_rng(6)
    for n, m in ((300, 300), (200, 320), (320, 250)):
        a, b = make(kind, n, m, 16, rng)
        check_assignment(a, b, similarity, matching.permutation(a, b, similarity, dense_size=0))


def test_planted_permutation_is_found():
    rng = np.random.default_rng(7)
    a = rng.standard_normal((800, 48)).astype(np.float32)
    order = rng.permutation(800)
    b = (a + np.float32(0.3) * rng.standard_normal(a.shape).astype(np.float32))[order]
    for similarity in SIMILARITIES:
        found = matching.permutation(a, b, similarity)
        np.testing.assert_array_equal(found.permutation, np.argsort(order))
        assert not found.dense and found.rounds <= 3 and found.priced_rows < 800


def test_threads_do_not_matter():
    rng = np.random.default_rng(8)
    before = torch.get_num_threads()
    for kind in ("random", "clusters", "ties"):
        a, b = make(kind, 400, 1500, 32, rng)
        for screen in ("f32", "bf16"):
            one, two = (matching.top_k(a, b, 5, threads=threads, screen=screen) for threads in (1, 2))
            np.testing.assert_array_equal(one.indices, two.indices)
            np.testing.assert_array_equal(one.values, two.values)
        one, two = (matching.permutation(a, b[:400], "cosine", threads=threads) for threads in (1, 2))
        np.testing.assert_array_equal(one.permutation, two.permutation)
        assert one.cost == two.cost
        np.testing.assert_array_equal(one.certificate.v, two.certificate.v)
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
