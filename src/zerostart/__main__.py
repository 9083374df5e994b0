"""`python -m zerostart` is `zerostart`."""

from zerostart.cli.main import main

main()
