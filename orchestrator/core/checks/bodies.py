"""Whether a resource's body fits its type's JSON schema, and which other resources it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from jsonschema import Draft4Validator, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend, validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from ..mapping.bounds import Budget, Exceeded
from ..mapping.patterns import PatternError, compile_pattern
from ..refs import Json, Ref
from ..source import JsonPath
from .findings import Finding, Findings, did_you_mean, hint, kind_of
from .formats import FORMATS, checker
from .schema_words import usable, with_nulls

ALWAYS = ("id", "tenant_id")
"""Properties that every body may have: the orchestrator itself reads them."""

_COMBINING = ("allOf", "anyOf", "oneOf", "$ref", "not", "dependencies")
_NAMES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_TRUTHS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false"])
_FAULTS = 100
"""Most faults of one body; more tell nobody more."""


class Shape:
    """A JSON schema, ready to check the bodies of one type. Made once per type: making it takes
    longer than using it.
    """

    def __init__(self, schema: Json) -> None:
        """:param schema: as the schema list has it; None when the type has none, and then nothing
        is checked.
        """
        self.schema: Json = with_nulls(usable(schema))
        dialect = validator_for(self.schema, default=Draft4Validator)
        kind = extend(dialect, {"pattern": _pattern})  # type: ignore[no-untyped-call]
        # No registry of other documents: a schema that refers to one is not fetched from anywhere.
        self._validator: Validator = kind(
            self.schema, registry=Registry(), format_checker=_FORMATS
        )

    @property
    def says_something(self) -> bool:
        return isinstance(self.schema, dict) and bool(
            self.schema.get("properties") or self.schema.get("required")
        )

    def check(
        self, body: Mapping[str, Json], *, whole: bool = True
    ) -> Findings:
        """What does not fit.
        :param whole: whether every required property must be there; a part of a body need not be
            complete.
        """
        if not self.says_something:
            return
        yield from islice(self._faults(body, whole), _FAULTS)

    def _faults(self, body: Mapping[str, Json], whole: bool) -> Findings:
        yield from _unknown(body, self.schema, (), top=True)
        incomplete: set[JsonPath] = set()
        try:
            for error in self._validator.iter_errors(body):
                path: JsonPath = tuple(error.absolute_path)
                if error.validator != "required":
                    yield from _explained(error, path)
                elif (
                    whole and path not in incomplete
                ):  # The library makes an error of each missing property.
                    incomplete.add(path)
                    yield from _missing(error, path)
        except Unresolvable:
            yield hint(
                (),
                "its type's schema refers to a document that is not at hand; the rest"
                " is unchecked",
            )

    def takes(self, value: Json) -> bool:
        """Whether a value fits."""
        return bool(self._validator.is_valid(value))

    def relations(
        self, body: Mapping[str, Json]
    ) -> Iterator[tuple[JsonPath, Ref]]:
        """The other resources that a body names, each with the place of its id."""
        yield from _relations(body, self.schema, ())


_FORMATS = checker()


def _pattern(
    validator: Validator, pattern: str, value: Json, schema: Json
) -> Iterator[ValidationError]:
    """The library's own has no bounds: a pattern may take hours on forty characters."""
    if not isinstance(value, str):
        return
    try:
        if not compile_pattern(pattern).is_found(value, Budget().take):
            yield ValidationError("it does not match the pattern")
    except (Exceeded, PatternError) as error:
        yield ValidationError("the pattern cannot be used on it", cause=error)


# Unknown properties -------------------------------------------------------------------------------


def _unknown(
    value: Json, schema: Json, path: JsonPath, *, top: bool = False
) -> Findings:
    """Properties that the schema does not list. JSON Schema allows them where it does not say
    otherwise; Gohan does not.
    """
    if not isinstance(schema, dict):
        return
    if isinstance(value, list):
        items = schema.get("items")
        for place, inner in enumerate(value):
            yield from _unknown(inner, items, (*path, place))
        return
    listed = schema.get("properties")
    if (
        not isinstance(value, dict)
        or not isinstance(listed, dict)
        or not listed
    ):
        return
    names = [*listed, *(name for name in ALWAYS if top and name not in listed)]
    for name, inner in value.items():
        if name in listed:
            yield from _unknown(inner, listed[name], (*path, name))
        elif name not in names and not _is_open(schema):
            yield Finding(
                (*path, name),
                f"there is no property {name!r}; {did_you_mean(name, names)}",
            )


def _is_open(schema: Mapping[str, Json]) -> bool:
    more = schema.get("additionalProperties", False)
    return (
        more is not False
        or "patternProperties" in schema
        or any(word in schema for word in _COMBINING)
    )


# What the library found, in words -----------------------------------------------------------------


