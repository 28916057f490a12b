"""Models of Hugging Face transformers, ``hf:NAME_OR_FOLDER``: classifiers of texts, images, sound.

All weights are drawn from the seed; then those of the folder take their places, but for the head:
the layers behind the base model, which belong to the classes. So seeds of a pretrained model differ
by head, order and dropout. A folder with a configuration and without weights is a new model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from goodteacher.data import InputSpec, Text, shorten
from goodteacher.errors import ModelError, PackageError, needed_package
from goodteacher.networks.factory import build_with
from goodteacher.networks.tokenizing import FIELDS, Tokenize, longest, padded

_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin*")
_NO_CODE = {"trust_remote_code": False}
"""No code of a folder or of the hub is run, and nobody is asked whether it may."""

_LEFT_OUT = ("_name_or_path", "transformers_version", "auto_map", "quantization_config")
"""Of a configuration: where it came from and who wrote it, which changes nothing; and what names
code, of the hub or of another package."""

_NO_CLASSES = ("regression", "multi_label_classification")
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")


def canonical_name(name: str) -> str:
    """Bring a name into the one form that stands for it: no slash at its end.

    >>> canonical_name("models/my bert/")
    'models/my bert'
    """
    last = name.rstrip("/").rpartition("/")[2]
    return name if "@" in last else name.rstrip("/")  # a slash keeps x@tokens/ a folder


def build_pretrained(name: str, *, num_classes: int, inputs: InputSpec) -> nn.Module:
    """Build a classifier from a folder or a model of the hub.

    Args:
        name: Of the folder, or of the model.
        num_classes: Number C of logits.
        inputs: What one example is: fields of tokens, or token ids; an image; a waveform.

    Raises:
        ModelError: There is no such model, it does not classify such examples, its files are
            damaged, or it does not take them.
    """
    factory = partial(_made, name, inputs=inputs)
    return _checked_build(factory, f"hf:{name}", num_classes=num_classes, inputs=inputs)


def described(name: str, network: nn.Module) -> dict[str, Any]:
    """Return the configuration of a network of a name, as plain values."""
    configuration: Any = network.config
    found: dict[str, Any] = configuration.to_dict()
    return {name: value for name, value in found.items() if name not in _LEFT_OUT}


def rebuilt(record: dict[str, Any], num_classes: int, inputs: InputSpec) -> nn.Module:
    """Return a network of a configuration, with any weights.

    Raises:
        ModelError: There is no such kind of model.
    """

    def make(num_classes: int) -> nn.Module:
        package = _transformers()
        kind = str(record.get("model_type"))
        rest = {k: v for k, v in record.items() if k not in ("model_type", *_LEFT_OUT)}
        configuration = package.AutoConfig.for_model(kind, **rest)
        return _from_configuration(configuration, _kind_of(inputs))

    name = f"hf:{record.get('model_type')}"
    return _checked_build(make, name, num_classes=num_classes, inputs=inputs)


def fit_tokenizer(
    name: str, texts: Sequence[Text], *, length: int | None = None, columns: Sequence[str] = ()
) -> Tokenize:
    """Return a model's own tokenizer, for texts of one length.

    Args:
        name: Of the folder, or of the model.
        texts: The training texts; a tuple each where an example has several.
        length: Tokens of each example; None takes those of the longest one of the training part, as
            far as the model goes.
        columns: The names of an example's texts, where it has several, see `Tokenize`.

    Raises:
        ModelError: There is no tokenizer, it is none that is stored as one file, it has no token to
            fill short texts with or to put between several, or the model does not take so many
            tokens.
    """
    tokenizer = _tokenizer(name)
    content = _content(name, tokenizer)
    separator = separator_of(tokenizer, columns, name=f"hf:{name}")
    limit = _limit(name, tokenizer)
    if length is not None and limit is not None and length > limit:
        raise ModelError(
            f"The network 'hf:{name}@tokens:{length}' asks for {length} tokens of each text, but "
            f"the model takes at most {limit}. Use @tokens:{limit}."
        )
    if length is None:
        found = longest(content, texts, separator=separator)
        length = found if limit is None else min(found, limit)
    pad = (tokenizer.pad_token_id, tokenizer.pad_token)
    fields = [field for field in FIELDS if field in tokenizer.model_input_names]
    content = padded(content, length, pad=pad, side=tokenizer.padding_side)
    return Tokenize(content, fields, columns=columns, separator=separator)


def separator_of(tokenizer: Any, columns: Sequence[str], *, name: str) -> str:
    """Return the token between an example's texts, where it has more than two; else nothing.

    Args:
        tokenizer: Of transformers.
        columns: The names of an example's texts, where it has several.
        name: Of the model, for messages.

    Raises:
        ModelError: The tokenizer puts nothing between two texts, or knows no such token.
    """
    around_one, around_two = (tokenizer.num_special_tokens_to_add(pair) for pair in (False, True))
    if columns and around_one and not around_two:
        raise ModelError(
            f"The tokenizer of {name!r} has special tokens for one text but not for a pair, so "
            f"nothing would separate {' and '.join(columns)}. Give its post_processor a template "
            "for pairs, for example pair='[CLS] $A [SEP] $B:1 [SEP]:1', and save it."
        )
    if len(columns) <= 2:
        return ""
    if not tokenizer.sep_token:
        raise ModelError(
            f"The tokenizer of {name!r} encodes one or two texts and has no separator token to "
            f"join {len(columns)} of them ({', '.join(columns)}). Choose two of them with "
            "--text-column, or join them into one column."
        )
    return str(tokenizer.sep_token)


@dataclass(frozen=True)
class Finished:
    """A model that was trained to classify texts, as its folder has it.

    Attributes:
        name: As messages call it.
        model: Texts as tokens in, logits of its own classes out; in evaluation mode.
        tokenizer: Its own.
        limit: The most tokens that it takes; None where it does not say.
    """

    name: str
    model: Any
    tokenizer: Any
    limit: int | None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class by its ``id2label``, in the order of the logits."""
        named = {int(number): str(label) for number, label in self.model.config.id2label.items()}
        return tuple(named[number] for number in sorted(named))


