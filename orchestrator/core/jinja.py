"""Jinja2 as templates may use it.

Templates are somebody else's programs. They run in Jinja2's sandbox, a name that they use without
having it is an error, and every error says where in the template it is and no value.

Counting (iterations of loops, calls, characters) ends most renderings that would not end, at the
same place on every machine. It cannot end all of them: a single call may make gigabytes.
So a process with limits renders the templates (:mod:`orchestrator.clients.renderer`).
This module is what runs in there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import TracebackType
from typing import Any, NoReturn

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes, pass_context
from jinja2 import Template as Compiled
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..errors import TemplateError, shortened
from .refs import Json

SIZE_LIMIT = 512 * 1024
"""Characters of rendered template; Heat's own default limit (max_template_size)."""
ITERATION_LIMIT = 100_000
"""Iterations of all loops and calls of functions and macros of one rendering together."""
DIGIT_LIMIT = 1_000
"""Digits of a whole number that is multiplied. Python takes a second for numbers of a million
digits."""

_EXPONENT_LIMIT = 64
_BITS_PER_DIGIT = 4
_ITERATIONS = "_iterations_left"
_FILE = "<template>"
"""What Jinja2 calls the code that it makes of a template."""
_LINES = re.compile(r"^debug_info = '([0-9=&]*)'$", re.MULTILINE)
"""In the code that Jinja2 makes: which line of the template each line of the code belongs to."""
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_KIND = re.compile(r"'(?:[a-z_]+ object|None)'")
_CACHED = 64
"""Compiled templates that are kept. One of the catalogue takes 12 KiB (measured)."""


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox that counts the iterations of loops, and calls."""

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self) -> None:
        # Jinja2's defaults for white space: what the recorded system's templates were written for.
        super().__init__(
            undefined=StrictUndefined, autoescape=False, cache_size=0
        )
        self.filters["iterations"] = _iterations
        del self.globals["lipsum"]

    def _parse(
        self, source: str, name: str | None, filename: str | None
    ) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for other in tree.find_all(
            (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
        ):
            raise TemplateSyntaxError(
                "a template stands alone: it cannot include another one",
                other.lineno,
            )
        for loop in list(tree.find_all(nodes.For)):
            loop.iter = nodes.Filter(
                loop.iter, "iterations", [], [], None, None, lineno=loop.lineno
            )
        return tree

    def handle_exception(self, source: str | None = None) -> NoReturn:
        """Leave the error as it is: Jinja2 would make up code for each line of the traceback."""
        raise

    def call(
        self, context: Context, function: Any, *args: Any, **kwargs: Any
    ) -> Any:
        _count(context)
        if isinstance(function, LoopContext) and args:
            # A recursive loop goes through other items: their iterations count as well.
            args = (_iterations(context, args[0]), *args[1:])
        return super().call(context, function, *args, **kwargs)

    def call_binop(
        self, context: Context, operator: str, left: Any, right: Any
    ) -> Any:
        if isinstance(left, int) and isinstance(right, int):
            digits = (
                max(left.bit_length(), right.bit_length()) // _BITS_PER_DIGIT
            )
            if digits > DIGIT_LIMIT or (
                operator == "**" and right > _EXPONENT_LIMIT
            ):
                raise SecurityError(f"too large a number in a {operator!r}")
        return super().call_binop(context, operator, left, right)


def _count(context: Context) -> None:
    left: list[int] = context.parent[_ITERATIONS]
    left[0] -= 1
    if left[0] < 0:
        raise SecurityError(
            f"more than {ITERATION_LIMIT} iterations of loops and calls"
        )


@pass_context
def _iterations(context: Context, items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        _count(context)
        yield item


_SANDBOX = Sandbox()
_UNOPTIMIZED = Sandbox()
_UNOPTIMIZED.optimized = False
"""Compiles without evaluating what is constant: that may take any time and memory."""


@lru_cache(maxsize=_CACHED)
def _compiled(text: str) -> Compiled:
    return _SANDBOX.from_string(text)


def render(template_id: str, text: str, variables: Mapping[str, Json]) -> str:
    """The template's text with Jinja2 applied.

    :raises TemplateError: naming the template, where it can be had the line, and what is wrong. A
        variable's value is never told. No other exception is raised.
    """
    try:
        return _rendered(text, variables)
    except Exception as error:
        line = line_of(error, text)
        place = f"template {template_id}"
        if line:
            place = f"{place}, line {line}"
        raise TemplateError(f"{place}: {_what(error, text)}") from error


def syntax_fault(text: str) -> str:
    """Why a text is no template; empty when it is one. Nothing of it is evaluated."""
    try:
        _UNOPTIMIZED.compile(text)
    except Exception as error:
        line = None
        if isinstance(error, TemplateSyntaxError):
            line = error.lineno
        place = ""
        if line:
            place = f"line {line} of the template: "
        return f"{place}{_what(error, text)}"
    return ""


def _rendered(text: str, variables: Mapping[str, Json]) -> str:
    pieces: list[str] = []
    size = 0
    for piece in _compiled(text).generate(
        {**variables, _ITERATIONS: [ITERATION_LIMIT]}
    ):
        size += len(piece)
        if size > SIZE_LIMIT:
            raise SecurityError(f"it renders more than {SIZE_LIMIT} characters")
        pieces.append(piece)
    return "".join(pieces)


# What went wrong, and where -----------------------------------------------------------------------


def line_of(error: BaseException, text: str) -> int | None:
    """The line of the template *text* at which an error was raised; None where it cannot be had."""
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    if isinstance(error, SyntaxError) and error.filename == _FILE:
        return _line_of_code(error.lineno or 0, _code(text))
    line = _innermost(error.__traceback__)
    if line:
        return _compiled(text).get_corresponding_lineno(line)
    return None


def _innermost(traceback: TracebackType | None) -> int | None:
    """The innermost line of the template's code."""
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == _FILE:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _code(text: str) -> str:
    """The code that Jinja2 makes of a template, and that Python's compiler refused."""
    return _SANDBOX.compile(text, raw=True)


def _line_of_code(line: int, code: str) -> int | None:
    found = _LINES.search(code)
    pairs = []
    if found and found[1]:
        pairs = [pair.split("=") for pair in found[1].split("&")]
    before = [
        int(of_template)
        for of_template, of_code in pairs
        if int(of_code) <= line
    ]
    if before:
        return before[-1]
    return None


def _what(error: Exception, text: str) -> str:
    """What is wrong, without the value of any variable.

    Jinja2's own errors quote names. A name that is not in the template comes from a variable.
    """
    if (
        isinstance(error, (TemplateSyntaxError, TemplateRuntimeError))
        and error.message
    ):
        return shortened(
            _QUOTED.sub(
                lambda quoted: quoted[0] if _is_told(quoted[0], text) else "…",
                error.message,
            )
        )
    if isinstance(error, SyntaxError):
        return f"Python's compiler refuses it: {error.msg}"
    if isinstance(error, RecursionError):
        return "it is nested too deep, or calls itself without end"
    if isinstance(error, MemoryError):
        return "it takes too much memory"
    return f"an expression raised {type(error).__name__}"


def _is_told(quoted: str, text: str) -> bool:
    """Whether a quoted name stands in the template, or is that of a kind of object: ``'dict
    object'``."""
    return quoted[1:-1] in text or bool(_KIND.fullmatch(quoted))
