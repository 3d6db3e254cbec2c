#!/bin/sh
# Rung 1: messages name their trigger type, and log records have a level. Nobody answers.
path=/
say() { echo "{\"jsonrpc\":\"2.0\",\"method\":\"$1\",\"params\":$2}"; }

say status "{\"text\":\"watching $path\"}"
while :; do
  used=$(df -P "$path" | awk 'NR == 2 { print int($5) }')
  if [ -n "$used" ]; then
    say dispatch "{\"trigger\":\"examples.disk_usage\",\"payload\":{\"path\":\"$path\",\"used\":$used}}"
  else
    say log "{\"level\":\"warning\",\"message\":\"df says nothing about $path\"}"
  fi
  sleep 60
done
