"""Measure what a trade costs against load, and draw it (``docs/load.svg``); the same as ``pilotfish bench load``.

ECharts draws it, in Chromium, as it draws the charts of the pages.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from screenshots import ARGUMENTS

from pilotfish.cli.benches.load import Curve, curves

ECHARTS = Path(__file__).parents[1] / "src/pilotfish/web/static/vendor/echarts.common.min.js"
TITLES = (("Engine: µs a trade", "leaders", 1e6), ("Store: µs a trade", "trades at once", 1e6),
          ("Start: ms", "trades in the database", 1e3))  # fmt: skip
WIDTH, HEIGHT, INK = 1080, 320, "#6b7a8a"
DRAW = """([options, width, height]) => {
  const chart = echarts.init(null, null, {renderer: 'svg', ssr: true, width, height});
  chart.setOption(options);
  return chart.renderToSVGString();
}"""


def main() -> None:
    """Measure, draw, write."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--out", type=Path, default=Path("docs/load.svg"))
    asked.add_argument("--trades", type=int, default=1_000_000, help="at most so many in the database of a start")
    given = asked.parse_args()
    found = curves(given.trades)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page()
        page.add_script_tag(path=ECHARTS)
        given.out.write_text(page.evaluate(DRAW, [options(found), WIDTH, HEIGHT]) + "\n")
        browser.close()


def options(found: list[Curve]) -> dict[str, Any]:
    """A chart a part, side by side: load on a logarithmic axis, cost from zero."""
    grids, loads, costs, series, titles = [], [], [], [], []
    for place, (curve, (title, load, scale)) in enumerate(zip(found, TITLES, strict=True)):
        points = [(n, _rounded(scale / one.rate)) for n, one in curve.rates.items()]
        left, ink = 5 + 33 * place, {"color": INK}
        titles.append({"text": title, "left": f"{left}%", "top": 8, "textStyle": {"fontSize": 13} | ink})
        grids.append({"left": f"{left}%", "width": "25%", "top": 60, "bottom": 50})
        loads.append({"type": "log", "min": points[0][0], "gridIndex": place, "axisLabel": ink, "name": load,
                      "nameLocation": "middle", "nameGap": 28, "nameTextStyle": ink})  # fmt: skip
        costs.append({"type": "value", "min": 0, "gridIndex": place, "axisLabel": ink,
                      "splitLine": {"lineStyle": {"color": "#8884"}}})  # fmt: skip
        series.append({"type": "line", "xAxisIndex": place, "yAxisIndex": place, "data": points, "symbolSize": 7,
                       "color": "#2f8fd8", "label": {"show": True} | ink})  # fmt: skip
    return {"animation": False, "title": titles, "grid": grids, "xAxis": loads, "yAxis": costs, "series": series}


def _rounded(cost: float) -> float:
    return float(f"{cost:.3g}")


if __name__ == "__main__":
    main()
