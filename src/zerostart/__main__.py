"""`python -m zerostart` is `zerostart`."""

import sys

if sys.argv[1:2] == ["model-server"] and "--exit-with-parent" in sys.argv:
    from zerostart.cli.instance import main
elif sys.argv[1:2] in (["transform-worker"], ["evaluation-worker"]):
    from zerostart.cli.programs import main
else:
    from zerostart.cli.main import main

main()
