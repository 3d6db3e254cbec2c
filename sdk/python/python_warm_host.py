"""Waits with Python ready and forks an action whenever one is wanted: `python_warm_host.py SOCKET`.

What it may be asked, and by whom: petrel_sdk/warm_host.py.
"""

import sys


def main(argv):
    """Serve until there is nothing more to do; the exit code."""
    from petrel_sdk import warm_host

    if len(argv) != 1:
        print("usage: python_warm_host.py SOCKET", file=sys.stderr)
        return 2
    return warm_host.main(argv[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
