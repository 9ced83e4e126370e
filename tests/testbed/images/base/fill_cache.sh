#!/bin/sh
# Has uv keep the packages of each line of a file: fill_cache.sh REQUIREMENTS_FILE WHEELS_FOLDER REQUIREMENT...
# Downloads wheels of the requirements after it, and of all that they need, into the folder meanwhile.
set -eu
requirements=$1 wheels=$2
shift 2

scratch=$(mktemp -d)
uv venv --quiet --seed "$scratch/pip"
"$scratch/pip/bin/python" -m pip download --quiet --no-cache-dir --dest "$wheels" "$@" &
download=$!
# One after the other, or uv's cache holds what they share several times. Hard links, for it is removed at once.
while read -r line; do
    uv venv --quiet --seed --clear "$scratch/environment"
    # shellcheck disable=SC2086 -- these are several requirements
    UV_LINK_MODE=hardlink uv pip install --quiet --python "$scratch/environment/bin/python" $line
done <"$requirements"
wait "$download"
rm -rf "$scratch"
