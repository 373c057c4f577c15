"""The size of files and functions, and how dense the code is: bounds that keep it readable.

Docstrings and comments do not count as code.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from . import sources
from .sources import ROOT

PACKAGES = ("orchestrator", "tasks")

LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 60
TOKENS_OF_A_FUNCTION = 250
TERNARIES = 12
"""Conditional expressions in 1,000 lines of code."""

NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
ROUGHLY = re.compile(r"\w+|[^\w\s]")
"""At least as many matches as there are tokens."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module(NamedTuple):
    name: str
    text: str
    functions: Sequence[Function]
    ternaries: Sequence[ast.IfExp]

    def place(self, node: ast.expr | Function) -> str:
        return f"{self.name}:{node.lineno} {getattr(node, 'name', '')}"

    def code_of(self, node: Function) -> str:
        """The lines of a function without its docstring."""
        lines = self.text.splitlines()[node.lineno - 1 : node.end_lineno]
        first = node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            end = first.end_lineno or first.lineno
            del lines[first.lineno - node.lineno : end - node.lineno + 1]
        return "\n".join(lines)


def module_of(name: str, text: str, nodes: Sequence[ast.AST]) -> Module:
    return Module(
        name,
        text,
        [node for node in nodes if isinstance(node, Function)],
        [node for node in nodes if isinstance(node, ast.IfExp)],
    )


@cache
def modules() -> tuple[Module, ...]:
    paths = [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]
    return tuple(
        module_of(str(path.relative_to(ROOT)), sources.text(path), sources.nodes(path))
        for path in paths
    )


def functions() -> Iterator[tuple[str, Module, Function]]:
    """All functions of the product, and where each is."""
    for module in modules():
        for node in module.functions:
            yield module.place(node), module, node


def tokens(code: str) -> int:
    """How many tokens a function has; when they are few, at least as many."""
    rough = len(ROUGHLY.findall(code))
    if rough <= TOKENS_OF_A_FUNCTION:
        return rough
    depth = len(code) - len(code.lstrip(" "))
    lines = [line[depth:] for line in code.splitlines()]
    found = tokenize.generate_tokens(io.StringIO("\n".join(lines) + "\n").readline)
    return sum(token.type not in NO_CODE for token in found)


def test_no_file_of_the_product_is_long() -> None:
    sizes = {module.name: module.text.count("\n") for module in modules()}
    assert len(sizes) > 300
    assert {name: size for name, size in sizes.items() if size > LINES_OF_A_FILE} == {}


def test_no_function_of_the_product_is_long() -> None:
    sizes = {place: (node.end_lineno or 0) - node.lineno + 1 for place, _, node in functions()}
    assert len(sizes) > 2000
    assert {place: size for place, size in sizes.items() if size > LINES_OF_A_FUNCTION} == {}


def test_no_function_of_the_product_is_dense() -> None:
    sizes = {place: tokens(module.code_of(node)) for place, module, node in functions()}
    assert {place: size for place, size in sizes.items() if size > TOKENS_OF_A_FUNCTION} == {}


def test_tokens_are_counted_without_docstring_and_comments() -> None:
    many = "f(" + ", ".join(["x"] * 200) + ")"
    text = f'class A:\n    def g(self):\n        """{many}"""\n        # {many}\n        {many}\n'
    module = module_of("example", text, list(ast.walk(ast.parse(text))))
    (node,) = module.functions
    assert tokens(module.code_of(node)) == len(["def", "g", "(", "self", ")", ":"]) + 402


def test_conditional_expressions_are_few() -> None:
    ternaries = sum(len(module.ternaries) for module in modules())
    lines = sum(bool(line.strip()) for module in modules() for line in module.text.splitlines())
    assert 0 < 1000 * ternaries / lines <= TERNARIES


def test_no_conditional_expression_is_inside_another() -> None:
    nested = [
        module.place(node)
        for module in modules()
        for node in module.ternaries
        for inner in ast.walk(node)
        if isinstance(inner, ast.IfExp) and inner is not node
    ]
    assert nested == []


READS_JSON = {
    "orchestrator/core/jobs.py",  # the job record, in Job.from_json
    "orchestrator/core/documents.py",  # documents of users, with the standard's rules
    "orchestrator/core/checks/hot/parameters.py",  # a parameter of Heat's type json
    "orchestrator/clients/heat/shared_tokens.py",  # memory that our own processes share
    "orchestrator/clients/heat_types.py",  # a file of the package
    "orchestrator/clients/rendering_process.py",  # the pipe between our own two processes
    "orchestrator/history/database/retention.py",  # the historian's own table
}
"""Who reads JSON, beside the types of records and the sandbox."""


def test_records_are_read_by_their_types_alone() -> None:
    found = {module.name for module in modules() if "json.loads(" in module.text}
    elsewhere = {
        name
        for name in found
        if not name.startswith(("orchestrator/core/records/", "orchestrator/sandbox/"))
    }
    assert elsewhere == READS_JSON
