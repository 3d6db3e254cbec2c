"""Words about packs."""

__all__ = ["MANIFEST_FILE_NAME", "SYSTEM_PACK_NAMES", "SYSTEM_PACK_NAME", "DEFAULT_PACK_NAME"]

MANIFEST_FILE_NAME = "pack.yaml"
SYSTEM_PACK_NAME = "core"
DEFAULT_PACK_NAME = "default"
SYSTEM_PACK_NAMES = ["chatops", "core", "linux", "packs"]
