"""What an instance is cut off from: the network, other processes, and every file that it does not need.

The model server does this to itself before it reads a model, so that a model file that takes over the engine gains
nothing but the requests of its own endpoint. Nothing here can be undone from inside.

- Namespaces of its own for network (not even loopback is up), IPC and users, and no capabilities in them.
  https://man7.org/linux/man-pages/man7/user_namespaces.7.html
- No new privileges by executing anything.
- Landlock: the files that are named, no TCP, no signals to processes outside.
  https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x08000000, 0x10000000, 0x40000000
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_LANDLOCK_CREATE_RULESET_VERSION = 1
_LANDLOCK_RULE_PATH_BENEATH = 1
# File accesses by the bits of Landlock's ABI; a version knows all up to a bit.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_DIR, _MAKE_REG, _MAKE_SOCK, _TRUNCATE = 1 << 5, 1 << 7, 1 << 8, 1 << 9, 1 << 14
_REFER = 1 << 13
_BITS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15}
_BITS_OF_LATER_ABI = 16
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_WRITE = _READ_FILE | _READ_DIR | _WRITE_FILE | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_SOCK | _TRUNCATE | _REFER
_NO_TCP = 0b11  # neither bind nor connect
_NO_SIGNALS_OUTSIDE = 0b11  # and no abstract Unix sockets
# Of the system: programs and libraries, what the C library and the engine read of the machine, and harmless devices.
_SYSTEM = (
    *("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives", "/sys"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys", "/dev/urandom", "/dev/random"),
)
_DEVICES = ("/dev/null", "/dev/zero")


class CannotIsolate(Exception):
    """The system does not let this process cut itself off; the message says which part."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def isolate(readable: Iterable[Path] = (), writable: Iterable[Path] = (), secret: Path | None = None) -> None:
    """Cut this process off, for good. It has to have one thread yet.

    Of the disk it keeps `readable` and `writable` files and folders, the Python that runs it, and the system's
    libraries. `secret` is a folder that must not lie in any of these. Raises CannotIsolate, with part of it done.
    """
    if sys.platform != "linux":
        raise CannotIsolate(f"{sys.platform} has no namespaces: instances are isolated on Linux alone")
    libc = ctypes.CDLL(None, use_errno=True)
    needed = [*_program_folders(), *map(Path, _SYSTEM)]
    for each in needed:
        if secret is not None and secret.resolve().is_relative_to(each):
            raise CannotIsolate(f"{secret} lies in {each}, which every instance has to read: move the home folder")
    _leave_network(libc)
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "give up new privileges")
    _restrict_files(libc, [*needed, *readable], [*map(Path, _DEVICES), *writable])


def reason_not_to_isolate(secret: Path) -> str | None:
    """Why instances cannot be isolated here; None if they can. It is tried, by a process of its own."""
    code = "import sys; from zerostart.hosting.isolation import main; sys.exit(main(sys.argv[1]))"
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, str(secret)], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"it could not be tried: {error}"
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it failed"])[-1]


def main(secret: str) -> str | None:
    """Isolate this process, and say why not."""
    try:
        isolate(secret=Path(secret))
    except CannotIsolate as error:
        return str(error)
    return None


def _program_folders() -> list[Path]:
    """Where Python, its packages and this one are."""
    named: list[str | Path] = [sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path, Path(__file__).parents[2]]
    return sorted({Path(each).resolve() for each in named if each and Path(each).exists()})


def _leave_network(libc: ctypes.CDLL) -> None:
    """Enter namespaces of this process's own, and drop every capability in them."""
    user, group = os.getuid(), os.getgid()
    others = _CLONE_NEWNET | _CLONE_NEWIPC
    if libc.unshare(_CLONE_NEWUSER | others) == 0:
        try:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        except OSError as error:
            raise CannotIsolate(f"the system restricts user namespaces ({error})") from error
    else:
        _check(libc.unshare(others), "enter a network namespace (user namespaces are off, and this is not root)")
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _check(libc.capset(header, nothing), "drop capabilities")


def _restrict_files(libc: ctypes.CDLL, readable: Iterable[Path], writable: Iterable[Path]) -> None:
    abi = libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_CREATE_RULESET_VERSION)
    if abi < 1:
        raise CannotIsolate("this kernel has no Landlock, so an instance could read the credentials")
    known = (1 << _BITS_OF_ABI.get(abi, _BITS_OF_LATER_ABI)) - 1
    rules = _Ruleset(known, _NO_TCP if abi >= 4 else 0, _NO_SIGNALS_OUTSIDE if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = _check(
        libc.syscall(_LANDLOCK_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), 0), "use Landlock"
    )
    for paths, access in ((readable, _READ), (writable, _WRITE)):
        for path in paths:
            _allow(libc, ruleset, path, access & known)
    _check(libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0), "use Landlock")
    os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no rule
    try:
        rule = _PathBeneath(access if path.is_dir() else access & _OF_FILES, descriptor)
        answer = libc.syscall(_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_RULE_PATH_BENEATH, ctypes.byref(rule), 0)
        _check(answer, f"allow {path}")
    finally:
        os.close(descriptor)


def _check(answer: int, what: str) -> int:
    if answer < 0:
        raise CannotIsolate(f"the system does not let this process {what}: {os.strerror(ctypes.get_errno())}")
    return answer
