"""A stand-in venue on localhost: Data API v2 and v1, Gamma, CLOB books, Polygon JSON-RPC, over real sockets.

``market`` and ``chain`` are the venue's state, ``story`` the leaders' temperaments (seeded: same seed, same story),
``replay`` serves recorded payloads, ``server`` and the route modules speak the venue's language, ``controls`` are for
tests and the curious.
"""
