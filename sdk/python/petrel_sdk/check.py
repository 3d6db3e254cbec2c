"""Finds what is wrong with pack files without importing them: `python3 check.py < request > report`.

The request is one line of JSON, `{"files": [{"path", "class_name", "kind": "sensor" | "action"}]}`; the report
is one line, a list of `{"path", "line", "column", "message", "hint", "text"}` with lines and columns from 1.
"""

import ast
import json
import re
import sys
import warnings


def main():
    """Read the request, write the report."""
    request = json.loads(sys.stdin.readline())
    found = [fault for entry in request["files"] for fault in check(**entry)]
    sys.stdout.write(json.dumps(found) + "\n")


def check(path, class_name=None, kind="sensor"):
    """The faults of one file, none if it is well."""
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        return [_fault(path, message=error.strerror or str(error), hint="entry_point names a file that is not there")]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source, path)
            compile(tree, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        return [_syntax_fault(path, source, error)]
    except (ValueError, RecursionError, MemoryError) as error:
        return [_fault(path, message=str(error) or type(error).__name__)]
    faults = _sensor_faults(tree, class_name) if kind == "sensor" else _action_faults(tree)
    return [_located(path, source, node, message, hint) for node, message, hint in faults]


def _sensor_faults(tree, class_name):
    if class_name is None or class_name in _bound_names(tree) or _has_star_import(tree):
        return []
    classes = [node.name for node in _classes(tree)]
    near = _nearest(class_name, classes)
    near = near or (classes[0] if len(classes) == 1 else None)
    listed = "the file defines: " + ", ".join(classes) if classes else "the file defines no class"
    return [
        (
            next((node for node in _classes(tree) if node.name == near), None),
            'no class named "%s" in this file' % class_name,
            'did you mean class_name: %s?' % near if near else listed,
        )
    ]


def _action_faults(tree):
    """An action's class is one that the file defines and that has `run`, inherited or its own."""
    classes = list(_classes(tree))
    if any(_may_have_run(node, classes) for node in classes):
        return []
    if classes:
        return [(classes[0], "class %s has no run() method" % classes[0].name, "define run(self, ...) in it")]
    return [(None, "no action class in this file", "derive one from st2common.runners.base_action.Action")]


def _may_have_run(node, classes, seen=()):
    if node in seen:
        return False
    if any("run" in _targets(statement) for statement in node.body):
        return True
    own = {other.name: other for other in classes}
    for base in node.bases:
        name = base.id if isinstance(base, ast.Name) else None
        if name in own:
            if _may_have_run(own[name], classes, seen + (node,)):
                return True
        # What another file defines may have run(); StackStorm's own base class and object do not.
        elif name not in ("Action", "object") and getattr(base, "attr", None) != "Action":
            return True
    return False


def _classes(tree):
    return (node for node in _top_level(tree) if isinstance(node, ast.ClassDef))


def _top_level(tree):
    """Statements that run at import: those of the module, and those inside its `if`, `try` and `with`."""
    found = []
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        found.append(node)
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            waiting += _inner(node)
    return found


def _inner(node):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, ast.ExceptHandler):
            yield from child.body


def _bound_names(tree):
    return {name for node in _top_level(tree) for name in _targets(node)}


def _targets(node):
    """The names that a statement binds."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    return [name.id for target in targets if target for name in ast.walk(target) if isinstance(name, ast.Name)]


def _has_star_import(tree):
    return any(alias.name == "*" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names)


def _nearest(name, candidates):
    import difflib

    found = difflib.get_close_matches(name, candidates, 1, 0.5)
    return found[0] if found else None


def _syntax_fault(path, source, error):
    line = error.lineno or 1
    text = (error.text or _line(source, line)).rstrip("\r\n")
    column = max(1, error.offset or 1)
    hint = None
    if error.msg.startswith("positional argument follows keyword argument"):
        column, hint = _unnamed_argument(text, column)
    elif error.msg.startswith("Missing parentheses in call to"):
        hint = "the file is written for Python 2"
    return _fault(path, line, column, error.msg, hint, text)


def _unnamed_argument(text, column):
    """Where the argument without a name begins: CPython's place differs from version to version."""
    before = re.search(r"\w+$", text[: column - 1])
    column = before.start() + 1 if before else column
    name = re.match(r"\w+", text[column - 1 :])
    hint = "give it a name too: %s=%s" % (name.group(), name.group()) if name else "give it a name too"
    return column, hint


def _located(path, source, node, message, hint):
    if node is None:
        return _fault(path, message=message, hint=hint, text=_line(source, 1))
    return _fault(path, node.lineno, node.col_offset + 1, message, hint, _line(source, node.lineno))


def _line(source, number):
    lines = source.decode("utf-8", "replace").splitlines()
    return lines[number - 1] if 0 < number <= len(lines) else ""


def _fault(path, line=1, column=1, message="", hint=None, text=""):
    return {"path": path, "line": line, "column": column, "message": message, "hint": hint, "text": text}


if __name__ == "__main__":
    main()
