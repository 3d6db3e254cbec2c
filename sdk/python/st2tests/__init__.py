"""StackStorm's base classes for the tests of packs."""
