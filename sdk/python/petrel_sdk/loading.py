"""Finding the pack's code: search path, module from a file, and the messages when something is wrong."""

import os
import sys


def pack_dir(file_path):
    """The pack's folder: the one above `sensors` or `actions`, else the parent of the file's folder."""
    folder = os.path.dirname(os.path.abspath(file_path))
    parts = folder.split(os.sep)
    for name in ("sensors", "actions"):
        if name in parts[1:]:
            return os.sep.join(parts[: len(parts) - 1 - parts[::-1].index(name)])
    return os.path.dirname(folder)


def prepare_path(file_path, first):
    """Put the folders `first` (those that exist) before everything, and the file's own folder last."""
    sdk = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    before = [folder for folder in first if os.path.isdir(folder)]
    rest = [entry for entry in sys.path if entry not in before and entry != sdk]
    sys.path[:] = before + [sdk] + rest
    own = os.path.dirname(os.path.abspath(file_path))
    if own not in sys.path:
        sys.path.append(own)


def load_module(file_path):
    """The module of a file, under the file's base name as StackStorm has it.

    A name that the standard library owns, or that is imported already, is not taken from its owner.
    """
    from importlib.machinery import ModuleSpec, SourceFileLoader

    name = os.path.splitext(os.path.basename(file_path))[0]
    loader = SourceFileLoader(name, os.path.abspath(file_path))
    module = type(sys)(name)
    module.__file__ = loader.path
    module.__loader__ = loader
    module.__spec__ = ModuleSpec(name, loader, origin=loader.path)
    if name not in sys.modules and name not in getattr(sys, "stdlib_module_names", ()):
        sys.modules[name] = module
    exec(loader.get_code(name), module.__dict__)
    return module


def own_frame(traceback, folder):
    """`(file, line)` of the innermost frame inside `folder`, else of the innermost frame, else None."""
    best = None
    inside = False
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if os.path.abspath(file).startswith(folder + os.sep) or not inside:
            inside = inside or os.path.abspath(file).startswith(folder + os.sep)
            best = (file, traceback.tb_lineno)
        traceback = traceback.tb_next
    return best


def describe(error, folder):
    """One line for an exception: its class, its text, and the pack's own line it came from."""
    text = "%s: %s" % (type(error).__name__, error) if str(error) else type(error).__name__
    frame = own_frame(error.__traceback__, folder)
    return "%s (%s:%d)" % (text, frame[0], frame[1]) if frame else text


def print_traceback(error):
    """The exception with its traceback on standard error, without importing anything."""
    sys.__excepthook__(type(error), error, error.__traceback__)


def nearest(name, candidates):
    """The candidate that looks most like `name`, or None."""
    import difflib

    found = difflib.get_close_matches(name, candidates, 1, 0.5)
    return found[0] if found else None
