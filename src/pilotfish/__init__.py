"""pilotfish follows chosen Polymarket wallets and copies their trades into paper portfolios.

``core`` decides, ``polymarket`` speaks to the venue, ``feeds`` turn services into events, ``store`` keeps,
``app`` runs it all, ``web`` and ``cli`` show it, ``sim`` is a stand-in venue on localhost.
"""

__version__ = "0.1.0"
