"""Batch jobs by plain forms: from a file to results, and what can go wrong on the way."""

import csv
import html
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.processes import BUILTIN, ServerProcess, wait_for
from tests.server.web.conftest import Visitor
from zerostart.credentials import Role, create_access_key

LABELS = "travel, cooking, money"
ROWS = [
    {"id": "1", "text": "One day I will see the world", "note": '=HYPERLINK("http://evil.example")'},
    {"id": "2", "text": "=1+1 is what I cook", "note": "+49 30 123"},
    {"id": "3", "text": "   ", "note": "-1"},
    {"id": "4", "text": 'A bank, "the bank"\nby the river', "note": "@SUM(A1)"},
    {"id": "5", "text": "<script>alert(1)</script>", "note": "\tx"},
    {"id": "6", "text": "Whisk the eggs", "note": "plain"},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """With the fake engine, whose scores depend on text and label as real ones do."""
    with ServerProcess(tmp_path_factory.mktemp("batch") / "home", ZEROSTART_ENGINE="fake") as process:
        process.s3().create_bucket(Bucket="texts")
        yield process


@pytest.fixture
def visitor(server: ServerProcess) -> Iterator[Visitor]:
    found = Visitor(server)
    found.sign_in()
    yield found
    found.client.close()


def csv_of(rows: list[dict[str, str]]) -> bytes:
    written = io.StringIO()
    writer = csv.DictWriter(written, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue().encode()


def fields_of(page: str, action: str) -> dict[str, str]:
    """The fields of the form that is sent to `action`, as a browser would send them untouched."""
    form = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', page, re.DOTALL)
    assert form, action
    found: dict[str, str] = {}
    for each in re.findall(r"<input[^>]*>", form[0]):
        values = {name: html.unescape(value) for name, value in re.findall(r'(\w+)="([^"]*)"', each)}
        if values.get("type") == "checkbox" and " checked" not in each:
            continue
        found[values["name"]] = values.get("value", "on")
    for name, text in re.findall(r'<textarea name="(\w+)"[^>]*>(.*?)</textarea>', form[0], re.DOTALL):
        found[name] = html.unescape(text)
    for name, options in re.findall(r'<select name="(\w+)">(.*?)</select>', form[0], re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options) or re.search(r'value="([^"]*)"', options)
        found[name] = html.unescape(chosen[1]) if chosen else ""
    return found


def upload(visitor: Visitor, name: str, content: bytes, model: str = BUILTIN) -> httpx.Response:
    """The first step, by a file."""
    visitor.open("/batch/new")
    fields = {"form_token": visitor.form_token, "model": model, "input": ""}
    response = visitor.client.post("/batch/new", data=fields, files={"file": (name, io.BytesIO(content))})
    visitor.page = response.text
    return response


def tried(visitor: Visitor, **fields: str | None) -> httpx.Response:
    """The second step, with the form as it is but for `fields`; None is a box that is not ticked."""
    sent = fields_of(visitor.page, "/batch/new/try") | fields
    return visitor.send("/batch/new/try", **{name: value for name, value in sent.items() if value is not None})


def started(visitor: Visitor) -> str:
    """The third step; the job's name."""
    response = visitor.send("/batch/new/start", **fields_of(visitor.page, "/batch/new/start"))
    assert response.status_code == 200, response.text
    assert response.url.path.startswith("/batch/jobs/")
    return response.url.path.removeprefix("/batch/jobs/")


def ended(visitor: Visitor, job: str) -> str:
    """The page of a job that has ended."""

    def look() -> str | None:
        page = visitor.open(f"/batch/jobs/{job}").text
        return None if 'id="follow"' in page else page

    page: str = wait_for(look, 120, 0.2)
    return page


def rows_of(response: httpx.Response) -> list[dict[str, str]]:
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


def test_from_a_csv_to_its_rows_with_scores_with_labels_typed_and_nothing_else(visitor: Visitor) -> None:
    page = upload(visitor, "reviews.csv", csv_of(ROWS))
    assert page.url.path == "/batch/new/columns"
    assert '<option value="column:text" selected>' in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script>alert" not in page.text
    page = tried(visitor, labels=LABELS)
    assert "Step 3 of 3" in page.text
    assert page.text.count('<li class="card">') == 5
    assert page.text.count('class="scores"') == 4
    assert "send a text that is not blank" in page.text
    assert re.search(r"Records, about</dt><dd>6<", page.text)
    job = started(visitor)
    assert job.startswith("reviews-")
    page_text = ended(visitor, job)
    assert "Completed" in page_text
    assert "6 records" in page_text
    assert "<script>alert" not in page_text
    assert "line 4" in page_text
    assert "reviews.csv.err.jsonl" in page_text
    exported = visitor.client.get(f"/batch/jobs/{job}/results.csv")
    assert exported.headers["content-disposition"].startswith(f'attachment; filename="{job}.csv"')
    check_rows(rows_of(exported))
    lines = visitor.client.get(f"/batch/jobs/{job}/results.jsonl").text.splitlines()
    documents = [json.loads(line) for line in lines]
    assert [{name: each[name] for name in ROWS[0]} for each in documents] == ROWS
    assert visitor.open("/batch").text.count(f">{job}</a>") == 1
    assert "hx-trigger" not in visitor.page
    follow_every_link(visitor, f"/batch/jobs/{job}")


def check_rows(rows: list[dict[str, str]]) -> None:
    """Each record in its place with its scores, and no cell that a spreadsheet would compute."""
    assert [row["id"] for row in rows] == [row["id"] for row in ROWS]
    for row, given in zip(rows, ROWS, strict=True):
        assert row["text"].removeprefix("'") == given["text"]
        assert row["note"].removeprefix("'") == given["note"]
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())
        if not given["text"].strip():
            assert (row["label"], row["score"]) == ("", "")
            assert "not blank" in row["error"]
            continue
        scores = {name.removeprefix("score: "): float(row[name]) for name in row if name.startswith("score: ")}
        assert set(scores) == {"travel", "cooking", "money"}
        assert sum(scores.values()) == pytest.approx(1)
        assert row["label"] == max(scores, key=lambda label: scores[label])
        assert float(row["score"]) == max(scores.values())
        assert row["error"] == ""
    assert rows[0]["note"].startswith("'=")
    assert rows[1]["text"].startswith("'=")


def follow_every_link(visitor: Visitor, path: str) -> None:
    visitor.open(path)
    for link in {each for each in visitor.links if each.startswith("/")}:
        assert visitor.client.get(link).status_code == 200, link


def test_columns_are_kept_as_ticked_and_typed_values_come_back(visitor: Visitor) -> None:
    rows = [{"": "0", 'it\'s "odd", [x]': "a", "Text": "One day", "text\nlong": "kept out"}]
    upload(visitor, "odd.csv", csv_of(rows))
    assert "(no name)" in visitor.page
    assert '<option value="column:Text" selected>' in visitor.page
    out = {name: None for name in fields_of(visitor.page, "/batch/new/try") if name.startswith("keep:text")}
    assert len(out) == 1
    tried(visitor, labels="one\ntwo, three", multi_label="on", template="About {}.", name="odd-one", **out)
    assert "Step 3 of 3" in visitor.page
    back = visitor.send("/batch/new/columns", **fields_of(visitor.page, "/batch/new/columns"))
    sent = fields_of(back.text, "/batch/new/try")
    assert sent["labels"].split() == ["one", "two,", "three"]
    assert (sent["template"], sent["name"], sent["multi_label"]) == ("About {}.", "odd-one", "on")
    assert not [name for name in sent if name.startswith("keep:text")]
    tried(visitor)
    ended(visitor, started(visitor))
    row = rows_of(visitor.client.get("/batch/jobs/odd-one/results.csv"))[0]
    own = ["label", "score", "score: one", "score: two, three", "error"]
    assert list(row) == ["", 'it\'s "odd", [x]', "Text", *own]
    assert row["Text"] == "One day"
    described: Any = visitor.server.sagemaker().describe_transform_job(TransformJobName="odd-one")
    assert described["Environment"]["ZEROSTART_MULTI_LABEL"] == "true"


def test_a_record_that_fails_fails_a_strict_job_which_says_what_to_do(visitor: Visitor) -> None:
    upload(visitor, "strict.csv", csv_of(ROWS))
    assert "the job would fail with it" in tried(visitor, labels=LABELS, errors="strict").text
    page = ended(visitor, started(visitor))
    assert "Failed" in page
    assert "line 4" in page
    assert "have records that fail collected" in page
    assert "Download CSV" not in page
    again = next(link for link in visitor.links if link.startswith("/batch/new/columns?"))
    assert "Step 2 of 3" in visitor.open(again).text


def test_an_object_of_a_bucket_is_taken_alone_whatever_its_key(visitor: Visitor) -> None:
    client = visitor.server.s3()
    for key in ("in/a.csv", "../b//c 'x'.jsonl"):
        content = csv_of(ROWS[:1]) if key.endswith("csv") else b'{"body": "One day", "n": 1}\n{"n": 2}\n'
        client.put_object(Bucket="texts", Key=key, Body=content)
        client.put_object(Bucket="texts", Key=f"{key}.bak", Body=b"text\nfrom the backup\n")
        browse = f"/buckets/texts?{httpx.QueryParams(prefix=key[: key.rfind('/') + 1])}"
        page = next(link for link in objects(visitor, browse) if link.endswith(key[-4:]))
        visitor.open(page)
        visitor.open(next(link for link in visitor.links if link.startswith("/batch/new?")))
        fields = fields_of(visitor.page, "/batch/new")
        files = {name: (None, value) for name, value in fields.items() if name != "file"}
        response = visitor.client.post("/batch/new", files=files | {"file": ("", b"")})
        visitor.page = response.text
        assert response.url.path == "/batch/new/columns", key
        assert tried(visitor, labels=LABELS, output="s3://texts/out").status_code == 200
        job = started(visitor)
        assert "Completed" in ended(visitor, job)
        follow_every_link(visitor, f"/batch/jobs/{job}")
        lines = visitor.client.get(f"/batch/jobs/{job}/results.jsonl").text.splitlines()
        assert len(lines) == (1 if key.endswith("csv") else 2)
        assert "backup" not in lines[0]
    rows = rows_of(visitor.client.get(f"/batch/jobs/{job}/results.csv"))
    assert [(row["body"], row["n"], bool(row["label"])) for row in rows] == [("One day", "1", True), ("", "2", False)]
    assert "has no text under 'body'" in rows[1]["error"]
    client.delete_object(Bucket="texts", Key=key)
    follow_every_link(visitor, f"/batch/jobs/{job}")
    assert "not there any more" in visitor.page
    assert "Set up again" not in visitor.page


def objects(visitor: Visitor, path: str) -> list[str]:
    visitor.open(path)
    return [link for link in visitor.links if "/object?" in link]


def test_lines_that_are_requests_state_their_own_labels(visitor: Visitor) -> None:
    lines = [{"inputs": f"text {n}", "parameters": {"candidate_labels": [f"a{n}", "b"]}} for n in range(3)]
    upload(visitor, "requests.jsonl", "".join(json.dumps(each) + "\n" for each in lines).encode())
    assert '<option value="requests" selected>' in visitor.page
    assert tried(visitor).status_code == 200
    job = started(visitor)
    ended(visitor, job)
    rows = rows_of(visitor.client.get(f"/batch/jobs/{job}/results.csv"))
    assert [row["text"] for row in rows] == ["text 0", "text 1", "text 2"]
    assert [set(json.loads(row["scores"])) for row in rows] == [{f"a{n}", "b"} for n in range(3)]


def test_a_text_a_line_needs_no_column(visitor: Visitor) -> None:
    upload(visitor, "lines.txt", b"One day\n\nI cook\n")
    assert "Column of the texts" not in visitor.page
    tried(visitor, labels=LABELS)
    job = started(visitor)
    ended(visitor, job)
    assert [r["text"] for r in rows_of(visitor.client.get(f"/batch/jobs/{job}/results.csv"))] == ["One day", "I cook"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"labels": " "}, "There is no label yet"),
        ({"labels": "a,a,b"}, "Step 3 of 3"),
        ({"text_column": "column:gone"}, "The file has no column"),
        ({"template": "no place"}, "exactly once"),
        ({"name": "not a name"}, "cannot name a job"),
        ({"name": "taken"}, "choose another name"),
        ({"output": "/etc/passwd"}, "is no place"),
        ({"output": "s3://no-such-bucket/out"}, "no-such-bucket"),
        ({"workers": "0"}, "ask for 1 to 100"),
        ({"workers": "many"}, "give a whole number"),
        ({"input": "s3://texts/gone.csv"}, "does not exist"),
        ({"input": "file:///etc/passwd"}, "is not of the form s3://"),
        ({"input": "s3://texts/"}, "names no object"),
        ({"model": "facebook/bart-large-mnli"}, "is not on this machine"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(visitor: Visitor, changed: dict[str, str], said: str) -> None:
    client = visitor.server.sagemaker()
    if not visitor.server.s3().list_objects_v2(Bucket="texts", Prefix="wrong.csv").get("Contents"):
        visitor.server.s3().put_object(Bucket="texts", Key="wrong.csv", Body=csv_of(ROWS))
        taken: Any = {"TransformJobName": "taken", "ModelName": "taken"}
        client.create_model(ModelName="taken", PrimaryContainer={"Environment": {"HF_MODEL_ID": BUILTIN}})
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://texts/nothing"}}
        taken |= {"TransformInput": {"DataSource": source}, "TransformOutput": {"S3OutputPath": "s3://texts/out"}}
        client.create_transform_job(**taken, TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1})
    visitor.open(f"/batch/new/columns?model={BUILTIN}&input=s3://texts/wrong.csv")
    before = {each["TransformJobName"] for each in client.list_transform_jobs(MaxResults=100)["TransformJobSummaries"]}
    page = tried(visitor, **{"labels": LABELS, **changed})
    assert said in html.unescape(page.text)
    after = {each["TransformJobName"] for each in client.list_transform_jobs(MaxResults=100)["TransformJobSummaries"]}
    assert after == before


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("picture.png", b"\x89PNG\r\n\x1a\n\x00\x00", "is not text in UTF-8"),
        ("empty.csv", b"", "holds no record"),
        ("header.csv", b"id,text\n", "holds no record"),
        ("utf16.csv", "text\nx\n".encode("utf-16"), "is not text in UTF-8"),
        ("latin.csv", "t\xe4xt\nx\n".encode("latin-1"), "it is not UTF-8"),
    ],
)
def test_a_file_that_holds_no_texts_is_refused_with_a_reason(
    visitor: Visitor, name: str, content: bytes, said: str
) -> None:
    response = upload(visitor, name, content)
    assert response.status_code == 400
    assert said in html.unescape(response.text)


