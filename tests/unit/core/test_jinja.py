"""Templates are somebody else's programs: what they may do, and what is said when they fail."""

from __future__ import annotations

from typing import Any

import pytest
from orchestrator.core.jinja import ITERATION_LIMIT, SIZE_LIMIT, render, syntax_fault
from orchestrator.core.refs import Json
from orchestrator.errors import TemplateError

SECRET = "hunter2"


def nested(begin: str, end: str, times: int) -> str:
    return begin * times + end * times


FAULTY: list[Any] = [
    pytest.param("{{ jinja_x }}", "line 1: 'jinja_x' is undefined", id="a name it does not have"),
    pytest.param(
        "\n{{ jinja_a.b.c }}",
        "line 2: 'dict object' has no attribute 'b'",
        id="a property that is not there",
    ),
    pytest.param("{{ none.b }}", "line 1: 'None' has no attribute 'b'", id="a property of nothing"),
    pytest.param(
        "{% if jinja_x %}{% endif %}",
        "line 1: 'jinja_x' is undefined",
        id="a test of a name it does not have",
    ),
    pytest.param("one\n{% for %}", "line 2: ", id="a syntax error"),
    pytest.param(
        "\n\n{{ 1 / 0 }}", "line 3: an expression raised ZeroDivisionError", id="a division by zero"
    ),
    pytest.param("{{ jinja_s + 1 }}", "line 1: an expression raised TypeError", id="a wrong type"),
    pytest.param(
        "{{ jinja_s | int | what }}", "line 1: No filter named 'what'", id="an unknown filter"
    ),
    pytest.param(
        "\n{{ cycler() }}", "line 2: an expression raised RuntimeError", id="a cycler of nothing"
    ),
    pytest.param("a\n{% include 'x' %}", "line 2: a template stands alone", id="an include"),
    pytest.param("{% import 'x' as y %}", "line 1: a template stands alone", id="an import"),
    pytest.param(
        "{% from 'x' import y %}", "line 1: a template stands alone", id="an import of a name"
    ),
    pytest.param(
        "{% extends 'x' %}", "line 1: a template stands alone", id="a template below another"
    ),
    pytest.param(
        "\n" + nested("{% for i in [1] %}", "{% endfor %}", 25),
        "line 2: Python's compiler refuses it: too many statically nested blocks",
        id="25 loops in each other",
    ),
    pytest.param(
        "\n\n" + nested("{% if true %}", "{% endif %}", 120),
        "line 3: Python's compiler refuses it: too many levels of indentation",
        id="120 ifs in each other",
    ),
    pytest.param(
        "{% macro f(a, a) %}{% endmacro %}",
        "line 1: Python's compiler refuses it: duplicate argument",
        id="an argument twice",
    ),
    pytest.param(
        "{{ " + nested("(", ")", 5000) + " }}", "it is nested too deep", id="many parentheses"
    ),
    pytest.param(
        "\n{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "line 2: it is nested too deep",
        id="a macro without end",
    ),
    pytest.param(
        "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "it is nested too deep",
        id="a loop without end",
    ),
    pytest.param(
        "{% block x %}{{ self.x() }}{% endblock %}",
        "line 1: it is nested too deep",
        id="a block in itself",
    ),
    pytest.param(
        "{{ '%d'|format(jinja_s) }}", "line 1: an expression raised TypeError", id="a format"
    ),
    pytest.param("{{ 9 ** 65 }}", "line 1: too large a number in a '**'", id="a large power"),
    pytest.param(
        "{{ [1]|sort(attribute='a.b') }}", "line 1: 'int object' has no attribute 'a'", id="a sort"
    ),
]


