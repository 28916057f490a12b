"""What all inputs hold to; a new kind is added to `CASES`."""

import copy
import hashlib
import io

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from goodteacher.data import (
    AT_ONCE,
    Dataset,
    Sparse,
    Split,
    TableRows,
    at_once,
    prepare,
    rows_spec,
)
from goodteacher.data.array_folders import open_arrow
from goodteacher.data.encoded import Files, OnDemand
from goodteacher.data.inputs import Fields, InMemory, Mapped, as_inputs
from goodteacher.data.texts import TextColumns, Texts
from goodteacher.errors import DataError
from goodteacher.networks import Preparations

N = 23
ROWS = np.random.default_rng(0)
IMAGES = ROWS.integers(0, 256, (N, 1, 4, 3)).astype(np.uint8)
NUMBERS = ROWS.normal(2, 3, (N, 6)).astype(np.float32)
SERIES = ROWS.normal(2, 3, (N, 2, 5)).astype(np.float32)
TOKENS = ROWS.integers(2, 50, (N, 7))


def npy(folder, array, name="x.npy"):
    np.save(folder / name, array)
    return as_inputs(np.load(folder / name, mmap_mode="r"))


def arrow(folder, array):
    rows = pa.array(array.tolist(), pa.list_(pa.from_numpy_dtype(array.dtype)))
    table = pa.table({"x": pa.chunked_array([rows[:9], rows[9:10], rows[10:]])})
    with (
        pa.OSFile(str(folder / "x.arrow"), "wb") as file,
        pa.ipc.new_file(file, table.schema) as to,
    ):
        to.write_table(table)
    return open_arrow(folder / "x.arrow")


def encoded(array):
    """Images as PNG files hold them."""
    found = []
    for channels in array:
        buffer = io.BytesIO()
        Image.fromarray(channels[0]).save(buffer, "PNG")
        found.append(buffer.getvalue())
    return found


def on_demand(folder, array, *, files):
    images = encoded(array)
    if files:
        for number, image in enumerate(images):
            (folder / f"{number}.png").write_bytes(image)
        images = Files([folder / f"{number}.png" for number in range(len(images))])
    return OnDemand(images, np.arange(len(images)), array.shape[1:], "image {}".format)


CASES = {
    "images": lambda folder: as_inputs(IMAGES),
    "numbers": lambda folder: as_inputs(NUMBERS),
    "series": lambda folder: as_inputs(SERIES),
    "token ids": lambda folder: as_inputs(TOKENS),
    "narrow integers": lambda folder: as_inputs(TOKENS.astype(np.int16)),
    "texts": lambda folder: Texts(tuple(f"text {n % 9}" for n in range(N))),
    "columns of texts": lambda folder: TextColumns(
        {"title": tuple(f"title {n % 9}" for n in range(N)), "body": ("the body",) * N}
    ),
    "rows of a table": lambda folder: TableRows(
        torch.from_numpy(np.stack([NUMBERS[:, 0], TOKENS[:, 0] % 3], 1)).float(),
        rows_spec({"size": None, "colour": ("blue", "green", "red")}),
    ),
    "mapped images": lambda folder: npy(folder, IMAGES),
    "images in files, on demand": lambda folder: on_demand(folder, IMAGES, files=True),
    "encoded images, on demand": lambda folder: on_demand(folder, IMAGES, files=False),
    "mapped numbers of another type": lambda folder: npy(folder, NUMBERS.astype(np.float64)),
    "mapped token ids": lambda folder: npy(folder, TOKENS.astype(np.uint16)),
    "an arrow column in chunks": lambda folder: arrow(folder, NUMBERS),
    "arrow token ids": lambda folder: arrow(folder, TOKENS),
    "a sparse matrix": lambda folder: Sparse(csr_matrix(NUMBERS * (NUMBERS > 2))),
    "fields": lambda folder: as_inputs({"ids": TOKENS, "series": SERIES}),
    "mapped fields": lambda folder: Fields(
        {"ids": npy(folder, TOKENS, "a.npy"), "numbers": npy(folder, NUMBERS, "b.npy")}
    ),
}


