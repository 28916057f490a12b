"""The command line: parsing, printing, exit codes.

Exit codes: 0 success, 1 the work failed (the disk is full, say), 2 wrong input, 130 interrupted by
Ctrl-C, 143 ended by SIGTERM (a study stays resumable after both).
With ``--json`` the result is on stdout as JSON; progress and messages go to stderr always.
"""

from __future__ import annotations

import gc
import os
import warnings
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from goodteacher.cli.comparing import compare
from goodteacher.cli.display import (
    plain_findings,
    print_distillation,
    print_export,
    print_findings,
    print_front,
    print_json,
    print_score,
    print_sweet_spot,
    print_verdict,
    stderr,
    stdout,
)
from goodteacher.cli.door import door
from goodteacher.cli.options import (
    AsJson,
    ExportFormat,
    ExportInt8,
    ExportMaxLoss,
    ExportTeacherInt8,
    Probabilities,
    Quiet,
    TrustCode,
    merge_settings,
    with_settings,
)
from goodteacher.cli.planning import plan
from goodteacher.cli.progress import shown_progress
from goodteacher.cli.watching import watch
from goodteacher.config import (
    DataConfig,
    DistillConfig,
    ReadingConfig,
    RespondConfig,
    StudyConfig,
    VerifyConfig,
    parse,
)