@pytest.mark.parametrize(("text", "error"), FAULTY)
def test_a_template_that_does_not_render_says_where_and_no_value(text: str, error: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render("port", text, {"jinja_a": {}, "jinja_s": SECRET})

    assert error in str(caught.value)
    assert str(caught.value).startswith("template port")
    assert SECRET not in str(caught.value)


QUOTING: list[Any] = [
    pytest.param(
        "{{ jinja_a[jinja_s] }}", "line 1: 'dict object' has no attribute …", id="a property"
    ),
    pytest.param(
        "{{ jinja_a|attr(jinja_s) }}", "line 1: 'dict object' has no attribute …", id="an attribute"
    ),
    pytest.param("{{ [1]|map(jinja_s)|list }}", "line 1: No filter named …", id="a filter"),
    pytest.param("{{ [1]|select(jinja_s)|list }}", "line 1: No test named …", id="a test"),
    pytest.param(
        "{{ [1, 2]|groupby(jinja_s) }}", "line 1: 'int object' has no attribute …", id="a group"
    ),
    pytest.param(
        "{{ jinja_s|float + [] }}", "line 1: an expression raised TypeError", id="an operand"
    ),
    pytest.param("{{ {jinja_s: 1} * 2 }}", "line 1: an expression raised TypeError", id="a key"),
    pytest.param("{% include jinja_s %}", "line 1: a template stands alone", id="an include"),
]


@pytest.mark.parametrize("value", [SECRET, f'it\'s "{SECRET}"', f"'{SECRET} object'"])
@pytest.mark.parametrize(("text", "error"), QUOTING)
def test_a_name_that_comes_from_a_variable_is_not_told(text: str, error: str, value: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render("port", text, {"jinja_a": {}, "jinja_s": value})

    assert error in str(caught.value)
    assert SECRET not in str(caught.value)


ESCAPES: list[Any] = [
    pytest.param("{{ ''.__class__.__mro__ }}", id="the classes of a text"),
    pytest.param("{{ ''['__class__']['__mro__'] }}", id="by item"),
    pytest.param("{{ ''|attr('__class__')|attr('__mro__') }}", id="by filter"),
    pytest.param("{{ jinja_list.append(1) }}", id="changing a variable"),
    pytest.param("{{ '{0.__class__.__mro__}'.format('') }}", id="by format"),
    pytest.param("{{ range(10000000)|list }}", id="a huge range"),
    pytest.param("{{ self.__init__.__globals__ }}", id="the globals"),
    pytest.param("{{ cycler.__init__.__globals__.os }}", id="by a helper"),
    pytest.param("{{ _iterations_left.append(1) }}", id="changing the number of iterations"),
]


@pytest.mark.parametrize("text", ESCAPES)
def test_the_sandbox_has_no_way_out(text: str) -> None:
    variables: dict[str, Json] = {"jinja_list": []}
    with pytest.raises(TemplateError):
        render("port", text, variables)
    assert variables == {"jinja_list": []}


COUNTED: list[Any] = [
    pytest.param(nested("{% for i in range(100) %}", "{% endfor %}", 12), id="loops in loops"),
    pytest.param(
        "{% for i in range(99999) %}{% for j in [1] %}{% endfor %}{% endfor %}",
        id="many short loops",
    ),
    pytest.param(
        "{% macro f() %}{% endmacro %}{% for i in range(99999) %}{{ f() }}{% endfor %}",
        id="calls in a loop",
    ),
    pytest.param(
        "{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        id="a macro that calls twice",
    ),
    pytest.param(
        "{% for i in range(50) recursive %}{% if loop.depth < 50 %}{{ loop(range(50)) }}{% endif %}{% endfor %}",
        id="loops",
    ),
    pytest.param(
        "{% for i in [1, 2] recursive %}{% if loop.depth == 1 %}{{ loop(range(99999)) }}{% endif %}{% endfor %}",
        id="few calls of a recursive loop",
    ),
    pytest.param(
        "{% macro f() %}{{ caller() }}{{ caller() }}{% endmacro %}"
        + nested("{% call f() %}", "{% endcall %}", 20),
        id="calls",
    ),
]


@pytest.mark.parametrize("text", COUNTED)
def test_iterations_of_loops_and_calls_are_counted_together(text: str) -> None:
    with pytest.raises(
        TemplateError, match=rf"line 1: more than {ITERATION_LIMIT} iterations of loops and calls"
    ):
        render("port", text, {})


def test_as_many_iterations_as_are_allowed_are_done() -> None:
    text = (
        "{% for i in range(jinja_n - 1) %}{% endfor %}done"  # The call of range() is one as well.
    )

    assert render("port", text, {"jinja_n": ITERATION_LIMIT}) == "done"


def test_what_is_rendered_is_bounded() -> None:
    loop = "{% for i in range(jinja_times) %}" + "x" * 1024 + "{% endfor %}"

    assert len(render("port", loop, {"jinja_times": SIZE_LIMIT // 1024})) == SIZE_LIMIT
    with pytest.raises(
        TemplateError, match=f"template port.*: it renders more than {SIZE_LIMIT} characters"
    ):
        render("port", loop, {"jinja_times": SIZE_LIMIT // 1024 + 1})


def test_ordinary_numbers_are_calculated_with() -> None:
    text = (
        "{{ jinja_mbit * 1000000 }} {{ '%d'|format(4294967296) }} {{ 'x'|center(5) }} {{ 2 ** 32 }}"
    )

    assert render("port", text, {"jinja_mbit": 500}) == "500000000 4294967296   x   4294967296"


def test_values_are_not_escaped_and_white_space_stays() -> None:
    assert (
        render("port", "a: {{ jinja_x }}\n\n{% if true %}\nb\n{% endif %}\n", {"jinja_x": "<&\"'>"})
        == "a: <&\"'>\n\n\nb\n"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: {{ jinja_x | upper }}", ""),
        ("{{ 'a' * 99999999999 }}", ""),
        ("a\n{% if %}", "line 2 of the template: Expected an expression"),
        ("a\n{% include 'x' %}", "line 2 of the template: a template stands alone"),
        ("{{ x | what }}", "line 1 of the template: No filter named 'what'"),
        (nested("{% if x %}", "{% endif %}", 120), "too many levels of indentation"),
        (nested("{% for x in y %}", "{% endfor %}", 25), "too many statically nested blocks"),
        ("{{ " + nested("(", ")", 3000).replace("()", "(1)") + " }}", "nested too deep"),
    ],
)
def test_a_text_that_is_no_template_is_told_without_being_rendered(text: str, fault: str) -> None:
    found = syntax_fault(text)

    assert fault in found
    assert bool(fault) is bool(found)
