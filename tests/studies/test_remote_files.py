"""A study at a URL: who holds it, how many requests it takes, what is said if it cannot be used."""

import json
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fsspec.registry import _registry

import goodteacher
from goodteacher.errors import PackageError, StorageError, StudyError
from goodteacher.studies import Store, done_among, place_of, remote_errors, remote_lock
from goodteacher.studies.fetched import fetched
from goodteacher.studies.places import Url
from goodteacher.studies.progress import Silent
from goodteacher.studies.remote_errors import OvertakenError
from goodteacher.studies.remote_files import RemoteFiles
from goodteacher.studies.remote_lock import LOCK_FILE, RemoteLock, _holder
from tests import object_stores
from tests.made import SETTINGS, dataset

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
QUICK = {**SETTINGS, "seeds": 2, "search_seeds": 1, "student_epochs": 4, "rungs": 1}


@pytest.fixture(params=["memory", "s3"])
def url(request):
    if request.param == "memory":
        return Url(f"memory://{uuid.uuid4().hex}/study")
    request.getfixturevalue("server")
    return Url(f"{object_stores.bucket()}/study")


@pytest.fixture
def quick(monkeypatch):
    """Locks that are renewed, and count as left, sooner."""
    monkeypatch.setattr(remote_lock, "RENEWED", 0.05)
    monkeypatch.setattr(remote_lock, "STALE", 0.6)


def until(true):
    """Wait, on a busy machine too, until something is true."""
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


# --- where ------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["s3://b/s", "s3://b/s/", Path("s3://b/s")])
def test_url_is_one_however_it_comes(given):
    found = place_of(given)
    assert isinstance(found, Url)
    assert (found, found.name, found.protocol) == ("s3://b/s", "s", "s3")
    assert found / "a" == place_of("s3://b/s/a")


@pytest.mark.parametrize("given", ["study", "./s3", "/a:/b", "C:/study", "c:\\study", "a:b/c"])
def test_path_stays_a_path(given):
    assert place_of(given) == Path(given)
    assert place_of(Path(given)) == Path(given)


def test_url_of_a_file_is_a_path():
    assert place_of("file:///tmp/study") == Path("/tmp/study")


# --- the lock -----------------------------------------------------------------------------------


def test_second_process_is_refused_and_told_who_holds_it(url, quick, monkeypatch):
    monkeypatch.setattr(remote_lock, "STALE", 20)

    def holder():
        return json.loads(files.fs.cat_file(files.at(LOCK_FILE)))

    files = RemoteFiles(url)
    with RemoteLock(files, Silent()):
        named = rf"in use by another goodteacher process: process {holder()['pid']} on "
        with pytest.raises(StudyError, match=named + holder()["host"]):
            RemoteLock(RemoteFiles(url), Silent()).__enter__()
    assert not files.exists(LOCK_FILE)


def left_behind(files):
    content = json.dumps({"host": "gone", "pid": 7, "id": "x"}).encode()
    files.put_bytes(LOCK_FILE, content)


def test_lock_of_a_dead_holder_is_taken_over_after_a_while(url, quick):
    files, told = RemoteFiles(url), []
    left_behind(files)
    watcher = Silent()
    watcher.note = told.append
    begun = time.monotonic()
    with RemoteLock(files, watcher):
        assert time.monotonic() - begun >= remote_lock.STALE
        assert json.loads(files.read(LOCK_FILE))["host"] != "gone"
    assert "held by process 7 on gone. If that has ended, this goes on in" in told[0]
    assert not files.exists(LOCK_FILE)


def test_lock_is_renewed_for_as_long_as_it_is_held(url, quick):
    files = RemoteFiles(url)
    with RemoteLock(files, Silent()) as lock:
        first = files.read(LOCK_FILE)
        more = json.loads(first)["renewed"] + 2
        until(lambda: json.loads(files.read(LOCK_FILE))["renewed"] >= more)
        lock.check()


def test_holder_that_was_overtaken_writes_no_more(url, quick):
    store = Store(url)
    with store.lock():
        store.write_text("before.txt", "x")
        left_behind(store.files)
        until(lambda: store.files._lock._overtaken_by is not None)
        with pytest.raises(StudyError, match=r"was taken over by process 7 on gone"):
            store.write_text("after.txt", "x")
    assert not store.exists("after.txt")
    assert json.loads(store.files.read(LOCK_FILE))["host"] == "gone"  # which is not ours to remove


def test_of_two_that_find_a_dead_holder_one_takes_over(server):
    class Late(RemoteLock):
        """One that is overtaken between its last look at the lock and its own renewal."""

        def _read(self):
            found = super()._read()
            if _holder(found) == _holder(before):
                RemoteLock(files, Silent())._replace(found)
            return found

    files = RemoteFiles(Url(f"{object_stores.bucket()}/study"))
    left_behind(files)
    before = files.read(LOCK_FILE)
    with pytest.raises(OvertakenError, match="pre-conditions"):
        Late(files, Silent())._replace(before)
    assert json.loads(files.read(LOCK_FILE))["renewed"] == 1


