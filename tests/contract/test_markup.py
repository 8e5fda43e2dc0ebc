"""No value reaches a page without being escaped: read from the code of ``pilotfish.web``, where markup is written by
hand.

Markup is an f-string with a tag in it, or what is returned as, or passed as, :data:`pilotfish.web.markup.Html`. What is
put into it must be a number with a format, a constant, the result of something that makes text harmless, or itself
``Html``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias, TypeGuard

import pytest

import pilotfish.web

WEB = Path(pilotfish.web.__file__).parent
HARMLESS = frozenset(
    {"esc", "quote", "urlencode", "len", "int"}
    | {"money", "gain", "price", "price_micro", "exact", "count", "percent", "bps", "duration", "precise"}
)
"""Functions whose result is harmless in text and in quoted attributes."""
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
SINKS = frozenset({"html", "HTMLResponse", "add_head_html"})


def annotated(node: ast.AST | None) -> bool:
    """True for an annotation with ``Html`` in it."""
    return node is not None and any(isinstance(x, ast.Name) and x.id in ("Html", "Blocks") for x in ast.walk(node))


def name_of(call: ast.Call) -> str:
    """The function's last name."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def grows(call: ast.Call) -> TypeGuard[Growing]:
    """True for what puts something into a list."""
    return isinstance(call.func, ast.Attribute) and call.func.attr in ("append", "extend", "insert")


class Growing(ast.Call):
    """A call of a list's method."""

    func: ast.Attribute


class Known:
    """Which functions give ``Html``, and which parameters take it: a module's own, and what others let it import."""

    def __init__(self, module: ast.Module, others: Iterable[ast.Module] = ()) -> None:
        self.makes: set[str] = set()
        self.takes: dict[str, list[tuple[int, str]]] = {}
        for other in others:
            self._learn([f for f in functions(other) if not f.name.startswith("_")])
        own = functions(module)
        self.makes -= {f.name for f in own}
        self._learn(own)

    def _learn(self, found: list[Function]) -> None:
        for function in found:
            if annotated(function.returns):
                self.makes.add(function.name)
            given = [*function.args.args, *function.args.kwonlyargs]
            wanted = [(n, a.arg) for n, a in enumerate(given) if annotated(a.annotation)]
            if wanted:
                self.takes[function.name] = wanted


def functions(tree: ast.AST) -> list[Function]:
    """All functions of a module, those in functions and classes too."""
    return [f for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef))]