def test_the_first_step_asks_for_a_file(visitor: Visitor) -> None:
    visitor.open("/batch/new?input=")
    files = {"form_token": (None, visitor.form_token), "model": (None, BUILTIN), "input": (None, ""), "file": ("", b"")}
    response = visitor.client.post("/batch/new", files=files)  # type: ignore[arg-type]
    assert response.status_code == 400
    assert "There is no file yet" in response.text
    assert "Step 1 of 3" in response.text


def test_a_job_is_followed_while_it_runs_and_stopped_after_a_question(visitor: Visitor) -> None:
    rows = [{"text": f"{number} day in the life of a bank"} for number in range(60_000)]
    upload(visitor, "long.csv", csv_of(rows))
    labels = ",".join(f"label {number}" for number in range(40))
    tried(visitor, labels=labels, name="long-job")
    job = started(visitor)
    assert 'hx-trigger="every 1s"' in visitor.page
    assert 'http-equiv="refresh"' in visitor.page
    assert "<progress" in visitor.page
    listed = visitor.open("/batch").text
    assert 'hx-trigger="every 2s"' in listed
    assert visitor.client.get(f"/batch/jobs/{job}/results.csv").status_code == 400
    visitor.open(f"/batch/jobs/{job}/stop")
    assert "leaves no output" in visitor.page
    assert "Stopp" not in visitor.client.get(f"/batch/jobs/{job}").text
    visitor.send(f"/batch/jobs/{job}/stop")
    assert "Stopped" in ended(visitor, job)
    assert visitor.client.get(f"/batch/jobs/{job}/results.csv").status_code == 400
    assert visitor.open(f"/batch/jobs/{job}/stop").url.path == f"/batch/jobs/{job}"


