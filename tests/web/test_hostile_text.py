"""Other people's text stays text, wherever it comes from: every parameter of the application's own route table, and
every column of the database; in a real Chromium, with two portfolios and an admin's session."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser
from sqlalchemy import JSON, Engine, String, Text, create_engine, insert, select, update

from pilotfish.backtest.told import Flag, LookBack, Step, Uncopyable
from pilotfish.cli.session import clean_environment
from pilotfish.store import look_backs_store, searches_store
from pilotfish.store import tables as t
from pilotfish.store.interned import Code, Hex, Name
from pilotfish.store.searches_store import Wanted
from tests.found import FOUND as SEARCHED
from tests.rig import WALLET, Pilot, rig, until
from tests.web.chromium import Watched, window

pytestmark = pytest.mark.slow
TOKEN = "the-admin-token"
ATTACK = (
    "window.hacked=1;document.title='hacked';fetch('/hacked');fetch('/api/v1/settings',{method:'PATCH',"
    "headers:{'X-Pilotfish':'1','Content-Type':'application/json'},body:'{&quot;fixed_usdc&quot;:99}'})"
)
PAYLOADS = {
    "a tag": f'<img src=x data-hacked onerror="{ATTACK}">',
    "double quotes": f'"><img src=x data-hacked onerror="{ATTACK}">',
    "single quotes": f'\'><img src=x data-hacked onerror="{ATTACK}">',
    "an attribute": f'" data-hacked autofocus tabindex=1 onfocus="{ATTACK}" x="',
    "an attribute without quotes": f"x data-hacked onmouseover={ATTACK} ",
    "the end of a script": f"</script><script data-hacked>{ATTACK}</script>",
    "an SVG": f'<svg data-hacked onload="{ATTACK}"><animate onbegin="{ATTACK}" attributeName=x dur=1s></svg>',
    "an address": f"javascript:{ATTACK}//",
    "a template": "{{constructor.constructor('window.hacked=1')()}}${window.hacked=1}`+(window.hacked=1)+`",
    "a comment": f"--><img src=x data-hacked onerror={ATTACK}><!--",
    "other alphabets": f"\u202e\ufeff\u2028𝕩é<b data-hacked onclick={ATTACK}>\u0001",
    "a NUL": f"a\0<b data-hacked onclick={ATTACK}>",
}
ALL = "".join(p for name, p in PAYLOADS.items() if name != "a NUL")
SHORT = (
    "'\"><img src=x data-hacked onerror=hacked=1>",
    '" data-hacked autofocus onfocus=hacked=1 x="',
    "</script><script data-hacked>hacked=1</script>",
    "javascript:hacked=1//",
)
"""What fits where the length of a text is bounded."""
WATCH = "window.hacked = 0; window.addEventListener('securitypolicyviolation', () => { window.hacked += 100 })"
MARKUP = """page => [...page.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name === 'data-hacked'
    || a.name.startsWith('on') || /^\\s*javascript:/i.test(a.value) && ['href', 'src', 'action'].includes(a.name)))
    .map(e => e.outerHTML.slice(0, 200))"""
"""Text that has become markup."""
FOUND = f"() => [window.hacked, document.title.includes('hacked'), ({MARKUP})(document)]"
READ = f"text => ({MARKUP})(new DOMParser().parseFromString(text, 'text/html'))"
"""The same in what a server answered, without being opened."""
DRAWN = "() => !document.querySelector('#app') || document.querySelector('#app').childElementCount > 0"
ROUTES = """
import json, sys
from sqlalchemy import create_engine
from pilotfish.web import server

def query(dependant):
    named = [p.alias for p in dependant.query_params]
    for inner in dependant.dependencies:
        named += query(inner)
    return list(dict.fromkeys(named))

def walk(routes):
    for route in routes:
        if hasattr(route, "original_router"):
            yield from walk(route.original_router.routes)
        elif hasattr(route, "dependant"):
            yield {"path": route.path, "methods": sorted(route.methods), "query": query(route.dependant),
                   "in_path": [p.name for p in route.dependant.path_params]}
        else:
            inner = getattr(route, "routes", None) or getattr(getattr(route, "app", None), "routes", [])
            yield from walk(inner)

