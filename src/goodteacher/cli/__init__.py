"""The command line: parsing, printing, exit codes.

Exit codes: 0 success, 1 the work failed, 2 bad input, 130 interrupted (a study stays resumable).
With ``--json`` the result is on stdout as JSON; progress and messages go to stderr always.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from goodteacher.cli.display import (
    print_distillation,
    print_error,
    print_findings,
    print_json,
    print_score,
    print_sweet_spot,
    print_verdict,
    shown_progress,
    stderr,
    stdout,
)
from goodteacher.cli.options import with_settings
from goodteacher.config import DistillConfig, StudyConfig, VerifyConfig, read_toml
from goodteacher.errors import ConfigError, GoodteacherError, InputError

app = typer.Typer(
    name="goodteacher",
    help="Find the teacher worth distilling. The best teacher is not the best model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

AsJson = Annotated[bool, typer.Option("--json", help="print the result as JSON on stdout")]
Data = Annotated[str | None, typer.Argument(help="digits, a folder, an .npz file or a hub name")]
Out = Annotated[Path, typer.Option(help="folder of the result; made if it is missing")]


@contextmanager
def _door(as_json: bool) -> Iterator[None]:
    """Turn what goes wrong into one message and an exit code."""
    warnings.showwarning = _shown_once()
    try:
        yield
    except GoodteacherError as error:
        if as_json:
            print_json({"error": {"type": type(error).__name__, "message": str(error)}})
        print_error(str(error))
        raise typer.Exit(2 if isinstance(error, InputError) else 1) from None
    except KeyboardInterrupt:
        print_error("interrupted. Give the same command again to go on where it stopped.")
        raise typer.Exit(130) from None


def _shown_once() -> Callable[..., None]:
    """Return what prints a warning, and the same one never again."""
    shown: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            stderr.print(f"warning: {message}", markup=False)

    return show


def _merged(config: Path | None, settings: dict[str, Any], **own: Any) -> dict[str, Any]:
    """Join settings of a file with those of the command line, which win."""
    from_file = read_toml(config) if config else {}
    merged = {**from_file, **settings, **{k: v for k, v in own.items() if v is not None}}
    for name in own:
        if name not in merged:
            raise ConfigError(f"{name} is missing: give it on the command line or in --config.")
    return merged


@app.command()
@with_settings(StudyConfig, leave_out=frozenset({"data", "teacher", "student"}))
def search(
    data: Data = None,
    teacher: Annotated[str | None, typer.Option(help="such as mlp:800,800 or resnet:20")] = None,
    student: Annotated[str | None, typer.Option(help="such as mlp:64 or cnn:16,32,64")] = None,
    out: Out = ...,  # type: ignore[assignment]
    config: Annotated[Path | None, typer.Option(help="TOML file with any of the settings")] = None,
    as_json: AsJson = False,
    settings: dict[str, Any] = {},  # noqa: B006 - filled by with_settings
) -> None:
    """Find the sweet spot: teacher batch size and epoch, temperature and alpha.

    The same command on the same folder goes on where it stopped.
    """
    with _door(as_json):
        from goodteacher.study import search as run

        merged = _merged(config, settings, data=data, teacher=teacher, student=student)
        with shown_progress() as progress:
            study = run(merged.pop("data"), out=out, progress=progress, **merged)
        if as_json:
            print_json(study.sweet_spot.model_dump(mode="json"))
        else:
            print_sweet_spot(study.sweet_spot, str(study.folder))


@app.command()
@with_settings(DistillConfig, leave_out=frozenset({"data", "student"}))
def distill(
    data: Data = None,
    responses: Annotated[
        Path,
        typer.Option(
            help="teacher's logits on the training data: npy, npz, safetensors, parquet or csv"
        ),
    ] = ...,  # type: ignore[assignment]
    student: Annotated[str | None, typer.Option(help="such as mlp:64 or cnn:16,32,64")] = None,
    out: Out = ...,  # type: ignore[assignment]
    config: Annotated[Path | None, typer.Option(help="TOML file with any of the settings")] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="the file holds probabilities, not logits")
    ] = False,
    as_json: AsJson = False,
    settings: dict[str, Any] = {},  # noqa: B006 - filled by with_settings
) -> None:
    """Train one student with one recipe, beside a twin that learns from the labels alone."""
    with _door(as_json):
        from goodteacher.distillation import distill as run

        merged = _merged(config, settings, data=data, student=student)
        with shown_progress() as progress:
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
        Path | None, typer.Option(help="teacher's logits on the training data of a data set")
    ] = None,
    student: Annotated[str | None, typer.Option(help="with --responses, such as mlp:64")] = None,
    out: Annotated[Path | None, typer.Option(help="with --responses, folder of the result")] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="the file holds probabilities, not logits")
    ] = False,
    independent_responses: Annotated[
        Path | None, typer.Option(help="logits of another teacher, for the fidelity beyond it")
    ] = None,
    as_json: AsJson = False,
    settings: dict[str, Any] = {},  # noqa: B006 - filled by with_settings
) -> None:
    """Tell whether the students' gain is knowledge or only regularization."""
    with _door(as_json):
        from goodteacher.verification import verify as run

        with shown_progress() as progress:
            verdict = run(
                data,
                responses=responses,
                student=student,
                out=out,
                probabilities=probabilities,
                independent_responses=independent_responses,
                progress=progress,
                **settings,
            )
        if as_json:
            print_json(verdict.model_dump(mode="json"))
        else:
            print_verdict(verdict)
            stdout.print(f"Report: {out or data}/report.html", markup=False, soft_wrap=True)


