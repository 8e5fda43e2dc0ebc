"""The dashboard and REST: a process of its own that reads the database and never touches the engine.

``pages`` are routes and what they show, ``templates`` how that looks, ``static`` what browsers load; ``render`` and
``view`` are what all pages share, ``api`` and ``api_writes`` are REST.
"""
