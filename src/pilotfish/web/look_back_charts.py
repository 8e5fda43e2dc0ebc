"""Pictures of look backs, as ECharts options: each shows what a table beside it says in figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pilotfish.backtest.told import LookBack, Part, Point
from pilotfish.core.numerals import duration, money, rounded
from pilotfish.web.charts import AXIS, COLOURS, LINES, TOLD, ZOOM, Options


def curve_options(points: Sequence[Point], *, by_size: bool) -> Options:
    """What a dollar made in percent, and how much of what was wanted was had, by delay or by size."""
    names = [money(p.size_micro, 0) if by_size else duration(p.delay_ms) for p in points]
    edges = [_percent(p.edge_per_usdc) for p in points]
    filled = [_percent(p.filled) for p in points]
    return _bars(names, [_bar("made on a dollar, %", edges), _line("filled, %", filled)])


def parts_options(parts: Sequence[Part]) -> Options:
    """What a dollar made in percent by part, with the ends of what is sure with 90 %."""
    low = [_percent(p.interval.low) if p.interval else None for p in parts]
    high = [_percent(p.interval.high) if p.interval else None for p in parts]
    edges = [_percent(p.edge_per_usdc) for p in parts]
    return _bars(
        [p.name for p in parts],
        [_bar("made on a dollar, %", edges), _mark("from, %", low, 0), _mark("to, %", high, 180)],
    )


def result_options(answers: Mapping[str, LookBack]) -> Options:
    """What was made by each day's end, in USDC."""
    series = []
    for n, (name, found) in enumerate(answers.items()):
        begin = found.equity[0][1] if found.equity else 0
        data = [[at * 1000, rounded(amount - begin)] for at, amount in found.equity]
        series.append({"name": name, "type": "line", "showSymbol": len(data) < 3, "data": data, **_colour(n)})
    return {
        "animation": False,
        "useUTC": True,
        "grid": {"left": 68, "right": 16, "top": 34, "bottom": 28},
        "legend": {"top": 4, "left": 60, "type": "scroll"},
        "tooltip": TOLD,
        "dataZoom": [ZOOM],
        "xAxis": {"type": "time", "splitNumber": 4, **AXIS, "axisLabel": {"hideOverlap": True}},
        "yAxis": {"type": "value", "splitNumber": 4, **AXIS, **LINES},
        "series": series,
    }


def _bars(names: list[str], series: list[Options]) -> Options:
    return {
        "animation": False,
        "grid": {"left": 52, "right": 16, "top": 34, "bottom": 28},
        "legend": {"top": 4, "left": 44, "type": "scroll"},
        "tooltip": TOLD,
        "xAxis": {"type": "category", "data": names, **AXIS, "axisLabel": {"hideOverlap": True, "fontSize": 11}},
        "yAxis": {"type": "value", "splitNumber": 4, **AXIS, **LINES},
        "series": series,
    }


def _bar(name: str, values: list[float | None]) -> Options:
    return {"name": name, "type": "bar", "barMaxWidth": 44, "data": values, **_colour(0)}


def _line(name: str, values: list[float | None]) -> Options:
    return {"name": name, "type": "line", "symbolSize": 7, "data": values, **_colour(1)}


def _mark(name: str, values: list[float | None], turned: int) -> Options:
    style: Options = {"type": "scatter", "symbol": "triangle", "symbolSize": 9, "symbolRotate": turned}
    return {"name": name, **style, "data": values, **_colour(1)}


def _colour(n: int) -> Options:
    colour = COLOURS[n % len(COLOURS)]
    return {"itemStyle": {"color": colour}, "lineStyle": {"width": 2, "color": colour}}


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)
