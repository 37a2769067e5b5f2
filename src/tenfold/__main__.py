"""`python -m tenfold`: the same as `tenfold`."""

from tenfold.cli.main import main

main()