class Scope:
    """A function, or a module, in which names are looked up."""

    def __init__(self, node: ast.AST, known: Known, outer: Scope | None = None) -> None:
        self.known, self.outer = known, outer
        self.given: dict[str, list[ast.expr | None]] = {}
        self.html: set[str] = set()
        self._asked: set[str] = set()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for argument in [*node.args.args, *node.args.kwonlyargs]:
                self.given.setdefault(argument.arg, []).append(None)
                if annotated(argument.annotation):
                    self.html.add(argument.arg)
        for one in inside(node):
            self._learn(one)

    def _learn(self, one: ast.AST) -> None:
        if isinstance(one, ast.Assign):
            for target in one.targets:
                self._assign(target, one.value)
        elif isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and annotated(one.annotation):
            self.html.add(one.target.id)
        elif isinstance(one, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)) and one.value is not None:
            self._assign(one.target, one.value)
        elif isinstance(one, ast.Call) and grows(one) and isinstance(one.func.value, ast.Name):
            self.given.setdefault(one.func.value.id, []).extend(one.args[-1:])
        elif isinstance(one, (ast.For, ast.comprehension)):
            self._assign(one.target, one.iter, each=True)

    def _assign(self, target: ast.expr, value: ast.expr, *, each: bool = False) -> None:
        if isinstance(target, ast.Name):
            self.given.setdefault(target.id, []).append(ast.Starred(value) if each else value)
        elif isinstance(target, ast.Tuple):
            parts = value.elts if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts) else None
            for n, part in enumerate(target.elts):
                self._assign(part, parts[n] if parts and not each else value, each=each or parts is None)

    def safe(self, e: ast.expr | None) -> bool:
        """True if nothing harmful can be in what ``e`` gives."""
        match e:
            case ast.Constant():
                return True
            case ast.JoinedStr():
                return all(self._piece(v) for v in e.values)
            case ast.IfExp():
                return self.safe(e.body) and self.safe(e.orelse)
            case ast.BoolOp():
                return all(self.safe(v) for v in e.values)
            case ast.BinOp(op=ast.Add()):
                return self.safe(e.left) and self.safe(e.right)
            case ast.BinOp(op=ast.Mult()):
                return self.safe(e.left)
            case ast.Tuple() | ast.List():
                return all(self.safe(v) for v in e.elts)
            case ast.Starred():
                return self.safe(e.value)
            case ast.GeneratorExp() | ast.ListComp():
                return self.safe(e.elt)
            case ast.Dict():
                return all(self.safe(v) for v in e.values)
            case ast.Subscript(value=ast.Dict()):
                return self.safe(e.value)
            case ast.Subscript(value=ast.Name(), slice=ast.Constant(value=int()) | ast.Slice()):
                return self.safe(e.value)
            case ast.Name():
                return self._name(e.id)
            case ast.Call(func=ast.Attribute(attr="join")):
                return self.safe(e.args[0])
            case ast.Call(func=ast.Attribute(value=ast.Dict() as choices, attr="get")):
                return self.safe(choices) and all(self.safe(a) for a in e.args[1:])
            case ast.Await():
                return self.safe(e.value)
            case ast.Call(func=ast.Attribute(value=whole, attr="items")):
                return self.safe(whole)
            case ast.Subscript(value=ast.Name(id=name)) if self.annotated(name):
                return True
            case ast.Call():
                return name_of(e) in self.known.makes | HARMLESS | self.html
        return False

    def annotated(self, name: str) -> bool:
        """True for a name that was declared to hold ``Html``."""
        return name in self.html or (self.outer is not None and name not in self.given and self.outer.annotated(name))

    def _piece(self, piece: ast.expr) -> bool:
        if not isinstance(piece, ast.FormattedValue):
            return True
        shape = piece.format_spec
        number = isinstance(shape, ast.JoinedStr) and ast.unparse(shape).rstrip("'\"")[-1:] in (*"dfg,%",)
        return number or self.safe(piece.value)

    def _name(self, name: str) -> bool:
        if name.isupper() or name in self.html or name in self._asked or (name.startswith("_") and name[1:].isupper()):
            return True
        if name not in self.given:
            return self.outer.safe(ast.Name(name)) if self.outer else name in self.known.makes
        self._asked.add(name)
        answer = all(self.safe(v) for v in self.given[name])
        self._asked.discard(name)
        return answer


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """What is in a function or module, without the functions in it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        yield child
        yield from inside(child)


def faults(tree: ast.Module, known: Known) -> list[str]:
    """Where a value gets into markup as it is."""
    found: list[str] = []

    def look(node: ast.AST, scope: Scope) -> None:
        for one in inside(node):
            if isinstance(one, ast.JoinedStr) and any(
                "<" in str(p.value) for p in one.values if isinstance(p, ast.Constant)
            ):
                found.extend(f"{one.lineno}: {ast.unparse(v.value)}" for v in one.values  # type: ignore[attr-defined]
                             if not scope._piece(v))  # fmt: skip
            elif (
                isinstance(one, ast.Return) and annotated(getattr(node, "returns", None)) and not scope.safe(one.value)
            ):
                found.append(f"{one.lineno}: returns {ast.unparse(one.value) if one.value else None}")
            elif isinstance(one, ast.Call):
                if grows(one) and _kept(one.func.value, scope) and not scope.safe(one.args[-1]):
                    found.append(f"{one.lineno}: {ast.unparse(one)}")
                found.extend(f"{one.lineno}: {name_of(one)}({ast.unparse(x)})" for x in _handed(one, known)
                             if not scope.safe(x))  # fmt: skip
            elif (
                (
                    isinstance(one, ast.Assign)
                    and any(_kept(x, scope) for x in one.targets)
                    and not scope.safe(one.value)
                )
                or (isinstance(one, ast.AugAssign) and _kept(one.target, scope) and not scope.safe(one.value))
                or (
                    isinstance(one, ast.AnnAssign)
                    and annotated(one.annotation)
                    and one.value
                    and not scope.safe(one.value)
                )
            ):
                found.append(f"{one.lineno}: {ast.unparse(one)}")
        for child in ast.walk(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) and child is not node and child not in done:
                done.add(child)
                look(child, Scope(child, known, scope))

    done: set[ast.AST] = set()
    look(tree, Scope(tree, known))
    return found


def _kept(target: ast.expr, scope: Scope) -> bool:
    """True for what is shown, or was declared to hold ``Html``."""
    match target:
        case ast.Attribute(attr="content"):
            return True
        case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
            return scope.annotated(name)
    return False


def _handed(call: ast.Call, known: Known) -> Iterator[ast.expr]:
    """Arguments that are taken as ``Html``."""
    name = name_of(call)
    if name in SINKS and call.args:
        yield call.args[0]
    by_name = {k.arg: k.value for k in call.keywords}
    for n, parameter in known.takes.get(name, ()):
        if n < len(call.args):
            yield call.args[n]
        elif parameter in by_name:
            yield by_name[parameter]


def modules() -> dict[str, ast.Module]:
    """The code of the dashboard."""
    return {str(p.relative_to(WEB)): ast.parse(p.read_text()) for p in sorted(WEB.rglob("*.py"))}


def test_no_value_reaches_a_page_without_being_escaped() -> None:
    trees = modules()
    known = {name: Known(tree, trees.values()) for name, tree in trees.items()}
    assert {"signed", "grid"} <= known["pages/trades.py"].makes
    assert [f"{name}:{fault}" for name, tree in trees.items() for fault in faults(tree, known[name])] == []


@pytest.mark.parametrize(
    "code",
    [
        "def f(x) -> Html: return x",
        "def f(x) -> Html: return f'<b>{x}</b>'",
        "def f(x): y = '' if x else x; return f'<b>{y}</b>'",
        "def f(x): y = esc(x); y += x; return f'<b>{y}</b>'",
        'def f(x): return f\'<a href="{x["url"]}">\'',
        "def f(rows): return f'<ul>{\"\".join(r for r in rows)}</ul>'",
        "def f(x): return f'<b>{x!r}</b>'",
        "def f(x): return f'<b>{x:>10}</b>'",
        "def f(x): ui.html(x)",
        "def f(x, block): block.content = x",
        "def g(part: Html): ...\ndef f(x): g(x)",
        "def g(*, part: Html): ...\ndef f(x): g(part='<b>' + x)",
        "def f(x): y: dict[str, Html] = {}; y['a'] = x",
        "def f(x): y: Html = x",
        "def f(x): y: list[Html] = []; y.append(x)",
        "def f(x): y = []; y.append(x); return f'<b>{\"\".join(y)}</b>'",
        "def f(x): y: Html = ''; y += x",
        "def f():\n def g(x): return f'<b>{x}</b>'\n return g",
    ],
)
def test_what_is_not_escaped_is_found(code: str) -> None:
    tree = ast.parse(code)
    assert faults(tree, Known(tree)) != []


def test_what_is_escaped_passes() -> None:
    tree = ast.parse(
        "def g(part: Html) -> Html: return f'<i>{part}</i>'\n"
        "def f(x, n, rows):\n"
        " y = esc(x) if x else '–'\n"
        " more = ''.join(f'<li>{esc(r)}</li>' for r in rows)\n"
        " return g(f'<b>{y}</b>{n:,}{n:.2f}{more}{len(rows)}')\n"
    )
    assert faults(tree, Known(tree)) == []