def test_jobs_that_were_made_otherwise_are_shown_too(visitor: Visitor) -> None:
    client = visitor.server.sagemaker()
    client.create_model(ModelName="other", PrimaryContainer={"Environment": {"HF_MODEL_ID": BUILTIN}})
    content = csv_of([{"text": "One day", "error": "=1"}, {"text": " ", "error": "x"}])
    visitor.server.s3().put_object(Bucket="texts", Key="api/a.csv", Body=content)
    for accept in ("text/csv", "application/vnd.apache.parquet", "application/json"):
        name = f"other-{accept[-4:].strip('/')}"
        client.create_transform_job(
            TransformJobName=name,
            ModelName="other",
            Environment={"ZEROSTART_CANDIDATE_LABELS": "a,b", "ZEROSTART_ERRORS": "collect"},
            TransformInput={
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://texts/api/"}},
                "ContentType": "text/csv",
            },
            TransformOutput={"S3OutputPath": f"s3://texts/{name}", "Accept": accept},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
            DataProcessing={"JoinSource": "Input"},
        )
        page = ended(visitor, name)
        assert "Completed" in page
        assert ("One day</td>" in page) == (accept == "text/csv")
        assert ("in a form that is not shown here" in page) == (accept != "text/csv")
        follow_every_link(visitor, f"/batch/jobs/{name}")
    rows = rows_of(visitor.client.get("/batch/jobs/other-csv/results.csv"))
    assert [row["input error"] for row in rows] == ["'=1", "x"]
    assert bool(rows[0]["label"]) and not rows[1]["label"]  # noqa: PT018
    assert visitor.client.get("/batch/jobs/other-csv/results.jsonl").status_code == 400


