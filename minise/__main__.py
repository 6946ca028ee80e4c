"""`python -m minise`: the command line, which is a package of its own above the library."""

import sys
from importlib import import_module

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the current folder: its files are not for us to import
    try:
        main = import_module("minise_cli.main").main
    except ImportError as error:
        sys.exit(f"error: the command line cannot be imported ({error}), expected minise to be installed")
    main()
