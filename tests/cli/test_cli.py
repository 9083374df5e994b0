"""The command line as a user types it: real processes."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ServerProcess, clean_environment, wait_for
from tests.tiny_models import build_source

COMMANDS = [
    *("classify", "decide", "serve", "model-server", "deploy", "invoke", "env", "version"),
    *("endpoints list", "endpoints show", "endpoints delete", "models list", "models add", "run"),
    *("models pull", "models export", "models remove", "models search", "models show"),
    *("models bench", "models optimize"),
    *("transform create", "transform list", "transform show", "transform wait", "transform stop"),
    *("keys create", "keys list", "keys revoke", "evaluate", "compare"),
    *("down", "delete", "costs", "notebook"),
]


def run(home: Path, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zerostart", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(home, COLUMNS="120", **environment),
        timeout=60,
    )


def refused(home: Path, *arguments: str) -> str:
    """The one line of an error: nothing on standard output, no traceback, exit code 1."""
    done = run(home, *arguments)
    assert done.returncode == 1, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example(home: Path, command: str) -> None:
    done = run(home, *command.split(), "--help")
    assert done.returncode == 0
    assert f"Example: {'eval' if command == 'env' else 'zerostart ' + command}" in done.stdout.replace(
        'eval "$(', "eval"
    )


def test_a_table_for_people(home: Path) -> None:
    done = run(home, "classify", "One day I will see the world", "--labels", "cooking,travel")
    assert done.returncode == 0
    assert done.stdout.index("travel") < done.stdout.index("cooking")


def test_nothing_is_reported_to_anybody_nor_left_in_the_users_home(home: Path, tmp_path: Path) -> None:
    """OpenVINO's Python package has telemetry, with an id in the user's home; it is kept from starting."""
    users = tmp_path / "user"
    users.mkdir()
    done = run(home, "classify", "One day I will see the world", "--labels", "cooking,travel", HOME=str(users))
    assert done.returncode == 0
    assert list(users.iterdir()) == []
    code = (
        "import sys; from zerostart import pipeline; pipeline('zero-shot-classification')('a', ['b', 'c']);"
        "print([name for name, module in sys.modules.items() if 'telemetry' in name and module])"
    )
    variables = clean_environment(home, HOME=str(users))
    inside = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert "openvino_telemetry'" not in inside.stdout
    assert list(users.iterdir()) == []


def test_json_for_programs(home: Path) -> None:
    texts = ["One day I will see the world", "Whisk the eggs"]
    done = run(home, "classify", *texts, "--label", "cooking, food", "--label", "travel", "--format", "json")
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["sequence"], first["labels"]) == (texts[0], ["travel", "cooking, food"])
    assert second["labels"][0] == "cooking, food"


def test_labels_from_a_file_with_descriptions(home: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("T\ttravel and journeys\n\nC\tcooking and food\n")
    done = run(home, "classify", "Whisk the eggs", "--labels-file", str(labels), "--format", "json")
    assert json.loads(done.stdout)["labels"] == ["C", "T"]


def test_a_csv_keeps_its_columns_and_order(home: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text('id,label,said\n1,old,"Whisk the eggs, then bake."\n2,,\n3,old,Pack the bags and fly.\n', "utf-8")
    options = ["--text-column", "said", "--labels", "travel,cooking", "--output", str(output)]
    done = run(home, "classify", "--input", str(source), *options)
    assert done.returncode == 0, done.stderr
    assert "3 texts (1 had no text and got no label)" in done.stderr
    rows = list(csv.DictReader(output.read_text("utf-8").splitlines()))
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    assert [row["label"] for row in rows] == ["old", "", "old"], "the input's own column stays"
    assert [row["zerostart label"] for row in rows] == ["cooking", "", "travel"]
    assert float(rows[0]["score: cooking"]) == float(rows[0]["score"]) > 0.5
    assert rows[1]["score: travel"] == ""


def test_jsonl_and_standard_input(home: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"text": "Whisk the eggs"}\n"Pack the bags"\n')
    run(home, "classify", "--input", str(source), "--labels", "travel,cooking", "--output", str(output))
    results = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(each["sequence"], each["labels"][0]) for each in results] == [
        ("Whisk the eggs", "cooking"),
        ("Pack the bags", "travel"),
    ]
    piped = run(home, "classify", "--input", "-", "--labels", "a,b", "--format", "json", stdin="one\n\ntwo\n")
    assert [json.loads(line)["sequence"] for line in piped.stdout.splitlines()] == ["one", "two"]


def test_errors_are_one_line_that_says_what_to_do(home: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("a,b\n1,2\n")
    (tmp_path / "bad.jsonl").write_text('{"text": "fine"}\n{"text": \n')
    inputs = ["--labels", "x,y", "--input"]
    assert "no column 'text'" in refused(home, "classify", *inputs, str(tmp_path / "in.csv"))
    assert "bad.jsonl, line 2: not valid JSON" in refused(home, "classify", *inputs, str(tmp_path / "bad.jsonl"))
    assert "cannot be read: No such file" in refused(home, "classify", *inputs, str(tmp_path / "absent.txt"))
    assert "Name the labels in one way" in refused(home, "classify", "a text")
    assert "write {} exactly once" in refused(home, "classify", "a", "--labels", "x", "--template", "no place")
    assert "zerostart models add nobody/nothing PATH" in refused(
        home, "classify", "a", "--labels", "x", "--model", "nobody/nothing"
    )
    assert "start the server once" in refused(home, "endpoints", "list")
    assert "zerostart endpoints delete tickets" in refused(home, "delete", "tickets")


def test_deploy_invoke_list_and_delete(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        at = {"AWS_ENDPOINT_URL": server.address}
        empty = run(home, "endpoints", "list", **at)
        assert "No endpoints. Make one: zerostart deploy" in empty.stdout
        done = run(home, "deploy", "zerostart-zstc-small", "--endpoint-name", "cli", "--instances", "2", "--wait", **at)
        assert "Endpoint cli is InService" in done.stdout, done.stderr
        answer = run(home, "invoke", "cli", "a text", "another", "--labels", "x,y", **at)
        assert [json.loads(line)["sequence"] for line in answer.stdout.splitlines()] == ["a text", "another"]
        assert json.loads(run(home, "endpoints", "list", "--format", "json", **at).stdout)[0]["EndpointName"] == "cli"
        shown = json.loads(run(home, "endpoints", "show", "cli", **at).stdout)
        assert shown["ProductionVariants"][0]["CurrentInstanceCount"] == 2
        again = run(home, "deploy", "zerostart-zstc-small", "--endpoint-name", "cli", **at)
        assert again.returncode == 1
        assert "already existing model" in again.stderr
        deleted = run(home, "endpoints", "delete", "cli", "--wait", **at)
        assert deleted.returncode == 0, deleted.stderr
        assert server.sagemaker().list_models()["Models"] == []
        assert server.sagemaker().list_endpoints()["Endpoints"] == []
        gone = run(home, "endpoints", "show", "cli", **at)
        assert 'Could not find endpoint "arn:aws:sagemaker' in gone.stderr


def test_an_endpoint_is_scaled_by_its_load(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        server.deploy("cli")
        scale = ("endpoints", "autoscale", "cli")
        assert "Give --min, --max and --target" in run(home, *scale).stderr
        assert "give MinCapacity and MaxCapacity" in run(home, *scale, "--max", "2").stderr
        done = run(home, *scale, "--min", "2", "--max", "3", "--target", "600", "--scale-in-cooldown", "60")
        assert done.stdout == ("Endpoint cli scales between 2 and 3 instances by 600 invocations a minute each.\n")
        assert "between 2 and 4 instances by 90.5 inv" in run(home, *scale, "--max", "4", "--target", "90.5").stdout
        wait_for(lambda: server.ready_instances("cli") == 2)
        (shown,) = json.loads(run(home, "endpoints", "show", "cli").stdout)["Scaling"]
        config = shown["ScalingPolicies"][0]["TargetTrackingScalingPolicyConfiguration"]
        assert (config["TargetValue"], config["ScaleInCooldown"]) == (90.5, 60)
        assert shown["ScalingActivities"][0]["Cause"] == "minimum capacity was set to 2"
        listed = run(home, "endpoints", "list").stdout
        assert "2 of 2" in listed
        assert "scales 2 to 4" in listed
        assert "keeps the instances that it has" in run(home, *scale, "--off").stdout
        assert "Scaling" not in json.loads(run(home, "endpoints", "show", "cli").stdout)
        assert "No scalable target found" in run(home, *scale, "--off").stderr


def test_a_file_is_transformed_in_one_line(home: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text('id,review\n1,One day I will see the world\n2,""\n3,"Whisk the eggs,\nand bake"\n')
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        assert "No jobs. Run one" in run(home, "transform", "list").stdout
        files = ["--input", str(tmp_path / "in.csv"), "--output", str(tmp_path / "out.csv")]
        job = ["--text-column", "review", "--labels", "travel,cooking", "--name", "reviews"]
        tried = run(home, "transform", "create", *files[:2], *job, "--dry-run")
        assert "About 2 records" in tried.stderr
        assert [json.loads(line)["output"]["sequence"] for line in tried.stdout.splitlines()] == [
            "One day I will see the world",
            "Whisk the eggs,\nand bake",
        ]
        assert "No jobs. Run one" in run(home, "transform", "list").stdout
        done = run(home, "transform", "create", *files, *job)
        assert done.returncode == 0, done.stderr
        assert "3 texts (1 had no text)" in done.stderr
        with (tmp_path / "out.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["id"] for row in rows] == ["1", "2", "3"]
        assert [row["label"] != "" for row in rows] == [True, False, True]
        assert json.loads(run(home, "transform", "list", "--format", "json").stdout)[0]["TransformJobName"] == "reviews"
        assert json.loads(run(home, "transform", "show", "reviews").stdout)["Progress"]["records"] == 2
        assert run(home, "transform", "wait", "reviews").returncode == 0
        assert "in status Completed" in run(home, "transform", "stop", "reviews").stderr
        assert server.s3().list_objects_v2(Bucket="zerostart-transform")["KeyCount"] == 0
        assert "Name the labels" in run(home, "transform", "create", *files).stderr
        assert "Could not find requested job" in run(home, "transform", "wait", "nothing").stderr


@pytest.mark.alone
def test_a_server_that_dies_under_a_job_does_not_lose_it(home: Path, tmp_path: Path) -> None:
    """The command ends and says where the results will be; after the next start they are there."""
    source = tmp_path / "texts.txt"
    source.write_text("".join(f"One day I will see the world number {n}.\n" for n in range(20_000)))
    create = ("transform", "create", "--input", str(source), "--labels", "a,b", "--output", str(tmp_path / "o.jsonl"))
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        command = [sys.executable, "-m", "zerostart", *create, "--name", "long"]
        running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=clean_environment(home))
        client = server.sagemaker()
        wait_for(lambda: client.list_transform_jobs()["TransformJobSummaries"] and server.progress("long")["records"])
        server.kill()
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 1
    assert (
        "Job long goes on when the server runs again; its results will be s3://zerostart-transform/long/out" in errors
    )
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        assert run(home, "transform", "wait", "long").returncode == 0
        body = server.s3().get_object(Bucket="zerostart-transform", Key="long/out/in.jsonl.out")["Body"]
        assert sum(1 for _ in body.iter_lines()) == 20_000


def test_objects_are_transformed_to_objects(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        client = server.s3()
        client.create_bucket(Bucket="texts")
        client.put_object(Bucket="texts", Key="in/a.csv", Body=b"id,review\n1,One day\n2,\n")
        job = ["--input", "s3://texts/in/a.csv", "--text-column", "review", "--labels", "travel,cooking"]
        assert "give --output s3://bucket/prefix" in run(home, "transform", "create", *job).stderr
        done = run(home, "transform", "create", *job, "--output", "s3://texts/out")
        assert done.returncode == 0, done.stderr
        assert "About 2 records" in done.stderr
        output = client.get_object(Bucket="texts", Key="out/a.csv.out")["Body"].read().splitlines()
        assert json.loads(output[0])["sequence"] == "One day"
        assert "error" in json.loads(output[1]), "collected, unless --strict is given"
        strict = run(home, "transform", "create", *job, "--output", "s3://texts/strict", "--strict")
        assert strict.returncode == 1
        assert "line 3" in strict.stderr


def test_env_points_aws_clients_here(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        lines = run(home, "env").stdout  # the server wrote down where it is
        assert f"export AWS_ENDPOINT_URL='{server.address}'" in lines
        script = (
            f'{lines}\n{sys.executable} -c \'import boto3; print(boto3.client("sagemaker").list_models()["Models"])\''
        )
        environment = clean_environment(home, AWS_PROFILE="real", AWS_SESSION_TOKEN="real")
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, env=environment)
        assert done.stdout.strip() == "[]", done.stderr


def test_the_printed_first_call_works_when_pasted(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        wait_for(lambda: any("env)" in line for line in server.output))
        pasted = [line.strip() for line in server.output if " deploy " in line or " invoke " in line]
        assert len(pasted) == 2
        for command in pasted:
            done = subprocess.run(
                ["bash", "-c", command],
                capture_output=True,
                text=True,
                check=False,
                env=clean_environment(home),
                timeout=60,
            )
            assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["sequence"] == "One day I will see the world"


def test_without_a_server_the_error_says_how_to_start_one(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake"):
        pass
    done = run(home, "endpoints", "list", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.strip() == "zerostart: No server answers on http://127.0.0.1:9: run zerostart serve"


def test_a_model_of_ones_own_is_added_and_classifies(home: Path, tmp_path: Path) -> None:
    source = build_source(tmp_path / "source", "bert", spread=0.1)
    done = run(home, "models", "add", "my-team/tiny", str(source), "--licence", "Apache-2.0", "--language", "en")
    assert done.returncode == 0, done.stderr
    assert "my-team/tiny is ready in" in done.stdout
    assert "zerostart deploy my-team/tiny --wait" in done.stdout
    assert "my-team/tiny" in run(home, "models", "list").stdout
    answer = run(home, "classify", "a text", "--labels", "a,b", "--model", "my-team/tiny", "--format", "json")
    assert sorted(json.loads(answer.stdout)["labels"]) == ["a", "b"]
    assert "exists: remove it first" in refused(home, "models", "add", "my-team/tiny", str(source))
    assert "config.json is missing" in refused(home, "models", "add", "other", str(tmp_path))
