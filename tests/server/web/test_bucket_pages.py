"""Buckets and objects by plain forms and links, as a browser without JavaScript has them."""

import gzip
import html
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.processes import ServerProcess
from tests.server.web.conftest import Visitor
from zerostart.credentials import AccessKey, Role
from zerostart.server.web.downloads import disposition

BUCKET = "pages"
HOSTILE_KEYS = [
    "a//b",
    "/begins",
    "../../etc/passwd",
    "./x/../y",
    "..",
    'say "hi"',
    "it's <b>bold</b> & so",
    "100%25 + more?x=1#y;z",
    "tab\there",
    "line\nend\r",
    "nul\x00byte",
    "\u202egnp.exe",
    "naïve-日本-🙂.csv",
    "ends ",
    "{{ shell }}",
    "x" * 1000,
]


@pytest.fixture(scope="module")
def bucket(shared_server: ServerProcess) -> Iterator[str]:
    """A bucket with the hostile keys; gone at the end."""
    client = shared_server.s3()
    client.create_bucket(Bucket=BUCKET)
    store = Filled(shared_server)
    for number, key in enumerate(HOSTILE_KEYS):
        store.put(key, f"content {number}".encode())
    yield BUCKET
    store.empty()
    client.delete_bucket(Bucket=BUCKET)


class Filled:
    """Puts and removes objects over S3's API."""

    def __init__(self, server: ServerProcess) -> None:
        self.client = server.s3()

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def empty(self) -> None:
        for each in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
            self.client.delete_object(Bucket=BUCKET, Key=each["Key"])


def link_to(visitor: Visitor, kind: str) -> str:
    """The one link of a page to something of that kind."""
    found = {each for each in visitor.links if f"/{kind}?" in each or each.endswith(f"/{kind}")}
    assert len(found) == 1, found
    return found.pop()


def send_files(visitor: Visitor, path: str, files: list[tuple[str, bytes]], **fields: str) -> httpx.Response:
    sent = [("file", (name, io.BytesIO(content))) for name, content in files]
    response = visitor.client.post(path, data={"form_token": visitor.form_token, **fields}, files=sent)
    visitor.page = response.text
    return response


def objects_of(visitor: Visitor, path: str, bucket: str = BUCKET) -> set[str]:
    """The pages of every object that browsing from here leads to."""
    waiting, seen, found = [path], set[str](), set[str]()
    while waiting:
        seen.add(here := waiting.pop())
        assert visitor.open(here).status_code == 200, here
        found |= {each for each in visitor.links if f"/buckets/{bucket}/object?" in each}
        below = {each for each in visitor.links if each.startswith(f"/buckets/{bucket}?")}
        waiting += below - seen - set(waiting)
    return found


def test_every_hostile_key_is_reached_by_links_shown_downloaded_and_deleted(admin: Visitor, bucket: str) -> None:
    pages = objects_of(admin, f"/buckets/{bucket}")
    assert {httpx.URL(page).params["key"] for page in pages} == set(HOSTILE_KEYS)
    for page in sorted(pages):
        key = httpx.URL(page).params["key"]
        shown = admin.open(page)
        assert shown.status_code == 200, key
        assert "<b>bold" not in shown.text
        assert "\u202e" not in shown.text
        assert "\x00" not in shown.text
        content = f"content {HOSTILE_KEYS.index(key)}"
        assert content in shown.text
        delete = link_to(admin, "delete-object")
        assert admin.client.get(link_to(admin, "download")).text == content
        assert admin.open(delete).status_code == 200, key
        assert admin.send(delete).status_code == 200, key
        assert admin.open(page).status_code == 404, key
    assert "Nothing in it yet" in admin.open(f"/buckets/{bucket}").text


@pytest.mark.parametrize("key", ["", "x" * 1025, "%ff", "missing"])
def test_a_key_that_is_none_is_a_clear_error(admin: Visitor, bucket: str, key: str) -> None:
    for what in ("object", "download", "delete-object"):
        path = f"/buckets/{bucket}/{what}?key={key}"
        assert admin.open(path).status_code in {400, 404}, path
        assert "Traceback" not in admin.page


