"""The report on a loopback address: what is served, to whom, and what is not."""

import http.client
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from goodteacher.errors import ConfigError
from goodteacher.report import ReportServer, write_report
from goodteacher.report.going import Going, Stage
from goodteacher.report.page import POLICY
from goodteacher.report.serving import LIVE_POLICY, Live, live
from goodteacher.studies import STUDENTS_FILE, Store, StudentsRecord
from tests.report.build import settings, write_study


@contextmanager
def served(folder):
    """A function that asks a server of a folder for a path."""
    with ReportServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def ask(path="/", *, method="GET", host=None):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
            connection.request(method, path, headers={"Host": host or f"localhost:{ask.port}"})
            response = connection.getresponse()
            body = response.read().decode()
            connection.close()
            return response, body

        ask.port = server.server_port
        try:
            yield ask
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def ask(store):
    """The report of a finished study, served."""
    write_report(store)
    with served(store.root) as function:
        yield function


def test_the_report_is_served_with_what_reloads_it(ask, store):
    on_disk = store.read_text("report.html")
    for path in ("/", "/report.html", "/report.html?again"):
        response, body = ask(path)
        assert response.status == 200
        assert response.getheader("Content-Type") == "text/html; charset=utf-8"
        assert "fetch(" in body
        assert body.replace(LIVE_POLICY, POLICY).startswith(on_disk.rpartition("</body>")[0])
    assert "fetch(" not in on_disk


def test_the_version_changes_with_the_report_and_is_that_of_the_page(ask, store):
    _, before = ask("/version")
    assert f'data-version="{before}"' in ask("/")[1]
    assert ask("/version")[1] == before
    store.write_text("report.html", "<html><body>new</body></html>")
    after = ask("/version")[1]
    assert after != before
    assert f'<body>new<script data-version="{after}">' in ask("/")[1]


@pytest.mark.parametrize(
    "path",
    [
        "/study.toml",
        "/data.json",
        "/students.parquet",
        "/../study/study.toml",
        "/%2e%2e/report.html",
        "/..%2freport.html",
        "//etc/passwd",
        "/teachers/batch-32/trajectory.jsonl",
        "/report.html/",
        "/report.html%00",
        "http://elsewhere/report.html",
        "/teachers/report.html",
    ],
)
def test_nothing_but_the_report_is_served(ask, store, path):
    store.write_text("teachers/report.html", "not of a student")
    response, body = ask(path)
    assert response.status == 404
    assert body == "There is no such page here.\n"


@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.1", "127.0.0.1:1", "localhost.x"])
def test_who_calls_the_server_by_another_name_is_refused(ask, host):
    response, body = ask(host=host)
    assert response.status == 403
    assert "<html" not in body


def test_both_loopback_names_are_answered(ask):
    for host in (f"127.0.0.1:{ask.port}", f"LOCALHOST:{ask.port}"):
        assert ask(host=host)[0].status == 200


def test_a_request_without_a_host_is_refused(ask):
    with socket.create_connection(("127.0.0.1", ask.port), timeout=5) as sent:
        sent.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with sent.makefile("rb") as answer:
            assert b" 403 " in answer.readline()


def test_headers_keep_the_page_to_itself(ask):
    response, body = ask(method="HEAD")
    assert body == ""
    policy = response.getheader("Content-Security-Policy")
    assert policy.startswith(f"{POLICY}; connect-src 'self'; frame-ancestors 'none'")
    assert response.getheader("Cache-Control") == "no-store"
    assert response.getheader("Cross-Origin-Resource-Policy") == "same-origin"
    assert response.getheader("X-Content-Type-Options") == "nosniff"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_sent(ask, method):
    assert ask(method=method)[0].status == 501


def test_it_waits_for_a_folder_that_is_not_there_yet(tmp_path):
    with served(tmp_path / "<i>study") as ask:
        response, body = ask()
        assert response.status == 200
        assert "Waiting: there is no report in this folder yet." in body
        assert "<i>study" not in body
        assert ask("/version")[1] == "none"
        assert 'data-version="none"' in body


def test_every_students_report_is_served_beside_that_of_all(tmp_path):
    configs = [settings(), settings(student="mlp:16")]
    store = Store(tmp_path)
    store.write_text(STUDENTS_FILE, StudentsRecord.of(configs).to_toml())
    store.write_text("report.html", "<body>all</body>")
    store.write_text("mlp-8/report.html", "<body>one</body>")
    found = Live(tmp_path)
    assert found.answer("/").text.startswith("<body>all")
    assert found.answer("/mlp-8/report.html").text.startswith("<body>one")
    assert found.answer("/mlp-8/version").text != found.answer("/version").text
    assert "Waiting: " in found.answer("/mlp-16/report.html").text
    assert found.answer("/other/report.html").status == 404
    assert found.answer("/mlp-8/study.toml").status == 404