@pytest.fixture(params=CASES)
def inputs(request, tmp_path):
    return CASES[request.param](tmp_path)


def flat(raw):
    """Some examples as a list of values that can be compared."""
    if isinstance(raw, tuple):
        return list(raw)
    if isinstance(raw, Tensor):
        return raw.tolist()
    columns = [raw[name].tolist() for name in sorted(raw)]
    return list(zip(*columns, strict=True))


def digest(inputs):
    found = hashlib.sha256()
    inputs.digest_into(found)
    return found.hexdigest()


def everything(inputs):
    return [row for chunk in inputs.chunks() for row in flat(chunk)]


def test_rows_come_in_the_order_that_they_are_asked_for(inputs):
    assert len(inputs) == N
    whole = everything(inputs)
    assert len(whole) == N
    asked = torch.tensor([22, 0, 9, 8, 10, 3])
    assert flat(inputs.rows(asked)) == [whole[row] for row in asked.tolist()]
    assert flat(inputs.rows(torch.tensor([], dtype=torch.int64))) == []


def test_several_lists_of_positions_are_read_one_after_another(inputs):
    parts = [torch.tensor([3, 1]), torch.tensor([], dtype=torch.int64), torch.arange(20)]
    found = [*inputs.reads(iter(parts))]
    assert [flat(rows) for rows in found] == [flat(inputs.rows(part)) for part in parts]
    assert [*inputs.reads([])] == []


def test_chunks_of_any_size_are_all_rows_in_order(inputs):
    for size in (1, 10, AT_ONCE):
        chunks = [flat(chunk) for chunk in inputs.chunks(size)]
        assert max(map(len, chunks)) == min(size, N)
        assert [row for chunk in chunks for row in chunk] == everything(inputs)


def test_a_subset_of_a_subset_is_the_rows_named(inputs):
    whole = everything(inputs)
    part = inputs.subset(torch.tensor([20, 4, 11, 9, 0])).subset(torch.tensor([3, 0, 2]))
    assert (len(part), everything(part)) == (3, [whole[9], whole[20], whole[11]])
    assert part.spec == inputs.spec  # the range of a part is that of the whole


def test_what_an_example_is_says_what_its_rows_are(inputs):
    def agrees_as_text(rows):
        return all(isinstance(row, str) for row in rows)

    def agrees(spec, rows):
        if spec.kind == "fields":
            return all(agrees(spec.fields[name], part) for name, part in rows.items())
        if spec.columns and spec.kind == "texts":
            return all(len(row) == len(spec.columns) and agrees_as_text(row) for row in rows)
        if spec.kind == "texts":
            return agrees_as_text(rows)
        types = {"images": torch.uint8, "numbers": torch.float32, "rows": torch.float32}
        whole = not rows.is_floating_point() and spec.low <= rows.min() <= rows.max() <= spec.high
        right = whole if spec.kind == "integers" else rows.dtype == types[spec.kind]
        return right and tuple(rows.shape[1:]) == spec.shape

    assert agrees(inputs.spec, inputs.rows(torch.arange(N)))
    assert inputs.spec.is_like(inputs.spec)
    assert inputs.to("cpu").spec == inputs.spec


def test_digest_depends_on_each_value_and_on_their_order(inputs):
    assert digest(inputs) == digest(inputs.subset(torch.arange(N)))
    turned = inputs.subset(torch.arange(N).flip(0))
    assert len({digest(inputs), digest(turned), digest(inputs.subset(torch.arange(N - 1)))}) == 3


def test_large_examples_are_a_few_at_once(tmp_path):
    large = np.zeros((5, 3, 4000, 1000), np.uint8)
    assert at_once(large.shape[1:]) == 1
    assert [len(chunk) for chunk in as_inputs(large).chunks()] == [1] * 5
    assert [len(chunk) for chunk in npy(tmp_path, large).chunks()] == [1] * 5
    assert at_once((3, 32, 32)) == at_once((7,)) == AT_ONCE


