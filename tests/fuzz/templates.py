"""Random Jinja2, made to take long, to make much, to call itself, to be refused by a compiler."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeAlias

from orchestrator.clients.renderer import Renderer
from orchestrator.core.jinja import SIZE_LIMIT
from orchestrator.core.refs import Json
from orchestrator.errors import TemplateError

from .running import Fuzzer

Template: TypeAlias = tuple[str, dict[str, Json]]
"""A template's text and its variables."""


def _words(text: str) -> list[str]:
    return text.split()


SECRET = "hunter2-never-in-the-template"
_FOLDER = Path(__file__).parents[2] / "templates"
_CATALOGUE = [file.read_text() for file in sorted(_FOLDER.glob("*/template.yaml.j2"))]
_NAMES = _words("jinja_a jinja_s jinja_n jinja_l jinja_secret x y n.x n.y i loop f g self none z")
_NUMBERS = (
    "0",
    "1",
    "2",
    "9",
    "64",
    "100",
    "1000",
    "99999",
    "100000",
    "10**9",
    "1.5",
    "-1",
    "2**64",
    "9" * 300,
)
_TEXTS = (
    "''",
    "'a'",
    "'a' * 1000",
    "'a' * 99999",
    "'{}'",
    "'%s'",
    "'%99999d'",
    "'{:99999}'",
    "'a b\\n' * 999",
)
_OPERATORS = _words("+ ~ - * / // % ** == < in and or")
_FILTERS = _words("""
    abs attr('x') attr(jinja_secret) batch(3) batch(1) capitalize center(99999) count d default(1) dictsort
    escape filesizeformat first float forceescape format(1) format(x) groupby('x') groupby(jinja_secret)
    indent(999) indent int items join join(x) join('a'*999) last length list lower map('string')
    map(attribute='x') map(jinja_secret) max min pprint random reject rejectattr('x') replace('a','b'*999)
    replace('','a'*99) reverse round safe select selectattr('x') slice(99) sort sort(attribute='x') string
    striptags sum sum(start=[]) title tojson tojson(99) trim truncate(9) iterations unique upper urlencode urlize
    wordcount wordwrap(1) xmlattr
""")
_METHODS = _words("""
    append(1) center(99999) count('a') encode() expandtabs(9999) find('b') format(x) format(x,y) get('x')
    index('a') items() join(x) keys() ljust(99999) partition('a') pop() replace('a',x) split() split('a')
    splitlines() strip() swapcase() translate({97:x}) upper() update(x) values() zfill(99999) __class__
    __init__ __globals__ mro() cr_frame gi_frame format_map({}) isascii()
""")
_CALLS = _words("""
    range(100) range(99999) range(10**9) dict(x) dict(**x) namespace(x=x) cycler() cycler(1,2) joiner()
    lipsum() f() f(x) f(9) g(x,y) caller()
""")
_DOUBLED = _words("""
    A~B A+B [A,B] {'a':A,'b':B} A*2 A|string A|list (A,B) A*B A|string~B|string
""")
_BLOCKS = (
    ("for j in [1]", "endfor"),
    ("if true", "endif"),
    ("with a = 1", "endwith"),
    ("filter upper", "endfilter"),
    ("set x", "endset"),
    ("macro h()", "endmacro"),
)
_CHAINS = (
    ("(", ")"),
    ("1+", ""),
    ("not ", ""),
    ("[", "]"),
    ("1 if ", ""),
    ("'a'~", ""),
    ("-", ""),
    ("x.", ""),
)
_ODD = (
    "{% include x %}",
    "{% import 'x' as y %}",
    "{% extends x %}",
    "{% block b %}{{ self.b() }}{% endblock %}",
    "{% block b scoped required %}{% endblock %}",
    "{% autoescape true %}{{ x }}{% endautoescape %}",
    "{% set a, b = x %}",
    "{% set n.n = n %}{{ n }}",
    "{% raw %}",
    "{% endfor %}",
    "{% do x %}",
    "{% break %}",
    "{{ self }}",
    "{{ super() }}",
    "{{",
    "{%",
    "{#",
    "\0",
    "\ud800",
)


def make(random: Random) -> Template:
    """The template of one input."""
    text = _damaged(random, random.choice(_CATALOGUE)) if random.random() < 0.15 else _text(random)
    return text, _variables(random)


def fuzzer() -> Fuzzer[Template]:
    renderer = Renderer(deadline=300.0, allowance=math.inf)

    def run(template: Template) -> str:
        text, variables = template
        try:
            rendered = renderer.render("fuzz", text, variables, f"t{len(text) % 3}")
        except TemplateError as error:
            assert str(error).startswith("template fuzz"), error
            assert "hunter2" not in str(error), error
            assert len(str(error)) < 500, error
            return _kind(str(error))
        assert len(rendered) <= SIZE_LIMIT
        return "rendered"

    return Fuzzer("templates", make, run, renderer.close)


_KINDS = {
    "longer than": "too long",
    "MiB": "too much",
    "iterations of loops": "iterations",
    "too deep": "too deep",
    "compiler": "compiler",
    "renders more": "too large",
    "raised": "raised",
    "undefined": "undefined",
}


def _kind(error: str) -> str:
    return next((kind for words, kind in _KINDS.items() if words in error), "refused")