@pytest.mark.parametrize("name", ["../elsewhere", "..", ".", "a/b", "/etc", ""])
def test_a_folder_of_students_cannot_name_one_outside(tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "report.html").write_text("secret")
    store = Store(tmp_path / "all")
    text = f'schema_version = 1\n[students]\n"mlp:8" = "{name}"\n[settings]\n'
    store.write_text(STUDENTS_FILE, text)
    for path in (f"/{name}/report.html", f"{name}/report.html", "/elsewhere/report.html"):
        assert "secret" not in Live(tmp_path / "all").answer(path).text


def test_a_damaged_list_of_students_leaves_the_report_of_all(tmp_path):
    store = Store(tmp_path)
    store.write_text(STUDENTS_FILE, "not [ toml")
    store.write_text("report.html", "<body>all</body>")
    assert Live(tmp_path).answer("/").text.startswith("<body>all")


def test_a_report_that_leads_out_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "report.html").symlink_to(tmp_path / "secret")
    answer = Live(tmp_path / "study").answer("/")
    assert "secret" not in answer.text
    assert "Waiting: " in answer.text


def test_a_report_that_holds_no_text_is_waited_for(tmp_path):
    (tmp_path / "report.html").write_bytes(b"\xff\xfe\x00")
    assert Live(tmp_path).answer("/version").text == "none"


def test_what_is_no_page_is_left_as_it_is():
    assert live("torn", "1") == "torn"


def test_a_file_is_no_folder_of_a_study(tmp_path):
    (tmp_path / "report.html").write_text("")
    with pytest.raises(ConfigError, match=r"report\.html is a file\. Name the folder of a study\."):
        ReportServer(tmp_path / "report.html")


def test_a_folder_in_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"There is no folder .*studeis, so .* cannot be watched"):
        ReportServer(tmp_path / "studeis" / "digits")


def test_a_port_that_is_taken_is_named(tmp_path):
    with (
        ReportServer(tmp_path) as first,
        pytest.raises(ConfigError, match=rf"Port {first.server_port} of 127\.0\.0\.1 cannot be "),
    ):
        ReportServer(tmp_path, first.server_port)


def test_a_free_port_is_part_of_the_address(tmp_path):
    with ReportServer(tmp_path) as server:
        assert server.address == f"http://127.0.0.1:{server.server_port}/"
        assert server.server_address[0] == "127.0.0.1"


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from goodteacher.report import write_report
from goodteacher.report.going import Going, Stage
from goodteacher.studies import Store

store = Store(sys.argv[1])
with store.lock():
    now = datetime.now(UTC)
    write_report(store, Going("search", (Stage("students", 1.0, 2.0),), now, now))
    print("held", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_page_of_a_killed_process_is_not_running_for_ever(tmp_path):
    store = write_study(tmp_path / "study")
    killed = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(store.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert killed.stdout.readline() == "held\n"
        on_disk, shown = store.read_text("report.html"), Live(store.root)
        assert "Running: there is no answer yet." in shown.answer("/").text
        before = shown.answer("/version").text
    finally:
        killed.communicate("now\n")
    page = shown.answer("/").text
    assert "Not finished: there is no answer yet." in page
    assert "Run the same command again; it continues where it stopped." in page
    assert shown.answer("/version").text != before, "so that the browser reloads it"
    assert store.read_text("report.html") == on_disk, "and looking writes nothing"
    with store.lock():
        assert "Running: there is no answer yet." in shown.answer("/").text


def test_a_student_of_several_is_running_while_the_folder_of_all_is_held(tmp_path):
    store = write_study(tmp_path / "several" / "one")
    now = datetime.now(UTC)
    write_report(store, Going("search", (Stage("students", 1.0, 2.0),), now, now))
    with Store(tmp_path / "several").lock():
        assert "Running:" in Live(store.root).answer("/").text
    assert "Not finished:" in Live(store.root).answer("/").text


def test_a_page_that_cannot_be_made_anew_stays(tmp_path):
    store = write_study(tmp_path / "study")
    store.write_text("report.html", "<title>Running: x</title><body>planted</body>")
    (store.root / "data.json").write_text("{")
    assert "planted" in Live(store.root).answer("/").text
