"""`zerostart models pull` as a user runs it, against a real server that answers as the Hugging Face hub does."""

import hashlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_server import MEMBERS_TOKEN, HubServer
from tests.processes import clean_environment, wait_for
from tests.tiny_models import build_sentence_source, build_source
from zerostart.models.artefact import read_artefact
from zerostart.models.fetching import hub_id

MODEL = "acme/tiny-nli"
WHOLE = "all files are here and have the hub's checksums"
# What is fetched is not looked into before it is whole, so most tests need no model.
FILES = {
    "config.json": b'{"model_type": "bert"}',
    "tokenizer.json": b"{}",
    "model.safetensors": bytes(range(256)) * 1000,
    "README.md": b"# Tiny",
}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a model that works."""
    folder = build_source(tmp_path_factory.mktemp("hub") / "bert", "bert", spread=0.1)
    return {path.name: path.read_bytes() for path in folder.iterdir()} | {"README.md": b"# Tiny"}


def environment(home: Path, hub: HubServer | None, **variables: str) -> dict[str, str]:
    """Nothing of the user's own account at the hub."""
    own = {key: value for key, value in clean_environment(home).items() if not key.startswith(("HF_", "HUGGING"))}
    where = {"HF_ENDPOINT": hub.url} if hub else {}
    return own | {"HOME": str(home.parent / "user"), "COLUMNS": "120"} | where | variables


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "zerostart", *arguments]


def run(home: Path, hub: HubServer | None, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=environment(home, hub, **variables),
        timeout=100,
    )


def refused(home: Path, hub: HubServer | None, model: str = MODEL, **variables: str) -> str:
    """The error of a pull that fails: the last line; nothing is registered, and there is no traceback."""
    done = run(home, hub, "models", "pull", model, **variables)
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert [path.name for path in home.glob("models/*") if path.name != ".fetching"] == []
    return done.stderr.splitlines()[-1]


def part_size(home: Path) -> int:
    return sum(path.stat().st_size for path in home.glob("models/.fetching/*/model.safetensors.part"))


def test_a_pulled_model_classifies_and_is_pinned_to_the_commit_that_was_looked_up(
    home: Path, hub: HubServer, bert: dict[str, bytes]
) -> None:
    """The branch moves right after the look-up."""
    sha = hub.add(MODEL, bert, license="mit", language=["en", "de"])
    repository = hub.repositories[MODEL]
    moved = repository.commit(bert | {"config.json": b"{}"})
    repository.branches["main"] = sha
    hub.moves = (repository, moved)
    done = run(home, hub, "models", "pull", MODEL, HF_TOKEN=MEMBERS_TOKEN)
    assert done.returncode == 0, done.stderr
    assert f"{MODEL} at {sha}: {len(bert)} files, " in done.stderr
    assert f"{MODEL} is ready in {home / 'models' / 'acme--tiny-nli'} (largest probability difference " in done.stdout
    assert f"Deploy it: zerostart deploy {MODEL} --wait" in done.stdout
    assert all(f"/resolve/{sha}/" in each.path for each in hub.requests[1:])
    answer = run(home, None, "classify", "a text", "--labels", "a,b", "--model", MODEL, "--format", "json")
    assert sorted(json.loads(answer.stdout)["labels"]) == ["a", "b"]
    listed = json.loads(run(home, None, "models", "list", "--local", "--format", "json").stdout)
    own = next(each for each in listed if each["model_id"] == MODEL)
    assert (own["revision"], own["licence"], own["languages"]) == (sha, "mit", ["en", "de"])
    assert own["max_probability_difference"] < 1e-3
    sources = read_artefact(home / "models" / "acme--tiny-nli").manifest.sources
    assert sources["model.safetensors"] == hashlib.sha256(bert["model.safetensors"]).hexdigest()
    assert not list(home.glob("models/.fetching/*")), "what was fetched is gone once the model is made"
    _token_stayed(home, hub, done)
    again = run(home, hub, "models", "pull", MODEL)
    assert (again.returncode, again.stdout) == (0, f"{MODEL} is here already, at revision {sha}.\n")
    same = run(home, hub, "models", "pull", f"{MODEL}@{sha[:8]}", HF_HUB_OFFLINE="1")
    assert (same.returncode, same.stdout) == (0, f"{MODEL} is here already, at revision {sha}.\n")
    other = run(home, hub, "models", "pull", f"{MODEL}@main")
    assert other.returncode == 1
    assert f"is here at revision {sha}, not at {moved}" in other.stderr