print(json.dumps(list(walk(server.build(create_engine("sqlite://"), {}).app.routes))))
"""


@dataclass
class Hostile:
    """A dashboard over a database full of hostile text."""

    pilot: Pilot
    database: Engine
    address: str
    routes: list[dict[str, Any]]

    def kept(self) -> list[Any]:
        """What nobody but the admin may change."""
        with self.database.connect() as c:
            return [
                list(c.execute(select(x))) for x in (t.settings, t.settings_audit, t.commands, t.leaders, t.follows)
            ]


def routes() -> list[dict[str, Any]]:
    """The application's own route table, from a process of its own: pages can be registered once a process."""
    ran = subprocess.run(
        [sys.executable, "-c", ROUTES], capture_output=True, text=True, check=False, env=clean_environment()
    )
    assert ran.returncode == 0, ran.stderr
    found: list[dict[str, Any]] = json.loads(ran.stdout)
    return [r for r in found if not r["path"].startswith("/_nicegui")]


ANSWER = LookBack(
    wallet=ALL, name=ALL, verdict=ALL, why=ALL, shrunk=0.1, p_value=0.1,
    from_at=1_790_000_000, to_at=1_790_100_000, events=1, edge_per_usdc=0.1, interval=(0.0, 0.2), halves=None,
    size_micro=1, delay_ms=1, result_micro={"expected": 5}, at_leader_prices_micro=9,
    steps=(Step(cause="delay", amount_micro=-4),), fees_micro=0, spent_micro=1, filled_share=1.0, trades=1, orders=1,
    skipped={ALL: 2}, tiers={ALL: 1.0}, by_delay=(), by_size=(), parts=(), flags=(Flag(kind="", text="x", figures={}),),
    equity=((1_790_000_000, 1),), open={ALL: 5}, complete=[],
    uncopyable=Uncopyable(profit_micro=9, gone_micro=4, thin_micro=1, below_minimum_micro=0),
    books=("x",), history="x", titles={ALL: "x"},
)  # fmt: skip
"""An answer that is text wherever it can be."""
KEPT = {
    "names": {"name"}, "leaders": {"wallet", "status"}, "portfolios": {"name", "status"},
    "settings": {"name", "portfolio", "leader", "value"},
    "trades": {"leader", "tx_hash", "token_id", "side", "first_source", "class"}, "trade_raw": set(),
    "decisions": {"portfolio", "leader", "token_id", "side", "action", "reason", "rule", "class"},
    "intents": {"portfolio", "leader", "token_id", "side", "state", "reason"},
    "fills": {"portfolio", "leader", "token_id", "side", "status"}, "markets": {"token_id"},
    "positions": {"portfolio", "leader", "token_id", "status"}, "leader_holdings": {"leader", "token_id"},
    "holding_adjustments": {"leader", "token_id", "cause"}, "marks": {"token_id"}, "savings": {"leader"},
    "ledger_entries": {"portfolio", "leader", "token_id"}, "equity_snapshots": {"portfolio"}, "follows": {"portfolio"},
    "cursors": {"leader"}, "worker_status": {"name"}, "bad_inputs": {"fingerprint"},
    "listening": {"source"}, "liquidity_taken": set(), "history_gaps": set(),
    "round_trips": {"portfolio", "leader", "token_id"}, "look_backs": {"wallet", "state", "stage"},
    "searches": {"state", "stage", "source"}, "searched_wallets": {"wallet"},
}  # fmt: skip
"""What rows are found by and codes of ours; every other text, of columns to come too, is somebody's."""


