"""A server that speaks as much of the Hugging Face hub's API as fetching a model asks for, and the storage behind it.

Large files are on a second server, as they are at the hub, to which the first one redirects.
"""

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".onnx", ".bin", "onnx_data")
MEMBERS_TOKEN = "hf_membersonly123"


@dataclass
class Repository:
    """Commits by their ids, and where the branches are. Whose content is `gated`, only members get."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)
    gated: bool = False

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        """Put `files` on a branch; returns the commit's id."""
        content = b"".join(name.encode() + each for name, each in sorted(files.items()))
        sha = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        self.commits[sha] = dict(files)
        self.branches[branch] = sha
        return sha


@dataclass(frozen=True)
class Request:
    """A request that came; `server` is hub or storage."""

    server: str
    method: str
    path: str
    headers: dict[str, str]


class HubServer:
    """`url` is the hub's. `repositories` is what it has; the other attributes make it misbehave."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        self.served: dict[str, bytes] = {}  # by file name: other bytes than the ones that are promised
        self.promised_sizes: dict[str, int] = {}
        self.stall_after: dict[str, int] = {}  # by file name: so many bytes, and then nothing until `release`
        self.break_after: dict[str, int] = {}  # by file name: so many bytes, and then, once, the connection ends
        self.ignores_ranges = False
        self.redirects_look_ups = False
        self.moves: tuple[Repository, str] | None = None  # a commit that main moves to after the first look-up
        self.stalled = threading.Event()
        self.release = threading.Event()
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), self._handler(name)) for name in ("hub", "storage")]
        self.url, self.storage_url = (f"http://127.0.0.1:{each.server_port}" for each in self._servers)
        self._threads = [threading.Thread(target=each.serve_forever, args=(0.05,)) for each in self._servers]
        for thread in self._threads:
            thread.start()

    def add(self, model_id: str, files: Mapping[str, bytes], **card: Any) -> str:
        """A new repository with one commit; returns its id."""
        self.repositories[model_id] = Repository(card=card)
        return self.repositories[model_id].commit(files)

    def asked(self, name: str) -> list[Request]:
        """The requests for the content of a file, in order."""
        return [each for each in self.requests if each.server == "storage" and each.path.endswith("/" + name)] or [
            each for each in self.requests if "/resolve/" in each.path and each.path.endswith("/" + name)
        ]

    def fetched_names(self) -> set[str]:
        """The files whose content was asked for."""
        return {each.path.split("/resolve/")[1].partition("/")[2] for each in self.requests if "/resolve/" in each.path}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release.set()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def _handler(hub, name: str) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.requests.append(
                    Request(name, self.command, self.path, {key.title(): value for key, value in self.headers.items()})
                )
                try:
                    hub._answer(self, name)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Nothing is printed."""

        return Handler

    def _answer(self, handler: BaseHTTPRequestHandler, server: str) -> None:
        parts = unquote(urlsplit(handler.path).path).strip("/").split("/")
        if parts[:2] == ["api", "models"] and server == "hub" and self.redirects_look_ups:
            self._send(handler, 307, b"", {"Location": self.storage_url + handler.path})
            return
        if parts[:2] == ["api", "models"]:
            self._look_up(handler, "/".join(parts[2:4]), "/".join(parts[5:]) or "main")
            return
        model_id, sha, name = "/".join(parts[:2]), parts[3], "/".join(parts[4:])
        repository = self.repositories[model_id]
        if server == "storage":
            self._send_file(handler, name, repository.commits[sha][name])
        elif repository.gated and not self._is_member(handler):
            signed_in = "Authorization" in handler.headers
            self._refuse(handler, 403 if signed_in else 401, "GatedRepo")
        elif name.endswith(LARGE):
            self._send(handler, 302, b"", {"Location": self.storage_url + handler.path})
        else:
            self._send_file(handler, name, repository.commits[sha][name])

    def _look_up(self, handler: BaseHTTPRequestHandler, model_id: str, revision: str) -> None:
        repository = self.repositories.get(model_id)
        if repository is None:
            self._refuse(handler, 404 if "Authorization" in handler.headers else 401, "RepoNotFound")
            return
        sha = repository.branches.get(revision, revision)
        if sha not in repository.commits:
            self._refuse(handler, 404, "RevisionNotFound")
            return
        siblings = [self._sibling(name, content) for name, content in repository.commits[sha].items()]
        answer = {"id": model_id, "sha": sha, "siblings": siblings, "cardData": repository.card}
        self._send(handler, 200, json.dumps(answer).encode(), {"Content-Type": "application/json"})
        if self.moves is not None:
            moving, to = self.moves
            moving.branches["main"] = to

    def _sibling(self, name: str, content: bytes) -> dict[str, Any]:
        size = self.promised_sizes.get(name, len(content))
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        found: dict[str, Any] = {"rfilename": name, "size": size, "blobId": blob}
        if name.endswith(LARGE):
            found["lfs"] = {"size": size, "sha256": hashlib.sha256(content).hexdigest(), "pointerSize": 130}
        return found

    def _send_file(self, handler: BaseHTTPRequestHandler, name: str, content: bytes) -> None:
        content = self.served.get(name, content)
        asked, start, status = handler.headers.get("Range"), 0, 200
        headers = {}
        if asked and not self.ignores_ranges:
            start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(content) - start)}.items():
            handler.send_header(key, value)
        handler.end_headers()
        if (first := self.break_after.pop(name, None)) is not None:
            handler.wfile.write(content[start : start + first])
            handler.close_connection = True
            return
        first = self.stall_after.get(name, len(content))
        handler.wfile.write(content[start : start + first])
        if first < len(content) - start:
            self.stalled.set()
            self.release.wait()
            handler.wfile.write(content[start + first :])

    @staticmethod
    def _is_member(handler: BaseHTTPRequestHandler) -> bool:
        return handler.headers.get("Authorization") == f"Bearer {MEMBERS_TOKEN}"

    def _refuse(self, handler: BaseHTTPRequestHandler, status: int, code: str) -> None:
        self._send(handler, status, b"{}", {"X-Error-Code": code, "X-Error-Message": code})

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        handler.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(key, value)
        handler.end_headers()
        handler.wfile.write(body)
