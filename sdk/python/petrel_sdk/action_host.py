"""The life of one Python action: read the order, load the class, run it, write the result.

What counts as the action's class, how it is constructed and what its return value means is StackStorm's
(contrib/runners/python_runner); the result goes to a file, so that what the action prints is its own.
"""

import os
import sys

from petrel_sdk import loading, process, protocol
from petrel_sdk.action_service import ActionService
from petrel_sdk.pack_config import PackConfigDict

#: The exit code of StackStorm's runner for a status that is not a boolean.
BAD_STATUS = 220
_READ_BYTES = 65536


class Failed(Exception):
    """The action cannot be run; the text is for the user."""


def run(args):
    """Run the action that the arguments and one line on standard input describe; the exit code."""
    try:
        order = read_order()
        action = _instance(args, order)
        return write_result(action.run(**(order.get("parameters") or {})))
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    except SystemExit as error:
        return process.exit_code(error)
    except BaseException as error:
        loading.print_traceback(error)
        return 1


def read_order():
    """The JSON object on the first line of standard input, which reads nothing afterwards."""
    data = b""
    while b"\n" not in data:
        chunk = os.read(0, _READ_BYTES)
        if not chunk:
            break
        data += chunk
    process.empty_stdin()
    order = protocol.decode(data.partition(b"\n")[0])
    if order is None:
        raise Failed('expected one line of JSON on standard input, as {"parameters": {}, "config": {}}')
    return order


def write_result(output):
    """Write what `run` returned to the file that PETREL_RESULT_FILE names; the exit code."""
    status, result = output if isinstance(output, tuple) and len(output) == 2 else (None, output)
    if status is not None and not isinstance(status, bool):
        print(
            "Status returned from the action run() method must either be True or False, got: %s\n"
            "A tuple of two means (succeeded, result); return a list, or (True, (first, second))." % (status,),
            file=sys.stderr,
        )
        return BAD_STATUS
    text = _result_json(status, result)
    path = os.environ.get("PETREL_RESULT_FILE")
    if not path:
        print(text)
        return 0
    with open(path + ".tmp", "w", encoding="utf-8", errors="replace") as file:
        file.write(text + "\n")
    os.replace(path + ".tmp", path)
    return 0


def _result_json(status, result):
    try:
        return protocol.to_json({"status": status, "result": result})
    except (ValueError, RecursionError):
        return protocol.to_json({"status": status, "result": str(result)})


def _instance(args, order):
    action_class = _action_class(args.file_path)
    execution_id = order.get("execution_id")
    user = args.user or (order.get("context") or {}).get("user")
    service = ActionService(args.pack, action_class.__name__, execution_id, user)
    config = order.get("config") or {}
    if args.log_level:
        from petrel_sdk import action_logs

        action_logs.set_level(args.log_level)
    return _construct(action_class, config, service)


def _construct(action_class, config, service):
    if action_class.__init__ is object.__init__:
        action = action_class()
        action.config, action.action_service = PackConfigDict(service.pack, config), service
        return action
    try:
        return action_class(config=config, action_service=service)
    except TypeError as error:
        if "'action_service'" not in str(error):
            raise
    action = action_class(config=config)
    action.action_service = service
    if isinstance(getattr(action, "config", None), PackConfigDict):
        action.config = PackConfigDict(service.pack, action.config)
    return action


def _action_class(path):
    """The first class, by name, that the file itself defines and that has `run`."""
    if not os.path.isfile(path):
        raise Failed('File "%s" has no action class or the file doesn\'t exist.' % path)
    folder = loading.pack_dir(path)
    loading.prepare_path(path, [os.path.join(folder, "lib"), os.path.join(folder, "actions", "lib")])
    module = loading.load_module(path)
    for _, found in sorted(vars(module).items()):
        if isinstance(found, type) and found.__module__ == module.__name__ and callable(getattr(found, "run", None)):
            return found
    raise Failed('File "%s" has no action class or the file doesn\'t exist.' % path)
