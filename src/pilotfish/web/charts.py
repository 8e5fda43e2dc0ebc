"""ECharts options."""

from __future__ import annotations

from datetime import datetime
from typing import Any


def equity_options(rows: list[dict[str, Any]], bankroll_micro: int) -> dict[str, Any]:
    """Equity over time with drawdown below it."""
    points, falls, best = [], [], 0
    for row in rows:
        at = datetime.fromisoformat(row["at"]).timestamp() * 1000
        best = max(best, row["equity_micro"])
        points.append([at, round(row["equity_micro"] / 1e6, 2)])
        falls.append([at, -round(100 * (best - row["equity_micro"]) / best, 3) if best else 0])
    axis = {"axisLine": {"show": False}, "axisTick": {"show": False}, "axisLabel": {"color": "#8593a5"}}
    lines = {"splitLine": {"lineStyle": {"color": "rgba(128,145,165,.18)"}}}
    return {
        "animation": False,
        "grid": [
            {"left": 68, "right": 16, "top": 12, "height": "62%"},
            {"left": 68, "right": 16, "bottom": 24, "height": "16%"},
        ],
        "tooltip": {"trigger": "axis", "confine": True},
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "xAxis": [
            {"type": "time", **axis, "axisLabel": {"show": False}},
            {"type": "time", **axis, "gridIndex": 1, "splitNumber": 4},
        ],
        "yAxis": [
            {"type": "value", "scale": True, "splitNumber": 4, **axis, **lines},
            {"type": "value", "gridIndex": 1, "max": 0, "splitNumber": 1, **axis, **lines},
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
                    "data": [{"yAxis": bankroll_micro / 1e6}],
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
