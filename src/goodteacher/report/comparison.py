"""Several studies side by side: what `goodteacher compare` says and draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from markupsafe import Markup
from pydantic import Field

from goodteacher.config import Frozen
from goodteacher.errors import ConfigError, StudyError
from goodteacher.records import ComparedStudy, PairedDifference, remarks_on
from goodteacher.report.compared import read_compared, settings_of
from goodteacher.report.comparison_page import answer_of_all, comparison_page, gains_panel
from goodteacher.report.page import render_page
from goodteacher.report.pairs import paired_differences
from goodteacher.report.plots import Plot, plot_of, write_page
from goodteacher.studies import Place, Store, holds_several, place_of, require_whole, study_folders

_SHOWN_ANYWAY = frozenset({"data", "teacher", "student"})
"""Settings that a comparison shows, whether they differ or not."""


class Comparison(Frozen):
    """Several studies side by side; ``rows()`` has the numbers, ``write()`` makes a page.

    Attributes:
        studies: What each found, in the order given.
        notes: What keeps them from being compared, most important first.
        differences: Delivered students minus those of the first study on the same data, paired.
        differing: Settings that are not the same: by name, the value of each study.
    """

    schema_version: Literal[1] = 1
    studies: tuple[ComparedStudy, ...]
    notes: tuple[str, ...]
    differences: tuple[PairedDifference, ...] = ()
    differing: Mapping[str, tuple[Any, ...]] = Field(default={})

    def rows(self) -> list[dict[str, Any]]:
        """Return a flat dictionary for each study, such as ``pandas.DataFrame`` takes.

        Accuracies and gains are fractions; what a study has not found is None.
        """
        return [study.row() for study in self.studies]

    def plot_gains(self) -> Plot:
        """Draw each study's gain with its interval, a view for each reference.

        Raises:
            StudyError: None of the studies has finished.
        """
        if not any(study.finished for study in self.studies):
            raise StudyError(
                "None of these studies has finished, so there is no gain to draw. Run goodteacher "
                "search again for one of them to continue it."
            )
        return plot_of(gains_panel(self.studies))

    def html(self) -> str:
        """Return a page that needs nothing else, as HTML."""
        return render_page(
            comparison_page(self.studies, self.notes, self.differences, self.differing)
        )

    def write(self, path: str | Path) -> Place:
        """Write the page.

        Args:
            path: A file whose name ends in ``.html``; a URL works too.

        Returns:
            Where it is.

        Raises:
            ConfigError: The name ends otherwise.
            StudyError: It cannot be written.
        """
        place = check_page(path)
        write_page(place, self.html())
        return place

    def _repr_html_(self) -> str:
        if any(study.finished for study in self.studies):
            return self.plot_gains().html()
        return str(Markup("<p>{}</p>").format(answer_of_all(self.studies)))


def compare(*studies: str | Path) -> Comparison:
    """Lay several studies side by side; nothing is trained, and no data are read.

    Studies may be unfinished or without a verdict: what they lack is named. A folder of several
    students stands for all of its studies.

    Args:
        *studies: Folders or URLs of studies; together at least two studies.

    Returns:
        What each found, and what keeps them from being compared.

    Raises:
        ConfigError: There are fewer than two studies, or one is named twice.
        StudyError: A folder is not a study, or one of its files is damaged or missing.

    Example::

        found = goodteacher.compare("mnist-mlp", "mnist-cnn")
        print(found.notes)
        pandas.DataFrame(found.rows())
    """
    places = list(_places(studies))
    if len(places) < 2:
        only = f", but got one: {places[0]}" if places else ""
        raise ConfigError(f"A comparison needs at least two studies{only}. Name more of them.")
    stores = [Store.open(place) for place in places]
    for store in stores:
        require_whole(store)
    found = tuple(map(read_compared, stores, _names(stores)))
    differing = _differing(stores)
    differences, reasons = paired_differences(stores, found)
    return Comparison(
        studies=found,
        notes=(*remarks_on(found, differing), *reasons),
        differences=differences,
        differing=differing,
    )


def check_page(path: str | Path) -> Place:
    """Return where a page is written, if its name says that it is one.

    Raises:
        ConfigError: It does not end in ``.html``.
    """
    place = place_of(path)
    if not place.name.lower().endswith((".html", ".htm")):
        raise ConfigError(f"{path} is not the name of a page: end it in .html.")
    return place


def _places(studies: Sequence[str | Path]) -> Iterator[Place]:
    """Yield where each study is.

    Raises:
        ConfigError: One is named twice.
    """
    seen: set[Place] = set()
    for given in studies:
        place = place_of(given)
        several = study_folders(place).values() if holds_several(place) else (place,)
        for each in several:
            if each.resolve() in seen:
                raise ConfigError(f"{each} is named twice. Name each study once.")
            seen.add(each.resolve())
            yield each


def _names(stores: Sequence[Store]) -> list[str]:
    """Return a name for each study: as many last parts of its place as tell all of them apart."""
    parts = [str(store.root.resolve()).replace("\\", "/").split("/") for store in stores]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return [str(store.root) for store in stores]


def _differing(stores: Sequence[Store]) -> dict[str, tuple[Any, ...]]:
    """Return the settings that differ, by name, but for those that every table shows."""
    each = [settings_of(store) for store in stores]
    names = dict.fromkeys(name for settings in each for name in settings)
    values = {name: tuple(_plain(settings.get(name)) for settings in each) for name in names}
    return {
        name: found
        for name, found in values.items()
        if name not in _SHOWN_ANYWAY and len(set(map(str, found))) > 1
    }


def _plain(value: Any) -> Any:
    """Return a setting's value as a person writes it."""
    return ", ".join(map(str, value)) if isinstance(value, list) else value
