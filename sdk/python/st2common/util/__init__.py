"""StackStorm's helpers that packs import."""
