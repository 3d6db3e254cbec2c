"""Services that packs name."""