def spoil(database: Engine) -> None:
    """Put hostile text into every text of every table."""
    with database.begin() as c:
        main = c.execute(select(t.portfolios).where(t.portfolios.c.name == "main")).one()._mapping
        c.execute(insert(t.portfolios).values({**main, "name": ALL, "note": ALL}))
        last = c.execute(select(t.equity_snapshots).order_by(t.equity_snapshots.c.id.desc())).first()
        assert last is not None
        c.execute(insert(t.equity_snapshots).values({**last._mapping, "id": last.id + 1, "portfolio": ALL}))
        at = last.at
        c.execute(insert(t.bad_inputs).values(fingerprint="1", at=at, source="api", error="", payload="", count=1))
        c.execute(insert(t.health_events).values(at=at, source="api", healthy=False, detail=""))
        look_backs_store.keep(
            c, WALLET, name="", days=9, values={"below_min": "skip"}, at=at, by="", verdict="", why="",
            result=msgspec.to_builtins(ANSWER),
        )  # fmt: skip
        searches_store.keep(c, Wanted(), at=at, by="", found=SEARCHED)
        c.execute(
            insert(t.settings_audit).values(at=at, name="", portfolio="", leader="", old="", new="", by="somebody")
        )
        for table in t.metadata.sorted_tables:
            texts = [
                x
                for x in table.c
                if isinstance(x.type, (String, Text, Name, Hex, Code))
                and not x.primary_key
                and x.name not in KEPT.get(table.name, ())
            ]
            for column in texts:
                c.execute(update(table).values({column.name: ALL}))
            for column in (x for x in table.c if isinstance(x.type, JSON)):
                for row in list(c.execute(select(table))):
                    keys = [k == getattr(row, k.name) for k in table.primary_key]
                    c.execute(update(table).where(*keys).values({column.name: spoiled(getattr(row, column.name))}))


def spoiled(value: Any) -> Any:
    """JSON with hostile text in place of each text."""
    if isinstance(value, dict):
        return {k: spoiled(v) for k, v in value.items()}
    if isinstance(value, list):
        return [spoiled(v) for v in value]
    return ALL if isinstance(value, str) else value


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    table = routes()
    with rig(tmp_path_factory.mktemp("hostile"), admin_token=TOKEN, max_spread_bps=1200) as (stand, pilot):
        token, other = stand.market(question=ALL, fee_rate=0.04), stand.market(question=PAYLOADS["a tag"])
        stand.book(other, bids=[(0.20, 1000)], asks=[(0.60, 1000)])
        pilot.cli("leaders", "add", WALLET, "--label", "x")
        pilot.cli("settings", "set", "skip_keywords", '"><img/src=x/data-hacked/onerror=alert()>')
        pilot.start()
        pilot.cli("portfolio", "clone", "main", "second")
        until("both portfolios", lambda: pilot.logged("portfolio taken up"))
        stand.fill(token, "BUY", 100)
        stand.fill(other, "BUY", 100)
        pilot.fills(2)
        stand.fill(token, "SELL", 40, 0.49)
        pilot.fills(4)
        pilot.stop()
        database = create_engine(pilot.environment["DATABASE_URL"])
        spoil(database)
        yield Hostile(pilot, database, pilot.start_web(), table)
        database.dispose()


def visit(seen: Watched, path: str, after: str = "") -> None:
    """Open an address as somebody who was sent a link does; nothing of it may have become more than text."""
    page = seen.page
    answer = page.goto(seen.address + path)
    assert answer is not None
    assert answer.status < 500 or "/readyz" in path, path
    page.wait_for_function(DRAWN)
    if after:
        page.locator(after).first.click()
        page.locator("dialog").wait_for()
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    count, titled, elements = page.evaluate(FOUND)
    assert (count, titled, elements) == (0, False, []), path


def watched(browser: Browser, hostile: Hostile) -> tuple[Watched, list[str]]:
    """A window of a signed-in admin, and what a script that ran would leave."""
    seen = window(browser, hostile.address, token=TOKEN)
    ran: list[str] = []
    seen.page.add_init_script(WATCH)
    seen.page.on("dialog", lambda d: ran.append(d.message))
    seen.page.on("request", lambda r: ran.append(r.url) if "hacked" in r.url.split("?")[0].split("%")[0] else None)
    seen.page.on("console", lambda m: ran.append(m.text) if "Content Security Policy" in m.text else None)
    return seen, ran


