#!/bin/sh
# Rung 0: every line that is a JSON object is an event.
while read -r one _ </proc/loadavg; do echo "{\"load\": $one}"; sleep 60; done
