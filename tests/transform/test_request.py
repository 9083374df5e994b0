"""Jobs as people ask for them: names, and columns that are kept whatever they are called."""

from datetime import UTC, datetime

import pytest

from zerostart.errors import InvalidInput
from zerostart.transform.paths import Selection
from zerostart.transform.request import TransformRequest, content_type_of, job_name, model_name


def request(**values: object) -> TransformRequest:
    given = {
        "name": "j",
        "model_name": "m",
        "input_uri": "s3://b/k",
        "content_type": "text/csv",
        "output_uri": "s3://b",
    }
    return TransformRequest(**(given | values))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "a.b", "it's", 'a"b', "a,b", "a]b", "ü🙂", "a\nb", "a\\b", "$", "*"])
def test_columns_are_kept_whatever_they_are_called(name: str) -> None:
    path = request(keep=[name, "text"]).asked()["DataProcessing"]["OutputFilter"]
    record = {name: 1, "text": 2, "other": 3, "SageMakerOutput": {"labels": ["a"]}}
    assert Selection(path).of(record) == {name: 1, "text": 2, "SageMakerOutput": {"labels": ["a"]}}


def test_all_columns_or_none() -> None:
    assert request(keep=None).asked()["DataProcessing"] == {"JoinSource": "Input"}
    assert "DataProcessing" not in request(keep=[]).asked()


def test_names_and_types_come_from_the_file() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert job_name("in/June 2026.csv.gz", at) == "June-2026-20260102-030405-000000"
    assert job_name("日本", at) == "job-20260102-030405-000000"
    assert len(job_name("x" * 500, at)) <= 63
    assert model_name("owner/some.model") == "transform-owner-some-model"
    assert content_type_of("a.CSV.gz") == "text/csv"
    assert content_type_of("a.jsonl") == "application/jsonlines"
    assert content_type_of("a.parquet") is None


@pytest.mark.parametrize("values", [{"name": "a b"}, {"name": "x" * 64}, {"workers": 0}, {"workers": 101}])
def test_what_no_job_can_be_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        request(**values)
