"""Runs one StackStorm sensor: `sensor_wrapper.py --pack=P --file-path=F --class-name=C [...]`.

The arguments are those of StackStorm's wrapper, so that `ps` shows what its users know. The sensor protocol
is spoken on standard input and output.
"""

import sys

USAGE = (
    "usage: sensor_wrapper.py --pack PACK --file-path FILE_PATH --class-name CLASS_NAME\n"
    "                         [--trigger-type-refs REFS] [--parent-args JSON_LIST] [--poll-interval SECONDS]\n"
    "                         [--check]"
)


def main(argv):
    """Parse the arguments, run the sensor or only load it, end the process with its code."""
    check = "--check" in argv
    try:
        args = parse([arg for arg in argv if arg != "--check"])
    except ValueError as error:
        print("%s\nsensor_wrapper.py: error: %s" % (USAGE, error), file=sys.stderr)
        return 2
    import faulthandler
    import _signal

    from petrel_sdk import process, sensor_host

    # Where it hangs: at the host's wish, and at a crash of the interpreter.
    faulthandler.enable(2)
    faulthandler.register(_signal.SIGUSR1, 2)
    # Before anything of the pack is imported: what it prints must not reach the conversation.
    read_fd, write_fd = process.take_pipes()
    host = sensor_host.SensorHost(args, read_fd, write_fd)
    return process.end(host.check() if check else host.run())


def parse(argv):
    """The arguments as an object; ValueError with the text for the user."""
    from petrel_sdk.arguments import Arguments, number

    args = Arguments(
        argv,
        required=("pack", "file-path", "class-name"),
        optional=("trigger-type-refs", "parent-args", "poll-interval"),
    )
    args.trigger_type_refs = [ref for ref in (args.trigger_type_refs or "").split(",") if ref]
    args.poll_interval = number("poll-interval", args.poll_interval)
    args.parent_args = _json_list("parent-args", args.parent_args or "[]")
    return args


def _json_list(name, text):
    import json

    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, list):
        raise ValueError("argument --%s: not a JSON list: %s" % (name, text))
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
