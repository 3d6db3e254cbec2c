"""StackStorm's package of this name, as far as packs import it."""
