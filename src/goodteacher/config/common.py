"""Settings that every command has: where work runs, and how data are read and divided."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from goodteacher.config.values import (
    Frozen,
    PositiveFloat,
    PositiveInt,
    Seed,
    TrackerName,
    split_commas,
)


class RuntimeConfig(Frozen):
    """Where and how fast the work runs. Nothing here may change what is asked, only the machine."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="where to train; auto takes a GPU when there is one"
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="arithmetic of matrix products and convolutions (losses, weights and "
        "optimizer stay float32); auto takes bfloat16 where the hardware has it",
    )
    compile: bool = Field(
        False,
        description="torch.compile networks for training, with CUDA graphs on a GPU: half a minute "
        "for each shape, which only long runs of small networks on a GPU can earn back",
    )
    threads: PositiveInt | None = Field(
        None,
        description="CPU threads of each process (default: where threads and workers are not "
        "named, the faster of one and all, by a short trial)",
    )
    engine: Literal["auto", "local", "processes", "ray"] = Field(
        "auto",
        description="where tasks run: local is one process, processes are several on this machine, "
        "ray is a cluster of Ray; auto takes ray where address is given, several processes where "
        "workers asks for more than one, and on the command line where a short trial says that "
        "they pay",
    )
    workers: PositiveInt | None = Field(
        None,
        description="processes that work at the same time (default: on the command line, and with "
        "processes, as many as pay by a short trial; with ray, as many as the cluster has room "
        "for; else one)",
    )
    address: str | None = Field(
        None,
        description="of a running Ray cluster, host:port, or auto for the one that this machine is "
        "a part of (default: with ray, a cluster on this machine is started, and stopped at the "
        "end)",
    )
    gpus_per_task: PositiveFloat | None = Field(
        None,
        description="with ray, GPUs that are reserved for each task, or a fraction of one "
        "(default: one where device is cuda, else none)",
    )
    teacher_workers: PositiveInt = Field(
        1,
        description="processes over which each teacher is trained, by DistributedDataParallel, on "
        "this machine or those of address: its batch is divided among them, and batch "
        "normalisation sees the whole batch (for large teachers)",
    )
    tracker: Annotated[tuple[TrackerName, ...], BeforeValidator(split_commas)] = Field(
        (),
        description="who is told what was found, beside the folder: mlflow, tensorboard or wandb, "
        "or several with commas (default: nobody)",
    )
    memory_gib: PositiveFloat | None = Field(
        None,
        description="memory in GiB that one stack of students may take; larger groups split, and "
        "targets of more than half of it are read batch by batch (default: half of what is free)",
    )
    stack_width: PositiveInt | None = Field(
        None,
        description="students that train in one stack (default: measured, within memory_gib); "
        "runs with equal widths agree to the last bit",
    )

    @model_validator(mode="after")
    def _check_cluster(self) -> Self:
        if self.address is not None and self.engine not in ("auto", "ray"):
            raise ValueError(
                f"address names a Ray cluster, but engine = {self.engine!r} uses none. Leave one "
                "of them out"
            )
        return self


class ReadingConfig(Frozen):
    """How a data set is read."""

    data: str = Field(description="data set: digits, a folder, an .npz file or a hub name")
    target: str | None = Field(
        None,
        description="column of labels in a table (default: label, labels, target or class, or else "
        "a name such as intent or category)",
    )
    text_column: Annotated[tuple[str, ...] | None, BeforeValidator(split_commas)] = Field(
        None,
        description="column of texts in a table, or several with commas, such as "
        "premise,hypothesis; the others are then no inputs (default: the only one of strings, or "
        "those that go together by their names)",
    )
    test_split: str | None = Field(
        None, description="name of the split to test on (default: test, else validation)"
    )
    resize: Annotated[tuple[PositiveInt, PositiveInt] | None, BeforeValidator(split_commas)] = (
        Field(None, description="height,width to which images are resized (default: never)")
    )
    skip_corrupt: bool = Field(False, description="leave out images that cannot be decoded")
    images_gib: PositiveFloat | None = Field(
        None,
        description="memory in GiB that the decoded images of a split may take; more are decoded "
        "whenever they are needed (default: a quarter of what is free)",
    )


class DataConfig(ReadingConfig):
    """How a data set is read and split."""

    selection_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1,
        description="share of the training data on which every choice is made, where the data have "
        "no validation split",
    )
    transfer_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="share of the rest on which the teacher responds and students learn"
    )
    split_seed: Seed = Field(
        0, description="seed of the split into transfer set and selection split"
    )
    normalization: Literal["auto", "none"] = Field(
        "auto",
        description="auto: zero mean, unit variance per channel or feature; one scale for texts",
    )
    tfidf_features: PositiveInt | None = Field(
        None,
        description="of texts: words and pairs of words, or runs of characters, that become "
        "features, at most (default: 4096)",
    )


class KeptConfig(Frozen):
    """What of the data is kept for those who look at the results."""

    keep_examples: Annotated[int, Field(ge=0, le=100)] = Field(
        12,
        description="examples that are kept in the folder for the report to show, as small "
        "pictures, the first 300 characters of texts, or rows; 0 keeps none, for data that must "
        "not be shown",
    )
