"""`python -m kcore`; see `kcore.cli`."""

from __future__ import annotations

import sys

from kcore.cli import main

if __name__ == "__main__":
    sys.exit(main())
