"""``python -m descender.cli``: the command line without the installed script."""

from descender.cli import main

main()
