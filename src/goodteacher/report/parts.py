"""What a page is made of: tables, views, panels and sections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from goodteacher.records import Shown
from goodteacher.report.chart import Figure

REPORT_FILE = "report.html"
"""Name of the page in a study's folder."""

ROWS_IN_PAGE = 200
"""Rows of a sortable table that a page shows at first: browsers are slow with thousands."""


class Column(NamedTuple):
    """A column of a table: its different texts, and which of them is in each row."""

    texts: tuple[str, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Table:
    """A table of text; the first column names the rows.

    Attributes:
        caption: What it shows, with n, spread, split and units.
        head: Column titles.
        rows: Cells; each row is as long as ``head``.
        sortable: Whether the reader can sort and filter its rows.
        falling: Title of the column by which the rows are sorted, the highest first; else empty.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    sortable: bool = False
    falling: str = ""

    @property
    def in_page(self) -> tuple[tuple[str, ...], ...]:
        """The rows that the page shows at first."""
        return self.rows[:ROWS_IN_PAGE] if self.sortable else self.rows

    @property
    def other_rows(self) -> tuple[tuple[str, ...], ...]:
        """Rows that are found by sorting and filtering."""
        return self.rows[ROWS_IN_PAGE:] if self.sortable else ()

    @property
    def other_columns(self) -> tuple[Column, ...]:
        """The other rows by columns, which name each text once: a third of the size."""
        columns = []
        for cells in zip(*self.other_rows, strict=True):
            number = {text: place for place, text in enumerate(dict.fromkeys(cells))}
            columns.append(Column(tuple(number), tuple(number[text] for text in cells)))
        return tuple(columns)


@dataclass(frozen=True)
class View:
    """One figure with what stands beside it.

    Attributes:
        label: Its entry in the panel's selector.
        figure: The figure.
        caption: What it shows in a few sentences: the figure's text alternative.
        table: The numbers behind it.
    """

    label: str
    figure: Figure
    caption: str
    table: Table


@dataclass(frozen=True)
class Exhibit:
    """An example of the data, shown.

    Attributes:
        shown: Its picture, text or row.
        alt: What it is and what is said of it, for those who do not see the picture.
        lines: What stands below it.
    """

    shown: Shown
    alt: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Panel:
    """A place on the page that shows one view at a time.

    Attributes:
        key: Identifier, unique on the page.
        title: Heading.
        views: At least one; the first is shown until the reader selects another.
        exhibit: The example that the figure is about; None where it is about many.
    """

    key: str
    title: str
    views: tuple[View, ...]
    exhibit: Exhibit | None = None


@dataclass(frozen=True)
class Gallery:
    """Examples under one caption.

    Attributes:
        caption: What they have in common.
        exhibits: In order; may be empty.
    """

    caption: str
    exhibits: tuple[Exhibit, ...]


@dataclass(frozen=True)
class Section:
    """A part of the page under one heading.

    Attributes:
        key: Identifier, unique on the page.
        title: Heading.
        lead: Paragraphs above the panels.
        panels: Figures, laid out side by side where there is room.
        tables: Tables below them.
        galleries: Examples below them.
        columns: Panels in a row on a wide screen.
        folded: Whether the tables open on a click (and on paper).
    """

    key: str
    title: str
    lead: tuple[str, ...] = ()
    panels: tuple[Panel, ...] = ()
    tables: tuple[Table, ...] = ()
    galleries: tuple[Gallery, ...] = ()
    columns: int = 2
    folded: bool = False


@dataclass(frozen=True)
class Page:
    """Everything that the page says.

    Attributes:
        name: Name of the folder.
        title: Heading.
        answer: The one sentence that the reader came for.
        notes: What a reader must know before trusting the numbers.
        sections: In reading order.
        definitions: How to read the page, a paragraph each.
        facts: Names and sentences, the most important first.
        state: Of work that has not ended: running, stopped or not finished; else empty.
        banner: What a reader must know first, where work goes on beside an answer.
    """

    name: str
    title: str
    answer: str
    notes: tuple[str, ...]
    sections: tuple[Section, ...]
    definitions: tuple[str, ...]
    facts: tuple[tuple[str, str], ...] = ()
    state: str = ""
    banner: str = ""
