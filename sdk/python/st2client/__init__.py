"""StackStorm's client library, as far as the local API goes."""
