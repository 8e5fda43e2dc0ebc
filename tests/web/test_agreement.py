"""The same numbers everywhere: pages, REST, commands, exports, metrics and the stream, on one seeded run."""

from __future__ import annotations

import csv
import io
import json
import re
import urllib.request
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from pilotfish.core.numerals import gain, percent, plural
from tests.rig import Pilot, Stand, rig, until
from tests.web.chromium import window

pytestmark = pytest.mark.slow
MICRO = 1_000_000
TRADES = 60


def settled(stand: Stand, pilot: Pilot) -> bool:
    """All that the venue made has been seen by both sources, decided and worked off, and valued since."""
    truth = stand.get("/truth")
    counts = pilot.status()["counts"]
    working = [i for i in pilot.export("intents") if i["state"] in ("pending", "working")]
    done = counts["seen_by_both"] == truth["trades"] and not counts["decisions"]["waiting"] and not working
    return bool(truth["settled"] and done and valued(pilot))


def valued(pilot: Pilot) -> bool:
    """The newest valuation is that of the positions as they are."""
    worth: Counter[str] = Counter()
    for p in pilot.export("positions"):
        worth[p["portfolio"]] += p["value_micro"]
    return all(p["positions_value_micro"] == worth[p["name"]] for p in pilot.status()["portfolios"])


def money(micro: int) -> str:
    """As it is shown to people everywhere, without sign: halves go away from zero."""
    return f"{to(Decimal(abs(micro)) / MICRO, 2):,}"


def to(number: Decimal, places: int) -> Decimal:
    """The nearest number of so many places."""
    return number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def price(usdc: int, shares: int) -> str:
    """A price as it is shown to people everywhere: what JSON says, to 0.0001, with at least two places."""
    whole, _, rest = str(to(to(Decimal(usdc) / shares, 6), 4)).partition(".")
    return f"{whole}.{rest.rstrip('0'):0<2}"


def said(pilot: Pilot, *command: str) -> str:
    """What a command prints, on one line."""
    return " ".join(pilot.cli(*command).split())


def figures(page: Page) -> dict[str, str]:
    """The large figures of a page."""
    found: dict[str, str] = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.figure')].map(e =>"
        " [e.querySelector('h2').textContent, e.querySelector('.value').textContent.trim()]))"
    )
    return found


