"""Evaluations by plain forms: from a file to a report and a profile, and what can go wrong on the way."""

import csv
import html
import io
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow
import pyarrow.parquet
import pytest

from tests.cli.test_cli import run
from tests.evaluation.planted import LABELS, PLANTED, asked, fake_model, texts
from tests.processes import BUILTIN, ServerProcess, children_of, wait_for
from tests.server.test_clean_up import command
from tests.server.web.conftest import Visitor
from tests.server.web.test_batch_pages import fields_of
from zerostart.credentials import Role, create_access_key
from zerostart.server.web.new_evaluation import EXAMPLE

FAKE = {"ZEROSTART_ENGINE": "fake"}
SCRIPT = "<script>alert(1)</script>"
MODEL = f"model/{BUILTIN}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """With the fake engine, whose scores depend on text and label as real ones do; and an endpoint `first`."""
    with ServerProcess(tmp_path_factory.mktemp("evaluate") / "home", **FAKE) as process:
        process.deploy("first")
        yield process


@pytest.fixture
def visitor(server: ServerProcess) -> Iterator[Visitor]:
    found = Visitor(server)
    found.sign_in()
    yield found
    for each in set(re.findall(r"/evaluate/of/([^/\"]+)/delete", found.open("/evaluate").text)):
        found.open(f"/evaluate/of/{each}/delete")
        assert found.send(f"/evaluate/of/{each}/delete").status_code == 200
    assert "No evaluation yet" in found.page or "/evaluate/of/" not in found.open("/evaluate").text
    found.client.close()


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels are what the fake engine answers to one template, but for a tenth; the columns have no usual name."""
    folder = tmp_path_factory.mktemp("tickets")
    own = texts(160)
    with fake_model(folder / "home") as ask:
        right = asked(ask, own).best.copy()
    right[::10] = (right[::10] + 1) % len(LABELS)
    path = folder / "tickets.csv"
    rows = [(text, LABELS[place].name) for text, place in zip(own, right, strict=True)]
    path.write_bytes(written([("what they wrote", "Ticket_Category"), *rows]))
    return path


def written(rows: list[Any], delimiter: str = ",") -> bytes:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return file.getvalue().encode()


def many_rows(count: int = 30, *labels: str) -> list[tuple[str, str]]:
    names = labels or ("travel", "cooking", "money")
    return [("text", "label"), *((f"text number {n} of many", names[n % len(names)]) for n in range(count))]


def upload(visitor: Visitor, name: str, content: bytes, who: str = MODEL) -> httpx.Response:
    """The first step; what follows it."""
    visitor.open("/evaluate/new")
    fields = {"form_token": visitor.form_token, "who": who}
    response = visitor.client.post("/evaluate/new", data=fields, files={"file": (name, io.BytesIO(content))})
    visitor.page, visitor.path = response.text, response.url.path
    return response


def address(visitor: Visitor) -> str:
    """The evaluation that is set up."""
    return visitor.path.removesuffix("/columns").removesuffix("/try").removesuffix("/start")


def tried(visitor: Visitor, **fields: str | None) -> httpx.Response:
    """The second step, with the form as it is but for `fields`; None is a box that is not ticked."""
    one = address(visitor)
    sent: dict[str, str | None] = {**fields_of(visitor.page, f"{one}/try")}
    sent["who"] = re.findall(r'<option value="([^"]+)" selected>', visitor.page.partition('name="who"')[2])[:1][0]
    sent |= fields
    return visitor.send(f"{one}/try", **{name: value for name, value in sent.items() if value is not None})


def begun(visitor: Visitor) -> str:
    """The third step; where the evaluation is."""
    one = address(visitor)
    response = visitor.send(f"{one}/start", **fields_of(visitor.page, f"{one}/start"))
    assert response.status_code == 200, response.text
    assert response.url.path == one
    return one


def ended(visitor: Visitor, one: str) -> str:
    """Its page, once it has come to an end."""
    return str(wait_for(lambda: "Cancel" not in visitor.open(one).text and visitor.page, 120, 0.3))


def document(visitor: Visitor, one: str) -> Any:
    answer = visitor.client.get(f"{one}/report.json")
    assert answer.headers["content-disposition"].startswith("attachment;")
    return json.loads(answer.content)


