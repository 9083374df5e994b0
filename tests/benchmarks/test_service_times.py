"""What is made of measured times, and what the kept results say."""

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.capacity import USUAL
from benchmarks.queueing import BatchTimes, Endpoint
from benchmarks.service_times import fitted, kept

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
SHAPES = [(pairs, width) for width in (8, 16, 32, 64, 128) for pairs in (1, 2, 4, 8) if pairs * width <= 512]


def test_the_formula_is_found_again_and_its_ratios_are_those_of_the_noise() -> None:
    real = BatchTimes(0.002, 2e-4, 1e-7, special_tokens=3)
    chance = np.random.default_rng(0)
    measured = [(n, w, real.mean_s(n, w) * chance.uniform(0.9, 1.1)) for n, w in SHAPES for _ in range(50)]
    found, off = fitted(measured, special_tokens=3, max_tokens=512)
    for pairs, width in SHAPES:
        assert found.mean_s(pairs, width) == pytest.approx(real.mean_s(pairs, width), rel=0.03)
    assert off == pytest.approx(0.05, abs=0.01)
    assert 0.88 < min(found.ratios) < 0.92
    assert 1.08 < max(found.ratios) < 1.13


def test_no_part_of_the_formula_is_negative() -> None:
    """Times that grow less than with the tokens would fit best with a negative square."""
    measured = [(n, w, 0.001 + 1e-3 * (n * w) ** 0.5) for n, w in SHAPES]
    found, _ = fitted(measured, special_tokens=3, max_tokens=512)
    assert found.square_s == 0.0
    assert found.fixed_s > 0
    assert found.token_s > 0


def test_the_kept_results_follow_from_the_kept_times_to_the_last_digit() -> None:
    service, load = kept()
    loads = json.loads((RESULTS / "capacity.json").read_text("utf-8"))["loads"][f"{USUAL.name}, 2 instances"]
    endpoint = Endpoint(service, USUAL.of(load), 2, USUAL.calls)
    found = endpoint.at(0.8 * endpoint.saturated())
    assert (round(1000 * found.p50_s), round(1000 * found.p99_s)) == (loads["80%"]["p50_ms"], loads["80%"]["p99_ms"])


def test_the_page_about_scaling_has_the_figures_of_the_results() -> None:
    page = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text("utf-8")
    results = json.loads((RESULTS / "capacity.json").read_text("utf-8"))
    for shares in results["loads"].values():
        assert " | ".join(f"{each['p50_ms']:,}, {each['p99_ms']:,}" for each in shares.values()) in page
    for knees in _by_instances(results["knees"]).values():
        assert " | ".join(f"{each['calls_per_s']:g} ({each['of_saturation']:.0%})" for each in knees) in page


def _by_instances(knees: dict[str, dict[str, float]]) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {}
    for name, knee in knees.items():
        found.setdefault(name.partition(", ")[2], []).append(knee)
    return found
