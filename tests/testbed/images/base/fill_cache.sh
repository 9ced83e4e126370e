#!/bin/sh
# Has uv keep the packages of each line of a file: fill_cache.sh REQUIREMENTS_FILE WHEELS_FOLDER REQUIREMENT
# Downloads wheels of the one requirement, and of all that it needs, into the folder meanwhile.
set -eu
requirements=$1 wheels=$2 target=$3

scratch=$(mktemp -d)
uv venv --quiet --seed "$scratch/pip"
"$scratch/pip/bin/python" -m pip download --quiet --no-cache-dir --dest "$wheels" "$target" &
download=$!
# A line is one installation; hard links, for what is installed is removed at once.
grep -n . "$requirements" | xargs --max-procs 4 --delimiter '\n' --max-args 1 sh -euc '
    environment=$0/${1%%:*}
    uv venv --quiet --seed "$environment"
    UV_LINK_MODE=hardlink uv pip install --quiet --python "$environment/bin/python" ${1#*:}
' "$scratch"
wait "$download"
rm -rf "$scratch"
