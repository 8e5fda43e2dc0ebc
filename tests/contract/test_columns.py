"""What exports call their columns, and in which order: scripts and spreadsheets rely on it."""

from __future__ import annotations

from pilotfish.store import exports, look_backs_store, searches_store
from pilotfish.store.database import snapshot
from pilotfish.store.searches_store import Wanted
from pilotfish.store.views.feed import FeedRow
from pilotfish.store.views.trades import DecisionOnTrade
from tests.desk import LEADER, START
from tests.found import FOUND
from tests.story import play

BECAME = (
    "state,partly,orphaned,our_shares_micro,our_usdc_micro,our_price,order_usdc_micro,order_shares_micro,intent_state,"
    "intent_reason,why"
)
COLUMNS = {
    "trades": "id,leader,tx_hash,token_id,condition_id,outcome,title,side,shares_micro,usdc_micro,price,fee_micro,"
    "occurrence,order_hash,role,exchange,block_number,log_index,traded_at,traded_at_estimated,first_source,"
    "first_seen_by_api_at,first_seen_by_polygon_at,api_lagged,is_backfill,class,leader_pre_sell_shares_micro,status",
    "decisions": "id,trade_id,adjustment_id,rule,portfolio,leader,token_id,side,action,reason,class,wanted_usdc_micro,"
    f"granted_usdc_micro,decided_at,trace,{BECAME}",
    "intents": "id,decision_id,trade_id,portfolio,leader,token_id,side,shares_micro,budget_micro,filled_shares_micro,"
    "limit_price,leader_price,state,reason,attempts,created_at,due_at",
    "fills": "id,intent_id,portfolio,leader,token_id,side,shares_micro,usdc_micro,price,fee_micro,leader_price,"
    "filled_at,levels,delay_cost_micro,spread_cost_micro,status",
    "positions": "portfolio,leader,token_id,condition_id,outcome,shares_micro,cost_micro,realized_pnl_micro,fees_micro,"
    "mark_price,unmarked_since,value_micro,unrealized_pnl_micro,status,opened_at,closed_at",
    "holdings": "leader,token_id,shares_micro,updated_at",
    "ledger": "id,portfolio,at,kind,amount_micro,leader,token_id,fill_id",
    "adjustments": "id,leader,token_id,before_micro,delta_micro,cause,tx_hash,at",
    "latency": "id,leader,tx_hash,traded_at,first_source,first_seen_by_api_at,first_seen_by_polygon_at,"
    "api_behind_polygon_ms,api_lagged,polygon_on",
    "report": "portfolio,leader,label,since,ideal_micro,actual_micro,difference_micro,parts,skipped_by_reason,"
    "clipped_by_cause,own_exits_by_cause,trades,copied,orders,orders_copied,fills,turnover_micro,open_positions,"
    "paid_micro,ideal_paid_micro,orders_passed_by_reason,sold_positions,verdict,tone",
    "equity": "portfolio,equity_micro,cash_micro,positions_value_micro,cost_micro,realized_pnl_micro,"
    "unrealized_pnl_micro,fees_micro,open_positions,peak_micro,drawdown_micro,unmarked_value_micro,at",
    "look_backs": "id,wallet,label,asked_at,by,days,state,stage,done,of,requests,error,verdict,why,started_at,"
    "finished_at,values,result,left_sec",
    "searches": "id,asked_at,by,source,categories,most,budget,days,state,stage,done,of,requests,left_sec,error,tested,"
    "copyable,why,started_at,finished_at,wallets,values,result",
    "searched_wallets": "search_id,place,wallet,name,verdict,why,edge_per_usdc,low,high,shrunk,p_value,q_value,events,"
    "trades,filled_share,result_micro,flags,incomplete,category",
}


def test_every_export_has_its_columns_in_their_order() -> None:
    database = play(3, minutes=3, deeds=25).database
    with database.begin() as c:
        look_backs_store.ask(c, LEADER, name="", days=90, values={}, at=START, by="test")
        searches_store.keep(c, Wanted(), at=START, by="test", found=FOUND)
    with snapshot(database) as c:
        found = {kind: next(exports.csv_lines(exports.rows(c, kind))).split("\r\n")[0] for kind in exports.KINDS}
    assert found == COLUMNS


def test_what_became_of_a_decision_comes_after_the_decision() -> None:
    """Rows that are made of both declare the decision's fields themselves."""
    for kind in (FeedRow, DecisionOnTrade):
        assert ",".join(kind.__struct_encode_fields__).endswith(f",{BECAME}")
        assert kind.__struct_encode_fields__[0] == "id"
