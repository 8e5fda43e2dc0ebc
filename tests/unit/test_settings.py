"""Settings: one declaration, one order of precedence, errors that say what would do."""

from __future__ import annotations

import itertools

import pytest

from pilotfish.app.config import ConfigError, env_example, environment
from pilotfish.app.modes import effective_mode
from pilotfish.core import settings as s
from pilotfish.core.settings import Origin, SettingError
from tests.conftest import PROJECT


def test_names_and_defaults_that_others_rely_on() -> None:
    fixed = {
        "TRIGGER_MODE": "both", "STARTUP_MODE": "flat", "WARM_START_SECONDS": 900, "POLL_INTERVAL_MS": 5000,
        "LEADER_STAGGER_MS": 500, "API_LAG_FALLBACK_MS": 3000, "MAX_LIVE_LAG_SEC": 15,
        "CATCHUP_BUY_MAX_AGE_SEC": 300, "CATCHUP_BUY_REQUIRE_BETTER": True, "CATCHUP_BUY_MAX_WORSE_BPS": 20,
        "STRICT_BOTH": False, "SIMULATE_API_LAG": False, "WEB_HOST": "127.0.0.1", "WEB_PORT": 8080,
        "BUY_MAX_SLIPPAGE_BPS": 300, "SELL_MAX_SLIPPAGE_BPS": 500, "MAX_SPREAD_BPS": 1000, "ORDER_LATENCY_MS": 300,
        "SIZING_MODE": "fixed_usdc", "FIXED_USDC": 25_000_000, "PER_TRADE_CAP_USDC": 250_000_000,
        "PER_MARKET_CAP_USDC": 1_000_000_000, "DAILY_CAP_USDC": 0, "BANKROLL": 10_000_000_000,
    }  # fmt: skip
    declared = {x.env_name: x.default for x in s.ALL}
    assert {name: declared[name] for name in fixed} == fixed
    needed = {"DATABASE_URL", "GAMMA_API_URL", "CLOB_HTTP_URL", "CLOB_MARKET_WS_URL", "DATA_API_URL", "POLYGON_WS_URL",
              "POLYGON_HTTP_URL", "ADMIN_TOKEN", "VIEW_TOKEN", "LOG_LEVEL", "LOG_FORMAT"}  # fmt: skip
    assert needed <= set(declared)


@pytest.mark.parametrize(("env", "db"), list(itertools.product([None, "api", "polygon", "both"], repeat=2)))
def test_the_effective_mode_in_all_combinations(env: str | None, db: str | None) -> None:
    mode = effective_mode(
        {"trigger_mode": env} if env else {},
        {"trigger_mode": db} if db else {},
    )
    assert mode.effective == (db or env or "both")
    assert mode.source is (Origin.DASHBOARD if db else Origin.ENVIRONMENT if env else Origin.DEFAULT)
    assert mode.log_fields() == {
        "envTriggerMode": env,
        "dbTriggerMode": db,
        "effectiveTriggerMode": mode.effective,
        "source": mode.source.value,
    }


def test_a_portfolio_beats_the_dashboard_beats_the_environment_beats_the_default() -> None:
    setting = s.find("fixed_usdc")
    layers = [{"fixed_usdc": n} for n in (1, 2, 3)]
    result = s.resolve(setting, *layers)
    assert (result.value, result.source) == (3, Origin.PORTFOLIO)
    assert result.overrides == ((Origin.ENVIRONMENT, 1), (Origin.DASHBOARD, 2))


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("fixed_usdc", "12.5", 12_500_000),
        ("fixed_usdc", 12.5, 12_500_000),
        ("TRIGGER_MODE", " Polygon ", "polygon"),
        ("catchup_buy_max_age_sec", "60", 60),
        ("strict_both", "on", True),
        ("strict_both", False, False),
        ("leader_ratio", "0.015", 15_000),
    ],
)
def test_values_as_people_write_them(name: str, given: object, value: object) -> None:
    assert s.parse(s.find(name), given) == value


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("trigger_mode", "chain", "expected one of api, polygon, both"),
        ("fixed_usdc", "0.5", "must be between 1 and 1000000 USDC"),
        ("fixed_usdc", "lots", "expected a number"),
        ("fixed_usdc", 1e30, "must be between 1 and 1000000 USDC"),
        ("fixed_usdc", -(10**40), "must be between 1 and 1000000 USDC"),
        ("poll_interval_ms", "9" * 30, "must be between"),
        ("fixed_usdc", float("inf"), "expected a number"),
        ("fixed_usdc", "٢٥", "expected a number"),
        ("poll_interval_ms", "1.5", "expected a whole number"),
        ("poll_interval_ms", True, "expected a number"),
        ("paused", "maybe", "expected true or false"),
        ("data_api_url", "a\nb", "one line"),
    ],
)
def test_a_value_that_is_not_acceptable_says_what_would_be(name: str, given: object, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        s.parse(s.find(name), given)


def test_an_unknown_name_suggests_a_known_one() -> None:
    with pytest.raises(SettingError, match="did you mean fixed_usdc"):
        s.find("fixed")


def test_every_default_is_acceptable_and_survives_its_text() -> None:
    for setting in s.ALL:
        assert s.parse(setting, s.text_of(setting, setting.default)) == setting.default, setting.name
        assert setting.help.endswith("."), setting.name


def test_a_wrong_environment_names_the_variable() -> None:
    with pytest.raises(ConfigError, match="environment variable CATCHUP_BUY_MAX_AGE_SEC = 'x': expected a number"):
        environment({"CATCHUP_BUY_MAX_AGE_SEC": "x"})
    assert environment({"POLL_INTERVAL_MS": "", "FIXED_USDC": "30"}) == {"fixed_usdc": 30_000_000}


def test_the_example_environment_is_made_from_the_declaration() -> None:
    assert (PROJECT / ".env.example").read_text() == env_example()
