"""ECharts options. Colours of text come from the page: it knows whether it is dark or light (``page.js``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from pilotfish.core.numerals import MINUS, rounded
from pilotfish.core.units import MICRO
from pilotfish.store.views.latency import Bucket, LagPoint
from pilotfish.store.views.pnl import PeriodPnl
from pilotfish.store.views.portfolios import EquityPoint
from pilotfish.store.views.results import CurvePoint

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | float | bool | None"
"""What JSON can hold."""
Options: TypeAlias = dict[str, Json]
"""A chart, as ECharts takes it."""

AXIS: Options = {"axisLine": {"show": False}, "axisTick": {"show": False}}
LINES: Options = {"splitLine": {"lineStyle": {"color": "rgba(128,145,165,.18)"}}}
TOLD: Options = {"trigger": "axis", "confine": True, "renderMode": "richText"}
ZOOM: Options = {"type": "inside", "filterMode": "none", "zoomOnMouseWheel": "ctrl", "preventDefaultMouseMove": False}
"""Drag to move, Ctrl and the wheel, or two fingers, to zoom; the page still scrolls over a chart."""
_APART: Options = {"axisLabel": {"hideOverlap": True}}


def _when(iso: str) -> float:
    """A time as ECharts has it: milliseconds since the epoch."""
    return datetime.fromisoformat(iso).timestamp() * 1000


def equity_options(rows: Sequence[EquityPoint], bankroll_micro: int) -> Options:
    """Equity over time with drawdown below it."""
    points: list[list[float]] = []
    falls: list[list[float]] = []
    best = 0
    for row in rows:
        at = _when(row.at)
        best = max(best, row.equity_micro)
        points.append([at, rounded(row.equity_micro)])
        falls.append([at, -round(100 * (best - row.equity_micro) / best, 3) if best else 0])
    return {
        "animation": False,
        "grid": [
            {"left": 68, "right": 16, "top": 12, "height": "62%"},
            {"left": 68, "right": 16, "bottom": 24, "height": "16%"},
        ],
        "tooltip": TOLD,
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "dataZoom": [{**ZOOM, "xAxisIndex": [0, 1]}],
        "xAxis": [
            {"type": "time", **AXIS, "axisLabel": {"show": False}},
            {"type": "time", **AXIS, "gridIndex": 1, "splitNumber": 4, **_APART},
        ],
        "yAxis": [
            {"type": "value", "scale": True, "splitNumber": 4, **AXIS, **LINES},
            {"type": "value", "gridIndex": 1, "max": 0, "splitNumber": 1, **AXIS, **LINES},
        ],
        "series": [
            {
                "name": "Equity USDC",
                "type": "line",
                "showSymbol": False,
                "data": points,
                "lineStyle": {"width": 2, "color": "#2f8fd8"},
                "itemStyle": {"color": "#2f8fd8"},
                "areaStyle": {"color": "rgba(47,143,216,.10)"},
                "markLine": {
                    "silent": True,
                    "symbol": "none",
                    "label": {"show": False},
                    "lineStyle": {"type": "dashed", "color": "#8593a5"},
                    "data": [{"yAxis": bankroll_micro / MICRO}],
                },
            },
            {
                "name": "Drawdown %",
                "type": "line",
                "showSymbol": False,
                "xAxisIndex": 1,
                "yAxisIndex": 1,
                "data": falls,
                "lineStyle": {"width": 1, "color": "#c2703d"},
                "itemStyle": {"color": "#c2703d"},
                "areaStyle": {"color": "rgba(194,112,61,.15)"},
            },
        ],
    }


def pnl_options(rows: Sequence[PeriodPnl]) -> Options:
    """What each period made, in USDC; a loss has another colour and goes down from the zero line."""
    return {
        "animation": False,
        "grid": {"left": 68, "right": 16, "top": 12, "bottom": 28},
        "tooltip": TOLD,
        "dataZoom": [ZOOM],
        "xAxis": {"type": "category", "data": [r.begins for r in rows], **AXIS, **_APART},
        "yAxis": {"type": "value", "splitNumber": 4, **AXIS, **LINES},
        "series": [
            {
                "name": "USDC",
                "type": "bar",
                "barMaxWidth": 40,
                "data": [
                    {"value": rounded(r.pnl_micro), "itemStyle": {"color": COLOURS[2 if r.pnl_micro >= 0 else 4]}}
                    for r in rows
                ],
            }
        ],
    }


def results_options(rows: Sequence[CurvePoint]) -> Options:
    """What the leader's prices would have made, and what we made, at the end of each day; one point alone is shown."""
    times = [_when(r.at) for r in rows]

    def line(name: str, amounts: Sequence[int], colour: str, kind: str) -> Options:
        style: Options = {"lineStyle": {"width": 2, "color": colour, "type": kind}, "itemStyle": {"color": colour}}
        data = [[at, rounded(micro)] for at, micro in zip(times, amounts, strict=True)]
        return {"name": name, "type": "line", "showSymbol": len(rows) < 3, "data": data, **style}

    return {
        "animation": False,
        "useUTC": True,
        "grid": {"left": 68, "right": 16, "top": 34, "bottom": 28},
        "legend": {"top": 4, "left": 60},
        "tooltip": TOLD,
        "dataZoom": [ZOOM],
        "xAxis": {"type": "time", "splitNumber": 4, "minInterval": 86_400_000, **AXIS, **_APART},
        "yAxis": {"type": "value", "splitNumber": 4, **AXIS, **LINES},
        "series": [
            line("at the leader's prices", [r.ideal_micro for r in rows], COLOURS[1], "dashed"),
            line("ours", [r.actual_micro for r in rows], COLOURS[0], "solid"),
        ],
    }