def finished_classifier(name: str) -> Finished:
    """Return a model with the head that its folder has.

    Args:
        name: Of the folder, or of the model.

    Raises:
        ModelError: There is no such model or no tokenizer, it has no weights of a head, or it does
            not tell classes apart that exclude one another.
    """
    package, source = _transformers(), _source(name)
    if isinstance(source, Path) and not any(any(source.glob(kind)) for kind in _WEIGHTS):
        raise ModelError(
            f"The folder of 'hf:{name}' has no weights, so the model cannot predict. Train a new "
            "model with --teacher, or give the folder of a trained one."
        )
    with _explained(name, "cannot be read as a classifier of texts"), _quiet(package):
        model, told = package.AutoModelForSequenceClassification.from_pretrained(
            source, output_loading_info=True, dtype=torch.float32, **_NO_CODE
        )
    if told["missing_keys"]:
        raise ModelError(
            f"The folder of 'hf:{name}' has no weights of "
            f"{shorten(sorted(told['missing_keys']))}: it was not trained to classify, so it "
            "cannot predict. Train it with --teacher."
        )
    _check_tells_classes(name, model.config)
    tokenizer = _tokenizer(name)
    _check_padding(name, tokenizer)
    return Finished(f"hf:{name}", model.eval(), tokenizer, _limit(name, tokenizer))


def _check_tells_classes(name: str, configuration: Any) -> None:
    if configuration.num_labels < 2 or configuration.problem_type in _NO_CLASSES:
        raise ModelError(
            f"The model 'hf:{name}' gives {configuration.num_labels} "
            f"output{'s' * (configuration.num_labels > 1)} for "
            f"{configuration.problem_type or 'regression'}, and does not choose one of several "
            "classes. Use a model that was trained to choose one class."
        )


