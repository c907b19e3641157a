"""`python -m implicitloss` is the command `implicitloss`."""

from __future__ import annotations

import sys

from implicitloss.cli import main

sys.exit(main())