def test_a_file_is_the_same_data_as_memory(tmp_path):
    assert digest(on_demand(tmp_path, IMAGES, files=True)) == digest(as_inputs(IMAGES))
    for array in (IMAGES, NUMBERS, SERIES, TOKENS):
        assert digest(npy(tmp_path, array)) == digest(as_inputs(array))
    assert digest(Sparse(csr_matrix(NUMBERS))) == digest(as_inputs(NUMBERS))
    for array in (NUMBERS, TOKENS):
        assert digest(arrow(tmp_path, array)) == digest(as_inputs(array))


def test_they_can_be_checked_and_make_a_split(inputs):
    inputs.check()
    split = Split.from_arrays(inputs, np.arange(N) % 2)
    assert everything(split.stored) == everything(inputs)
    part = split.subset([5, 2])
    assert (part.ids.tolist(), part.labels.tolist()) == ([5, 2], [1, 0])
    assert everything(part.stored) == [everything(inputs)[row] for row in (5, 2)]


def test_a_part_of_a_file_is_not_read_and_its_rows_are_copies(inputs):
    if isinstance(inputs, Mapped):
        assert inputs.subset(torch.arange(4)).parts is inputs.parts
        assert inputs.nbytes == 0
    rows = inputs.rows(torch.tensor([0, 1]))
    if isinstance(rows, Tensor):
        before = everything(inputs)
        rows.zero_()
        assert everything(inputs) == before


class Pooled(nn.Module):
    """Takes whatever examples are, without further layers that would know their shape."""

    def __init__(self, num_classes):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_classes))

    def forward(self, inputs):
        parts = inputs.values() if isinstance(inputs, dict) else [inputs]
        pooled = sum(part.float().flatten(1).mean(1, keepdim=True) for part in parts)
        return pooled * self.weight


def test_a_network_sees_prepared_rows_whatever_the_inputs(inputs):
    from goodteacher.networks.given import specification_of

    labels = np.arange(N) % 2
    train, test = (Split.from_arrays(copy.copy(inputs), labels) for _ in range(2))
    parts = prepare(Dataset("made", train, test, ("a", "b")), selection_fraction=0.3)
    networks = Preparations(parts)
    spec = specification_of(Pooled)
    if inputs.spec.kind == "texts":
        spec = "mlp:2"
    examples = networks.examples(spec, parts.training)
    batch = examples.inputs(torch.tensor([3, 0]))
    assert networks.network(spec, seed=0).module(batch).shape == (2, 2)
    assert examples.bytes_each > 0
    whole = flat(examples.inputs(torch.arange(len(parts.training))))
    assert flat(batch) == [whole[3], whole[0]]


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda: InMemory(torch.zeros(3)), "one axis after that of the examples"),
        (lambda: InMemory(torch.zeros(3, 2, dtype=torch.complex64)), "complex64"),
        (lambda: InMemory(torch.zeros(3, 2, dtype=torch.float64)), "but are torch.float64"),
        (lambda: InMemory(torch.zeros(0, 2)), "at least one example"),
        (lambda: InMemory(torch.zeros(3, 4, 4, dtype=torch.uint8)), "without a channel axis"),
        (lambda: Texts(()), "at least one example"),
        (lambda: OnDemand([], np.arange(0), (1, 2, 2), str), "at least one example"),
        (lambda: Texts(("a", 3)), "Texts must be strings"),
        (lambda: TextColumns({"a": ("x",)}), "need at least two columns"),
        (lambda: TextColumns({"a": ("x",), "b": ()}), "lengths differ: a 1, b 0"),
        (lambda: TextColumns({"a": ("x",), "b": (None,)}), "In the column 'b': Texts must be"),
        (lambda: TextColumns({"a": (), "b": ()}), "at least one example"),
        (lambda: Fields({}), "need at least one field"),
        (
            lambda: Fields({"a": InMemory(torch.zeros(3, 1)), "b": InMemory(torch.zeros(2, 1))}),
            "lengths differ: a 3, b 2",
        ),
        (lambda: Fields({"a": InMemory(torch.zeros(3))}), "In the field 'a'"),
    ],
)
def test_what_cannot_be_used_is_refused(wrong, message):
    with pytest.raises(DataError, match=message):
        wrong().check()