def _checked_build(factory: Any, name: str, *, num_classes: int, inputs: InputSpec) -> nn.Module:
    if inputs.kind not in ("fields", "integers") and len(inputs.shape) not in (1, 3):
        raise ModelError(
            f"The model {name!r} classifies texts, images or waveforms, but the examples are "
            f"{inputs}. Give texts, or their token ids as whole numbers; images; or sound, as one "
            "row of numbers for each example."
        )
    return build_with(factory, name, num_classes=num_classes, inputs=inputs)


_KINDS = {
    "texts": "AutoModelForSequenceClassification",
    "images": "AutoModelForImageClassification",
    "sound": "AutoModelForAudioClassification",
}
"""What makes a classifier of a configuration, by what is classified."""


def _kind_of(inputs: InputSpec) -> str:
    """Say what a network classifies that takes such examples, prepared."""
    if inputs.kind in ("fields", "integers"):
        return "texts"
    return "images" if len(inputs.shape) == 3 else "sound"


def _made(name: str, num_classes: int, *, inputs: InputSpec) -> nn.Module:
    package = _transformers()
    with _explained(name, "has no configuration that transformers can read"):
        source = _source(name)
        configuration = package.AutoConfig.from_pretrained(
            source, num_labels=num_classes, **_NO_CODE
        )
    kind = _kind_of(inputs)
    _check_vocabulary(name, configuration, inputs)
    with _explained(name, f"does not classify {kind}"):
        network = _from_configuration(configuration, kind)
    if not isinstance(source, Path) or any(any(source.glob(kind)) for kind in _WEIGHTS):
        _take_weights(network, name, source, configuration, kind)
    return network


def _from_configuration(configuration: Any, kind: str) -> nn.Module:
    made: nn.Module = getattr(_transformers(), _KINDS[kind]).from_config(
        configuration, dtype=torch.float32, attn_implementation="eager", **_NO_CODE
    )
    return made


def _take_weights(network: Any, name: str, source: Any, configuration: Any, kind: str) -> None:
    """Give a network the weights of a folder, but for those of the head."""
    package = _transformers()
    with _explained(name, "has weights that cannot be read"), _quiet(package):
        loaded, told = getattr(package, _KINDS[kind]).from_pretrained(
            source,
            config=configuration,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            dtype=torch.float32,
            **_NO_CODE,
        )
    prefix = f"{network.base_model_prefix}."
    base = {key for key in network.state_dict() if key.startswith(prefix)}
    other = sorted({str(key[0]) for key in told["mismatched_keys"]} & base)
    if other:
        raise ModelError(
            f"The weights of 'hf:{name}' are not those of its config.json: {other[0]} has another "
            f"shape ({len(other)} in all). Were two models mixed in one folder?"
        )
    found = base - set(told["missing_keys"])
    if 2 * len(found) < len(base):
        raise ModelError(
            f"The weights of 'hf:{name}' are those of another model: of {len(base)} tensors of "
            f"its base model only {len(found)} are there. Is the file from another training, or "
            "do its names have a prefix? A folder that contains only config.json gives a model "
            "with new weights."
        )
    state = loaded.state_dict()
    network.load_state_dict({key: state[key] for key in found}, strict=False)


def _check_vocabulary(name: str, configuration: Any, inputs: InputSpec) -> None:
    ids = inputs.fields.get("input_ids", inputs) if inputs.kind == "fields" else inputs
    types = getattr(configuration, "type_vocab_size", None)
    kinds = inputs.fields.get("token_type_ids") if inputs.kind == "fields" else None
    if types and kinds is not None and kinds.high >= types:  # 0: it has no use for them
        raise ModelError(
            f"The model 'hf:{name}' has {types} kind{'s' * (types > 1)} of text "
            "(type_vocab_size), but its tokenizer marks the texts of a pair with 0 to "
            f"{kinds.high}. Set type_vocab_size in its config.json for new weights, or remove "
            "token_type_ids from the tokenizer's model_input_names."
        )
    size = getattr(configuration, "vocab_size", None)
    if size is not None and ids.kind == "integers" and ids.high >= size:
        raise ModelError(
            f"The model 'hf:{name}' knows the tokens 0 to {size - 1}, but examples have tokens up "
            f"to {ids.high}. Does its tokenizer belong to another model?"
        )


