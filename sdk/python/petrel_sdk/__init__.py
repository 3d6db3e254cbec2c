"""The Python SDK of Petrel: a host that runs StackStorm sensors and actions over the sensor protocol.

The names that packs import (`st2reactor`, `st2common`, `st2actions`) lie beside this package and are thin
layers over it. Nothing outside the standard library is used, and nothing is imported before it is needed:
a sensor's memory is its own, not the host's.
"""

__version__ = "0.1.0"
