"""What a profile says of answers, in tables."""

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pyarrow import parquet

from tests.transform.test_records import PLAIN
from zerostart.transform.tables import CSV, PARQUET, table_line, write_table

PROFILE = '{"format":1,"labels":{"a":{},"b":{}}}'
ANSWERS: list[dict[str, Any]] = [
    {"sequence": "x", "labels": ["a", "b"], "scores": [0.75, 0.25], "unsure": False},
    {"sequence": "y", "labels": ["b", "a"], "scores": [0.5, 0.5], "unsure": True},
    {"error": "too long"},
    {"sequence": "z", "labels": ["a", "b"], "scores": [0.75, 0.25], "chosen": ["a"]},
    {"sequence": "other labels", "labels": ["c"], "scores": [0.5]},
]


class Sink:
    def __init__(self) -> None:
        self.content = b""

    def write(self, content: bytes) -> None:
        self.content += content


def written(accept: str, profile: str | None, answers: Sequence[dict[str, Any]]) -> bytes:
    sink = Sink()
    write_table(replace(PLAIN, accept=accept, profile=profile), [table_line(None, answer) for answer in answers], sink)
    return sink.content


def test_a_table_of_a_job_with_a_profile_has_its_verdicts() -> None:
    assert written(CSV, PROFILE, ANSWERS).decode().splitlines() == [
        "sequence,label,score,labels,scores,unsure,chosen,error",
        'x,a,0.75,"[""a"", ""b""]","[0.75, 0.25]",false,,',
        'y,b,0.5,"[""b"", ""a""]","[0.5, 0.5]",true,,',
        ",,,,,,,too long",
        'z,a,0.75,"[""a"", ""b""]","[0.75, 0.25]",,"[""a""]",',
        'other labels,c,0.5,"[""c""]",[0.5],,,',
    ]
    rows = parquet.read_table(io.BytesIO(written(PARQUET, PROFILE, ANSWERS))).to_pylist()
    assert [row["unsure"] for row in rows] == [False, True, None, None, None]
    assert [row["chosen"] for row in rows] == [None, None, None, ["a"], None]


def test_without_a_profile_the_columns_are_as_ever() -> None:
    assert written(CSV, None, ANSWERS[2:3]).decode().splitlines() == [
        "sequence,label,score,labels,scores,error",
        ",,,,,too long",
    ]
