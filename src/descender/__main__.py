"""``python -m descender``: the command line without the installed script."""

from descender.cli import main

if __name__ == "__main__":
    main()
