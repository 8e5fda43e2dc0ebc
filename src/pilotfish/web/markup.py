"""Small pieces of HTML. Everything that is not markup of ours goes through :func:`esc`: market titles and names are
other people's text."""

from __future__ import annotations

from html import escape

from pilotfish.core.units import MICRO


def esc(value: object) -> str:
    """Text as HTML text or attribute."""
    return escape(str(value), quote=True)


def money(micro: int, places: int = 2) -> str:
    """USDC with thousands separators, rounded for show."""
    return f"{micro / MICRO:,.{places}f}"


def signed(micro: int) -> str:
    """A gain or loss: sign, icon and colour, so that colour never stands alone."""
    if round(micro / MICRO, 2) == 0:
        return '<span class="flat">0.00</span>'
    kind, icon, sign = ("up", "▲", "+") if micro > 0 else ("down", "▼", "−")
    return f'<span class="{kind}"><i aria-hidden="true">{icon}</i> {sign}{money(abs(micro))}</span>'


def shares(micro: int) -> str:
    """Shares, as many digits as tell something."""
    value = micro / MICRO
    if 0 < value < 0.01:
        return "&lt;0.01"
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.2f}"


def price(value: float | None) -> str:
    """A price in USDC per share."""
    return "–" if value is None else f"{value:.4f}".rstrip("0").ljust(4, "0")


def ago(iso: str | None) -> str:
    """A time that the page keeps relative; the absolute one is on hover."""
    if not iso:
        return "–"
    return f'<time datetime="{esc(iso)}" title="{esc(iso[:19].replace("T", " "))} UTC" data-ago></time>'


def lag(ms: int | None) -> str:
    """A delay."""
    if ms is None:
        return "–"
    return f"{ms / 1000:.1f} s" if ms < 60_000 else f"{ms // 60_000} min"


def short(wallet: str) -> str:
    """A wallet, shortened."""
    return f"{wallet[:6]}…{wallet[-4:]}"