def test_a_deployer_runs_jobs_and_an_invoker_sees_none(server: ServerProcess) -> None:
    path = server.home / "access-keys.json"
    pages = ["/batch", "/batch/new", f"/batch/new/columns?model={BUILTIN}&input=s3://texts/roles.csv"]
    server.s3().put_object(Bucket="texts", Key="roles.csv", Body=csv_of(ROWS))
    visitor = Visitor(server)
    assert [visitor.client.get(page, follow_redirects=False).status_code for page in pages] == [303] * 3
    visitor.sign_in_with(create_access_key(path, "deployer", Role.DEPLOY))
    for page in pages:
        assert visitor.open(page).status_code == 200, page
    tried(visitor, labels=LABELS)
    pages.append(f"/batch/jobs/{started(visitor)}")
    visitor.client.cookies.clear()
    visitor.sign_in_with(create_access_key(path, "invoker", Role.INVOKE, ["shared"]))
    assert "/batch" not in visitor.links
    results = [f"{pages[-1]}/{each}" for each in ("results.csv", "results.jsonl", "stop")]
    for page in [*pages, *results]:
        assert visitor.open(page).status_code == 403, page
    visitor.open("/")
    for action in ("/batch/new/columns", "/batch/new/try", "/batch/new/start", f"{pages[-1]}/stop"):
        fields = {"model": BUILTIN, "input": "s3://texts/roles.csv", "labels": "a", "name": "x", "workers": "1"}
        assert visitor.send(action, **fields).status_code == 403, action
    sent = {"form_token": (None, visitor.form_token), "file": ("a.csv", b"text\nx\n")}
    assert visitor.client.post("/batch/new", files=sent).status_code == 403  # type: ignore[arg-type]
    visitor.client.close()


def test_where_s3_is_off_pages_reach_no_bucket_either(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("closed") / "home"
    with ServerProcess(home, ZEROSTART_ENGINE="fake", ZEROSTART_S3_GATEWAY="off") as closed:
        visitor = Visitor(closed)
        visitor.sign_in()
        for path in ("/buckets", "/buckets/x", "/buckets/x/object?key=a", "/batch/new"):
            assert visitor.open(path).status_code == 403
            assert "setting s3_gateway" in visitor.page
        assert visitor.open("/batch").status_code == 200
        visitor.client.close()