def _tokenizer(name: str) -> Any:
    package = _transformers()
    source = _source(name)
    if isinstance(source, Path) and not any(any(source.glob(kind)) for kind in _TOKENIZERS):
        # transformers would make an empty one, to which all words are unknown
        raise ModelError(
            f"The folder of 'hf:{name}' has no tokenizer: none of {', '.join(_TOKENIZERS)} is "
            "there. Save it in the same folder: tokenizer.save_pretrained(folder)."
        )
    with _explained(name, "has no tokenizer that transformers can read"):
        return package.AutoTokenizer.from_pretrained(source, **_NO_CODE)


def _content(name: str, tokenizer: Any) -> Any:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(
            f"The tokenizer of 'hf:{name}' is written in Python ({type(tokenizer).__name__}), so "
            "it cannot be delivered with a student. Use a model whose tokenizer has a "
            "tokenizer.json."
        )
    _check_padding(name, tokenizer)
    return json.loads(backend.to_str())


def _check_padding(name: str, tokenizer: Any) -> None:
    if tokenizer.pad_token_id is None:
        raise ModelError(
            f"The tokenizer of 'hf:{name}' has no padding token. Set tokenizer.pad_token, and "
            "pad_token_id in the model's config.json, and save both."
        )


def _limit(name: str, tokenizer: Any) -> int | None:
    package = _transformers()
    with _explained(name, "has no configuration that transformers can read"):
        configuration = package.AutoConfig.from_pretrained(_source(name), **_NO_CODE)
    positions = _positions(package, configuration)
    limits = [n for n in (positions, tokenizer.model_max_length) if n and 0 < n < 10**9]
    return int(min(limits)) if limits else None


def _positions(package: ModuleType, configuration: Any) -> int | None:
    """Return how many tokens a model has positions for; None where it does not say.

    RoBERTa and its kin count positions from behind that of padding, so that of 514 rows of the
    table 512 are left. Who does so gives the table a row of padding.
    """
    rows = getattr(configuration, "max_position_embeddings", None)
    if rows is None or getattr(configuration, "pad_token_id", None) is None:
        return rows
    with torch.device("meta"), _quiet(package):
        try:
            model = package.AutoModel.from_config(configuration, **_NO_CODE)
        except Exception:  # of models that are no use here, which is said where they are built
            return int(rows)
    tables = [m for n, m in model.named_modules() if n.endswith("position_embeddings")]
    padding = [getattr(table, "padding_idx", None) for table in tables]
    skipped = max((number + 1 for number in padding if number is not None), default=0)
    return int(rows) - skipped


def _source(name: str) -> Path | str:
    """Return the folder, or the name of a model of the hub."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if name.startswith(("/", ".", "~")) or name.count("/") > 1 or folder.exists():
        raise ModelError(
            f"The model 'hf:{name}' was not found: there is no folder {folder.absolute()}. Give "
            "the folder that has its config.json, or a model of the hub, hf:owner/name."
        )
    return name


def _transformers() -> ModuleType:
    return needed_package("transformers", extra="hf", what="A network that begins with 'hf:'")


@contextmanager
def _explained(name: str, what: str) -> Iterator[None]:
    """Say in our words what transformers could not do."""
    try:
        yield
    except (ModelError, PackageError):
        raise
    except Exception as error:  # OSError, ValueError, KeyError, and those of safetensors
        told = " ".join(str(error).split())[:300].rstrip(". ")
        raise ModelError(
            f"The model 'hf:{name}' {what}: {told}. Give a folder that save_pretrained wrote, or "
            "a model of the hub that this machine can reach."
        ) from error


@contextmanager
def _quiet(package: ModuleType) -> Iterator[None]:
    """Keep transformers from reporting a new head, and from drawing a bar."""
    logging = package.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
