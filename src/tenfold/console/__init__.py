"""The web console and the report: what the factory looks like to people. Reads `tenfold.queries` only."""