def _token_stayed(home: Path, hub: HubServer, done: subprocess.CompletedProcess[str]) -> None:
    """The token went to the hub and nowhere else: not to the storage that it redirects to, nor into a file."""
    assert {each.headers["Authorization"] for each in hub.requests if each.server == "hub"} == {
        f"Bearer {MEMBERS_TOKEN}"
    }
    (redirected,) = [each for each in hub.requests if each.server == "storage"]
    assert MEMBERS_TOKEN not in str(redirected)
    assert MEMBERS_TOKEN not in done.stdout + done.stderr
    kept = [path for path in home.parent.rglob("*") if path.is_file() and MEMBERS_TOKEN.encode() in path.read_bytes()]
    assert kept == []
    assert not (home.parent / "user").exists(), "nothing in the user's own folders"


def test_a_hub_that_redirects_its_api_elsewhere_takes_no_token_there(home: Path, hub: HubServer) -> None:
    hub.add(MODEL, FILES)
    hub.redirects_look_ups = True
    refused(home, hub, HF_TOKEN=MEMBERS_TOKEN)
    assert [each.server for each in hub.requests[:2]] == ["hub", "storage"]
    assert all("Authorization" in each.headers for each in hub.requests if each.server == "hub")
    assert MEMBERS_TOKEN not in str([each for each in hub.requests if each.server == "storage"])


def test_a_killed_pull_is_continued_where_it_stopped(home: Path, hub: HubServer, bert: dict[str, bytes]) -> None:
    hub.add(MODEL, bert)
    hub.stall_after["model.safetensors"] = 30_000
    with subprocess.Popen(
        command("models", "pull", MODEL), env=environment(home, hub), stderr=subprocess.PIPE, text=True
    ) as first:
        assert hub.stalled.wait(60)
        wait_for(lambda: part_size(home) == 30_000)
        first.send_signal(signal.SIGKILL)
    before = {name for name in bert if list(home.glob(f"models/.fetching/*/{name}"))}
    hub.stall_after.clear()
    hub.release.set()
    hub.requests.clear()
    done = run(home, hub, "models", "pull", MODEL)
    assert done.returncode == 0, done.stderr
    assert " MB of them here already" in done.stderr
    assert hub.fetched_names().isdisjoint(before), "finished files are not fetched again"
    (continued,) = hub.asked("model.safetensors")
    assert continued.headers["Range"] == "bytes=30000-"
    assert not list(home.glob("models/.fetching/*"))


def test_a_broken_connection_is_continued_in_the_same_command(home: Path, hub: HubServer) -> None:
    hub.add(MODEL, FILES)
    hub.break_after["model.safetensors"] = 100_000
    assert WHOLE in run(home, hub, "models", "pull", MODEL).stderr
    assert [each.headers.get("Range") for each in hub.asked("model.safetensors")] == [None, "bytes=100000-"]


def test_a_hub_that_sends_no_parts_is_asked_for_the_whole(home: Path, hub: HubServer) -> None:
    hub.add(MODEL, FILES)
    hub.ignores_ranges = True
    hub.break_after["model.safetensors"] = 100_000
    assert WHOLE in run(home, hub, "models", "pull", MODEL).stderr
    assert len(hub.asked("model.safetensors")) == 2


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_altered_content_is_refused_and_dropped(home: Path, hub: HubServer, name: str) -> None:
    hub.add(MODEL, FILES)
    hub.served[name] = bytes(len(FILES[name]))
    message = refused(home, hub)
    assert f"{name} of {MODEL} is not what the hub says that it is" in message
    assert not list(home.glob(f"models/.fetching/*/{name}*"))


