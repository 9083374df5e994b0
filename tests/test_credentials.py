import configparser
import multiprocessing
import stat
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from zerostart.credentials import (
    AccessKey,
    AccessKeys,
    Role,
    create_access_key,
    ensure_credentials,
    read_access_keys,
    read_credentials,
    revoke_access_key,
)
from zerostart.errors import InvalidSettings, NotFound


def test_the_first_time_makes_a_key_pair_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "credentials"
    keys = ensure_credentials(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(keys.access_key_id) == 20
    assert len(keys.secret_access_key) == 40
    assert [each.name for each in path.parent.iterdir()] == ["credentials"]


def test_later_times_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    assert ensure_credentials(path) == ensure_credentials(path) == read_credentials(path)


def test_homes_do_not_share_keys(tmp_path: Path) -> None:
    first, second = (ensure_credentials(tmp_path / name / "credentials") for name in ("a", "b"))
    assert first.access_key_id != second.access_key_id
    assert first.secret_access_key != second.secret_access_key


def test_aws_tools_can_read_the_file(tmp_path: Path) -> None:
    keys = ensure_credentials(tmp_path / "credentials")
    parser = configparser.ConfigParser()
    parser.read(tmp_path / "credentials")
    assert parser["default"]["aws_access_key_id"] == keys.access_key_id
    assert parser["default"]["aws_secret_access_key"] == keys.secret_access_key


def test_first_starts_at_the_same_time_agree(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as processes:
        pairs = list(processes.map(ensure_credentials, [tmp_path / "home" / "credentials"] * 8))
    assert set(pairs) == {read_credentials(tmp_path / "home" / "credentials")}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o660])
def test_a_file_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "credentials"
    ensure_credentials(path)
    path.chmod(mode)
    for read in (read_credentials, ensure_credentials):
        with pytest.raises(InvalidSettings, match=f"chmod 600 {path}"):
            read(path)


@pytest.mark.parametrize("content", ["", "nonsense", "[default]\naws_access_key_id = A\n", "[other]\na = b\n"])
def test_a_file_without_a_key_pair_is_refused_and_left(tmp_path: Path, content: str) -> None:
    path = tmp_path / "credentials"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(InvalidSettings, match=r"no key pair under \[default\]"):
        ensure_credentials(path)
    assert path.read_text() == content


def test_before_the_first_start_there_is_none_and_it_says_how(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="zerostart serve"):
        read_credentials(tmp_path / "credentials")


def test_keys_that_are_made_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "home" / "access-keys.json"
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as processes:
        made = list(processes.map(create_access_key, [path] * 12, [f"key-{n}" for n in range(12)], [Role.DEPLOY] * 12))
    assert set(read_access_keys(path)) == set(made)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(each.name for each in path.parent.iterdir()) == ["access-keys.json", "access-keys.lock"]


def test_a_key_that_is_revoked_while_keys_are_looked_through_breaks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "access-keys.json"
    for name in ("one", "two"):
        create_access_key(path, name, Role.DEPLOY)
    seen: list[str] = []
    for key in AccessKeys(AccessKey("ZS1", "s"), path).values():
        if not seen:
            revoke_access_key(path, "two")
        seen.append(key.name)
    assert sorted(seen) == ["installation", "one", "two"]


def test_a_broken_file_of_keys_lets_nobody_in_and_is_left(tmp_path: Path) -> None:
    path, own = tmp_path / "access-keys.json", AccessKey("ZS1", "s")
    keys = AccessKeys(own, path)
    made = create_access_key(path, "one", Role.DEPLOY)
    assert dict(keys) == {"ZS1": own, made.access_key_id: made}
    path.write_text(content := path.read_text()[:-5])
    for call in (partial(keys.get, "ZS1"), partial(create_access_key, path, "two", Role.DEPLOY)):
        with pytest.raises(InvalidSettings, match="does not hold access keys"):
            call()
    assert path.read_text() == content
    path.chmod(0o644)
    with pytest.raises(InvalidSettings, match="chmod 600"):
        AccessKeys(own, path)