def _variables(random: Random) -> dict[str, Json]:
    return {
        "jinja_a": random.choice(({}, {"x": 1}, {"x": {"x": []}}, [], None)),
        "jinja_s": random.choice(("", "a", "a" * 1000, "<a href='x'>" * 9999)),
        "jinja_n": random.choice((0, 1, 9, 1000, 10**9, 1.5)),
        "jinja_l": random.choice(
            ([], [1, 2, 3], [[1], ["a"], [None]], [{"x": 1}] * 999, [1] * 50_000)
        ),
        "jinja_secret": SECRET,
    }


def _show(expression: str) -> str:
    return "{{ " + expression + " }}"


def _tag(words: str) -> str:
    return "{% " + words + " %}"


# Statements ----------------------------------------------------------------------------------------


def _text(random: Random) -> str:
    begin = _tag("set n = namespace(x='aaaa', y=[1], z=2)") + _tag("set x = [1]")
    body = "".join(
        _statement(random, random.randint(1, 5)) for _ in range(random.choice((1, 1, 2, 4)))
    )
    return begin + body if random.random() < 0.8 else body


def _statement(random: Random, depth: int) -> str:
    if depth <= 0:
        return random.choice(("a: b\n", _show(_expression(random, 2)), _growth(random)))
    return random.choice(_STATEMENTS)(random, depth)


def _block(random: Random, depth: int) -> str:
    return "".join(_statement(random, depth - 1) for _ in range(random.choice((1, 1, 2))))


def _growth(random: Random) -> str:
    """What doubles something that was there before."""
    name = random.choice(("n.x", "n.y", "n.z", "x"))
    other = random.choice((name, "n.x", "n.y", "x"))
    return _tag(f"set {name} = " + random.choice(_DOUBLED).replace("A", name).replace("B", other))


def _for(random: Random, depth: int) -> str:
    some = (
        "range(100)",
        "range(9)",
        "range(99999)",
        "jinja_l",
        "[1, 2]",
        "n.y",
        _expression(random, 2),
    )
    option = random.choice(("", "", " recursive", " if i", " if loop.index"))
    begin = _tag(f"for i in {random.choice(some)}{option}")
    again = _show(f"loop({random.choice(some)})") if option == " recursive" else ""
    return begin + _block(random, depth) + again + _tag("endfor")


def _if(random: Random, depth: int) -> str:
    begin = _tag(f"if {_expression(random, 2)}") + _block(random, depth)
    return begin + _tag("elif x") + _tag("else") + "b" + _tag("endif")


def _macro(random: Random, depth: int) -> str:
    name = random.choice("fg")
    calls = random.choice((_show("f(m - 1)") * 2, _show("g(m)"), _show("caller()"), ""))
    again = _tag("if m > 0") + calls + _tag("endif") if random.random() < 0.7 else calls
    made = _tag(f"macro {name}(m=3, k=x)") + _block(random, depth) + again + _tag("endmacro")
    return made + _show(f"{name}({random.choice(('60', '3', '1', 'x'))})")


def _call(random: Random, depth: int) -> str:
    times = random.choice((1, 1, 3, 20))
    made = _tag("macro f()") + _show("caller()") * 2 + _tag("endmacro")
    return made + _tag("call f()") * times + _block(random, depth) + _tag("endcall") * times


def _wrapped(random: Random, depth: int) -> str:
    """The same kind of block around itself, often more times than a compiler takes."""
    begin, end = random.choice(_BLOCKS)
    times = random.choice((1, 2, 15, 25, 120, 400))
    return _tag(begin) * times + _block(random, depth) + _tag(end) * times


def _chained(random: Random, depth: int) -> str:
    """One expression, very long or very deep."""
    times = random.choice((3, 50, 900, 9000))
    if random.random() < 0.2:
        return _show("x" + f"|{random.choice(_FILTERS)}" * times)
    begin, end = random.choice(_CHAINS)
    return _show(begin * times + "x" + end * times)


def _odd(random: Random, depth: int) -> str:
    return random.choice(_ODD)


_STATEMENTS: tuple[Callable[[Random, int], str], ...] = (
    _for,
    _for,
    _for,
    _if,
    _macro,
    _call,
    _wrapped,
    _chained,
    _odd,
)


# Expressions ---------------------------------------------------------------------------------------


def _expression(random: Random, depth: int) -> str:
    kind = random.random()
    if depth <= 0 or kind < 0.2:
        return random.choice(random.choice((_NAMES, _NUMBERS, _TEXTS, _CALLS)))
    inner = _expression(random, depth - 1)
    if kind < 0.5:
        return f"({inner})|{random.choice(_FILTERS)}"
    if kind < 0.65:
        return f"({inner}).{random.choice(_METHODS)}"
    if kind < 0.85:
        return f"({inner} {random.choice(_OPERATORS)} {_expression(random, depth - 1)})"
    form = random.choice(("[E] * 99", "{E: 1}", "(E)[E]", "(E)[::-1]", "E if E else x", "not E"))
    return form.replace("E", inner)


def _damaged(random: Random, text: str) -> str:
    for _ in range(random.randint(1, 6)):
        place = random.randrange(len(text))
        put = random.choice(
            ("", "{{", "%}", _tag("endif"), _growth(random), text[place : place + 200])
        )
        text = text[:place] + put + text[place + random.choice((0, 1, 5, 40)) :]
    return text
