"""Would copying have paid: history as events for the engine that runs live, tiers of execution, statistics, verdicts.

``source`` makes events of history, ``quotes`` answers for order books, ``run`` plays them through an engine, ``bets``
are what is judged, ``statistics`` and ``judgement`` give the answer.
"""
