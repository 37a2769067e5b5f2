"""Personal data in records: found, counted, taken out, exchanged for stand-ins, and erased on request.

recognise    operators over batches: `PiiFind`, `PiiRedact`     texts        the texts of a batch
pseudonymise operator: `PiiPseudonymise`                        stand_ins    keyed, of the same format
subjects     operator: whom a record speaks of                  subject_key  the secret behind both
forms        one spelling for many
person       whom to erase: identifiers of a kind               traces       where they are in bytes
search       files, through what is packed                      rewriting    files without their records
segment      the same for Parquet                               certificate  what was done, signed

The recognisers themselves are the house's: `tenfold.core.pii`. Erasing JSON Lines, CSV and text needs no Arrow;
`tenfold.factory.erasing` does it for a whole store.
"""