def problem(page: str) -> str:
    found = re.search(r'<(?:p|div) class="(?:notice bad|problem)"[^>]*>(.*?)</(?:p|div)>', page, re.DOTALL)
    assert found, page
    return html.unescape(found[1])


@pytest.mark.parametrize("who", [MODEL, "endpoint/first"])
def test_a_file_is_measured_as_the_command_line_measures_it(
    visitor: Visitor, tickets: Path, home: Path, who: str
) -> None:
    assert "No evaluation yet" in visitor.open("/evaluate").text
    upload(visitor, "tickets.csv", tickets.read_bytes(), who)
    assert visitor.path.endswith("/columns")
    assert "160 rows" in visitor.page
    assert "4&nbsp;labels were found" in visitor.page
    assert tried(visitor).status_code == 200, visitor.page
    assert visitor.page.count('class="evl-text"') == 5
    assert "Time, about" in visitor.page
    one = begun(visitor)
    page = ended(visitor, one)
    found = home.parent / "found.json"
    columns = ["--text-column", "what they wrote", "--label-column", "Ticket_Category"]
    done = run(home, "evaluate", str(tickets), *columns, "--json", str(found), **FAKE)
    assert done.returncode == 0, done.stderr
    expected = json.loads(found.read_text())
    own = document(visitor, one)
    assert own["rows"] == 160
    for name in ("figures", "per_label", "confusion", "labels", "template", "left_out"):
        assert own[name] == expected[name], name
    assert f"{100 * expected['figures']['accuracy']['value']:.1f}" in page
    listed = visitor.open("/evaluate").text
    assert f"{expected['figures']['accuracy']['value']:.1%}" in listed
    assert f"{expected['figures']['macro_f1']['value']:.1%}" in listed
    alone = visitor.client.get(f"{one}/report.html")
    assert alone.text.startswith("<!doctype html>")
    assert 'filename="tickets.report.html"' in alone.headers["content-disposition"]


def test_what_is_tuned_is_a_profile_that_an_endpoint_is_deployed_with(visitor: Visitor, tickets: Path) -> None:
    upload(visitor, "tickets.csv", tickets.read_bytes())
    tried(visitor, tunes="on", templates=f"{PLANTED}\n", accuracy="90%", wordings="travel = journeys")
    assert "Asked in all, with tuning" in visitor.page, visitor.page
    one = begun(visitor)
    ended(visitor, one)
    profile = json.loads(visitor.client.get(f"{one}/profile.json").content)
    assert profile["hypothesis_template"] == PLANTED
    assert profile["unsure_below"] is not None
    assert document(visitor, one)["tuning"]["comparison"]["verdict"] == "better"
    deploy = next(link for link in visitor.links if "profile=" in link)
    visitor.open(deploy)
    fields = fields_of(visitor.page, f"/hub/models/{BUILTIN}")
    assert fields["profile"] == f"s3://zerostart-evaluations/{one.rpartition('/')[2]}/profile.json"
    refused = visitor.send(f"/hub/models/{BUILTIN}", **fields | {"profile": "s3://nowhere/p.json"})
    assert refused.status_code == 400
    assert "nowhere" in problem(visitor.page)
    assert visitor.send(f"/hub/models/{BUILTIN}", **fields | {"endpoint_name": "tuned"}).status_code == 200
    visitor.server.wait_in_service("tuned")
    answer = visitor.server.invoke("tuned", {"inputs": "text number 1 of many"})
    assert "unsure" in answer
    assert set(answer["labels"]) == {label.name for label in LABELS}
    visitor.server.delete("tuned")


def test_labels_are_described_and_added_and_rows_limited(visitor: Visitor) -> None:
    upload(visitor, "rows.tsv", written(many_rows(40), "\t"))
    number = re.search(r'name="label-(\d+)" value="cooking"', visitor.page)
    assert number
    tried(visitor, **{f"wording-{number[1]}": "food and how it is made"}, more_labels="health\n", limit="20")
    one = begun(visitor)
    ended(visitor, one)
    own = document(visitor, one)
    assert own["labels"] == {
        "cooking": "food and how it is made",
        "travel": "travel",
        "money": "money",
        "health": "health",
    }
    assert own["rows"] == 20
    again = visitor.open(f"{one}/columns").text
    assert 'value="food and how it is made"' in again
    assert re.search(r'<textarea name="more_labels"[^>]*>health</textarea>', again)
    tried(visitor, more_labels="")  # what was found stays, and the same file is evaluated beside it
    response = visitor.send(f"{one}/start", **fields_of(visitor.page, f"{one}/start"))
    other = response.url.path
    assert other != one
    ended(visitor, other)
    assert "health" in document(visitor, one)["labels"]
    assert "health" not in document(visitor, other)["labels"]
    assert visitor.open("/evaluate").text.count(">rows.tsv</a>") == 2


