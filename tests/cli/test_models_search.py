"""Finding a model from the command line, and finding out what runs it fastest."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import BUILTIN, clean_environment


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zerostart", "models", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(home, COLUMNS="200"),
    )


def ids(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    return [each["id"] for each in json.loads(done.stdout)]


def test_search_prints_the_best_first(home: Path) -> None:
    done = run(home, "search", "zstc", "spanish", "small")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("Recognai/zeroshot_selectra_small") < done.stdout.index(
        "Recognai/zeroshot_selectra_medium"
    )
    found = ids(
        run(home, "search", "deberta", "zeroshot", "--commercial", "--max-parameters", "200", "--format", "json")
    )
    assert found == ["MoritzLaurer/deberta-v3-base-zeroshot-v2.0-c"]


def test_ids_are_whole_also_in_a_narrow_terminal(home: Path) -> None:
    """They are there to be copied."""
    done = subprocess.run(
        [sys.executable, "-m", "zerostart", "models", "list", "--language", "tr"],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(home, COLUMNS="80"),
    )
    assert "emrecan/convbert-base-turkish-mc4-cased-multinli_tr" in done.stdout


def test_nothing_found_says_what_to_do(home: Path) -> None:
    done = run(home, "search", "pelmeni")
    assert "leave out a word or a filter" in done.stdout
    done = run(home, "list", "--language", "klingon")
    assert done.returncode == 1
    assert "language 'klingon'" in done.stderr


def test_list_has_the_whole_hub_and_says_what_is_here(home: Path) -> None:
    everything = json.loads(run(home, "list", "--format", "json").stdout)
    here = {each["id"]: each["local"] for each in everything}
    assert here[BUILTIN]["size_bytes"] > 10_000_000
    assert here["facebook/bart-large-mnli"] is None
    local = run(home, "list", "--local")
    assert "facebook" not in local.stdout
    assert BUILTIN in local.stdout


def test_show_prints_a_card_and_the_next_step(home: Path) -> None:
    shown = run(home, "show", "huggingface-zstc-facebook-bart-large-mnli").stdout
    assert "BART large MNLI" in shown
    assert "zerostart models pull facebook/bart-large-mnli" in shown
    shown = run(home, "show", BUILTIN).stdout
    assert "Banking77" in shown
    assert f"zerostart deploy {BUILTIN}" in shown
    assert json.loads(run(home, "show", BUILTIN, "--format", "json").stdout)["licence"] == "Apache-2.0"
    assert "neither in the catalogue" in run(home, "show", "nobody/nothing").stderr


@pytest.mark.slow
def test_bench_measures_and_what_it_found_is_used(home: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text(
        "One day I will see the world.\nWhisk the eggs.\nThe bank raised the rates.\nShe scored twice.\n" * 5
    )
    done = run(home, "bench", BUILTIN, "--texts", str(texts), "--labels", "travel,cooking,money,sport")
    assert done.returncode == 0, done.stderr
    assert "same first label" in done.stdout
    [kept] = (home / "tuning").iterdir()
    measured = json.loads(kept.read_text())["measurements"]
    assert {("openvino", "fp32"), ("openvino", "int8"), ("onnxruntime", "fp32")} <= {
        (each["engine"], each["precision"]) for each in measured
    }
    faithful = [each for each in measured if each["agreement"] >= 0.99]
    best = max(faithful, key=lambda each: each["pairs_per_s"])
    assert f"{best['engine']} in {best['precision']} is used for {BUILTIN} from now on." in done.stdout
    assert "left out" in done.stderr, "torch has no weights of the built-in model, and that is said"
    done = run(home, "optimize", BUILTIN, "--texts", str(texts))
    assert done.returncode == 1
    assert "'--labels'" in done.stderr
