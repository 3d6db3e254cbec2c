"""Where packs and their files lie (names of st2common/content/utils.py)."""

import os

__all__ = [
    "get_system_packs_base_path",
    "get_packs_base_paths",
    "check_pack_directory_exists",
    "get_pack_base_path",
    "get_pack_directory",
    "get_pack_file_abs_path",
    "get_pack_resource_file_abs_path",
    "get_entry_point_abs_path",
]


def get_packs_base_paths():
    """The folders of packs, those that petrel was started with."""
    return [path for path in os.environ.get("PETREL_PACKS", "").split(":") if path] or ["/opt/stackstorm/packs"]


def get_system_packs_base_path():
    """The first of them."""
    return get_packs_base_paths()[0]


def get_pack_directory(pack_name):
    """The folder of a pack, or None."""
    for base in get_packs_base_paths():
        if os.path.basename(os.path.normpath(base)) == pack_name and os.path.isfile(os.path.join(base, "pack.yaml")):
            return base
        if os.path.isdir(os.path.join(base, pack_name)):
            return os.path.join(base, pack_name)
    return None


def check_pack_directory_exists(pack):
    """Whether there is such a folder."""
    return get_pack_directory(pack) is not None


def get_pack_base_path(pack_name, include_trailing_slash=False, use_pack_cache=False):
    """The folder of a pack, or where it would be."""
    path = get_pack_directory(pack_name) or os.path.join(get_system_packs_base_path(), pack_name)
    return path + "/" if include_trailing_slash and not path.endswith("/") else path


def get_pack_file_abs_path(pack_ref, file_path, resource_type=None, use_pack_cache=False):
    """A file of a pack; ValueError where the name leads out of it."""
    above = get_pack_base_path(pack_ref)
    if resource_type:
        above = os.path.join(above, resource_type if resource_type.endswith("s") else resource_type + "s")
    path = os.path.abspath(os.path.join(above, file_path))
    if not path.startswith(os.path.abspath(above) + os.sep):
        raise ValueError('Invalid file path: "%s" is outside of pack "%s".' % (file_path, pack_ref))
    return path


def get_pack_resource_file_abs_path(pack_ref, resource_type, file_path):
    """A file of a folder of a pack, such as its actions."""
    return get_pack_file_abs_path(pack_ref, file_path, resource_type=resource_type)


def get_entry_point_abs_path(pack=None, entry_point=None, use_pack_cache=False):
    """The program of an action, or None."""
    if not entry_point:
        return None
    return entry_point if os.path.isabs(entry_point) else get_pack_file_abs_path(pack, entry_point, "actions")
