"""Personal data in records: found, counted, taken out, exchanged for stand-ins, and erased on request.

recognise    operators over Arrow batches: `PiiFind`, `PiiRedact`        stand_ins  keyed, of the same format
pseudonymise operator: `PiiPseudonymise`                                  subjects   operator: whom a record speaks of
subject_key  the secret behind stand-ins and subjects                     texts      the texts of a batch
person       whom to erase: identifiers, and how they are spelled         traces     where a person is in bytes
rewriting    files without a person's records                             certificate  what was done, signed

The recognisers themselves are the house's: `tenfold.core.pii`. Person, traces and certificate need no Arrow.
"""
