"""Run the command line: ``python -m implicit_bias``."""

from .mnist.cli import main

if __name__ == "__main__":  # not in the workers that import this file again
    raise SystemExit(main())
