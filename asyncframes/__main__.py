"""``python -m asyncframes``."""

import sys

from asyncframes.cli import main

sys.exit(main())
