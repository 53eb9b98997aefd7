"""`python -m cri_shim`, and the `cri-shim` command."""

from __future__ import annotations

from cri_shim.cli import main

if __name__ == "__main__":
    main()
