"""Settings that every command has: where work runs, and how data are read and divided."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from goodteacher.config.values import (
    FewThousand,
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
        "auto", description="where to train; auto uses a GPU if there is one"
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="number format of matrix products and convolutions (losses, weights and "
        "optimizer state stay float32); auto uses bfloat16 where the hardware supports it",
    )
    compile: bool = Field(
        False,
        description="compile networks with torch.compile for training, with CUDA graphs on a "
        "GPU; this takes half a minute for each shape, so it pays off only for long runs of "
        "small networks on a GPU",
    )
    threads: FewThousand | None = Field(
        None,
        description="CPU threads of each process (default: if neither threads nor workers is "
        "set, a short trial picks the faster of one thread and all)",
    )
    engine: Literal["auto", "local", "processes", "ray"] = Field(
        "auto",
        description="where tasks run: local in this process, processes in several processes "
        "on this machine, ray on a Ray cluster; auto uses ray if address is set and several "
        "processes if workers is above 1, or, on the command line, if a short trial shows "
        "that they are faster",
    )
    workers: FewThousand | None = Field(
        None,
        description="number of processes that work at the same time (default: on the command "
        "line, and with engine processes, the fastest number in a short trial; with ray, as "
        "many as the cluster has room for; otherwise one)",
    )
    address: str | None = Field(
        None,
        description="address of a running Ray cluster, host:port, or auto for the cluster "
        "that this machine belongs to (default: with ray, a cluster is started on this "
        "machine and stopped at the end)",
    )
    gpus_per_task: PositiveFloat | None = Field(
        None,
        description="with ray, number of GPUs reserved for each task, which may be a "
        "fraction (default: one if the device is cuda, otherwise none)",
    )
    teacher_workers: FewThousand = Field(
        1,
        description="number of processes that train each teacher together with "
        "DistributedDataParallel, on this machine or on the Ray cluster; they share each "
        "batch, and batch normalization sees the whole batch (for large teachers)",
    )
    tracker: Annotated[tuple[TrackerName, ...], BeforeValidator(split_commas)] = Field(
        (),
        description="experiment tracker that results are also sent to: mlflow, tensorboard "
        "or wandb, or several separated by commas (default: none)",
    )
    memory_gib: PositiveFloat | None = Field(
        None,
        description="memory in GiB for one stack of students; larger groups are split, and "
        "targets that need more than half of it are read batch by batch (default: half of "
        "the free memory)",
    )
    stack_width: FewThousand | None = Field(
        None,
        description="number of students that train together in one stack (default: measured, "
        "within memory_gib); runs with equal stack widths agree to the last bit",
    )

    @model_validator(mode="after")
    def _check_cluster(self) -> Self:
        if self.address is not None and self.engine not in ("auto", "ray"):
            raise ValueError(
                f"address names a Ray cluster, but engine = {self.engine} does not use one. Leave "
                "out either address or engine"
            )
        return self


class ReadingConfig(Frozen):
    """How a data set is read."""

    data: str = Field(description="data set: digits, a folder, an .npz file or a hub name")
    target: str | None = Field(
        None,
        description="column of a table that holds the labels (default: label, labels, target "
        "or class, otherwise a column with a similar name such as intent or category)",
    )
    text_column: Annotated[tuple[str, ...] | None, BeforeValidator(split_commas)] = Field(
        None,
        description="column of a table that holds the texts, or several separated by commas, "
        "such as premise,hypothesis; other columns are then ignored (default: the only "
        "column of strings, or columns whose names belong together)",
    )
    test_split: str | None = Field(
        None,
        description="name of the split used as the test split (default: test, otherwise "
        "validation)",
    )
    resize: Annotated[tuple[PositiveInt, PositiveInt] | None, BeforeValidator(split_commas)] = (
        Field(None, description="height,width to which images are resized (default: not resized)")
    )
    skip_corrupt: bool = Field(False, description="leave out images that cannot be decoded")
    images_gib: PositiveFloat | None = Field(
        None,
        description="memory in GiB for the decoded images of a split; images that do not fit "
        "are decoded each time they are needed (default: a quarter of the free memory)",
    )
    max_memory_gib: PositiveFloat | None = Field(
        None,
        description="memory in GiB that a file which is read may take, each for itself; larger "
        "ones are refused before they are read (default: half of the free memory)",
    )


class DataConfig(ReadingConfig):
    """How a data set is read and split."""

    selection_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1,
        description="share of the training data that is held out for all choices, if the "
        "data have no validation split",
    )
    transfer_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0,
        description="share of the remaining training data used as the transfer set: the "
        "teacher responds to it and students learn from it",
    )
    split_seed: Seed = Field(
        0,
        description="random seed that decides which examples form the transfer set and the "
        "selection split",
    )
    normalization: Literal["auto", "none"] = Field(
        "auto",
        description="auto: zero mean and unit variance for each channel or feature; texts "
        "are divided by one common scale",
    )
    tfidf_features: PositiveInt | None = Field(
        None,
        description="for texts: largest number of features, which are words and pairs of "
        "words, or runs of characters (default: 4096)",
    )


class KeptConfig(Frozen):
    """What of the data is kept for those who look at the results."""

    keep_examples: Annotated[int, Field(ge=0, le=100)] = Field(
        12,
        description="examples that are kept in the folder for the report to show, as small "
        "pictures, the first 300 characters of texts, or rows; 0 keeps none, for data that must "
        "not be shown",
    )