# --- how many requests ----------------------------------------------------------------------------


class Task:
    runner = f"{__name__}:Runner"
    work = 1.0

    def __init__(self, number):
        self.key = f"task-{number}"


class Runner:
    def done(self, task, store):
        return store.exists(f"students/{task.key}/rows.parquet")

    def run(self, task, context):
        raise NotImplementedError


def filled(url, count):
    store = Store(url)
    with ThreadPoolExecutor(8) as pool:
        names = [f"students/task-{n}/rows.parquet" for n in range(count)]
        list(pool.map(lambda name: store.files.put_bytes(name, b"x"), names))
    return store


def test_ten_thousand_tasks_are_looked_for_with_a_few_requests(monkeypatch):
    store = filled(f"memory://{uuid.uuid4().hex}/study", 10_000)
    files = store.listed().files
    monkeypatch.setattr(type(store), "listed", lambda self: store)
    store.files = files
    asked = object_stores.counting(monkeypatch, files)
    done = done_among([Task(number) for number in range(9_000, 11_000)], store)
    assert done == {f"task-{number}" for number in range(9_000, 10_000)}
    assert asked.count("find") == 1
    assert len(asked) <= 10


def test_tasks_are_looked_for_page_by_page(server, monkeypatch):
    from s3fs import S3FileSystem

    store, counts = filled(f"{object_stores.bucket()}/study", 2_100), []
    call = S3FileSystem._call_s3

    async def counted(self, method, *args, **settings):
        counts.append(method)
        return await call(self, method, *args, **settings)

    monkeypatch.setattr(S3FileSystem, "_call_s3", counted)
    tasks = [Task(number) for number in range(2_200)]
    assert len(done_among(tasks, store)) == 2_100
    requests = len(counts)
    assert (
        counts == ["head_object"] * 8 + ["list_objects_v2"] * 3
    )  # eight alone, then a thousand each
    done_among(tasks[:2], store)
    assert len(counts) - requests <= 2  # no list, where few are asked for


def test_log_takes_one_object_for_many_events(url, monkeypatch):
    monkeypatch.setattr("goodteacher.studies.remote_log.LINES", 10)
    writers = [RemoteFiles(url), RemoteFiles(url)]
    for number in range(24):
        line = json.dumps({"time": float(number), "event": "e", "number": number})
        writers[number % 2].log(line)
    pieces = writers[0].names("events")
    assert len(pieces) == 4  # two of each
    assert [event["number"] for event in Store(url).events()] == list(range(24))


# --- what was fetched -------------------------------------------------------------------------


def test_version_of_a_file_is_fetched_once(url, monkeypatch):
    store = Store(url)
    store.write_text("a.txt", "x")
    asked = object_stores.counting(monkeypatch, store.files)
    for _ in range(3):
        assert store.local("a.txt").read_text() == "x"
    assert asked.count("get_file") == 1
    store.write_text("a.txt", "y")
    assert store.local("a.txt").read_text() == "y"


def test_copies_that_were_not_used_make_room(tmp_path, monkeypatch):
    from goodteacher.studies import fetched as module

    copies = tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(module, "cache_folder", lambda: copies)
    monkeypatch.setattr(module, "ROOM", 250)
    monkeypatch.setattr(module, "_LOOKED_AFTER", 1)
    for number in range(4):
        path = fetched(f"version {number}", "a.bin", lambda path: path.write_bytes(b"x" * 100))
        time.sleep(0.02)
    assert path.exists()
    assert len(list((tmp_path / "copies").glob("*/a.bin"))) == 2


def test_object_cannot_be_fetched_out_of_its_folder(tmp_path, monkeypatch):
    files = RemoteFiles(Url(f"memory://{uuid.uuid4().hex}/study"))
    (tmp_path / "copy").write_text("content")
    monkeypatch.setattr(files, "names", lambda folder: {f"{folder}/../../outside": 7})
    monkeypatch.setattr(files, "local", lambda name: tmp_path / "copy")
    monkeypatch.setattr(files, "draft", lambda folder: tmp_path / "a" / "b" / "c")
    with pytest.raises(StudyError, match="leads out of the folder"):
        files.local_folder("student")
    assert not (tmp_path / "a" / "outside").exists()


def test_copies_are_kept_where_nobody_else_can_put_some(tmp_path, monkeypatch):
    from goodteacher.studies import fetched as module

    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(module.getpass, "getuser", lambda: "somebody")
    assert module.cache_folder.__wrapped__().parent == tmp_path  # that of a user who is not here
    (tmp_path / "goodteacher-copies-somebody").rmdir()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "goodteacher-copies-somebody").symlink_to(tmp_path / "theirs")
    assert module.cache_folder.__wrapped__().name.startswith("goodteacher-")
    assert not list((tmp_path / "theirs").iterdir())
    monkeypatch.undo()
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    own = module.cache_folder.__wrapped__()
    assert own.name.startswith("goodteacher-copies-")
    assert own.stat().st_mode & 0o077 == 0


