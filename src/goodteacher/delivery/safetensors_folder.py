"""The format ``safetensors``, which goodteacher itself reads.

``model.safetensors`` holds the weights of a student's module, ``config.json`` the architecture, the
classes and what an example is as it is stored; ``preparation.json`` says what happens to an
example before the module sees it: size, normalisation, the terms or the tokenizer of texts. A
network whose files could be gone where it runs has its configuration in ``network.json``.
"""

from __future__ import annotations

import json
from pathlib import Path

from goodteacher.data import inside
from goodteacher.delivery.classifier import Classifier, StudentCard
from goodteacher.errors import ModelError, StudyError
from goodteacher.networks import (
    Chain,
    Network,
    NetworkLike,
    build_network,
    check_code,
    described,
    give_again,
    needs_description,
    preparation_from,
    rebuilt,
)
from goodteacher.studies import Store, load_weights, read_tensors, reading

WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "config.json"
"""The card of a student, in its folder: written last, so that it says that all else is there."""

NETWORK_FILE = "network.json"
"""What a network needs beside its name and weights, in a student's folder, where it needs more."""

PREPARATION_FILE = "preparation.json"
"""How a student wants its inputs, in its folder."""


class Safetensors:
    """Weights as safetensors, and what is needed to build the network again."""

    name = "safetensors"
    file = WEIGHTS_FILE

    def takes(self, card: StudentCard) -> bool:
        """Any."""
        return True

    def write(self, store: Store, folder: str, network: Network, card: StudentCard) -> None:
        """Write weights, preparation and, last, the card."""
        store.write_json(f"{folder}/{PREPARATION_FILE}", network.preparation.to_dict())
        record = described(card.architecture, network.module)
        if record is not None:
            store.write_json(f"{folder}/{NETWORK_FILE}", record)
        store.write_tensors(f"{folder}/{WEIGHTS_FILE}", network.module.state_dict())
        store.write_json(f"{folder}/{CARD_FILE}", card)

    def read(
        self, folder: Path, *, network: NetworkLike | None = None, trust_code: bool = False
    ) -> Classifier:
        """Build the network again and give it its weights."""
        card_file, weights_file = (_in(folder, name) for name in (CARD_FILE, WEIGHTS_FILE))
        with reading(card_file, "the card of a student"):
            card = StudentCard.model_validate_json(card_file.read_bytes())
        if network is not None:
            give_again(card.architecture, network)
        check_code([card.architecture], where=folder, trust_code=trust_code)
        preparation = _read_preparation(_in(folder, PREPARATION_FILE), card)
        made = _built(card, preparation, card_file)
        load_weights(made.module, read_tensors(weights_file), weights_file)
        return Classifier(made, card).eval()


def _in(folder: Path, name: str) -> Path:
    return inside(folder, name, error=StudyError)


def _read_preparation(path: Path, card: StudentCard) -> Chain:
    with reading(path, "how a student's inputs are prepared"):
        preparation = preparation_from(json.loads(path.read_bytes()))
        preparation.output(card.inputs)
    return preparation


def _built(card: StudentCard, preparation: Chain, path: Path) -> Network:
    try:
        if needs_description(card.architecture):
            return _rebuilt(card, preparation, _in(path.parent, NETWORK_FILE))
        return build_network(
            card.architecture,
            preparation,
            num_classes=len(card.class_names),
            inputs=card.inputs,
            seed=card.seed,
        )
    except ModelError as error:
        raise StudyError(f"{path} names a network that cannot be made. {error}") from error


def _rebuilt(card: StudentCard, preparation: Chain, path: Path) -> Network:
    with reading(path, "the configuration of a network"):
        record = json.loads(path.read_bytes())
    inputs, classes = preparation.output(card.inputs), len(card.class_names)
    return Network(
        preparation, rebuilt(card.architecture, record, num_classes=classes, inputs=inputs)
    )