app = typer.Typer(
    name="goodteacher",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Data = Annotated[
    str | None, typer.Argument(help="digits, a folder, a table, an .npz file or a hub name")
]
Out = Annotated[Path, typer.Option(help="folder for the result, or a URL: s3://bucket/study")]


def _version(wanted: bool) -> None:
    if wanted:
        stdout.print(f"goodteacher {metadata.version('goodteacher')}")
        raise typer.Exit


@app.callback()
def _goodteacher(
    version: Annotated[
        bool,
        typer.Option("--version", help="print the version", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Train a small classifier on the predictions of a large one: find the best teacher.

    Exit codes: 0 success; 1 the work failed, such as on a full disk; 2 wrong input; 130 Ctrl-C;
    143 SIGTERM.
    """


@app.command()
@with_settings(StudyConfig, leave_out=frozenset({"data", "teacher", "student"}))
def search(
    data: Data = None,
    teacher: Annotated[
        str | None, typer.Option(help="teacher, such as mlp:800,800, resnet:20, forest or boosting")
    ] = None,
    student: Annotated[
        list[str] | None,
        typer.Option(help="student, such as mlp:64 or cnn:16,32,64; repeat for several students"),
    ] = None,
    out: Out = ...,  # type: ignore[assignment]
    config: Annotated[Path | None, typer.Option(help="TOML file with settings")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    settings: dict[str, Any] = {},  # noqa: B006 - filled by with_settings
) -> None:
    """Find the sweet spot: teacher run and epoch, temperature and alpha.

    Runs are trained here (--teacher), were recorded by your own trainer (--trajectories), or both.

    With several students, each gets its own sweet spot; the teachers are shared.
    The same command on the same folder continues where it stopped.
    """
    with door(as_json):
        with shown_progress(quiet) as progress:
            from goodteacher.public.searching import search as run
            from goodteacher.public.several import SeveralStudies
            from goodteacher.training.machine import tuned_cpu

            one = student[0] if student and len(student) == 1 else None
            own = {"data": data, "teacher": teacher, "student": one or student}
            merged = merge_settings(StudyConfig, config, settings, **own)
            with tuned_cpu(processes=True):
                found = run(merged.pop("data"), out=out, progress=progress, **merged)
        several = isinstance(found, SeveralStudies)
        if as_json:
            print_json((found.front if several else found.sweet_spot).model_dump(mode="json"))
        elif several:
            print_front(found.front, str(found.folder))
        else:
            print_sweet_spot(found.sweet_spot, str(found.folder))


app.command()(plan)


@app.command()
@with_settings(DistillConfig, leave_out=frozenset({"data", "student"}))
def distill(
    data: Data = None,
    responses: Annotated[
        Path,
        typer.Option(
            help="file with the teacher's logits on the training data: npy, npz, "
            "safetensors, parquet, csv"
        ),
    ] = ...,  # type: ignore[assignment]
    student: Annotated[
        str | None, typer.Option(help="student, such as mlp:64 or cnn:16,32,64")
    ] = None,
    out: Out = ...,  # type: ignore[assignment]
    config: Annotated[Path | None, typer.Option(help="TOML file with settings")] = None,
    probabilities: Probabilities = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    settings: dict[str, Any] = {},  # noqa: B006 - filled by with_settings
) -> None:
    """Train one student with one recipe, and the same student on hard labels to compare with."""
    with door(as_json):
        with shown_progress(quiet) as progress:
            from goodteacher.public.distillation import distill as run
            from goodteacher.training.machine import tuned_cpu

            merged = merge_settings(DistillConfig, config, settings, data=data, student=student)
            with tuned_cpu(processes=True):
                result = run(
                    merged.pop("data"),
                    responses=responses,
                    out=out,
                    probabilities=probabilities,
                    progress=progress,
                    **merged,
                )
        if as_json:
            print_json(result.model_dump(mode="json"))
        else:
            print_distillation(result)


@app.command()
@with_settings(VerifyConfig, leave_out=frozenset({"data", "student"}))
def verify(
    data: Annotated[str, typer.Argument(help="a finished study; with --responses, a data set")],
    responses: Annotated[
        Path | None, typer.Option(help="file with a teacher's logits on the training data")
    ] = None,
    student: Annotated[
        str | None, typer.Option(help="with --responses: student, such as mlp:64")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder, with --responses only")] = None,
    probabilities: Probabilities = False,
    independent_responses: Annotated[
        Path | None, typer.Option(help="file with logits of an independent teacher")
    ] = None,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    settings: dict[str, Any] = {},  # noqa: B006 - filled by with_settings
) -> None:
    """Find out whether the students' gain is knowledge or only regularization."""
    with door(as_json):
        with shown_progress(quiet) as progress:
            from goodteacher.public.verification import verify as run
            from goodteacher.training.machine import tuned_cpu

            with tuned_cpu(processes=True):
                verdict = run(
                    data,
                    responses=responses,
                    student=student,
                    out=out,
                    probabilities=probabilities,
                    independent_responses=independent_responses,
                    trust_code=trust_code,
                    progress=progress,
                    **settings,
                )
        if as_json:
            print_json(verdict.model_dump(mode="json"))
        else:
            _tell_verdict(verdict, out or data)


def _tell_verdict(verdict: Any, given: Path | str) -> None:
    """Print a verdict, with the evidence of its folder."""
    from goodteacher.records import Evidence
    from goodteacher.studies import EVIDENCE_FILE, Store, place_of

    folder = place_of(given)
    print_verdict(verdict, Store.open(folder).read_json(EVIDENCE_FILE, Evidence))
    stdout.print(f"Report: {folder}/report.html", markup=False, soft_wrap=True)


@app.command()
def score(
    responses: Annotated[
        Path, typer.Argument(help="file with logits: npy, npz, safetensors, parquet or csv")
    ],
    labels: Annotated[Path, typer.Option(help="file with the labels of the same examples")],
    temperatures: Annotated[
        str, typer.Option(help="temperatures to measure at, separated by commas")
    ] = "1,2,4,8",
    probabilities: Probabilities = False,
    max_memory_gib: Annotated[
        float | None,
        typer.Option(help="memory in GiB that each file may take (default: half of the free)"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the similarity information of any teacher's response."""
    with door(as_json):
        from goodteacher.public.scoring import score as run

        result = run(
            responses,
            labels=labels,
            temperatures=temperatures,
            probabilities=probabilities,
            max_memory_gib=max_memory_gib,
        )
        if as_json:
            print_json(result.model_dump(mode="json"))
        else:
            print_score(result)


@app.command()
@with_settings(ReadingConfig, leave_out=frozenset({"data"}))
def doctor(
    data: Annotated[
        str, typer.Argument(help="digits, a folder, an .npz file or a hub name; or a study")
    ],
    responses: Annotated[
        Path | None,
        typer.Option(help="file with a teacher's logits on the training data, to check too"),
    ] = None,
    probabilities: Probabilities = False,
    accept: Annotated[
        bool, typer.Option(help="of a study: note files without a checksum as they are")
    ] = False,
    as_json: AsJson = False,
    settings: dict[str, Any] = {},  # noqa: B006 - filled by with_settings
) -> None:
    """Check a data set, and a teacher's response to it, before anything is trained on it.

    Or check a study: is every file as it was written, and what does it cost to make one again?
    """
    with door(as_json):
        from goodteacher.cli.health import examine_study, is_study

        if is_study(data):
            examine_study(data, accept=accept, as_json=as_json)
            return
        from goodteacher.data import DataNote, load_for
        from goodteacher.public.checking import doctor as examine

        config = parse(ReadingConfig, data=data, **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataNote)  # the doctor lists what reading has to tell
            dataset = load_for(config, data)
        findings = examine(dataset, responses=responses, probabilities=probabilities)
        if as_json:
            print_json(plain_findings(dataset, findings))
        else:
            print_findings(dataset, findings)
        if any(finding.severity == "error" for finding in findings):
            raise typer.Exit(2)


@app.command()
@with_settings(DataConfig, leave_out=frozenset({"data"}))
def split(
    data: Annotated[str, typer.Argument(help="digits, a folder, an .npz file or a hub name")],
    out: Out = ...,  # type: ignore[assignment]
    as_json: AsJson = False,
    settings: dict[str, Any] = {},  # noqa: B006 - filled by with_settings
) -> None:
    """Write the ids of the training part, transfer set, selection and test split.

    Train a teacher of your own on the training part only: choices are made on the selection split.
    """
    with door(as_json):
        from goodteacher.public.dividing import split as divide
        from goodteacher.studies import place_of

        ids = divide(data, out=out, **settings)
        parts = ("training", "transfer", "selection", "test")
        sizes = {name: len(getattr(ids, name)) for name in parts}
        if as_json:
            print_json({"file": str(place_of(out) / "splits.json"), **sizes})
        else:
            counted = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
            stdout.print(f"{place_of(out)}/splits.json: {counted}", markup=False, soft_wrap=True)


_TRAINS = frozenset(
    {"compile", "engine", "memory_gib", "precision", "stack_width", "threads", "tracker", "workers"}
)


@app.command()
@with_settings(RespondConfig, leave_out=frozenset({"data", *_TRAINS}))
def respond(
    data: Annotated[str, typer.Argument(help="digits, a folder, an .npz file or a hub name")],
    out: Out = ...,  # type: ignore[assignment]
    as_json: AsJson = False,
    quiet: Quiet = False,
    settings: dict[str, Any] = {},  # noqa: B006 - filled by with_settings
) -> None:
    """Record the responses of a model, or of your own checkpoints, for search --trajectories."""
    with door(as_json):
        with shown_progress(quiet) as progress:
            from goodteacher.public.responding import ask_model, record_checkpoints

            merged = merge_settings(
                RespondConfig, None, settings, data=data, model=settings.pop("model", None)
            )
            given = merged.pop("data")
            if "checkpoints" in merged:
                runs = record_checkpoints(given, out=out, progress=progress, **merged)
            else:
                runs = [ask_model(given, out=out, progress=progress, **merged)]
        found = {str(r.store.root): [record.epoch for record in r.records()] for r in runs}
        if as_json:
            print_json(found)
        for folder, epochs in {} if as_json else found.items():
            shown = ", ".join(map(str, epochs))
            stdout.print(f"{folder}: epochs {shown}", markup=False, soft_wrap=True)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="folder of a finished study or distillation")],
    out: Out = ...,  # type: ignore[assignment]
    form: ExportFormat = "onnx",
    int8: ExportInt8 = False,
    max_loss: ExportMaxLoss = 0.005,
    teacher_int8: ExportTeacherInt8 = True,
    trust_code: TrustCode = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write the delivered student for other runtimes, and check that its answers are the same."""
    with door(as_json):
        with shown_progress(quiet) as progress:
            from goodteacher.public.exporting import export as run
            from goodteacher.training.machine import tuned_cpu

            how: Any = {
                "format": form,
                "int8": int8,
                "max_loss": max_loss,
                "teacher_int8": teacher_int8,
                "trust_code": trust_code,
            }
            with tuned_cpu():
                found = run(folder, out=out, progress=progress, **how)
        if as_json:
            print_json(found.model_dump(mode="json"))
        else:
            print_export(found, str(out))
        if found.int8 is not None and not found.int8.delivered:
            raise typer.Exit(1)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="folder of a study or of a verification")],
    as_json: AsJson = False,
) -> None:
    """Write a report again from the result files of a study, several studies or a verification."""
    with door(as_json):
        from goodteacher.report import write_front_report, write_report
        from goodteacher.studies import Store, holds_several, place_of, require_whole, study_folders

        several = holds_several(place_of(folder))
        for each in (folder, *(study_folders(place_of(folder)).values() if several else ())):
            require_whole(Store(each))
        path = write_front_report(Store(folder)) if several else write_report(Store.open(folder))
        if as_json:
            print_json({"report": str(path)})
        else:
            stderr.print(f"Report: {path}", markup=False, soft_wrap=True)


app.command()(compare)
app.command()(watch)


@app.command("import-recipe")
def import_recipe(
    source: Annotated[
        list[str],
        typer.Argument(
            help="file (YAML, JSON, TOML, Python, shell), a command in quotes, or alpha=0.1 ..."
        ),
    ],
    tool: Annotated[
        str | None,
        typer.Option(
            help="the tool that the settings are from (default: recognised by the settings)"
        ),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="number of classes, needed if a loss is divided by it")
    ] = None,
    goal: Annotated[
        Literal["distill", "search"], typer.Option(help="the command that the settings are for")
    ] = "distill",
    as_json: AsJson = False,
) -> None:
    """Translate a recipe of another tool into settings for --config, and say what differs."""
    with door(as_json):
        from goodteacher.public.recipes import import_recipe as translate

        imported = translate(" ".join(source), tool=tool, num_classes=classes)
        if as_json:
            print_json({**imported.model_dump(mode="json"), "settings": imported.settings(goal)})
        else:
            typer.echo(imported.toml(goal), nl=False)


def main() -> None:
    """Run the command line."""
    share_cores()
    if not stdout.color_system:  # of help and of complaints about options too
        from typer import rich_utils

        rich_utils.COLOR_SYSTEM = None
    try:
        app()
    finally:
        # Python looks through everything that was loaded for garbage before it ends: seconds with
        # PyTorch on a busy machine, which whoever pressed Ctrl-C would wait for.
        gc.freeze()


def share_cores() -> None:
    """Let CPU threads sleep soon while they wait for one another, unless the user says otherwise.

    GNU OpenMP, which PyTorch brings on Linux, otherwise lets them spin: on two cores beside two
    other busy processes, a training step of resnet:20 then takes 4.2 s instead of 0.15 s (medians
    of 12 steps), and without other processes it gains nothing. It must be said before PyTorch
    loads, and only a program may say it: a library should leave the environment alone.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
