"""zerostart evaluate and compare as a user types them: real processes, on the engine that makes up its answers."""

import csv
import json
import os
from pathlib import Path

import pytest

from tests.cli.test_cli import refused, run
from tests.evaluation.planted import LABELS, PLANTED, asked, fake_model, texts
from tests.processes import ServerProcess

FAKE = {"ZEROSTART_ENGINE": "fake"}


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose labels are what the fake engine answers to one template, but for a tenth."""
    folder = tmp_path_factory.mktemp("tickets")
    own = texts(160)
    with fake_model(folder / "home") as ask:
        right = asked(ask, own).best.copy()
    right[::10] = (right[::10] + 1) % len(LABELS)
    path = folder / "tickets.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(zip(own, (LABELS[place].name for place in right), strict=True))
    return path


def test_a_file_is_measured_tuned_and_classified_by_its_profile(home: Path, tickets: Path, tmp_path: Path) -> None:
    report, found, profile = tmp_path / "r.html", tmp_path / "r.json", tmp_path / "p.json"
    outputs = ["--report", str(report), "--json", str(found), "--save-profile", str(profile)]
    done = run(home, "evaluate", str(tickets), *outputs, "--try-template", PLANTED, **FAKE)
    assert done.returncode == 0, done.stderr
    assert "160 texts, 4 labels, zerostart-zstc-small" in done.stdout
    assert "Tuned on 80 rows, measured on 80 others" in done.stdout
    assert "The tuned profile is better than the default" in " ".join(done.stdout.split())
    assert "<!doctype html>" in report.read_text()
    assert json.loads(found.read_text())["tuning"]["profile"]["hypothesis_template"] == PLANTED
    assert json.loads(profile.read_text())["figures"]["held_rows"] == 80

    measured = run(home, "evaluate", str(tickets), "--profile", str(profile), "--json", str(found), **FAKE)
    assert measured.returncode == 0, measured.stderr
    assert json.loads(found.read_text())["figures"]["accuracy"]["value"] > 0.8
    compared = run(home, "compare", str(tickets), "--profile", str(profile), "--json", str(found), **FAKE)
    assert compared.returncode == 0, compared.stderr
    assert "B (a profile) is better than A (no profile)" in " ".join(compared.stdout.split())
    assert json.loads(found.read_text())["verdict"] == "better"
    by_template = ["--template", PLANTED, "--template", "This example is {}.", "--limit", "100"]
    assert "is worse than A" in " ".join(run(home, "compare", str(tickets), *by_template, **FAKE).stdout.split())


def test_an_endpoint_gives_the_figures_of_the_process(tickets: Path, tmp_path: Path) -> None:
    found = tmp_path / "r.json"
    with ServerProcess(tmp_path / "home", ZEROSTART_ENGINE="fake") as server:
        server.deploy("e")
        options = {**FAKE, "AWS_ENDPOINT_URL": server.address}
        arguments = ["--endpoint", "e", "--tune", "--json", str(found)]
        done = run(server.home, "evaluate", str(tickets), *arguments, **options)
        assert done.returncode == 0, done.stderr
        by_endpoint = json.loads(found.read_text())
        run(server.home, "evaluate", str(tickets), "--tune", "--json", str(found), **FAKE)
        here = json.loads(found.read_text())
        missing = run(server.home, "evaluate", str(tickets), "--endpoint", "nothing", **options)
    assert by_endpoint["model"] == "endpoint e"
    assert by_endpoint["model_id"] == here["model_id"] == "zerostart-zstc-small"
    for part in ("figures", "per_label", "confusion", "mislabelled"):
        assert by_endpoint[part] == here[part]
    assert by_endpoint["tuning"]["profile"] == here["tuning"]["profile"]
    assert (missing.returncode, len(missing.stderr.splitlines())) == (1, 1)
    assert "nothing" in missing.stderr


def test_too_few_rows_are_measured_and_not_tuned(home: Path, tickets: Path, tmp_path: Path) -> None:
    profile = tmp_path / "p.json"
    done = run(home, "evaluate", str(tickets), "--limit", "40", "--save-profile", str(profile), **FAKE)
    assert done.returncode == 0, done.stderr
    assert "40 rows are too few to tune on" in done.stdout
    assert "No profile was written" in done.stderr
    assert not profile.exists()


def test_without_scikit_learn_the_extra_is_named(home: Path, tickets: Path, tmp_path: Path) -> None:
    (tmp_path / "sklearn.py").write_text("raise ImportError('not installed')")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    for command in (["evaluate"], ["compare", "--template", "{}.", "--template", "a {}."]):
        done = run(home, command[0], str(tickets), *command[1:], **FAKE, PYTHONPATH=path)
        assert done.returncode == 1
        assert done.stderr.strip() == "zerostart: Evaluation needs scikit-learn: pip install 'zerostart[evaluate]'"


def test_what_cannot_be_is_said_in_one_line(home: Path, tickets: Path, tmp_path: Path) -> None:
    wordings = tmp_path / "w.toml"
    wordings.write_text("travel = 3\n")
    two = tmp_path / "two.csv"
    two.write_text("said,kind\nx,a\n")
    assert "has the columns 'said', 'kind'" in refused(home, "evaluate", str(two))
    assert "go with --tune" in refused(home, "evaluate", str(tickets), "--precision", "0.9")
    assert "w.toml: write a label =" in refused(home, "evaluate", str(tickets), "--tune", "--wordings", str(wordings))
    assert "the folder" in refused(home, "evaluate", str(tickets), "--report", str(tmp_path / "no" / "r.html"))
    assert "Give two to compare" in refused(home, "compare", str(tickets), "--template", "{}.")
    assert "one label alone" in refused(home, "evaluate", str(two), "--text-column", "said", "--label-column", "kind")