def _explained(error: ValidationError, path: JsonPath) -> Findings:
    if error.validator == "additionalProperties":
        return  # Told by _unknown, name by name.
    if isinstance(error.cause, (Exceeded, PatternError)):
        yield hint(path, "its pattern takes too long to match; it is unchecked")
        return
    text = f"it does not fit the schema's {error.validator!r}"
    if words := _WORDS.get(str(error.validator)):
        text = words(error)
    yield Finding(path, text)


def _wanted(error: ValidationError) -> Json:
    """The value of the word that is not kept."""
    return error.validator_value


def _given(error: ValidationError) -> Json:
    return error.instance


def _missing(error: ValidationError, path: JsonPath) -> Findings:
    for name in _wanted(error):
        if name not in _given(error):
            yield Finding(path, f"{name} is missing")


def _type(error: ValidationError) -> str:
    types = _wanted(error)
    wanted: Sequence[str] = types
    if isinstance(types, str):
        wanted = [types]
    names = " or ".join(
        _NAMES[name] for name in wanted if name != "null" or len(wanted) == 1
    )
    return (
        f"should be {names}, not"
        f" {kind_of(error.instance)}{_advice(wanted, error.instance)}"
    )


def _advice(wanted: Sequence[str], value: Json) -> str:
    """For words that older YAML takes for something else than the text that they are."""
    if not isinstance(value, str):
        if "string" in wanted and isinstance(value, (int, float)):
            return "; put it in quotes"
        return ""
    if "boolean" in wanted and value.lower() in _TRUTHS:
        return "; write true or false, as JSON does"
    looks = value.strip().lstrip("+-").replace("_", "").replace(".", "")
    if (
        ("integer" in wanted or "number" in wanted)
        and looks.isalnum()
        and looks[:1].isdigit()
    ):
        return "; write the number as JSON does: no leading zeros, no '+', no quotes"
    return ""


def _enum(error: ValidationError) -> str:
    values = [item for item in _wanted(error) if item is not None]
    listed = ", ".join(map(str, values))
    if not isinstance(error.instance, str):
        return f"should be one of {listed}"
    meant = did_you_mean(
        error.instance, [item for item in values if isinstance(item, str)]
    )
    if meant.startswith("did"):
        return f"should be one of {listed}; {meant}"
    return f"should be one of {listed}"


def _format(error: ValidationError) -> str:
    return f"should be {FORMATS[str(_wanted(error))][1]}"


def _limit(words: str) -> Callable[[ValidationError], str]:
    return lambda error: f"should {words} {_wanted(error)}"


def _bound(word: str, beyond: str) -> Callable[[ValidationError], str]:
    def explain(error: ValidationError) -> str:
        schema: Json = error.schema
        strict = (
            schema.get(f"exclusive{str(error.validator).capitalize()}") is True
        )
        return f"should be {beyond if strict else word} {_wanted(error)}"

    return explain


_WORDS: Mapping[str, Callable[[ValidationError], str]] = {
    "type": _type,
    "enum": _enum,
    "format": _format,
    "pattern": _limit("match the pattern"),
    "minimum": _bound("at least", "above"),
    "maximum": _bound("at most", "below"),
    "exclusiveMinimum": _limit("be above"),
    "exclusiveMaximum": _limit("be below"),
    "multipleOf": _limit("be a multiple of"),
    "minLength": _limit("have at least as many characters as"),
    "maxLength": _limit("have no more characters than"),
    "minItems": _limit("have at least as many elements as"),
    "maxItems": _limit("have no more elements than"),
    "minProperties": _limit("have at least as many properties as"),
    "maxProperties": _limit("have no more properties than"),
    "uniqueItems": lambda error: "should not have an element twice",
    "const": lambda error: f"should be {_wanted(error)}",
}


# Relations ----------------------------------------------------------------------------------------


def _relations(
    value: Json, schema: Json, path: JsonPath
) -> Iterator[tuple[JsonPath, Ref]]:
    if not isinstance(schema, dict):
        return
    relation = schema.get("relation")
    if (
        isinstance(relation, str)
        and isinstance(value, (str, int))
        and not isinstance(value, bool)
        and value != ""
    ):
        yield path, Ref(relation, str(value))
    elif isinstance(value, dict):
        for name, inner in (schema.get("properties") or {}).items():
            if name in value:
                yield from _relations(value[name], inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _relations(inner, schema.get("items"), (*path, place))


@dataclass(frozen=True)
class Shapes:
    """The shapes of all types, made when they are first needed. *schemas* gives a type's JSON
    schema.
    """

    schemas: Callable[[str], Json]

    def of(self, kind: str) -> Shape:
        return _shape(self, kind)


@lru_cache(maxsize=1024)
def _shape(shapes: Shapes, kind: str) -> Shape:
    return Shape(shapes.schemas(kind))
