"""Settings as people have them: a file, a command, calls of Python, or names and values.

Nothing is executed: YAML is read by its safe loader, with tags of programs left as data, and
Python by its parser, of which only literal arguments are kept.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from goodteacher.config import check_regular, read_toml
from goodteacher.errors import ConfigError, needed_package
from goodteacher.public.recipes.given import brief

_KINDS = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml", ".py": "python"}
_COMMANDS = (".sh", ".bash", ".txt")
_LARGEST = 1_000_000

_EXAMPLES = (
    "Give a file (YAML, JSON, TOML, a Python or shell script), a command, for example 'python "
    "train_student.py --distill kd -r 0.1 -a 0.9', or names and values, for example alpha=0.1 "
    "temperature=3, also after a file that does not contain them."
)


@dataclass(frozen=True)
class Source:
    """Settings and how they were written.

    Args:
        name: What messages call it.
        values: The settings.
        words: Words of the program, or names of the functions that were called.
        options: Whether the values are options of a command line.
        rest: Options that have no part in a recipe.
    """

    name: str
    values: Mapping[Any, Any]
    words: tuple[str, ...] = ()
    options: bool = False
    rest: tuple[str, ...] = ()


def read_source(source: str | Path | Mapping[str, Any]) -> Source:
    """Read settings from wherever they are.

    Raises:
        ConfigError: There is no such file, it is malformed, or the text is none that is known.
    """
    if isinstance(source, Mapping):
        return Source("the settings", source)
    text = str(source).strip()
    if isinstance(source, Path) or _names_file(text):
        return read_file(Path(source))
    first, _, more = text.partition(" ")
    if more and "=" in more and _names_file(first):
        return _with_more(read_file(Path(first)), _pairs(more))
    if not text:
        raise ConfigError(f"there are no settings to translate. {_EXAMPLES}")
    if re.search(r"(^|\s)--?[A-Za-z]", text):
        return _command(text, "the command")
    if "(" in text:
        return _python(text, "the call")
    return _pairs(text)


def _with_more(read: Source, more: Source) -> Source:
    """Add settings that a file does not hold."""
    values = dict(read.values)
    for name, value in more.values.items():
        if values.setdefault(name, value) != value:
            raise given_twice(name, values[name], value, f"{read.name} and the given names")
    return replace(read, values=values)


def _names_file(text: str) -> bool:
    """Tell whether a text is a path: of a file that exists, or by its ending."""
    if len(text.split()) == 1 and Path(text).suffix.lower() in {*_KINDS, *_COMMANDS}:
        return True
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def read_file(path: Path) -> Source:
    """Read settings from a file, by its ending.

    Raises:
        ConfigError: It cannot be read, or does not hold what its ending says.
    """
    kind = _KINDS.get(path.suffix.lower(), "command")
    if kind == "command" and path.suffix.lower() not in _COMMANDS:
        known = ", ".join([*_KINDS, *_COMMANDS])
        raise ConfigError(f"{path} has none of the extensions {known}, so its type is not known.")
    if kind == "toml":
        return Source(str(path), read_toml(path))
    text = _text(path)
    if kind == "python":
        return _python(text, str(path))
    if kind == "command":
        return _command(text, str(path))
    values = _yaml(text, path) if kind == "yaml" else _json(text, path)
    if not isinstance(values, Mapping) or not values:
        raise ConfigError(
            f"{path} holds {type(values).__name__}, not names with values, so no setting has a "
            "name. Give the configuration that the training was started with."
        )
    return Source(str(path), values)


def _text(path: Path) -> str:
    check_regular(path, ConfigError)
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(
                f"{path} is larger than a megabyte, so it is not a training configuration. Give "
                "only the part that describes the distillation."
            )
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}. Is the path right?") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text: {error}. {_EXAMPLES}") from None


def _json(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON: {error}. Correct it, and try again.") from None


def _yaml(text: str, path: Path) -> Any:
    yaml: Any = needed_package("yaml", extra="recipes", what=f"Reading {path}, which is YAML,")

    # The safe loader, for which an unknown tag is no call but its data.
    loader_type: Any = type("Plain", (yaml.SafeLoader,), {})

    def plain(loader: Any, tag: str, node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            parts = loader.construct_sequence(node, deep=True)
            joins = tag == "join" and all(isinstance(part, str | int | float) for part in parts)
            return "".join(map(str, parts)) if joins else parts
        return loader.construct_scalar(node)

    loader_type.add_multi_constructor("!", plain)
    try:
        return yaml.load(text, loader_type)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or " ".join(str(error).split())
        raise ConfigError(
            f"{path} is not YAML{where}: {what}. Correct it, and try again."
        ) from None


def _command(text: str, name: str) -> Source:
    """Read the options of the one command in a text."""
    joined = re.sub(r"\\\s*\n", " ", text)
    lines = [line for line in joined.splitlines() if re.search(r"\s--?[A-Za-z]", f" {line}")]
    lines = [line for line in lines if not line.lstrip().startswith("#")]
    if len(lines) != 1:
        raise ConfigError(
            f"{name} holds {len(lines)} commands with options, but a recipe comes from one "
            "command. Give that command in quotes."
        )
    try:
        words = shlex.split(lines[0], comments=True)
    except ValueError as error:
        raise ConfigError(f"{name} cannot be read as a command: {error}.") from None
    first = next((n for n, word in enumerate(words) if _is_option(word)), len(words))
    values = dict[str, Any]()
    for option, given in _options(words[first:]):
        value = _plain(given[0]) if len(given) == 1 else [_plain(each) for each in given] or True
        if values.setdefault(option, value) != value:
            raise given_twice(option, values[option], value, name)
    rest = [word for word in words[:first] if not _STARTS.search(word)]
    return Source(name, values, words=tuple(words[:first]), options=True, rest=tuple(rest))


_STARTS = re.compile(r"(^|/)(python[\d.]*|torchrun|\S+\.(py|sh))$")


def _is_option(word: str) -> bool:
    return re.match(r"--?[A-Za-z]", word) is not None


def _options(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each option without its dashes, and the words behind it."""
    while words:
        head, joint, tail = words[0].partition("=")
        end = next((n for n, word in enumerate(words) if n and _is_option(word)), len(words))
        yield head.lstrip("-").replace("-", "_"), ([tail] if joint else []) + words[1:end]
        words = words[end:]