def test_a_file_of_an_earlier_pull_is_checked_again(home: Path, hub: HubServer) -> None:
    sha = hub.add(MODEL, FILES)
    kept = home / "models" / ".fetching" / f"acme--tiny-nli@{sha}"
    kept.mkdir(parents=True)
    (kept / "model.safetensors").write_bytes(bytes(len(FILES["model.safetensors"])))
    (kept / "config.json").write_bytes(FILES["config.json"])
    refused(home, hub)
    assert hub.fetched_names() == set(FILES) - {"config.json"}


def test_more_than_was_promised_is_not_taken(home: Path, hub: HubServer) -> None:
    hub.add(MODEL, FILES)
    hub.served["tokenizer.json"] = b"{}" * 100
    assert "sends more of tokenizer.json than it says that there is" in refused(home, hub)


def test_pickled_weights_are_refused_before_anything_is_fetched(home: Path, hub: HubServer) -> None:
    hub.add(MODEL, {"config.json": b"{}", "tokenizer.json": b"{}", "pytorch_model.bin": b"pickle"})
    message = refused(home, hub)
    assert "has its weights only in pytorch_model.bin" in message
    assert f"{MODEL}@refs/pr/NUMBER" in message
    assert hub.fetched_names() == set()


def test_only_what_a_model_needs_is_fetched(home: Path, hub: HubServer) -> None:
    needed = {"onnx/model.onnx": b"o", "onnx/model.onnx_data": b"d", "added_tokens.json": b"v", "spm.model": b"s"}
    other = (
        "modeling_own.py",
        "pytorch_model.bin",
        "onnx/model_O4.onnx",
        "model.fp16.safetensors",
        "a/model.safetensors",
    )
    hub.add(
        MODEL, {**FILES, **needed, **dict.fromkeys(other, b"x"), "../../evil.json": b"x", "/etc/tokenizer.json": b"x"}
    )
    refused(home, hub)
    assert hub.fetched_names() == {*FILES, *needed}


def test_a_gated_model_says_how_to_get_at_it(home: Path, hub: HubServer) -> None:
    hub.add(MODEL, FILES)
    hub.repositories[MODEL].gated = True
    message = refused(home, hub)
    assert f"accept them on {hub.url}/{MODEL}, and set HF_TOKEN" in message
    foreign = refused(home, hub, HF_TOKEN="hf_another")
    assert "that of this one has no access" in foreign
    assert "hf_another" not in foreign
    hub.requests.clear()
    refused(home, hub, HF_TOKEN=MEMBERS_TOKEN)
    assert hub.fetched_names() == set(FILES), "a member gets them"
    assert "HF_TOKEN holds a space" in refused(home, hub, HF_TOKEN="hf_a b")


def test_what_is_not_there_is_said(home: Path, hub: HubServer) -> None:
    hub.add(MODEL, FILES)
    assert "has no model acme/absent that everybody may read (401)" in refused(home, hub, "acme/absent")
    assert "that the account of HF_TOKEN may read (404)" in refused(home, hub, "acme/absent", HF_TOKEN="hf_mine")
    assert f"{MODEL} has no revision 'v9'" in refused(home, hub, f"{MODEL}@v9")
    assert "'a/b/c' is not of the form" in refused(home, hub, "a/b/c")


def test_without_a_network_it_says_what_to_do(home: Path, hub: HubServer) -> None:
    assert "HF_HUB_OFFLINE is set" in refused(home, hub, HF_HUB_OFFLINE="1")
    assert hub.requests == []
    assert "http://127.0.0.1:9 cannot be reached" in refused(home, None, HF_ENDPOINT="http://127.0.0.1:9")
    assert "HF_ENDPOINT is 'localhost'" in refused(home, None, HF_ENDPOINT="localhost")


