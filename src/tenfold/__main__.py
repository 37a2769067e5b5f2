"""`python -m tenfold`: the same as `tenfold`."""

import sys

from tenfold.cli.main import main

sys.exit(main())
