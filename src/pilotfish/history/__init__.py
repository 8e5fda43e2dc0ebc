"""What happened before: pulls of wallets, of the tapes and prices of their markets, and what is known to be missing.

``records`` are the rows, ``folder`` keeps them as Parquet, ``pull`` fetches what is not there yet.
"""
