"""Tables: cells in one form, what a column is, and rules that tables keep.

`normalise` reads what people write (numbers, units, dates, money, truth) column by column; `profile`, `draft`
and `check` say what a table is and whether another one still is. Knows neither files nor the hub.
"""