def test_pages_rest_commands_and_exports_show_the_same_numbers(tmp_path: Path, browser: Browser) -> None:
    with rig(tmp_path, "--seed", "11", "--speed", "4", "--paused", mark_interval_ms=500) as (stand, pilot):
        leaders = stand.get("")["leaders"]
        for leader in leaders:
            pilot.cli("leaders", "add", leader["wallet"], "--label", leader["label"])
        pilot.start()
        pilot.cli("portfolio", "clone", "main", "half", "--set", "fixed_usdc=12.5")
        until("both portfolios", lambda: pilot.logged("portfolio taken up"))
        address = pilot.start_web()

        def get(path: str) -> Any:
            with urllib.request.urlopen(f"{address}/api/v1{path}", timeout=10) as answer:
                return json.load(answer)

        stand.post("/resume")
        until("enough trades", lambda: stand.get("/truth")["trades"] >= TRADES, 60)
        stand.post("/pause")
        until("settled", lambda: settled(stand, pilot), 60)

        kinds = ("trades", "decisions", "intents", "fills", "positions", "ledger")
        rows = {kind: pilot.export(kind) for kind in kinds}
        status, report = pilot.status(), json.loads(pilot.cli("report", "--json"))
        assert json.loads(pilot.cli("verify", "--json")) == {"verify": "ok"}
        assert len(rows["trades"]) >= TRADES
        assert len(rows["fills"]) > 10

        # exports: JSON and CSV, command and REST
        for kind in kinds:
            with urllib.request.urlopen(f"{address}/api/v1/export/{kind}.json", timeout=10) as answer:
                assert json.load(answer) == rows[kind], kind
            with urllib.request.urlopen(f"{address}/api/v1/export/{kind}.csv", timeout=10) as answer:
                read = list(csv.DictReader(io.StringIO(answer.read().decode())))
            for field in ("shares_micro", "usdc_micro", "amount_micro", "fee_micro"):
                if rows[kind] and field in rows[kind][0]:
                    want = [r[field] for r in rows[kind]]
                    assert [int(r[field].lstrip("'")) if r[field] else None for r in read] == want, (kind, field)

        # REST against exports
        for kind in ("trades", "decisions", "fills"):
            assert [r["id"] for r in get(f"/{kind}?limit=1000")["data"]] == [r["id"] for r in rows[kind]][::-1]
        held = {(p["portfolio"], p["leader"], p["token_id"]): p for p in rows["positions"] if p["shares_micro"]}
        told = {(p["portfolio"], p["leader"], p["token_id"]): p for p in get("/positions")}
        assert {k: v["shares_micro"] for k, v in told.items()} == {k: v["shares_micro"] for k, v in held.items()}
        listed = json.loads(pilot.cli("positions", "list", "--json"))
        assert {(p["portfolio"], p["leader"], p["token_id"]): p["cost_micro"] for p in listed} == {
            k: v["cost_micro"] for k, v in held.items()
        }

        # counts
        counts = get("/status")["counts"]
        assert counts == status["counts"]
        assert counts["trades"] == len(rows["trades"]) == stand.get("/truth")["trades"]
        assert counts["fills"] == len(rows["fills"])
        by_reason = Counter(d["reason"] for d in rows["decisions"])
        assert counts["decisions"]["copied"] == by_reason["COPY"] > 0
        became = Counter(d["state"] for d in rows["decisions"] if d["action"] == "copy")
        told_by_counts = {s: n for s in ("filled", "out", "not_filled") if (n := counts["decisions"][s])}
        assert told_by_counts == became
        assert counts["decisions"]["skipped"] == {r: n for r, n in sorted(by_reason.items()) if r.startswith("SKIP")}
        assert (
            get("/latency")["api_behind_chain_ms"] == json.loads(pilot.cli("latency", "--json"))["api_behind_chain_ms"]
        )

        # portfolios
        portfolios = {p["name"]: p for p in get("/portfolios")}
        assert list(portfolios.values()) == json.loads(pilot.cli("portfolio", "list", "--json")) == status["portfolios"]
        terminal = said(pilot, "status")
        for name, p in portfolios.items():
            cash = sum(e["amount_micro"] for e in rows["ledger"] if e["portfolio"] == name)
            mine = [x for x in rows["positions"] if x["portfolio"] == name]
            assert p["cash_micro"] == p["bankroll_micro"] + cash
            assert p["realized_pnl_micro"] == sum(x["realized_pnl_micro"] for x in mine)
            assert p["unrealized_pnl_micro"] == sum(x["unrealized_pnl_micro"] for x in mine)
            assert p["fees_micro"] == sum(f["fee_micro"] for f in rows["fills"] if f["portfolio"] == name)
            assert p["exposure_micro"] == sum(x["cost_micro"] for x in mine)
            assert p["open_positions"] == sum(1 for x in mine if x["shares_micro"])
            assert get(f"/equity?portfolio={name}")[-1]["equity_micro"] == p["equity_micro"]
            earned = sum(r["actual_micro"] for r in report if r["portfolio"] == name)
            assert p["equity_micro"] - p["bankroll_micro"] == earned
            amounts = [money(p[n]) for n in ("equity_micro", "cash_micro")]
            amounts += [gain(p[n]) for n in ("realized_pnl_micro", "unrealized_pnl_micro")]
            line_of_it = [name, *amounts, money(p["fees_micro"]), str(p["open_positions"])]
            assert " ".join(line_of_it) in terminal
        assert get("/report") == report
        with urllib.request.urlopen(f"{address}/api/v1/export/report.csv", timeout=10) as answer:
            sheet = list(csv.DictReader(io.StringIO(answer.read().decode())))
        for field in ("ideal_micro", "actual_micro", "orders", "orders_copied", "trades", "copied"):
            assert [int(r[field].lstrip("'")) for r in sheet] == [r[field] for r in report], field

        # machines
        with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        for name, p in portfolios.items():
            equity = re.search(rf'pilotfish_equity_usdc{{portfolio="{name}"}} (\S+)', metrics)
            assert equity is not None
            assert round(float(equity[1]) * MICRO) == p["equity_micro"]
        with urllib.request.urlopen(f"{address}/api/v1/stream?seconds=0", timeout=10) as answer:
            events = answer.read().decode().split("\n\n")
        newest = [json.loads(e.split("data: ", 1)[1])["id"] for e in events if e.startswith("event: decision")]
        assert newest
        assert newest == [d["id"] for d in rows["decisions"] if d["portfolio"] == "main"][-len(newest) :]
        spoken = json.loads(next(e for e in events if e.startswith("event: status")).split("data: ", 1)[1])
        assert {p["name"]: p["equity_micro"] for p in spoken["portfolios"]} == {
            n: p["equity_micro"] for n, p in portfolios.items()
        }

        # pages
        seen = window(browser, address)
        for name, p in portfolios.items():
            page = seen.open(f"/?portfolio={name}")
            page.locator(".figure.first").wait_for()
            shown = figures(page)
            assert shown["Equity, USDC"] == money(p["equity_micro"])
            assert shown["Cash"] == money(p["cash_micro"])
            assert money(p["realized_pnl_micro"]) in shown["Realised PnL"]
            assert money(p["unrealized_pnl_micro"]) in shown["Unrealised PnL"]
            assert shown["Fees paid"] == money(p["fees_micro"])
            assert shown["Exposure"] == money(p["exposure_micro"])
            assert page.locator(".held tbody tr").count() == p["open_positions"]
            mine = [x for x in held.values() if x["portfolio"] == name]
            assert sorted(page.locator(".held .size small").all_inner_texts()) == sorted(
                f"at {price(x['cost_micro'], x['shares_micro'])}" for x in mine
            )
        page = seen.open("/leaders")
        for line in [r for r in report if r["portfolio"] == "main"]:
            cells = page.locator(f"#l{line['leader']} td")
            cells.first.wait_for()
            row = cells.all_inner_texts()
            assert row[5] == money(line["paid_micro"])
            assert row[6].endswith(gain(line["ideal_micro"]))
            assert row[7].endswith(gain(-line["difference_micro"]))
            assert row[8].endswith(gain(line["actual_micro"]))
            share = percent(line["orders_copied"], line["orders"])
            copies = Counter(
                d["state"]
                for d in rows["decisions"]
                if (d["portfolio"], d["leader"], d["action"]) == ("main", line["leader"], "copy")
            )
            states = (("filled", "filled"), ("out", "order out"), ("not_filled", "not filled"))
            ended = ", ".join(f"{copies[s]} {word}" for s, word in states if copies[s])
            assert " ".join(row[3].split()) == f"{line['copied']} {share}; {ended}"
        for leader in leaders:
            figure = get(f"/leaders/{leader['wallet']}")
            assert json.loads(pilot.cli("leaders", "show", leader["wallet"], "--json")) == figure
            spoken_of = said(pilot, "leaders", "show", leader["wallet"])
            assert f"{figure['copied']:,} copied ({percent(figure['orders_copied'], figure['orders'])}" in spoken_of
            assert (
                f"fees {money(figure['fees_micro'])}, {plural(figure['open_positions'], 'open position')}" in spoken_of
            )
            page = seen.open(f"/leaders/{leader['wallet']}")
            page.locator(".figure").first.wait_for()
            shown = figures(page)
            mine = [d for d in rows["decisions"] if (d["portfolio"], d["leader"]) == ("main", leader["wallet"])]
            assert shown["Trades seen"] == f"{len(mine):,}" == f"{figure['trades']:,}"
            assert shown["Copied"] == str(sum(d["action"] == "copy" for d in mine)) == str(figure["copied"])
            assert money(figure["realized_pnl_micro"]) in shown["Realised PnL"]
            assert shown["Fees"] == money(figure["fees_micro"])
        page = seen.open("/portfolios")
        page.get_by_text("at the leaders' prices").wait_for()
        table = page.locator("table.plain").first.locator("tbody tr").all_inner_texts()
        equity_row = next(line for line in table if line.startswith("equity"))
        assert [money(p["equity_micro"]) for p in portfolios.values()] == equity_row.split("\t")[1:]
        page = seen.open("/trades?by=fills")
        page.locator("tbody tr").first.wait_for()
        fills_of = {f["intent_id"]: f for f in rows["fills"]}
        decided = {d["id"]: d for d in rows["decisions"] if d["portfolio"] == "main"}
        ours = {price(fills_of[i["id"]]["usdc_micro"], fills_of[i["id"]]["shares_micro"])
                for i in rows["intents"] if i["id"] in fills_of and i["decision_id"] in decided}  # fmt: skip
        told_prices = re.findall(r" at (\d\.\d+)", " ".join(page.locator("td.result").all_inner_texts()))
        assert told_prices
        assert set(told_prices) <= ours
        page = seen.open("/positions")
        expected = sum(1 for k in held if k[0] == "main")
        page.get_by_text(f"{expected} positions").wait_for()
        seen.clean()
