"""`python -m zerostart` is `zerostart`."""

import sys

if sys.argv[1:2] in (["model-server"], ["transform-worker"], ["evaluation-worker"]):
    from zerostart.cli.programs import main
else:
    from zerostart.cli.main import main

main()
