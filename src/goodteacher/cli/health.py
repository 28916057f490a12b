"""``goodteacher doctor STUDY``: are the files of a study as they were written?"""

from __future__ import annotations

from pathlib import Path

import typer

from goodteacher.cli.display import print_json, stdout
from goodteacher.studies import (
    CONFIG_FILE,
    Health,
    Store,
    health_of,
    holds_several,
    place_of,
    study_folders,
)

_SHOWN = 20


def is_study(data: str) -> bool:
    """Say whether what the doctor is given is a study, or the folder of several."""
    if not (Path(data).is_dir() or "://" in data):
        return False
    store = Store(data)
    return store.exists(CONFIG_FILE) or store.has_lost_settings() or holds_several(store.root)


def examine_study(data: str, *, accept: bool, as_json: bool) -> None:
    """Print how the files of a study are; exit with 1 where one is not as it was written.

    Args:
        data: The study, or the folder of several.
        accept: Note files without a checksum as they are.
        as_json: Print JSON.
    """
    place = place_of(data)
    studies = study_folders(place).values() if holds_several(place) else ()
    found = [health_of(each, accept=accept) for each in (place, *studies)]
    if as_json:
        plain = [{**each.model_dump(mode="json"), "whole": each.whole} for each in found]
        print_json(plain[0] if len(plain) == 1 else {"studies": plain})
    else:
        for each in found:
            _print(each)
    if not all(each.whole for each in found):
        raise typer.Exit(1)


def _print(found: Health) -> None:
    lines = [f"{found.study}: {found.num_files} files, {found.num_bytes / 2**20:,.1f} MiB"]
    for what, names in (
        ("damaged", found.damaged),
        ("missing", found.missing),
        ("without a checksum", found.unknown),
    ):
        lines += [f"{what}: {name}" for name in names[:_SHOWN]]
        if len(names) > _SHOWN:
            lines.append(f"{what}: and {len(names) - _SHOWN} more")
    at_work = "A process is" if found.at_work else "No process is"
    lines.append(f"{at_work} at work on it.")
    if found.whole:
        lines.append("Every file is as it was written.")
    else:
        lines += [_cost(found), found.advice]
    if found.unknown:
        lines.append(
            "If you know that the files without a checksum are whole, goodteacher doctor "
            f"{found.study} --accept notes them as they are."
        )
    for line in lines:
        stdout.print(line, markup=False, soft_wrap=True)


def _cost(found: Health) -> str:
    if not found.tasks:
        return "To make them again, nothing has to be trained."
    count = len(found.tasks)
    tasks = "1 task is" if count == 1 else f"{count} tasks are"
    seconds = found.seconds
    if seconds is None:
        took = ""
    elif seconds < 60:
        took = f", which took {seconds:.1f} seconds before"
    else:
        took = f", which took {seconds / 60:,.0f} minutes before"
    return f"To make them again, {tasks} done again{took}."
