"""Personal data with a shape: mail addresses, bank numbers, phones, network addresses, identity numbers.

Every pattern is followed by a check (a checksum, a number plan, a reserved range) or asks for a word beside it,
so that a build number is not taken for a card. Names and postal addresses have no shape and are not found
here. Offsets count characters of the text as given. The one set of recognisers of the house; pure `re`, knows
nothing about documents, models or policies.

find      spans of one text, or of many at once       finders   which kind is found by what
numbers   runs of digits, found in one pass           checksums Luhn, mod 97, base58, bech32, EIP-55
mail bank phone network identity wallet               one family of kinds each
"""

from tenfold.core.pii.checksums import iban_valid, luhn
from tenfold.core.pii.find import Span, find, find_many, redact, redact_counted
from tenfold.core.pii.finders import EVERY, KINDS

__all__ = [
    "EVERY",
    "KINDS",
    "Span",
    "find",
    "find_many",
    "iban_valid",
    "luhn",
    "redact",
    "redact_counted",
]
