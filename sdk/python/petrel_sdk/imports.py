"""What packs import and do not bring: `python3 imports.py < request > report`.

The request is one line of JSON, `{"packs": [folder], "offered": [name]}`; the report is one line,
`{folder: [names of the offered modules that the pack's sensors and actions import]}`. Nothing is imported.
"""

import ast
import json
import os
import sys
import warnings

#: What our own modules need behind them.
_BEHIND = {
    "st2common.runners.paramiko_ssh": "paramiko",
    "st2common.util.jinja": "jinja2",
    "st2common.util.monkey_patch": "eventlet",
}


def main():
    """Read the request, write the report."""
    request = json.loads(sys.stdin.readline())
    offered = set(request["offered"])
    sys.stdout.write(json.dumps({pack: sorted(wanted(pack) & offered) for pack in request["packs"]}) + "\n")


def wanted(pack):
    """The first names of all modules that the Python files of a pack import and that it does not have itself."""
    files = [path for folder in ("sensors", "actions", "lib") for path in python_files(os.path.join(pack, folder))]
    own = {os.path.splitext(os.path.basename(path))[0] for path in files}
    own |= {os.path.basename(os.path.dirname(path)) for path in files}
    return {name for path in files for name in imported(path)} - own


def python_files(folder):
    """Every `*.py` below a folder."""
    return [
        os.path.join(above, name) for above, _, names in os.walk(folder) for name in names if name.endswith(".py")
    ]


def imported(path):
    """First names of what a file imports, at its top or inside a function; none where it cannot be read."""
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(file.read(), path)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names |= {"%s.%s" % (node.module, alias.name) for alias in node.names}
    return {name.split(".")[0] for name in names} | {_BEHIND[name] for name in names & _BEHIND.keys()}


if __name__ == "__main__":
    main()