@pytest.mark.parametrize("name", ["..", "%2e%2e", "no such", "missing-bucket", "-", "a%2Fb", "jumpstart-cache-prod"])
def test_a_bucket_that_is_none_is_a_clear_error(admin: Visitor, name: str) -> None:
    assert admin.client.get(f"/buckets/{name}").status_code in {400, 404} or name in {"..", "%2e%2e"}
    assert admin.open(f"/buckets/{name}/delete").status_code in {400, 404}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("in/june.csv", "june.csv"),
        ('a"b;c\\d', "a_b;c_d"),
        ("../..", "object"),
        ("x/\r\nSet-Cookie: a=b", "__Set-Cookie_ a=b"),
        ("日本.csv", "日本.csv"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("folder/", "folder"),
    ],
)
def test_a_download_has_a_safe_name(key: str, name: str) -> None:
    header = disposition(key)
    assert header.startswith('attachment; filename="')
    assert header.isascii()
    assert header.isprintable()
    assert header.endswith(f"filename*=UTF-8''{quote(name, safe='')}")
    assert header.count('"') == 2


def test_what_is_downloaded_is_never_shown_by_the_browser(admin: Visitor, bucket: str) -> None:
    content = b"<script>alert(1)</script>"
    admin.server.s3().put_object(Bucket=bucket, Key="x.html", Body=content, ContentType="text/html")
    got = admin.client.get(f"/buckets/{bucket}/download?key=x.html")
    assert got.content == content
    assert got.headers["content-disposition"].startswith("attachment")
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-length"] == str(len(content))
    head = admin.client.head(f"/buckets/{bucket}/download?key=x.html")
    assert head.status_code == 200
    assert head.content == b""


def test_files_are_uploaded_by_a_form_and_never_over_others(admin: Visitor, bucket: str) -> None:
    path = f"/buckets/{bucket}/upload"
    admin.open(f"/buckets/{bucket}?prefix=up/")
    sent = send_files(admin, path, [("a.csv", b"text\none\n"), ("C:\\b\\..\\c.txt", b"two")], prefix="up")
    assert sent.status_code == 200
    assert sent.url.params["prefix"] == "up/"
    assert {"a.csv", "c.txt"} <= set(re.findall(r">([^<]+)</a></th>", admin.page))
    stored = admin.server.s3().get_object(Bucket=bucket, Key="up/a.csv")
    assert stored["Body"].read() == b"text\none\n"
    assert stored["ContentType"] == "text/csv"
    admin.open(f"/buckets/{bucket}")
    taken = send_files(admin, path, [("new.txt", b"new"), ("a.csv", b"other")], prefix="up/")
    assert taken.status_code == 409
    assert "is there already" in admin.page
    assert admin.server.s3().get_object(Bucket=bucket, Key="up/a.csv")["Body"].read() == b"text\none\n"
    admin.open(f"/buckets/{bucket}")
    assert send_files(admin, path, [("a.csv", b"other")], prefix="up/", replace="on").status_code == 200
    assert admin.server.s3().get_object(Bucket=bucket, Key="up/a.csv")["Body"].read() == b"other"


def test_an_upload_without_its_token_a_file_or_its_end_stores_nothing(admin: Visitor, bucket: str) -> None:
    path = f"/buckets/{bucket}/upload"
    admin.open(f"/buckets/{bucket}")
    token = admin.form_token
    assert admin.client.post(path, files={"file": ("evil.txt", b"x")}).status_code == 403
    late = [("file", ("evil.txt", b"x")), ("form_token", (None, token.encode()))]
    assert admin.client.post(path, files=late).status_code == 403
    foreign = {"Origin": "https://evil.example"}
    whole = {"form_token": (None, token.encode()), "file": ("evil.txt", b"x")}
    assert admin.client.post(path, files=whole, headers=foreign).status_code == 403
    assert admin.client.post(path, data={"form_token": token}).status_code == 415
    none = admin.client.post(path, files={"form_token": (None, token.encode()), "file": ("", b"")})
    assert none.status_code == 400
    assert "No file was chosen" in none.text
    cut = b'--b\r\nContent-Disposition: form-data; name="form_token"\r\n\r\n' + token.encode()
    cut += b'\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="evil.txt"\r\n\r\nhalf of it'
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    assert admin.client.post(path, content=cut, headers=kind).status_code == 400
    part = admin.client.post(path, files=whole | {"file": ("", b"")}, headers={"HX-Request": "true"})
    assert part.text.startswith('<p id="error"')
    assert "evil.txt" not in admin.open(f"/buckets/{bucket}").text


