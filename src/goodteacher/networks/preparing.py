"""The networks of a study: each with its preparation, fitted when it is first asked for, and kept.

Preparations are by what stands behind the ``@`` of a specification, so networks that want the same
share one. What is costly to prepare - texts, rows of a table, smaller images - is prepared once for
all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch

from goodteacher.config import Augmentation
from goodteacher.data import InMemory, Inputs, InputSpec, Split, StudyData, numbers_spec
from goodteacher.errors import ConfigError, ModelError
from goodteacher.networks.build import build_model, is_users_own, own_clause
from goodteacher.networks.examples import Examples
from goodteacher.networks.fitting import OF_THE_NETWORK, fit_preparation, split_spec
from goodteacher.networks.given import given_networks, take_given
from goodteacher.networks.image_steps import Resize
from goodteacher.networks.network import Network, build_network
from goodteacher.networks.normalization import Normalization
from goodteacher.networks.preparation import Chain, Preparation
from goodteacher.networks.trusted import take_trusted, trusted
from goodteacher.networks.waveforms import Waveform

_MUCH_LARGER = 4
"""Times the pixels from which on it is told that images are made larger."""

Prepared = tuple[Inputs, Preparation | None]
"""Examples after what is costly, and what is left to do with each batch."""


class Preparations:
    """How the networks of a study want its examples.

    Args:
        data: The parts of the study's data.
        normalization: A name in `NORMALIZATIONS`, or a `Normalization`.
        tfidf_features: Terms of a text, at most, where a specification does not say; None takes
            `DEFAULT_TERMS`.

    Raises:
        ConfigError: ``tfidf_features`` is set for data that are no texts, or out of range.

    Example:
        >>> from goodteacher.data import load_dataset, prepare
        >>> networks = Preparations(prepare(load_dataset("digits")))
        >>> networks.network("mlp:8@resize:4", seed=0).module[1]
        Linear(in_features=16, out_features=8, bias=True)
    """

    def __init__(
        self,
        data: StudyData,
        *,
        normalization: str | Normalization = "auto",
        tfidf_features: int | None = None,
    ) -> None:
        _check_tfidf_features(tfidf_features, data)
        self.data = data
        self._normalization = normalization
        self._tfidf_features = tfidf_features
        self._fitted: dict[str, Chain] = {}
        self._takes_integers: dict[str, bool] = {}
        self._kept: dict[str, WeakKeyDictionary[Split, Prepared]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Take along what the user gave and trusts; leave out what is prepared again there."""
        return {
            **self.__dict__,
            "_kept": {},
            "given": given_networks(),
            "trusted": trusted(),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Let the networks that were given in the other process be made in this one too."""
        take_given(state.pop("given"))
        take_trusted(state.pop("trusted"))
        self.__dict__.update(state)

    def of(self, spec: str) -> Chain:
        """Return the preparation of the network of a specification, fitted to the training part.

        Raises:
            InputError: It does not go with these data; see `fit_preparation`.
        """
        spec = self._with_clause(spec)
        key = _key(spec)
        if key not in self._fitted:
            self._fitted[key] = fit_preparation(
                spec,
                self.data.training,
                normalization=self._normalization,
                tfidf_features=self._tfidf_features,
            )
        return self._fitted[key]

    def network(self, spec: str, *, seed: int) -> Network:
        """Build a network for the study's examples.

        Args:
            spec: Its specification.
            seed: Of its initial weights.

        Raises:
            InputError: It cannot be built for these data.
        """
        return build_network(
            spec,
            self.of(spec),
            num_classes=self.data.num_classes,
            inputs=self.data.spec,
            seed=seed,
        )

    def examples(
        self,
        spec: str,
        split: Split,
        *,
        device: torch.device | str = "cpu",
        augmentation: Augmentation | None = None,
        stream: int = 0,
    ) -> Examples:
        """Return a split as the network of a specification sees it; see `Examples`."""
        return Examples(
            split,
            self.of(spec),
            device=device,
            augmentation=augmentation,
            stream=stream,
            prepared=self._prepared(spec, split, augmentation),
        )

    def choice(self, spec: str) -> str | None:
        """Say how a network of the user's own gets whole numbers, where it does not ask for a way.

        Args:
            spec: Its specification.
        """
        if split_spec(spec)[1] or self.data.spec.kind != "integers" or not is_users_own(spec):
            return None
        if self._with_clause(spec) != spec:
            return f"{spec!r} gets whole numbers as they are stored, as with '@integers'."
        return f"{spec!r} does not take whole numbers, so it gets them standardised."

    def notes(self, spec: str, splits: Mapping[str, Split]) -> Iterator[str]:
        """Yield what a network makes of examples that its user should know.

        For which splits of texts it knows too few terms, or cuts texts; how much larger it makes
        images; how many samples a second it takes sound to have.

        Args:
            spec: Its specification.
            splits: The splits by name.
        """
        preparation = self.of(spec)
        if preparation.from_texts:
            others = {name: split.texts or () for name, split in splits.items()}
            yield from preparation.notes(self.data.training.texts or (), others, spec)

        yield from _notes_of_own_steps(spec, preparation, self.data.spec)

    def _prepared(
        self, spec: str, split: Split, augmentation: Augmentation | None
    ) -> Prepared | None:
        """Return what is costly to prepare, made once; None where keeping does not pay."""
        preparation = self.of(spec)
        if not preparation.from_texts and (augmentation or not self._is_kept(preparation)):
            return None
        kept = self._kept.setdefault(_key(self._with_clause(spec)), WeakKeyDictionary())
        if split not in kept:
            if split.texts is not None:
                kept[split] = preparation.read(split.texts)
            else:
                parts = [preparation(part).cpu() for part in split.stored.chunks()]
                kept[split] = InMemory(torch.cat(parts)), None
        return kept[split]

    def _is_kept(self, preparation: Preparation) -> bool:
        """Say whether prepared images take less memory than those stored; rows always are kept."""
        training, spec = self.data.training.stored, self.data.spec
        if spec.kind == "rows":
            return True
        after = math.prod(preparation.output(spec).shape) * torch.float32.itemsize
        return spec.kind == "images" and after * len(training) <= training.nbytes

    def _with_clause(self, spec: str) -> str:
        """Say what a network wants that has a way of its own, where it does not say.

        What comes with it, for such examples. Else whole numbers, for a network of the user's: as
        they are, if it takes them so, or as other numbers. That depends on the network and on the
        data alone.
        """
        architecture, clause = split_spec(spec)
        if not clause and (own := own_clause(spec, self.data.spec)):
            return f"{architecture}@{own}"
        if clause or self.data.spec.kind != "integers" or not is_users_own(spec):
            return spec
        if architecture not in self._takes_integers:
            self._takes_integers[architecture] = self._try_integers(architecture)
        whole = self._takes_integers[architecture]
        asked = "integers" if whole else own_clause(spec, numbers_spec(self.data.spec.shape))
        return f"{architecture}@{asked}" if asked else spec

    def _try_integers(self, architecture: str) -> bool:
        spec = self.data.spec
        whole = self._objection(architecture, spec)
        if whole is None:
            return True
        scaled = self._objection(architecture, numbers_spec(spec.shape))
        if scaled is not None:
            raise ModelError(
                f"The network {architecture!r} takes these examples ({spec}) neither as they "
                f"are nor as standardised numbers. As they are: {whole} Standardised: {scaled}"
            )
        return False

    def _objection(self, architecture: str, spec: InputSpec) -> ModelError | None:
        classes = self.data.num_classes
        try:
            build_model(architecture, num_classes=classes, inputs=spec, seed=0)
        except ModelError as error:
            return error
        return None


def _notes_of_own_steps(spec: str, preparation: Chain, stored: InputSpec) -> Iterator[str]:
    """Yield how much larger a network's own preparation makes images, and what sound must be."""
    for step in preparation.steps:
        if isinstance(step, Resize) and not split_spec(spec)[1]:  # whoever names a size knows it
            times = math.prod(step.size) / math.prod(stored.shape[1:])
            before, after = ("x".join(map(str, side)) for side in (stored.shape[1:], step.size))
            if times >= _MUCH_LARGER:
                yield (
                    f"{spec!r} sees images of {before} at {after}: {times:.0f} times as many "
                    f"pixels, and about {times:.0f} times the work. "
                    f"'{split_spec(spec)[0]}@pixels:{before}' keeps the images at their size."
                )
        if isinstance(step, Waveform):
            yield (
                f"{spec!r} takes {step.rate} samples per second. Nothing is resampled, so the "
                "data must have the same rate."
            )


def _key(spec: str) -> str:
    """Return what stands for a preparation: what the specification asks for, and of whom."""
    clause = split_spec(spec)[1]
    return spec if clause.partition(":")[0] in OF_THE_NETWORK else clause


def _check_tfidf_features(count: int | None, data: StudyData) -> None:
    if count is None:
        return
    if not data.is_text:
        raise ConfigError(
            f"tfidf_features = {count} applies to texts only, but the inputs of these data are "
            f"{data.spec}. Leave it out."
        )
    if count < 1:
        raise ConfigError(
            f"tfidf_features must be at least 1, but is {count}. It is the number of terms that"
            " become features; leave it out for the default."
        )