def pages(hostile: Hostile) -> list[dict[str, Any]]:
    """Routes that a browser can be sent to and that answer with something that it draws, not with a file to keep."""
    drawn = [
        r
        for r in hostile.routes
        if "GET" in r["methods"] and not r["path"].startswith("/api/v1/") and not r["path"].endswith(".csv")
    ]
    assert {"/", "/leaders/{wallet:path}", "/trades", "/settings", "/login", "/parts/preview"} <= {
        r["path"] for r in drawn
    }
    return drawn


def answered(seen: Watched, path: str, query: dict[str, str]) -> str | None:
    """The page that an address answers with; ``None`` for data, such as that a parameter cannot be so."""
    answer = seen.page.request.get(f"{seen.address}{path}?{urllib.parse.urlencode(query)}", max_redirects=0)
    assert answer.status < 500 or "/readyz" in path, (path, query)
    return answer.text() if "html" in answer.headers.get("content-type", "") else None


def look(seen: Watched, path: str, query: dict[str, str]) -> None:
    """Visit an address if it answers with a page."""
    if answered(seen, path, query) is not None:
        visit(seen, f"{path}?{urllib.parse.urlencode(query)}" if query else path)


def look_at_each(seen: Watched, path: str, names: list[str], text: str) -> set[str]:
    """Give a page one parameter at a time, then all that it takes; the names of those whose text it shows."""
    answers = {name: found for name in names if (found := answered(seen, path, {name: text})) is not None}
    shown = {name for name, found in answers.items() if "hacked" in found}
    for name in sorted(shown):
        assert seen.page.evaluate(READ, answers[name]) == [], (path, name, text)
    if answers:
        look(seen, path, dict.fromkeys(answers, text))
    return shown


def test_no_parameter_of_any_route_runs_a_script(browser: Browser, hostile: Hostile) -> None:
    before = hostile.kept()
    seen, ran = watched(browser, hostile)
    everything = sorted({name for r in hostile.routes for name in r["query"]})
    assert {"leader", "q", "class", "portfolio", "sort", "next", "wallet", "state"} <= set(everything)
    told: set[tuple[str, str]] = set()
    for route in pages(hostile):
        for text in PAYLOADS.values():
            path = re.sub(r"\{\w+(:path)?\}", urllib.parse.quote(text, safe=""), route["path"])
            look(seen, path, dict.fromkeys(everything, text))
            if route["in_path"]:
                look(seen, path, {})
        path = re.sub(r"\{wallet(:path)?\}", WALLET, route["path"])
        for text in SHORT:
            told |= {(route["path"], name) for name in look_at_each(seen, path, route["query"], text)}
    assert {("/", "portfolio"), ("/trades", "q"), ("/positions", "q"), ("/orders", "q")} <= told
    assert ran == []
    assert hostile.kept() == before


def test_text_that_became_markup_is_found_in_an_answer(browser: Browser, hostile: Hostile) -> None:
    seen, _ = watched(browser, hostile)
    for text in (*PAYLOADS.values(), *SHORT):
        if "data-hacked" in text or "javascript:" in text:
            pages = (f"<p>{text}", f'<a href="{text}">', f"<a href='{text}'>", f"<a href={text}>", f"<!--{text}-->")
            assert any(seen.page.evaluate(READ, f"{page}<script>'{text}'</script>") for page in pages), text
    assert seen.page.evaluate(READ, '<p title="onload=1">&lt;img data-hacked&gt;</p>') == []


def test_no_route_that_answers_with_data_answers_with_a_page(browser: Browser, hostile: Hostile) -> None:
    seen, _ = watched(browser, hostile)
    for route in hostile.routes:
        if "GET" not in route["methods"] or not route["path"].startswith("/api/v1/") or "stream" in route["path"]:
            continue
        path = re.sub(r"\{\w+(:path)?\}", urllib.parse.quote(ALL.replace("/", ""), safe=""), route["path"])
        for query in ("", "?" + urllib.parse.urlencode(dict.fromkeys(route["query"], ALL))):
            answer = seen.page.request.get(seen.address + path + query)
            assert answer.headers["x-content-type-options"] == "nosniff", path
            assert "html" not in answer.headers["content-type"], path