def test_several_labels_in_a_cell(visitor: Visitor) -> None:
    rows = [("text", "tags"), *((f"text {n}", ("a;b", "a", "b;c")[n % 3]) for n in range(30))]
    upload(visitor, "rows.csv", written(rows))
    one = address(visitor)
    fields = fields_of(visitor.page, f"{one}/try") | {"multi_label": "on", "who": MODEL}
    visitor.send(f"{one}/columns", **fields)
    assert "3&nbsp;labels were found" in visitor.page
    tried(visitor, accuracy="0.9", tunes="on")
    assert "precision" in problem(visitor.page)
    tried(visitor, accuracy="")
    ended(visitor, begun(visitor))
    assert document(visitor, one)["multi_label"] is True


def test_two_are_compared_on_the_same_rows(visitor: Visitor, tickets: Path, home: Path) -> None:
    upload(visitor, "tickets.csv", tickets.read_bytes(), "endpoint/first")
    for wrong in ({"other": "endpoint/first"}, {"other": MODEL, "tunes": "on"}):
        assert tried(visitor, **wrong).status_code == 400
        assert 'id="problem-other"' in visitor.page
        visitor.open(f"{address(visitor)}/columns?who=endpoint/first")
    tried(visitor, other=MODEL, other_template=PLANTED)
    assert "320 texts" in visitor.page, visitor.page
    one = begun(visitor)
    page = ended(visitor, one)
    found = home.parent / "found.json"
    options = ["--text-column", "what they wrote", "--label-column", "Ticket_Category", "--json", str(found)]
    templates = ["--template", "This example is {}.", "--template", PLANTED]
    assert run(home, "compare", str(tickets), *options, *templates, **FAKE).returncode == 0
    expected, own = json.loads(found.read_text()), document(visitor, one)
    for name in ("verdict", "only_a", "only_b", "p_value", "macro_f1"):
        assert own[name] == expected[name], name
    assert [side["figures"] for side in own["sides"]] == [side["figures"] for side in expected["sides"]]
    assert "is better than" in page
    assert "is better than" in visitor.client.get(f"{one}/report.html").text
    assert f"endpoint first against {BUILTIN}" in visitor.open("/evaluate").text


