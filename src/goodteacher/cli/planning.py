"""The command ``plan``, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from goodteacher.cli.display import print_json, stdout
from goodteacher.cli.door import door
from goodteacher.cli.options import AsJson, Quiet, TrustCode, merge_settings, with_settings
from goodteacher.cli.progress import shown_progress
from goodteacher.config import StudyConfig
from goodteacher.records import SearchPlan, listed


@with_settings(StudyConfig, leave_out=frozenset({"data", "teacher", "student"}))
def plan(
    data: Annotated[
        str | None,
        typer.Argument(help="data as for search, a file with settings, or the folder of a study"),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="teacher, such as mlp:800,800 or resnet:20")
    ] = None,
    student: Annotated[
        str | None, typer.Option(help="student, such as mlp:64 or cnn:16,32,64")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with any of the settings")] = None,
    workers_up_to: Annotated[
        int,
        typer.Option(help="also estimate the time with 1, 2, 4 ... up to this many workers"),
    ] = 16,
    price_per_hour: Annotated[
        float | None,
        typer.Option(
            help="price of one worker for an hour, in any currency: also estimate the cost"
        ),
    ] = None,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    settings: dict[str, Any] = {},  # noqa: B006 - filled by with_settings
) -> None:
    """Estimate what a search will take: tasks, epochs, disk space, time and money.

    Only short copies of tasks are run, to time them. For the folder of a study, the plan is of
    what remains; for a finished study, it says how long other numbers of workers would have taken.
    """
    with door(as_json):
        with shown_progress(quiet) as progress:
            from goodteacher.public.planning import plan as run
            from goodteacher.training.machine import tuned_cpu

            figures: Any = {"workers_up_to": workers_up_to, "price_per_hour": price_per_hour}
            place, given = _given(data, config, settings, {"teacher": teacher, "student": student})
            with tuned_cpu(processes=True):
                found = run(place, trust_code=trust_code, progress=progress, **figures, **given)
        if as_json:
            print_json(found.model_dump(mode="json"))
        else:
            print_plan(found)


def _given(
    data: str | None, config: Path | None, settings: dict[str, Any], networks: dict[str, str | None]
) -> tuple[Any, dict[str, Any]]:
    """Return what stands in the place of data, and the settings: of a study it has its own."""
    from goodteacher.public.planning import study_folder

    if data is not None and config is None and study_folder(data) is not None:
        return data, {**settings, **{k: v for k, v in networks.items() if v is not None}}
    if data is not None and config is None and data.endswith(".toml") and Path(data).is_file():
        config = Path(data)
        data = None
    merged = merge_settings(StudyConfig, config, settings, data=data, **networks)
    return merged.pop("data"), merged


def print_plan(found: SearchPlan) -> None:
    """Print what a search takes: how much there is to do, and how long on workers."""
    amounts = found.amounts
    cases = [amounts.at_least, amounts.likely, amounts.at_most]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("what is left to do" if found.done else "work in total", no_wrap=True)
    for title in ("at least", "likely", "at most"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_row("tasks", *(f"{case.tasks:,}" for case in cases))
    table.add_row("teacher epochs", *(f"{case.teacher_epochs:,.0f}" for case in cases))
    table.add_row("student epochs", *(f"{case.student_epochs:,.0f}" for case in cases))
    table.add_row("disk space", *(_size(case.bytes) for case in cases))
    table.add_row("time of all tasks", *(_duration(case.seconds) for case in cases))
    table.add_row("longest chain of tasks", *(_duration(case.least_seconds) for case in cases))
    stdout.print(table)
    stdout.print()
    stdout.print(_workers_table(found))
    stdout.print(f"\n{plan_remarks(found)}", markup=False)


def _workers_table(found: SearchPlan) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    titles = ["workers", "time, likely", "workers busy"]
    for title in [*titles, *(["cost"] if found.price_per_hour is not None else [])]:
        table.add_column(title, justify="right", no_wrap=True)
    for row in found.on_workers:
        money = [] if row.money is None else [f"{row.money:,.2f}"]
        busy = f"{100 * row.utilisation:.0f} %"
        table.add_row(f"{row.workers:,}", _duration(row.seconds), busy, *money)
    return table


def plan_remarks(found: SearchPlan) -> str:
    """Say which tasks set the least time, and what the figures rest on."""
    longest = sorted(found.chain, key=lambda link: -link.seconds)[:3]
    told = listed([f"{link.stage} ({_duration(link.seconds)})" for link in longest])
    if found.times == "noted":
        basis = "The times come from the study itself."
    else:
        basis = (
            f"Times are measured with short copies of tasks, run in {found.planning_seconds:.0f} "
            f"s on {found.machine}, with {found.threads} CPU "
            f'{"thread" if found.threads == 1 else "threads"} for each worker. The column "at '
            'least" assumes that longer training does not help students and that teachers stop as '
            'early as possible; "at most" assumes that students are trained up to the limit and '
            "that no teacher stops early."
        )
    return (
        f"{_enough(found)} At most {found.at_once} tasks can run at the same time. The longest "
        "chain of tasks, in which each waits for the one before, takes "
        f"{_duration(found.amounts.likely.least_seconds)}; its longest parts are {told}.\n{basis}"
    )


def _enough(found: SearchPlan) -> str:
    most = found.on_workers[-1].workers
    if found.enough_workers == most < found.at_once:
        return f"More than {most} workers may be faster still (--workers-up-to)."
    counted = "1 worker is" if found.enough_workers == 1 else f"{found.enough_workers} workers are"
    return f"{counted} enough: more would save less than 2 % of the time."


def _duration(seconds: float) -> str:
    """Return a time in words.

    Example:
        >>> _duration(4.25), _duration(90), _duration(5400), _duration(200_000)
        ('4.2 s', '1.5 min', '1.5 h', '2.3 days')
    """
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds / 86400:.1f} days"


def _size(num_bytes: float) -> str:
    """Return a number of bytes in words.

    Example:
        >>> _size(2_790_797)
        '2.7 MiB'
    """
    for limit, unit, name in ((2**20, 2**10, "KiB"), (2**30, 2**20, "MiB")):
        if num_bytes < limit:
            return f"{num_bytes / unit:.1f} {name}"
    return f"{num_bytes / 2**30:.1f} GiB"