def test_no_text_of_the_database_runs_a_script(browser: Browser, hostile: Hostile) -> None:
    before = hostile.kept()
    seen, ran = watched(browser, hostile)
    for name in ("main", "second", ALL):
        of = urllib.parse.urlencode({"portfolio": name})
        for path in ("/", "/leaders", f"/leaders/{WALLET}", "/trades", "/trades?by=fills", "/orders", "/positions",
                     "/portfolios", "/settings"):  # fmt: skip
            visit(seen, f"{path}{'&' if '?' in path else '?'}{of}")
    for path in (
        "/latency",
        "/discover",
        "/look-backs",
        f"/settings?leader={WALLET}",
        "/positions?status=closed",
        "/positions?status=all",
        "/login",
    ):
        visit(seen, path)
    visit(seen, "/trades", after="a[data-drawer]")
    visit(seen, "/", after=".feed a[data-drawer]")
    assert ALL[:20] in seen.page.locator("body").inner_text()
    with hostile.database.connect() as c:
        trades = list(c.execute(select(t.trades.c.id)).scalars())
        decisions = list(c.execute(select(t.decisions.c.id)).scalars())
        orders = list(c.execute(select(t.intents.c.id)).scalars())
    parts = [f"/parts/trade/{n}" for n in trades] + [f"/parts/decision/{n}" for n in decisions]
    parts += [f"/parts/order/{n}" for n in trades] + [f"/parts/our-order/{n}" for n in orders]
    for path in parts:
        visit(seen, path)
    visit(seen, "/parts/bad-inputs")
    visit(seen, "/api/docs")
    assert ran == []
    assert hostile.kept() == before


IN_ORDER = """(text) => {
  const nodes = document.createTreeWalker(document.querySelector('.finding'), NodeFilter.SHOW_TEXT);
  for (let node = nodes.nextNode(); node; node = nodes.nextNode()) {
    const begin = node.data.indexOf(text), range = document.createRange();
    if (begin < 0) continue;
    const places = [...text].map((_, n) => {
      range.setStart(node, begin + n); range.setEnd(node, begin + n + 1);
      return range.getBoundingClientRect();
    });
    return places.every((place, n) => !n || place.left >= places[n - 1].left || place.top > places[n - 1].top);
  }
}"""
"""Whether the letters of a part of the sentence stand from left to right."""


TURNING = {"all": ALL, "override": "\u202egnp.exe", "isolate": "\u2067a", "Hebrew": "שלום"}


@pytest.mark.parametrize("name", TURNING.values(), ids=TURNING)
def test_no_name_turns_the_figures_beside_it(browser: Browser, hostile: Hostile, name: str) -> None:
    with hostile.database.begin() as c:
        c.execute(update(t.leaders).where(t.leaders.c.wallet == WALLET).values(label=name))
    try:
        seen = window(browser, hostile.address)
        page = seen.open(f"/leaders/{WALLET}")
        page.locator(".finding", has_text="USDC on").wait_for()
        told = page.locator(".finding").inner_text()
        figures = re.findall(r": [+−]?[\d,.]+ USDC on [\d,.]+ paid", told)
        assert len(figures) == 1, told
        assert page.evaluate(IN_ORDER, figures[0])
    finally:
        with hostile.database.begin() as c:
            c.execute(update(t.leaders).where(t.leaders.c.wallet == WALLET).values(label=ALL))


def test_an_address_that_is_no_leaders_says_so_and_leads_back(browser: Browser, hostile: Hostile) -> None:
    page = browser.new_context().new_page()
    for wallet in ("0x" + "9" * 40, "nobody", '"><b data-hacked>x</b>', "0x" + "9" * 4000):
        answer = page.goto(f"{hostile.address}/leaders/{urllib.parse.quote(wallet, safe='')}")
        assert answer is not None
        assert answer.status == 404, wallet
        shown = page.locator("#main").inner_text()
        assert ("0x9999…9999 is not followed" in shown) == (len(wallet) == 42)
        assert "<b" not in shown
        page.get_by_role("link", name="All leaders").click()
        page.get_by_role("heading", name="Leaders", exact=True).wait_for()
