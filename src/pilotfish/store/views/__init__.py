"""What people read of the database, cut by subject: typed rows, and the questions that find them.

Pages, REST, commands and exports all take their rows from here. A row's fields are what REST, exports and ``--json``
call them, in this order. Amounts in millionths end in ``_micro``, times are ISO 8601 UTC with microseconds, prices are
decimals.
"""
