"""A study's report on a loopback address, reloaded by the browser when there is a new one.

The server shows the report and nothing else: paths are looked up in a table, never opened. It
answers only requests that name it by a loopback address, so that a page from elsewhere cannot read
the report through a name that it lets point here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from goodteacher.errors import ConfigError, GoodteacherError
from goodteacher.report.front import front_report_of
from goodteacher.report.page import POLICY, render_page, report_of
from goodteacher.report.parts import REPORT_FILE, Page
from goodteacher.report.standalone import asset
from goodteacher.studies import Place, Store, holds_several, study_folders

ADDRESS = "127.0.0.1"
LIVE_POLICY = f"{POLICY}; connect-src 'self'"
"""What the page may do here: ask this server whether there is a newer one."""

_NAMES = (ADDRESS, "localhost")
_FOLDER_NAME = re.compile(r"[\w-][\w.-]*")
_WAITING = "none"
_RUNNING = "<title>Running: "


@dataclass(frozen=True)
class Answer:
    """What is sent.

    Attributes:
        status: Of HTTP.
        text: The body.
        kind: Its media type.
    """

    status: HTTPStatus
    text: str
    kind: str = "text/plain"


class Live:
    """The reports of a folder: of a study, or of several students and the study of each.

    Args:
        folder: The folder; it need not exist yet.
    """

    def __init__(self, folder: Place) -> None:
        self.folder = folder
        self._ended: dict[Place, tuple[str, str]] = {}

    def answer(self, path: str) -> Answer:
        """Return what is at a path of an address, without its query."""
        places = self._places()
        where, _, name = path.rpartition("/")
        if where not in places or name not in ("", REPORT_FILE, "version"):
            return Answer(HTTPStatus.NOT_FOUND, "There is no such page here.\n")
        text = self._report(places[where])
        version = hashlib.sha256(text.encode()).hexdigest()[:16] if text else _WAITING
        if name == "version":
            return Answer(HTTPStatus.OK, version)
        page = text or _waiting_page(places[where])
        return Answer(HTTPStatus.OK, live(page, version), "text/html; charset=utf-8")

    def _report(self, place: Place) -> str:
        """Return the report in a folder, or what it is now if who wrote it was killed.

        Such a page says for ever that something is running.
        """
        text = _report_in(place)
        if _RUNNING not in text or self._is_held(place):
            return text
        seen, ended = self._ended.get(place, ("", ""))
        if seen != text:
            if _report_in(place) != text:  # the work has ended just now, with a page of its own
                return self._report(place)
            ended = _ended_report(Store(place)) or text
            self._ended[place] = text, ended
        return ended

    def _is_held(self, place: Place) -> bool:
        """Say whether a process holds a study, or the folder of several that it is in."""
        above = (place.parent,) if isinstance(place, Path) else ()
        return any(Store(each).is_held() for each in (place, *above))

    def _places(self) -> Mapping[str, Place]:
        """Return the folder of each report, by what stands before its name in an address."""
        found: dict[str, Place] = {"": self.folder}
        try:
            if holds_several(self.folder):
                folders = study_folders(self.folder).values()
                found |= {f"/{each.name}": each for each in folders if self._is_below(each)}
        except (GoodteacherError, OSError):
            pass  # written just now, or damaged: there is the report of all
        return found

    def _is_below(self, place: Place) -> bool:
        """Say whether a folder that a file names is right below this one."""
        return place == self.folder / place.name and bool(_FOLDER_NAME.fullmatch(place.name))


def live(page: str, version: str) -> str:
    """Return a page that asks its server every two seconds whether there is another one.

    Args:
        page: The page as it is on disk.
        version: What the server calls it.
    """
    script = f'<script data-version="{version}">\n{asset("live.js")}</script>\n</body>'
    head, end, rest = page.replace(POLICY, LIVE_POLICY, 1).rpartition("</body>")
    return f"{head}{script}{rest}" if end else page


class ReportServer(ThreadingHTTPServer):
    """The server of one folder's reports, on a loopback address.

    Args:
        folder: The folder.
        port: Where; 0 for one that is free.

    Raises:
        ConfigError: The folder cannot be one of a study, or the port cannot be had.
    """

    daemon_threads = True

    def __init__(self, folder: Place, port: int = 0) -> None:
        _check(folder)
        self.live = Live(folder)
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise ConfigError(
                f"Port {port} of {ADDRESS} cannot be used: {why}. Name another port with --port, "
                "or leave --port out to use a free one."
            ) from error

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{ADDRESS}:{self.server_port}/"

    @property
    def hosts(self) -> frozenset[str]:
        """What a request may call this server."""
        bare = _NAMES if self.server_port == 80 else ()
        return frozenset((*(f"{name}:{self.server_port}" for name in _NAMES), *bare))


class _Handler(BaseHTTPRequestHandler):
    server: ReportServer
    timeout = 10.0
    server_version = "goodteacher"
    sys_version = ""

    def do_GET(self) -> None:
        """Send a page."""
        self._send(self._answer())

    def do_HEAD(self) -> None:
        """Send what describes a page."""
        self._send(self._answer())

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def _answer(self) -> Answer:
        if self.headers.get("Host", "").lower() not in self.server.hosts:
            return Answer(HTTPStatus.FORBIDDEN, "This server is asked by a loopback address.\n")
        return self.server.live.answer(self.path.partition("?")[0])

    def _send(self, answer: Answer) -> None:
        body = answer.text.encode()
        headers = {
            "Content-Type": answer.kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": f"{LIVE_POLICY}; frame-ancestors 'none'; base-uri 'none'",
            "Cache-Control": "no-store",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _check(folder: Place) -> None:
    """Refuse what cannot be the folder of a study, now or later."""
    if not isinstance(folder, Path):
        return
    if folder.is_file():
        raise ConfigError(f"{folder} is a file. Name the folder of a study.")
    if not folder.absolute().parent.is_dir():
        raise ConfigError(
            f"There is no folder {folder.parent}, so {folder} cannot be watched. Name the folder "
            "of a study that is running or will be started."
        )


def _report_in(place: Place) -> str:
    """Return the report in a folder; empty where there is none, or where it leads elsewhere."""
    store = Store(place)
    if isinstance(place, Path) and (place / REPORT_FILE).resolve().parent != place.resolve():
        return ""
    try:
        return store.read_text(REPORT_FILE) if store.exists(REPORT_FILE) else ""
    except (GoodteacherError, OSError):
        return ""


def _ended_report(store: Store) -> str:
    """Return the report of a study on which nobody works; empty where it cannot be made."""
    try:
        return front_report_of(store) if holds_several(store.root) else report_of(store)
    except (GoodteacherError, OSError):
        return ""


def _waiting_page(place: Place) -> str:
    said = (
        "A search or a verification writes its first report some seconds after it begins, and "
        "then newer ones while it continues. This page always shows the newest report."
    )
    facts = (("Folder", str(place)), ("What comes", said))
    return render_page(
        Page(
            name=Store(place).name,
            title="the report of a study",
            answer="Waiting: there is no report in this folder yet.",
            notes=(),
            sections=(),
            definitions=(),
            facts=facts,
            state="Waiting",
        )
    )
