"""The command ``watch``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goodteacher.cli.display import print_json, stderr, stdout
from goodteacher.cli.door import door
from goodteacher.cli.options import AsJson


def watch(
    folder: Annotated[
        Path, typer.Argument(help=("folder of a study that is running or will be started"))
    ],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="port of the server; 0 for any free port")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Serve the report of a study on this machine, and reload it whenever there is a new one.

    Open the printed address in a browser on this machine; other machines cannot reach it.
    Ctrl-C stops the server; the study continues.
    """
    with door(as_json):
        from goodteacher.report import ReportServer
        from goodteacher.studies import place_of

        place = place_of(folder)
        with ReportServer(place, port) as server:
            if as_json:
                print_json({"address": server.address, "folder": str(place)})
            else:
                stdout.print(f"Report: {server.address}", markup=False, soft_wrap=True)
                stderr.print(
                    (f"Watching {place}. Ctrl-C stops the server."), markup=False, soft_wrap=True
                )
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                stderr.print("The server has stopped.")