def test_copy_that_fails_leaves_nothing(tmp_path, monkeypatch):
    from goodteacher.studies import fetched as module

    monkeypatch.setattr(module, "cache_folder", lambda: tmp_path)

    def fails(path):
        path.write_text("half")
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        fetched("v", "a.bin", fails)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# --- what is said -----------------------------------------------------------------------------


def test_protocol_that_nobody_knows_is_refused():
    with pytest.raises(StudyError, match=r"begins with nowhere://, which fsspec does not know"):
        goodteacher.search(dataset(), out="nowhere://a/study", **QUICK)


def test_package_that_is_missing_is_named_with_its_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(_registry, "s3", raising=False)
    object_stores.remote_files.cache_clear()
    with pytest.raises(PackageError, match=r"^s3://b/s needs .*: pip install 'goodteacher\[s3\]'$"):
        Store("s3://b/s").files.check()


def test_bucket_that_is_missing_is_named(server):
    with pytest.raises(StudyError, match=r"Is there a bucket 'none-of-these'\? Buckets are not"):
        goodteacher.search(dataset(), out="s3://none-of-these/study", **QUICK)
    with pytest.raises(StudyError, match=r"Is there a bucket 'none-of-these'"):
        Store("s3://none-of-these").files.check()


def test_missing_credentials_are_told(server, monkeypatch):
    for name in object_stores.CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/none")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/none")
    object_stores.forget()
    with pytest.raises(StudyError, match=r"needs credentials, and none were found.*AWS_ACCESS"):
        goodteacher.search(dataset(), out="s3://some-bucket/study", **QUICK)
    object_stores.forget()


_DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code>'
    b"<Message>Access Denied</Message></Error>"
)


@contextmanager
def answering(status, body):
    """Serve one answer to every request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # with which those who announce a body are told to send it

        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    for method in ("GET", "PUT", "HEAD", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)
    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{served.server_port}"
    finally:
        served.shutdown()
        thread.join()
        served.server_close()


@pytest.fixture
def credentials(monkeypatch):
    object_stores.packages()
    for name, value in object_stores.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    object_stores.forget()
    yield monkeypatch
    object_stores.forget()


def test_missing_rights_are_told_at_once(credentials):
    begun = time.monotonic()
    with answering(403, _DENIED) as endpoint:
        credentials.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(
            StudyError, match=r"may not be used with the credentials.*Access Denied"
        ):
            goodteacher.search(dataset(), out="s3://theirs/study", **QUICK)
        for ask in (
            lambda f: f.put_bytes("a", b"x"),
            lambda f: f.read("a"),
            lambda f: f.exists("a"),
        ):
            with pytest.raises(StudyError, match="may not be used with the credentials"):
                ask(RemoteFiles(Url("s3://theirs/study")))
    assert time.monotonic() - begun < remote_errors.PATIENCE / 2


def test_service_that_cannot_be_reached_is_told_after_a_while(credentials):
    credentials.setattr(remote_errors, "PATIENCE", 1.5)
    credentials.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    begun = time.monotonic()
    with pytest.raises(
        StorageError, match=r"could not be reached for \d+ seconds.*AWS_ENDPOINT_URL"
    ):
        Store("s3://some-bucket/study").files.check()
    assert 0.5 < time.monotonic() - begun < 15


def test_what_passes_is_tried_again_and_what_does_not_is_not(monkeypatch):
    monkeypatch.setattr(remote_errors, "_PAUSES", (0.01, 0.02))
    tries = []

    def call(*errors):
        tries.append(1)
        if len(tries) <= len(errors):
            raise errors[len(tries) - 1]
        return "done"

    url = Url("s3://b/s")
    passing = ConnectionResetError("reset"), TimeoutError("late"), OSError("busy")
    assert remote_errors.persistently(url, lambda: call(*passing)) == "done"
    assert len(tries) == 4
    for lasting in (PermissionError("no"), FileNotFoundError("none"), ValueError("bad")):
        tries.clear()
        with pytest.raises((StudyError, FileNotFoundError)):
            remote_errors.persistently(url, lambda error=lasting: call(error))
        assert len(tries) == 1


def test_export_does_not_go_to_a_url(tmp_path):
    study = goodteacher.search(dataset(), out=f"memory://{uuid.uuid4().hex}/study", **QUICK)
    with pytest.raises(StudyError, match=r"s3://b/out is a URL, but files are exported only to"):
        study.export("s3://b/out", format="safetensors")
    found = study.export(tmp_path / "out", format="safetensors", data=dataset())
    assert found.files[0].agreement.examples
    assert study.store.exists("export.json")
