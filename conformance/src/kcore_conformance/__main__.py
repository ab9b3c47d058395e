"""`python -m kcore_conformance`."""

import sys

from kcore_conformance.cli import main

sys.exit(main())
