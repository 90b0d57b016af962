"""Fields: the one catalogue of everything a condition or an output can name.

One module a class of fields; `catalogue.py` finds them by text. An entry holds all that is known
of a field: type, argument, print format, flags, description, cost and how it is read.
Source: rule-language.md sections 4 to 6; state-tracking.md sections 5 to 10 and 13.
"""