@app.command()
def score(
    responses: Annotated[Path, typer.Argument(help="npy, npz, safetensors, parquet or csv")],
    labels: Annotated[Path, typer.Option(help="labels of the same examples")],
    temperatures: Annotated[str, typer.Option(help="where to measure, with commas")] = "1,2,4,8",
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="the file holds probabilities, not logits")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the similarity information of any teacher's response."""
    with _door(as_json):
        from goodteacher.scoring import score as run

        result = run(
            responses, labels=labels, temperatures=temperatures, probabilities=probabilities
        )
        if as_json:
            print_json(result.model_dump(mode="json"))
        else:
            print_score(result)


@app.command()
def doctor(
    data: Annotated[str, typer.Argument(help="digits, a folder, an .npz file or a hub name")],
    as_json: AsJson = False,
) -> None:
    """Check a data set before anything is trained on it."""
    with _door(as_json):
        from goodteacher.data import doctor as examine
        from goodteacher.data import load_dataset

        dataset = load_dataset(data)
        findings = examine(dataset)
        if as_json:
            print_json(
                {
                    "name": dataset.name,
                    "fingerprint": dataset.fingerprint,
                    "num_classes": dataset.num_classes,
                    "input_shape": list(dataset.input_shape),
                    "train": len(dataset.train),
                    "test": len(dataset.test),
                    "findings": [
                        {"severity": f.severity, "code": f.code, "message": f.message}
                        for f in findings
                    ],
                }
            )
        else:
            print_findings(dataset, findings)
        if any(finding.severity == "error" for finding in findings):
            raise typer.Exit(2)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="folder of a study or of a verification")],
    as_json: AsJson = False,
) -> None:
    """Write the report of a study or a verification again from its result files."""
    with _door(as_json):
        from goodteacher.report import write_report
        from goodteacher.store import Store

        path = write_report(Store.open(folder))
        if as_json:
            print_json({"report": str(path)})
        else:
            stderr.print(f"Report: {path}", markup=False, soft_wrap=True)


def main() -> None:
    """Run the command line."""
    share_cores()
    app()


def share_cores() -> None:
    """Let CPU threads sleep soon while they wait for one another, unless the user says otherwise.

    GNU OpenMP, which PyTorch brings on Linux, otherwise lets them spin: on two cores beside two
    other busy processes, a training step of resnet:20 then takes 4.2 s instead of 0.15 s (medians
    of 12 steps), and without other processes it gains nothing. It must be said before PyTorch
    loads, and only a program may say it: a library should leave the environment alone.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
