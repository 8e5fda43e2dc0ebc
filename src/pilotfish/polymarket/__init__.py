"""The venue's services as clients: addresses, schemas, decoding. No rules, no state beyond a connection.

Facts and their sources are in the project's protocol notes; every payload is decoded tolerantly and fails clearly.
"""