def test_a_large_upload_does_not_grow_the_servers_memory(admin: Visitor, bucket: str) -> None:
    size = 96 * 1024 * 1024

    class Zeros(io.RawIOBase):
        left = size

        def readable(self) -> bool:
            return True

        def read(self, most: int = -1) -> bytes:
            self.left -= (taken := min(self.left, most if most > 0 else 65536))
            return bytes(taken)

    admin.open(f"/buckets/{bucket}")
    before = peak_kb(admin.server.pid)
    sent = [("form_token", (None, admin.form_token)), ("prefix", (None, "")), ("file", ("large.bin", Zeros()))]
    response = admin.client.post(f"/buckets/{bucket}/upload", files=sent)  # type: ignore[arg-type]
    assert response.status_code == 200
    assert "101 MB" in response.text
    got = 0
    with admin.client.stream("GET", f"/buckets/{bucket}/download?key=large.bin") as stream:
        for piece in stream.iter_raw():
            got += len(piece)
    assert got == size
    assert peak_kb(admin.server.pid) - before < 40_000


def peak_kb(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:  # noqa: PTH123
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def test_the_first_rows_of_an_object_are_shown_as_what_they_are(admin: Visitor, bucket: str) -> None:
    client = admin.server.s3()
    rows = "".join(f'{number},"a, ""b"" <i>{number}</i>\nsecond line"\n' for number in range(50))
    shown = {
        "t.csv": ("id,text\n" + rows).encode(),
        "t.csv.gz": gzip.compress(("id,text\n" + rows).encode()),
        "t.jsonl": b'{"text": "one", "tags": ["x"]}\nnot json\n{"text": null}\n',
        "t.unknown": b'{"text": "sniffed"}\n',
        "t.txt": b"first line\nsecond\n",
        "t.bin": b"\x00\x01\x02",
        "empty.csv": b"",
        "latin.csv": "text\nna\xefve\n".encode("latin-1"),
    }
    for key, content in shown.items():
        client.put_object(Bucket=bucket, Key=key, Body=content)
    pages = {key: admin.open(f"/buckets/{bucket}/object?key={key}").text for key in shown}
    for key in ("t.csv", "t.csv.gz"):
        assert pages[key].count("<tr>") == 21
        assert "&lt;i&gt;19&lt;/i&gt;\nsecond line" in pages[key]
        assert "It goes on" in pages[key]
    assert '<td dir="auto">[&#34;x&#34;]</td>' in pages["t.jsonl"]
    assert "Line 2 is not JSON" in pages["t.jsonl"]
    assert "It goes on" not in pages["t.jsonl"]
    assert '<td dir="auto">sniffed</td>' in pages["t.unknown"]
    assert "first line\nsecond</pre>" in pages["t.txt"]
    assert "This is not text" in pages["t.bin"]
    assert "Classify its texts" not in pages["t.bin"]
    assert "Preview" in pages["empty.csv"]
    assert "it is not UTF-8" in pages["latin.csv"]


def test_many_objects_are_shown_page_by_page(admin: Visitor, bucket: str) -> None:
    client = admin.server.s3()
    for number in range(105):
        client.put_object(Bucket=bucket, Key=f"many/{number:03}", Body=b"")
    admin.open(f"/buckets/{bucket}?prefix=many/")
    first = re.findall(r">(\d{3})</a>", admin.page)
    more = next(link for link in admin.links if "from=" in link)
    admin.open(more)
    assert first + re.findall(r">(\d{3})</a>", admin.page) == [f"{number:03}" for number in range(105)]
    assert not [link for link in admin.links if "from=" in link]
    assert admin.open(f"/buckets/{bucket}?from=%3F").status_code == 400


def test_a_bucket_is_made_and_deleted_with_what_was_named_alone(admin: Visitor) -> None:
    admin.open("/buckets")
    assert admin.send("/buckets", bucket="Not A Name").status_code == 400
    assert "lower-case letters" in html.unescape(admin.page)
    assert 'value="Not A Name"' in admin.page
    assert admin.send("/buckets", bucket="jumpstart-cache-prod-us-east-1").status_code == 400
    assert admin.send("/buckets", bucket="short-lived").url.path == "/buckets/short-lived"
    admin.open("/buckets")
    assert admin.send("/buckets", bucket="short-lived").status_code == 409
    admin.server.s3().put_object(Bucket="short-lived", Key="a", Body=b"12345")
    asked = admin.open("/buckets/short-lived/delete").text
    assert "1&nbsp;object in it, 5 bytes" in asked
    admin.server.s3().put_object(Bucket="short-lived", Key="b", Body=b"12345")
    again = admin.send("/buckets/short-lived/delete", seen="1")
    assert again.status_code == 409
    assert "more in it than you were asked about" in again.text
    assert "2&nbsp;objects in it, 10 bytes" in again.text
    assert admin.send("/buckets/short-lived/delete", seen="2").url.path == "/buckets"
    assert "short-lived" not in admin.page


def test_buckets_elsewhere_are_reached_by_the_same_pages(server: ServerProcess, tmp_path: Path) -> None:
    credentials = {
        "AWS_ACCESS_KEY_ID": server.keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.keys.secret_access_key,
    }
    where = {"ZEROSTART_STORAGE": "s3", "ZEROSTART_STORAGE_ENDPOINT_URL": server.address, "ZEROSTART_ENGINE": "fake"}
    with ServerProcess(tmp_path / "near", **where, **credentials) as near:
        visitor = Visitor(near)
        visitor.sign_in()
        visitor.open("/buckets")
        assert visitor.send("/buckets", bucket="far").url.path == "/buckets/far"
        for key in ("a//b", "../x", "naïve 🙂.csv"):
            server.s3().put_object(Bucket="far", Key=key, Body=b"text\none\n")
        visitor.open("/buckets/far")
        assert send_files(visitor, "/buckets/far/upload", [("up.csv", b"text\n" * 500_000)]).status_code == 200
        assert server.s3().head_object(Bucket="far", Key="up.csv")["ContentLength"] == 2_500_000
        visitor.open("/buckets/far")
        assert send_files(visitor, "/buckets/far/upload", [("up.csv", b"other")]).status_code == 409
        pages = objects_of(visitor, "/buckets/far", "far")
        assert {httpx.URL(page).params["key"] for page in pages} == {"a//b", "../x", "naïve 🙂.csv", "up.csv"}
        for page in pages:
            assert visitor.open(page).status_code == 200
            assert visitor.client.get(link_to(visitor, "download")).content.startswith(b"text\n")
        asked = visitor.open("/buckets/far/delete").text
        assert "4&nbsp;objects in it" in asked
        assert visitor.send("/buckets/far/delete", seen="4").url.path == "/buckets"
        assert server.s3().list_buckets()["Buckets"] == []
        assert visitor.open("/buckets/far").status_code == 404
        visitor.client.close()


def test_a_deployer_uses_buckets_and_an_invoker_sees_none(
    visitor: Visitor, bucket: str, new_key: Callable[..., AccessKey]
) -> None:
    paths = ["/buckets", f"/buckets/{bucket}", f"/buckets/{bucket}/object?key=t.csv", f"/buckets/{bucket}/delete"]
    paths += [f"/buckets/{bucket}/download?key=t.csv", f"/buckets/{bucket}/delete-object?key=t.csv"]
    visitor.server.s3().put_object(Bucket=bucket, Key="t.csv", Body=b"text\nx\n")
    assert {path: httpx.get(visitor.server.address + path).status_code for path in paths} == dict.fromkeys(paths, 303)
    visitor.sign_in_with(new_key(Role.DEPLOY))
    assert {path: visitor.open(path).status_code for path in paths} == dict.fromkeys(paths, 200)
    visitor.client.cookies.clear()
    visitor.sign_in_with(new_key(Role.INVOKE, "shared"))
    assert "/buckets" not in visitor.links
    assert {path: visitor.open(path).status_code for path in paths} == dict.fromkeys(paths, 403)
    visitor.open("/")
    assert visitor.send("/buckets", bucket="mine").status_code == 403
    assert send_files(visitor, f"/buckets/{bucket}/upload", [("a", b"a")], prefix="").status_code == 403
    assert visitor.send(f"/buckets/{bucket}/delete", seen="1000").status_code == 403