COLOURS = ("#2f8fd8", "#c2703d", "#3f9e6e", "#8a63c9", "#c0475f", "#7d8a2f", "#2f9aa0", "#a0742f")
"""Line colours that tell apart on both backgrounds."""


def histogram_options(buckets: list[Bucket]) -> Options:
    """How many trades the API was behind by, in buckets; those where it was first have another colour."""

    def seconds(ms: int) -> str:
        return f"{ms / 1000:g}".replace("-", MINUS)

    def name(bucket: Bucket) -> str:
        low, high = bucket.from_ms, bucket.to_ms
        if low is None:
            return f"< {seconds(high or 0)} s"
        return f"≥ {seconds(low)} s" if high is None else f"{seconds(low)} to {seconds(high)}"

    return {
        "animation": False,
        "grid": {"left": 48, "right": 16, "top": 12, "bottom": 46},
        "tooltip": TOLD,
        "xAxis": {"type": "category", "data": [name(b) for b in buckets], **AXIS,
                  "axisLabel": {"rotate": 38, "fontSize": 11}},
        "yAxis": {"type": "value", "minInterval": 1, **AXIS, **LINES},
        "series": [
            {
                "name": "trades",
                "type": "bar",
                "barCategoryGap": "18%",
                "data": [
                    {"value": b.trades, "itemStyle": {"color": COLOURS[b.to_ms is not None and b.to_ms <= 0]}}
                    for b in buckets
                ],
            }
        ],
    }  # fmt: skip


def lag_options(rows: list[LagPoint]) -> Options:
    """The API's delay over time: median and 90th percentile, in seconds."""

    times = [_when(r.at) for r in rows]

    def line(title: str, lags_ms: list[int], colour: str) -> Options:
        style: Options = {"lineStyle": {"width": 2, "color": colour}, "itemStyle": {"color": colour}}
        data = [[at, ms / 1000] for at, ms in zip(times, lags_ms, strict=True)]
        return {"name": title, "type": "line", "showSymbol": len(rows) < 3, "data": data, **style}

    return {
        "animation": False,
        "grid": {"left": 48, "right": 16, "top": 32, "bottom": 28},
        "legend": {"top": 2, "right": 12},
        "tooltip": TOLD,
        "xAxis": {"type": "time", "splitNumber": 4, **AXIS, **_APART},
        "yAxis": {"type": "value", "name": "s", "scale": True, **AXIS, **LINES},
        "series": [
            line("median", [r.p50 for r in rows], COLOURS[0]), line("90 % within", [r.p90 for r in rows], COLOURS[1]),
        ],
    }  # fmt: skip


def compare_options(curves: Mapping[str, Sequence[EquityPoint]], bankrolls: Mapping[str, int]) -> Options:
    """Each portfolio's profit over time, in percent of what it was worth at the beginning."""
    series: list[Options] = []
    for n, (name, rows) in enumerate(curves.items()):
        start = bankrolls[name] or 1
        data = [[_when(r.at), round(100 * (r.equity_micro - start) / start, 4)] for r in rows]
        colour = COLOURS[n % len(COLOURS)]
        style: Options = {"lineStyle": {"width": 2, "color": colour}, "itemStyle": {"color": colour}}
        series.append({"name": name, "type": "line", "showSymbol": False, "data": data, **style})
    return {
        "animation": False,
        "grid": {"left": 56, "right": 16, "top": 34, "bottom": 28},
        "legend": {"top": 4, "left": 80, "type": "scroll"},
        "tooltip": TOLD,
        "dataZoom": [ZOOM],
        "xAxis": {"type": "time", "splitNumber": 5, **AXIS, **_APART},
        "yAxis": {"type": "value", "name": "%", "scale": True, **AXIS, **LINES},
        "series": series,
    }