def test_too_little_room_on_the_disk_is_noticed_before(home: Path, hub: HubServer) -> None:
    hub.add(MODEL, FILES)
    hub.promised_sizes["model.safetensors"] = 10**18
    assert "make room" in refused(home, hub)
    assert hub.fetched_names() == set()


def test_two_pulls_of_one_model_do_not_meet(home: Path, hub: HubServer) -> None:
    hub.add(MODEL, FILES)
    hub.stall_after["model.safetensors"] = 30_000
    with subprocess.Popen(
        command("models", "pull", MODEL), env=environment(home, hub), stderr=subprocess.PIPE
    ) as first:
        assert hub.stalled.wait(60)
        assert "Another command is at work in" in refused(home, hub)
        first.kill()


def without(package: str, home: Path, hub: HubServer | None) -> str:
    """What a pull says where a package is not installed."""
    code = f"import sys; sys.modules[{package!r}] = None; from zerostart.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "models", "pull", MODEL],
        capture_output=True,
        text=True,
        check=False,
        env=environment(home, hub),
        timeout=60,
    )
    assert done.returncode == 1
    return done.stderr


def test_a_missing_extra_is_named_before_anything_is_fetched(home: Path, hub: HubServer) -> None:
    hub.add(MODEL, FILES)
    assert "pip install 'zerostart[hub]'" in without("huggingface_hub", home, hub)
    assert "has no ONNX file, so it has to be converted" in without("torch", home, hub)
    assert "pip install 'zerostart[convert]'" in without("onnx", home, hub)
    assert hub.fetched_names() == set()


@pytest.mark.slow
def test_an_embedding_model_is_pulled_without_its_onnx_file_which_does_not_pool(
    home: Path, hub: HubServer, tmp_path: Path
) -> None:
    folder = build_sentence_source(tmp_path / "sentences")
    files = {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}
    hub.add(MODEL, {**files, "onnx/model.onnx": b"o"})
    assert "is an embedding model, so it has to be converted" in without("torch", home, hub)
    done = run(home, hub, "models", "pull", MODEL)
    assert done.returncode == 0, done.stderr
    assert hub.fetched_names() == set(files)
    asked = ("classify", "the travel plan", "--labels", "dog,the travel plan", "--template", "{}", "--model", MODEL)
    answer = json.loads(run(home, None, *asked, "--format", "json").stdout)
    assert answer["labels"][0] == "the travel plan"


def test_without_torch_an_onnx_file_is_fetched_alone(home: Path, hub: HubServer) -> None:
    hub.add(MODEL, {**FILES, "onnx/model.onnx": b"o"})
    without("torch", home, hub)
    assert hub.fetched_names() == {*FILES, "onnx/model.onnx"} - {"model.safetensors"}


def test_on_a_terminal_there_is_a_bar_with_rate_and_time(home: Path, hub: HubServer) -> None:
    hub.add(MODEL, FILES)
    master, slave = pty.openpty()
    with subprocess.Popen(
        command("models", "pull", MODEL), env=environment(home, hub, TERM="xterm"), stderr=slave, stdin=slave
    ) as process:
        os.close(slave)
        shown = b""
        try:
            while chunk := os.read(master, 65536):
                shown += chunk
        except OSError:
            pass  # so a terminal ends whose programs are gone
        assert process.wait(60) == 1
    os.close(master)
    assert b"fetching" in shown
    assert b"MB/s" in shown or b"kB/s" in shown


def test_jumpstarts_name_stands_for_the_model_that_it_has() -> None:
    assert hub_id("huggingface-zstc-cross-encoder-nli-distilroberta-base") == "cross-encoder/nli-distilroberta-base"
    assert hub_id(MODEL) == MODEL
