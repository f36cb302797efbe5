"""The entry point of `python -m functional_nn.cli`."""

import sys

from functional_nn.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
