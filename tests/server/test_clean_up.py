"""zerostart down, delete --all and costs against a server that works: real processes, real boto3, real proof."""

import json
import re
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.load import Load
from tests.processes import BUILTIN, ROLE, ServerProcess, children_of, clean_environment, is_running, wait_for
from zerostart.credentials import Role, create_access_key

QUESTION = {"inputs": "Pack the bags.", "candidate_labels": ["travel", "cooking"]}
FAKE = {"ZEROSTART_ENGINE": "fake", "ZEROSTART_MAX_INSTANCES": "10"}
KEPT_TABLES = {"usage", "alembic_version"}


def command(server: ServerProcess, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`zerostart` with the installation's own key."""
    return subprocess.run(
        [sys.executable, "-m", "zerostart", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=clean_environment(server.home, COLUMNS="140", **environment),
        timeout=150,
    )


def own_api(server: ServerProcess, page: str, asked: Any = None, secret: str = "") -> tuple[int, Any]:
    """Status and document of a page of the server's own JSON."""
    import httpx

    headers = {"Authorization": f"Bearer {secret or server.keys.secret_access_key}"}
    sent = httpx.request(
        "GET" if asked is None else "POST", f"{server.address}/zerostart/{page}", json=asked, headers=headers
    )
    return sent.status_code, sent.json()


def rows(home: Path) -> dict[str, int]:
    """How many rows each table has that has some."""
    with closing(sqlite3.connect(home / "zerostart.db", timeout=10)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}  # noqa: S608 - our own tables
    return {name: count for name, count in counts.items() if count and name not in KEPT_TABLES}


def files(home: Path) -> list[str]:
    """What is left on disk of buckets, logs and sockets."""
    roots = [home / "buckets", home / "logs" / "endpoints", home / "logs" / "jobs", home / "run"]
    return [str(path.relative_to(home)) for root in roots for path in root.rglob("*") if not path.is_dir()]


def start_job(server: ServerProcess, name: str, records: int = 200_000) -> None:
    """A job that takes longer than a test."""
    client = server.s3()
    if not any(each["Name"] == "texts" for each in client.list_buckets()["Buckets"]):
        client.create_bucket(Bucket="texts")
        record = {"inputs": "Pack the bags.", "parameters": {"candidate_labels": ["travel", "cooking"]}}
        client.put_object(Bucket="texts", Key="in/a.jsonl", Body=(json.dumps(record) + "\n").encode() * records)
        server.sagemaker().create_model(
            ModelName="job-model", ExecutionRoleArn=ROLE, PrimaryContainer={"Environment": {"HF_MODEL_ID": BUILTIN}}
        )
    server.sagemaker().create_transform_job(
        TransformJobName=name,
        ModelName="job-model",
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://texts/in/"}},
            "ContentType": "application/json",
            "SplitType": "Line",
        },
        TransformOutput={"S3OutputPath": f"s3://texts/{name}", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        Tags=[{"Key": "team", "Value": "search"}],
    )


def make_everything(server: ServerProcess) -> None:
    """Something of every kind, all of it at work."""
    server.deploy("site", instances=2)
    scaling = server.client("application-autoscaling", server.keys)
    scaled = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/site/variant/AllTraffic"}
    scaled["ScalableDimension"] = "sagemaker:variant:DesiredInstanceCount"
    scaling.register_scalable_target(**scaled, MinCapacity=2, MaxCapacity=2)
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    config = {"TargetValue": 1.0, "PredefinedMetricSpecification": metric}
    scaling.put_scaling_policy(
        **scaled, PolicyName="p", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration=config
    )
    server.deploy("resting")
    server.deploy("gone")
    server.delete("gone")  # its log stays, as it does on AWS
    assert own_api(server, "down", {"endpoints": ["resting"]})[0] == 200
    start_job(server, "long")
    wait_for(lambda: len(children_of(server.pid)) == 3)  # two instances and a worker
    start_job(server, "queued")
    client = server.s3()
    client.create_bucket(Bucket="half-done")
    client.create_multipart_upload(Bucket="half-done", Key="never")


def test_everything_is_deleted_on_a_busy_server_and_nothing_is_left(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_MAX_TRANSFORM_WORKERS="1", **FAKE) as server:
        make_everything(server)
        load = Load(server, "site", callers=4)
        running = children_of(server.pid)
        assert len(running) == 3
        nobody = command(server, "delete", "--all", "--buckets")
        assert nobody.returncode == 1
        assert "give --yes, as nobody can be asked here" in nobody.stderr
        for name in ("site", "resting", "endpoint/gone", "long", "queued", "job-model", "texts", "half-done"):
            assert name in nobody.stdout
        assert load.outcomes[-1][0] == 200
        done = command(server, "delete", "--all", "--buckets", "--yes")
        assert done.returncode == 0, done
        outcomes = load.stop()
        assert {status for status, _ in outcomes} == {200, 400}  # until it is gone: no call was cut
        for what in ("processes", "sockets", "rows", "bytes"):
            assert re.search(rf"^{what} +none left", done.stdout, re.MULTILINE), done.stdout
        assert children_of(server.pid) == []
        assert not any(is_running(pid) for pid in running)
        assert rows(home) == {}
        assert files(home) == []
        again = command(server, "delete", "--all", "--buckets", "--yes")
        assert "There is nothing to delete" in again.stdout
        assert again.returncode == 0
        server.deploy("site")  # the name is free again
        assert server.invoke("site", QUESTION)["labels"]


def test_what_is_left_is_named_and_the_exit_code_says_so(home: Path) -> None:
    with ServerProcess(home, **FAKE) as server:
        stray = home / "buckets" / "ab" / "ab0123"
        stray.parent.mkdir(parents=True)
        stray.write_bytes(b"twelve bytes")
        done = command(server, "delete", "--all", "--buckets", "--yes")
        assert done.returncode == 1
        assert "bytes      1 left" in done.stdout
        assert "buckets/ab: 1 files, 12 bytes" in done.stdout


def test_a_clean_up_that_a_kill_interrupts_is_finished_by_the_next(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_MAX_TRANSFORM_WORKERS="1", **FAKE) as server:
        make_everything(server)
        things = own_api(server, "inventory")[1]["things"]
        assert own_api(server, "clean-ups", {"things": things})[0] == 200
        wait_for(
            lambda: any(
                each["kind"] == "endpoint" and "Deleting" in each["note"]
                for each in own_api(server, "inventory")[1]["things"]
            ),
            every_s=0.01,
        )
        server.kill()
    with ServerProcess(home, **FAKE) as server:
        done = command(server, "delete", "--all", "--buckets", "--yes")
        assert done.returncode == 0, done
        assert rows(home) == {}
        assert files(home) == []


def test_buckets_stay_unless_asked_for_but_those_of_solutions_go(server: ServerProcess) -> None:
    for name in ("mine", "made-by-a-solution"):
        server.s3().create_bucket(Bucket=name)
        server.s3().put_object(Bucket=name, Key="a/b", Body=b"12345")
    with closing(sqlite3.connect(server.home / "zerostart.db")) as database:
        tag = ("arn:aws:s3:::made-by-a-solution", "zerostart:solution", "resolutions")
        database.execute("INSERT INTO tags (arn, key, value) VALUES (?, ?, ?)", tag)
        database.commit()
    done = command(server, "delete", "--all", "--yes")
    assert done.returncode == 0, done
    assert "of resolutions" in done.stdout
    assert "Kept: 1 buckets" in done.stdout
    assert [each["Name"] for each in server.s3().list_buckets()["Buckets"]] == ["mine"]
    assert rows(server.home) == {"buckets": 1, "objects": 1}


def idle_s(server: ServerProcess, endpoint: str) -> float:
    listed = own_api(server, "endpoints")[1]["endpoints"]
    return next(float(each["idle_s"]) for each in listed if each["name"] == endpoint)


def test_down_stops_instances_answers_calls_in_flight_and_keeps_the_endpoints(home: Path) -> None:
    with ServerProcess(home) as server:
        server.deploy("first", instances=1)
        server.deploy("second", instances=1)
        texts = ["a long text about many things and places " * 60] * 40
        answers: list[Any] = []
        asked = {"inputs": texts, "candidate_labels": ["a", "b"]}
        caller = threading.Thread(target=lambda: answers.append(server.invoke("first", asked)))
        caller.start()
        wait_for(lambda: idle_s(server, "first") < 0.001, every_s=0.01)  # its call is there
        done = command(server, "down", "--yes")
        caller.join(120)
        assert done.returncode == 0, done
        assert len(answers[0]) == 40
        assert children_of(server.pid) == []
        assert re.search(r"^processes +none left", done.stdout, re.MULTILINE)
        assert re.search(r"^sockets +none left", done.stdout, re.MULTILINE)
        listed = command(server, "endpoints", "list").stdout
        assert listed.count("asleep: wakes on the next call") == 2
        assert {server.status("first"), server.status("second")} == {"InService"}
        assert server.invoke("first", QUESTION)["labels"][0] == "travel"
        assert len(children_of(server.pid)) == 1
        assert "No instance runs" in command(server, "down", "second").stdout
        assert len(children_of(server.pid)) == 1
        assert "There is no endpoint third" in command(server, "down", "third").stderr


def test_an_idle_timeout_is_given_at_deploy_and_shown_in_the_list(server: ServerProcess) -> None:
    done = command(server, "deploy", BUILTIN, "--endpoint-name", "brief", "--idle-timeout", "600", "--wait")
    assert done.returncode == 0, done
    assert command(server, "deploy", BUILTIN, "--endpoint-name", "always", "--idle-timeout", "0").returncode == 0
    listed = command(server, "endpoints", "list").stdout
    assert "sleeps after 10 min" in listed
    assert "never sleeps" in listed
    (brief,) = [
        each
        for each in json.loads(command(server, "endpoints", "list", "--format", "json").stdout)
        if each["EndpointName"] == "brief"
    ]
    assert brief["Activity"]["idle_timeout_s"] == 600
    assert brief["Activity"]["memory_bytes"] > 10_000_000
    assert 0 <= brief["Activity"]["idle_s"] < 120


def costs(server: ServerProcess) -> dict[tuple[str, str], dict[str, Any]]:
    printed = json.loads(command(server, "costs", "--json").stdout)
    return {(each["kind"], each["name"]): each for each in printed}


def test_what_ran_is_in_the_ledger_and_survives_a_kill(home: Path) -> None:
    site, job = ("endpoint", "site"), ("transform-job", "long")
    with ServerProcess(home, **FAKE) as server:
        assert "Nothing ran yet" in command(server, "costs").stdout
        server.deploy("site", instances=2)
        start_job(server, "long")
        wait_for(lambda: costs(server).get(job, {}).get("instance_s", 0) > 3)
        before = costs(server)
        assert before[site]["instance_s"] > before[job]["instance_s"]
        for each in before.values():
            assert each["peak_bytes"] > 10_000_000
            average_bytes = each["memory_mb_s"] * 1e6 / each["instance_s"]
            assert 1_000_000 < average_bytes <= each["peak_bytes"]
        server.kill()
    with ServerProcess(home, **FAKE) as server:
        after = costs(server)
        assert after[site]["instance_s"] >= before[site]["instance_s"]
        wait_for(lambda: costs(server)[site]["instance_s"] > after[site]["instance_s"] + 1)
        assert command(server, "delete", "--all", "--buckets", "--yes").returncode == 0
        kept = costs(server)
        assert kept.keys() == before.keys()
        assert "site" in command(server, "costs").stdout
        wait_for(lambda: costs(server) == kept or not kept.update(costs(server)))  # nothing runs, nothing is added


def test_roles_hold_here_too_and_names_are_no_paths(server: ServerProcess) -> None:
    path = server.home / "access-keys.json"
    invoker = create_access_key(path, "invoker", Role.INVOKE, ["site"]).secret_access_key
    deployer = create_access_key(path, "deployer", Role.DEPLOY).secret_access_key
    everything = {"things": [{"kind": "model", "name": "m"}]}
    for page, asked in (
        ("endpoints", None),
        ("inventory", None),
        ("costs", None),
        ("proof", None),
        ("down", {}),
        ("clean-ups", everything),
    ):
        assert own_api(server, page, asked, secret=invoker)[0] == 403, page
        assert own_api(server, page, asked, secret=deployer)[0] == 200, page
        assert own_api(server, page, asked, secret="wrong")[0] == 403, page
    weights = {"things": [{"kind": "weights", "name": BUILTIN}]}
    assert own_api(server, "clean-ups", weights, secret=deployer)[0] == 403
    wrongs: list[Any] = [{"things": [{"kind": "database", "name": "x"}]}, {"things": ["x"]}, {}, []]
    for wrong in wrongs:
        assert own_api(server, "clean-ups", wrong)[0] == 400, wrong
    server.deploy("site")
    hostile = [
        "..",
        ".",
        "",
        "../..",
        "endpoint/..",
        "transform-job/../endpoints",
        "/etc",
        "site\0",
        "../../credentials",
    ]
    things = [
        {"kind": kind, "name": name}
        for name in hostile
        for kind in ("endpoint", "transform-job", "logs", "model", "bucket", "weights")
    ]
    begun = own_api(server, "clean-ups", {"things": things})[1]["id"]
    wait_for(lambda: own_api(server, f"clean-ups/{begun}")[1]["done"])
    assert server.invoke("site", QUESTION)["labels"]
    assert list((server.home / "logs" / "endpoints" / "site").rglob("*.log"))
    assert (server.home / "credentials").exists()


def test_weights_in_use_stay_and_others_go(home: Path) -> None:
    for name in ("mine", "other"):
        copy = home / "models" / name
        copy.mkdir(parents=True)
        for each in Path("src/zerostart/models/builtin/zerostart-zstc-small").iterdir():
            (copy / each.name).write_bytes(each.read_bytes())
        manifest = copy / "zerostart.json"
        manifest.write_text(manifest.read_text().replace("zerostart-zstc-small", name))
    with ServerProcess(home, **FAKE) as server:
        server.deploy("site", model_id="mine")
        things = [{"kind": "weights", "name": name} for name in ("mine", "other", BUILTIN)]
        begun = own_api(server, "clean-ups", {"things": things})[1]["id"]
        wait_for(lambda: own_api(server, f"clean-ups/{begun}")[1]["done"])
        state = own_api(server, f"clean-ups/{begun}")[1]
        assert [each["name"] for each in state["deleted"]] == ["other"]
        reasons = {each["name"]: each["reason"] for each in state["failed"]}
        assert "in use by endpoint site" in reasons["mine"]
        assert "is built in" in reasons[BUILTIN]
        assert not (home / "models" / "other").exists()
        assert (home / "models" / "mine").exists()