def test_parquet_and_lists_of_labels(visitor: Visitor) -> None:
    file = io.BytesIO()
    rows = [{"text": f"text {n}", "labels": [["a", "b"], ["c"]][n % 2], "at": 1.5} for n in range(20)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    upload(visitor, "rows.parquet", file.getvalue())
    tried(visitor)
    one = begun(visitor)
    ended(visitor, one)
    assert document(visitor, one)["multi_label"] is True


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.csv", b"", "has no rows"),
        ("header.csv", b"text,label\n", "has no rows"),
        ("one.csv", b"text\nx\ny\n", "has one column alone, 'text'"),
        ("notes.txt", b"text\n", "give a file that ends in .csv"),
        ("bad.jsonl", b"[1]\n", "write an object"),
        ("bad.parquet", b"PAR1 not really", "is not Parquet"),
        ("bad.csv.gz", b"\x1f\x8b not really", "cannot be read"),
        (f"{SCRIPT}.txt", b"x", "<script>alert(1)<"),
        ("", b"", "There is no file yet"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_and_not_kept(
    visitor: Visitor, name: str, content: bytes, said: str
) -> None:
    if name:
        response = upload(visitor, name, content)
    else:
        visitor.open("/evaluate/new")
        files = {"file": ("", b"", "application/octet-stream")}
        response = visitor.client.post("/evaluate/new", data={"form_token": visitor.form_token}, files=files)
        visitor.page = response.text
    assert response.status_code == 400
    told = problem(visitor.page)
    assert said in told or said.replace("<script>alert(1)<", "ends in .csv") in told
    assert SCRIPT not in visitor.page
    assert "No evaluation yet" in visitor.open("/evaluate").text


def test_a_file_that_is_too_large_is_refused_by_its_size(visitor: Visitor) -> None:
    response = upload(visitor, "large.csv", b"text,label\n" + b"x" * (64 * 1024 * 1024))
    assert response.status_code == 413
    assert "At most 64 MiB are taken here" in problem(visitor.page)
    assert "No evaluation yet" in visitor.open("/evaluate").text


def test_what_is_wrong_stands_beside_its_field(visitor: Visitor) -> None:
    upload(visitor, "one.csv", written(many_rows(20, "travel")))
    assert "1&nbsp;label was found" in visitor.page
    assert tried(visitor).status_code == 400
    assert "one label alone, 'travel'" in problem(visitor.page)
    for field, value in {
        "template": "no place",
        "limit": "0",
        "precision": "2000",
        "wordings": "travel",
        "templates": "{} {}",
    }.items():
        assert tried(visitor, more_labels="cooking", tunes="on", **{field: value}).status_code == 400
        assert re.search(rf'name="{field}"[^>]*aria-invalid="true"', visitor.page), field
        assert f'id="problem-{field}"' in visitor.page
        assert value.partition("<")[0] in problem(visitor.page)
        visitor.open(f"{address(visitor)}/columns?who={MODEL}")
    assert tried(visitor, who="model/nowhere", more_labels="cooking").status_code == 400
    assert "nowhere" in problem(visitor.page)
    visitor.open(f"{address(visitor)}/columns?who={MODEL}")
    tried(visitor, text_column="label", more_labels="cooking")
    assert "Texts and labels are both in 'label'" in html.unescape(visitor.page)


def test_a_script_stays_text_everywhere(visitor: Visitor) -> None:
    rows = [(f"text {SCRIPT}", "right label"), *((f"{SCRIPT} {n}", (SCRIPT, "b&b")[n % 2]) for n in range(60))]
    name = f"{SCRIPT[:8]}.csv"
    pages = [upload(visitor, name, written(rows)).text]
    pages.append(tried(visitor).text)
    one = begun(visitor)
    pages += [ended(visitor, one), visitor.client.get(f"{one}/report.html").text, visitor.open("/evaluate").text]
    pages.append(visitor.open(f"{one}/delete").text)
    for page in pages:
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page
    policy = visitor.open(one).headers["content-security-policy"]
    assert "unsafe" not in policy
    assert " style=" not in visitor.page


def slow(visitor: Visitor) -> str:
    """An evaluation that takes longer than a test."""
    upload(visitor, "slow.csv", written(many_rows(40_000)))
    tried(visitor, tunes="on")
    one = begun(visitor)
    wait_for(lambda: re.search(r'id="texts">[\d,]+ of', visitor.open(one).text), 60, 0.2)
    return one


def test_one_is_left_found_again_cancelled_and_tried_again(visitor: Visitor) -> None:
    one = slow(visitor)
    listed = visitor.open("/evaluate").text
    assert "InProgress" in listed
    assert '<meta http-equiv="refresh"' in listed  # without JavaScript
    assert one in visitor.links
    assert visitor.open(f"{one}/columns").status_code == 400
    upload(visitor, "next.csv", written(many_rows()))
    tried(visitor)
    waiting = begun(visitor)
    assert "Waiting" in visitor.open("/evaluate").text
    visitor.open(waiting)
    assert "Stopped" in visitor.send(f"{waiting}/stop").text
    visitor.open(one)
    visitor.send(f"{one}/stop")
    assert "It was stopped." in ended(visitor, one)
    wait_for(lambda: not workers(visitor.server))
    visitor.open(waiting)
    visitor.send(f"{waiting}/retry")
    assert "Download HTML" in ended(visitor, waiting)


def workers(server: ServerProcess) -> list[int]:
    """The processes that evaluate."""
    return [
        pid
        for pid in children_of(server.pid)
        if b"evaluation-worker" in (Path(f"/proc/{pid}/cmdline").read_bytes() if Path(f"/proc/{pid}").exists() else b"")
    ]


def test_what_answers_dies_and_the_page_says_so(visitor: Visitor) -> None:
    one = slow(visitor)
    for pid in workers(visitor.server):
        os.kill(pid, signal.SIGKILL)
    page = ended(visitor, one)
    assert "Failed" in page
    assert "needs more memory than is free" in problem(page)
    assert "Retry" in page


def test_an_endpoint_goes_away_and_its_words_are_the_reason(visitor: Visitor) -> None:
    visitor.server.deploy("passing")
    upload(visitor, "rows.csv", written(many_rows()), "endpoint/passing")
    tried(visitor)
    visitor.server.delete("passing")
    one = begun(visitor)
    page = ended(visitor, one)
    assert "passing" in problem(page)
    assert "Retry" in page


def test_only_those_who_may_do_it_see_it(server: ServerProcess, visitor: Visitor) -> None:
    path = server.home / "access-keys.json"
    deployer, invoker = (create_access_key(path, f"ev-{role}", role, ends) for role, ends in _ROLES)
    upload(visitor, "rows.csv", written(many_rows()))
    one = address(visitor)
    for key, status in ((deployer, 200), (invoker, 403)):
        other = Visitor(server)
        other.sign_in_with(key)
        assert other.open("/evaluate").status_code == status
        assert other.open(f"{one}/columns").status_code == status
        assert ("/evaluate" in other.open("/").text) is (status == 200)
        other.client.close()
    nobody = Visitor(server)
    assert nobody.open("/evaluate").url.path == "/sign-in"
    nobody.client.close()
    for step in ("columns", "try", "start", "stop", "retry", "delete"):
        assert visitor.client.post(f"{one}/{step}", data={"who": MODEL}).status_code == 403, step
    assert visitor.client.post("/evaluate/new", files={"file": ("a.csv", b"text,label\nx,y\n")}).status_code == 403
    for path_of_none in ("/evaluate/of/none", "/evaluate/of/none/report.json", "/evaluate/of/..%2f/delete"):
        assert visitor.open(path_of_none).status_code == 404


_ROLES: tuple[tuple[Role, tuple[str, ...]], ...] = ((Role.DEPLOY, ()), (Role.INVOKE, ("first",)))


def test_results_survive_the_server_and_what_ran_can_be_started_again(home: Path) -> None:
    with ServerProcess(home, **FAKE) as first:
        visitor = Visitor(first)
        visitor.sign_in()
        upload(visitor, "rows.csv", written(many_rows()))
        tried(visitor)
        done = begun(visitor)
        ended(visitor, done)
        figures = document(visitor, done)["figures"]
        running = slow(visitor)
        going = workers(first)
        first.kill()
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in going))
        visitor.client.close()
    assert not [
        path for path in (home / "buckets").rglob("*") if b"of many" in (path.read_bytes() if path.is_file() else b"")
    ]
    with ServerProcess(home, **FAKE) as second:
        visitor = Visitor(second)
        visitor.sign_in()
        assert document(visitor, done)["figures"] == figures
        assert "The server was stopped meanwhile." in visitor.open(running).text
        visitor.send(f"{running}/retry")
        wait_for(lambda: workers(second))
        deleted = command(second, "delete", "--all", "--yes")
        assert deleted.returncode == 0, deleted.stdout + deleted.stderr
        assert "evaluation" in deleted.stdout
        assert "none left" in deleted.stdout
        assert workers(second) == []
        assert second.s3().list_buckets()["Buckets"] == []
        assert "No evaluation yet" in visitor.open("/evaluate").text
        visitor.client.close()


def test_without_scikit_learn_the_page_says_how_to_install_it(home: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['sklearn'] = None\n")
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    with ServerProcess(home, **FAKE, PYTHONPATH=path) as process:
        visitor = Visitor(process)
        visitor.sign_in()
        for page in ("/evaluate", "/evaluate/new"):
            assert "pip install &#39;zerostart[evaluate]&#39;" in visitor.open(page).text
        assert 'type="file"' not in visitor.page
        visitor.client.close()


def test_buckets_that_pages_do_not_reach_keep_no_evaluations(home: Path) -> None:
    with ServerProcess(home, **FAKE, ZEROSTART_S3_GATEWAY="off") as process:
        visitor = Visitor(process)
        visitor.sign_in()
        assert visitor.open("/evaluate").status_code == 403
        assert "s3_gateway" in visitor.page
        visitor.client.close()


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the example comes with the solution")
def test_the_example_is_one_click_away(visitor: Visitor) -> None:
    visitor.open("/evaluate")
    visitor.send("/evaluate/new/example")
    assert visitor.path.endswith("/columns")
    assert re.search(r'<option value="Resolution_Category" selected>', visitor.page)
