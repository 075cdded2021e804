"""Erasure requests from outside, whatever they are written in, as filings; one row at a time.

Each format is one small reader from bytes or a table to `Row`s, which all say the same fields;
`filings` makes them filings, or says why one cannot be. What always holds: one bad row never stops
the others, memory does not grow with the input, and a row that cannot be taken is reported by
number and reason, never by content, since that may hold a person's id.
"""

from expunge.requests.intake.files import FORMATS, Format, read_requests
from expunge.requests.intake.lines import LONGEST_LINE
from expunge.requests.intake.opendsr import CUSTOMER_ID
from expunge.requests.intake.rows import Defaults, Entry, Rejected
from expunge.requests.intake.table import TableSource, read_table

__all__ = [
    "CUSTOMER_ID",
    "FORMATS",
    "LONGEST_LINE",
    "Defaults",
    "Entry",
    "Format",
    "Rejected",
    "TableSource",
    "read_requests",
    "read_table",
]