def _plain(word: str) -> Any:
    """Read a word as a number or a truth value where it is one."""
    if word.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[word.lower()]
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def given_twice(option: str, one: object, other: object, name: str) -> ConfigError:
    """Return what to say of a setting with two values."""
    return ConfigError(
        f"{option} is given twice in {name}, as {brief(one)} and as {brief(other)}, but a recipe "
        "has only one value. Leave out one of them."
    )


def _pairs(text: str) -> Source:
    """Read ``alpha=0.1 temperature=3``, with commas or without."""
    values = dict[str, Any]()
    for word in text.replace(",", " ").split():
        key, joint, value = word.partition("=")
        if not joint or not re.fullmatch(r"[\w.]+", key):
            raise ConfigError(f"{word!r} is neither a file that exists nor a setting. {_EXAMPLES}")
        if key in values:
            raise given_twice(key, values[key], value, "the settings")
        values[key] = _plain(value)
    nested = dict[str, Any]()
    for key, value in values.items():
        put(nested, key, value)
    return Source("the settings", nested)


def put(values: dict[str, Any], key: str, value: object) -> None:
    """Set a setting by its path with dots; what had one value becomes a group with a name.

    Example:
        >>> values = {"optimizer": "adam"}
        >>> put(values, "optimizer.learning_rate", 0.1)
        >>> values
        {'optimizer': {'name': 'adam', 'learning_rate': 0.1}}
    """
    *groups, last = key.split(".")
    for group in groups:
        inner = values.get(group, {})
        values[group] = dict(inner) if isinstance(inner, Mapping) else {"name": inner}
        values = values[group]
    if isinstance(values.get(last), Mapping):
        put(values, f"{last}.name", value)
    else:
        values[last] = value


def _python(text: str, name: str) -> Source:
    """Keep the keyword arguments of the calls that set distillation up."""
    try:
        tree = ast.parse(text.strip())
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ConfigError(f"{name} is not Python: {error}. {_EXAMPLES}") from None
    constants = _constants(tree)
    values, names = dict[str, Any](), list[str]()
    for call in _calls(tree):
        names.append(_called(call))
        for keyword in call.keywords:
            if keyword.arg is None:
                continue
            value = _value(keyword.value, constants)
            if values.setdefault(keyword.arg, value) != value:
                raise given_twice(keyword.arg, values[keyword.arg], value, name)
    if not values:
        raise ConfigError(
            f"{name} does not call a distiller or trainer with named arguments, so there is "
            f"nothing to translate. {_EXAMPLES}"
        )
    return Source(name, values, words=tuple(dict.fromkeys(names)))


_CALLS = re.compile(r"(Distiller|Trainer|TrainingArguments|Config)$")


def _calls(tree: ast.Module) -> list[ast.Call]:
    """Return the calls that matter: distillers and trainers, and compile and fit of a distiller.

    A single statement is meant as a whole.
    """
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    if len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr | ast.Assign):
        outer = tree.body[0].value
        return [outer] if isinstance(outer, ast.Call) else []
    made = [call for call in calls if _CALLS.search(_called(call))]
    owners = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and node.value in made
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    used = [
        call
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in ("compile", "fit")
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id in owners
    ]
    return [*made, *used]


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _constants(tree: ast.Module) -> dict[str, Any]:
    found = dict[str, Any]()
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            found |= {x.id: node.value.value for x in node.targets if isinstance(x, ast.Name)}
    return found


def _value(node: ast.expr, constants: Mapping[str, Any]) -> Any:
    """Return a literal, what a name stands for, or a call as its name and arguments."""
    if isinstance(node, ast.Name) and node.id in constants:
        return constants[node.id]
    if isinstance(node, ast.Call):
        arguments = {x.arg: _value(x.value, constants) for x in node.keywords if x.arg}
        return {"name": _called(node), **arguments}
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(each, constants) for each in node.elts]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return ast.unparse(node)
