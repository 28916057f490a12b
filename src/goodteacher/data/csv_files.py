"""Read CSV files as people save them: other delimiters, decimal commas, UTF-16, byte-order marks.

What the bytes tell for certain is read, with a note; a file in an unknown encoding is refused, as a
wrong guess would give wrong letters without a word. The `datasets` library reads ``1,5;2;x`` as one
column of text and the class ``NA`` as no label, without a word.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from goodteacher.config import check_regular
from goodteacher.data.bounds import read_at_most
from goodteacher.data.reading import Reading
from goodteacher.data.table_bounds import check_text_table
from goodteacher.errors import DataError

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What may stand between the columns, and how messages call it."""

_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_DECIMAL_COMMA = r"^\s*([-+]?\d+(,\d+)?([eE][-+]?\d+)?)?\s*$"


def read_csv(path: Path, reading: Reading) -> pa.Table:
    """Read a table of any of `DELIMITERS`, compressed or not.

    Args:
        path: of the file; an ending such as .gz says how it is compressed.
        reading: where notes go.

    Raises:
        DataError: The file is not UTF-8 and no byte-order mark says what else.
        OSError, pyarrow.ArrowException: It cannot be read.
    """
    check_regular(path, DataError)
    with pa.input_stream(str(path), compression="detect") as stream:
        content = _as_utf8(read_at_most(stream, str(path)), path)
    delimiter = _delimiter(content)
    check_text_table(io.BytesIO(content), delimiter.encode(), str(path))
    if delimiter != ("\t" if ".tsv" in path.suffixes else ","):
        reading.note("delimiter", f"{path.name} has {DELIMITERS[delimiter]} between its columns.")
    table = _parse(content, delimiter, ".")
    if delimiter != "," and (columns := _with_decimal_commas(table)):
        reading.note(
            "decimal_comma",
            f"{path.name} has decimal commas in {', '.join(map(repr, columns[:5]))}; they are read"
            " as numbers.",
        )
        table = _parse(content, delimiter, ",")
    return table


def _as_utf8(content: bytes, path: Path) -> bytes:
    for bom, encoding in _BOMS.items():
        if content.startswith(bom):
            return content.decode(encoding).encode()
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} is not UTF-8: byte 0x{content[error.start]:02x} in line {line} is not a "
            "letter in UTF-8. Spreadsheets often save CSV in another encoding, for example "
            "cp1252 in Western Europe and America. Save the file as 'CSV UTF-8', or convert it "
            f"from its encoding: iconv -f cp1252 -t utf-8 '{path.name}' > converted.csv"
        ) from None
    if b"\0" in content[:1000]:
        raise DataError(
            f"{path} contains zero bytes, so it is not UTF-8 text. If it is UTF-16 without a "
            f"byte-order mark, convert it: iconv -f utf-16le -t utf-8 '{path.name}' > "
            "converted.csv"
        )
    return content


def _delimiter(content: bytes) -> str:
    """Return what divides the first line into the most columns; a comma among equals."""
    header = re.split(rb"[\r\n]", content, maxsplit=1)[0].decode()
    counts = {d: _columns(header, d) for d in DELIMITERS}
    return max(counts, key=counts.__getitem__)


def _columns(header: str, delimiter: str) -> int:
    """Return the number of columns that a delimiter makes of the first line."""
    if delimiter not in header:
        return 1
    try:
        return len(next(csv.reader([header], delimiter=delimiter), []))
    except csv.Error:  # a name of more than 131,072 characters
        return 1


def _parse(content: bytes, delimiter: str, decimal_point: str) -> pa.Table:
    return pyarrow.csv.read_csv(
        io.BytesIO(content),
        # a quoted text may run over lines; pyarrow takes each for a row of its own unless told
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, delimiter=delimiter),
        convert_options=pyarrow.csv.ConvertOptions(decimal_point=decimal_point),
    )


def _with_decimal_commas(table: pa.Table) -> list[str]:
    """Return the columns of text in which every value is a number with a decimal comma."""
    found = []
    for position, name in enumerate(table.column_names):
        column = table.column(position)
        if not pa.types.is_string(column.type) or not len(column):
            continue
        numbers = pc.match_substring_regex(column, _DECIMAL_COMMA)
        if (
            pc.all(pc.fill_null(numbers, True)).as_py()
            and pc.any(pc.fill_null(pc.match_substring(column, ","), False)).as_py()
        ):
            found.append(name)
    return found
