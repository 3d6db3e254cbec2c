"""Runs one Python action: `python_action_wrapper.py --pack=P --file-path=F [--user=] [--parent-args=] [--log-level=]`.

The order comes as one line of JSON on standard input: `parameters`, `config`, `action`, `execution_id` and
`context`. Nothing of it is ever in the arguments. The result goes to the file that PETREL_RESULT_FILE names.
"""

import sys

USAGE = (
    "usage: python_action_wrapper.py --pack PACK --file-path FILE_PATH\n"
    "                                [--user USER] [--parent-args JSON_LIST] [--log-level LEVEL] < order.json"
)


def main(argv):
    """Parse the arguments, run the action, end the process with its code."""
    from petrel_sdk.arguments import Arguments

    try:
        args = Arguments(argv, ("pack", "file-path"), ("user", "parent-args", "log-level"))
    except ValueError as error:
        print("%s\npython_action_wrapper.py: error: %s" % (USAGE, error), file=sys.stderr)
        return 2
    from petrel_sdk import action_host, process

    return process.end(action_host.run(args))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
