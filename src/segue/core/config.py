"""Strict settings: one frozen pydantic model per component, filled from YAML and ``--set``.

A reader of a recipe may rely on three things: a key that nothing knows is an error that names
the nearest key, a value of the wrong kind is an error, and all problems come in one message.
"""

import difflib
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, Union

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from segue.errors import SettingError

Location = tuple[int | str, ...]


class StrictModel(BaseModel):
    """Base of every settings class: unknown keys are refused, values cannot be changed.

    Use ``model.model_copy(update=...)`` only for values known to be valid; it does not check.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        use_attribute_docstrings=True,
    )


Model = TypeVar("Model", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """Safe YAML that reads ``1e-3`` as a number (YAML 1.2) and refuses a key given twice."""

    def construct_mapping(  # PyYAML fixes the arguments
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002
    ) -> dict[Any, Any]:
        """Build a dictionary; a key that stands twice is an error instead of a silent choice."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", node.start_mark
                )
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def parse_yaml(text: str, *, origin: str) -> Any:
    """Return the value that a YAML text stands for.

    Args:
        text: the YAML; only plain data, no object tags.
        origin: where the text comes from, for the message.

    Raises:
        SettingError: the text is not YAML, or gives a key twice.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader with one more number
    except (yaml.YAMLError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise SettingError(f"{origin} cannot be read as YAML: {reason}.") from error


def read_mapping(path: Path | str) -> dict[str, Any]:
    """Read a YAML file that holds one mapping; an empty file is an empty mapping.

    Raises:
        SettingError: the file cannot be read, is not YAML, or holds something else.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a UTF-8 text"
        raise SettingError(f"The settings file {path} cannot be read: {reason}.") from error
    value = parse_yaml(text, origin=f"The settings file {path}")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SettingError(
            f"The settings file {path} holds a {type(value).__name__}; "
            "it must hold keys and values (`name: value`)."
        )
    return value


def load(
    model: type[Model],
    source: Mapping[str, Any] | Path | str,
    *,
    overrides: Sequence[str] = (),
    origin: str | None = None,
) -> Model:
    """Fill a settings class from a YAML file or a mapping, with overrides on top.

    Args:
        model: the settings class to fill.
        source: a mapping, or the path of a YAML file.
        overrides: texts ``a.b=value``; the value is read as YAML, so ``1e-3`` is a number,
            ``true`` a truth value, ``[1, 2]`` a list and ``null`` nothing.
        origin: what to call the source in messages; the path where `source` is one.

    Returns:
        A validated, frozen instance.

    Raises:
        SettingError: one message that lists every problem.

    Example:
        >>> class Optim(StrictModel):
        ...     learning_rate: float = 3e-4
        >>> load(Optim, {}, overrides=["learning_rate=1e-3"]).learning_rate
        0.001
    """
    if isinstance(source, Mapping):
        mapping: dict[str, Any] = dict(source)
    else:
        mapping, origin = read_mapping(source), origin or str(source)
    mapping, problems = _override(mapping, overrides)
    try:
        result = model.model_validate(mapping)
    except ValidationError as error:
        problems += problems_of(model, error)
    if problems:
        raise SettingError(_message(problems, origin or f"the settings of {model.__name__}"))
    return result


def problems_of(model: type[BaseModel], error: ValidationError) -> list[str]:
    """Return pydantic's complaint about a settings class, a text for each problem."""
    return [_describe(model, dict(detail)) for detail in error.errors()]


def dump_yaml(model: BaseModel) -> str:
    """Write settings as YAML, every value stated, in the order of the class."""
    plain = model.model_dump(mode="json")
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)


def nearest(name: str, known: Sequence[str]) -> str | None:
    """Return the known name that looks most like `name`, or None where none does."""
    folded = {item.casefold(): item for item in known}
    found = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.5)
    return folded[found[0]] if found else None


def fields_of(model: type[BaseModel]) -> Iterator[tuple[type[BaseModel], str]]:
    """Walk a settings class and those inside it: pairs of (class, field name), each class once."""
    seen: set[type[BaseModel]] = set()
    waiting = [model]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        for name, field in current.model_fields.items():
            yield current, name
            waiting += _models_in(field.annotation)


def _override(
    mapping: dict[str, Any], overrides: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return a copy of `mapping` with the overrides set, and the overrides that are malformed."""
    problems: list[str] = []
    for text in overrides:
        path, equals, value_text = text.partition("=")
        keys = [key.strip() for key in path.split(".")]
        if not equals or not all(keys):
            problems.append(f"--set {text}: write it as name.of.setting=value")
            continue
        try:
            value = parse_yaml(value_text, origin=f"The value of --set {text}")
        except SettingError as error:
            problems.append(str(error).rstrip("."))
            continue
        mapping = _with_value(mapping, keys, value)
    return mapping, problems


def _with_value(mapping: Any, keys: Sequence[str], value: Any) -> dict[str, Any]:
    """Return a copy of `mapping` in which the nested key has the value."""
    changed = dict(mapping) if isinstance(mapping, Mapping) else {}
    head, rest = keys[0], keys[1:]
    changed[head] = _with_value(changed.get(head), rest, value) if rest else value
    return changed


def _message(problems: Sequence[str], origin: str) -> str:
    """Join all problems into one message."""
    if len(problems) == 1:
        return f"In {origin}, {problems[0]}."
    lines = "".join(f"\n  - {problem}" for problem in problems)
    return f"In {origin}, {len(problems)} settings are wrong:{lines}"


def _describe(model: type[BaseModel], detail: Mapping[str, Any]) -> str:
    """Say one problem: the setting's full name, what was given, what is allowed."""
    location = detail["loc"]
    name = ".".join(str(part) for part in location) or "the whole"
    if detail["type"] == "extra_forbidden":
        known = _known_names(model, location[:-1])
        guess = nearest(str(location[-1]), known)
        hint = f"did you mean {guess}?" if guess else f"known here: {', '.join(known) or 'nothing'}"
        return f"the setting {name} is unknown ({hint})"
    if detail["type"] == "missing":
        return f"the setting {name} is missing"
    reason = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    given = repr(detail["input"])
    given = given if len(given) <= 80 else f"{given[:77]}..."
    return f"{name}: {reason[:1].lower()}{reason[1:].rstrip('.')}, given {given}"


def _known_names(model: type[BaseModel], location: Location) -> list[str]:
    """Names that are allowed at a place inside nested settings, in the order of the classes."""
    models = [model]
    for part in location:
        fields = [m.model_fields[str(part)] for m in models if str(part) in m.model_fields]
        if fields:
            models = [inner for field in fields for inner in _models_in(field.annotation)]
        # Otherwise `part` is an index into a list or the tag of a union: same candidates.
    return list(dict.fromkeys(name for m in models for name in m.model_fields))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Find the settings classes inside an annotation such as ``list[A] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (Union, types.UnionType, typing.Annotated) or (
        typing.get_args(annotation)
    ):
        return [inner for part in typing.get_args(annotation) for inner in _models_in(part)]
    return []
