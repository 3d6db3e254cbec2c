#!/bin/sh
# Becomes the program built from ../rust. Until that is built, to start it is useless: exit code 78.
program=$(dirname "$0")/../bin/memory_sensor
[ -x "$program" ] && exec "$program"
echo "E! $program is not there; sensors/memory.yaml says how to build it" >&2
exit 78
