# On this host: gives copies that are whole their names, in the place of older ones. While some have theirs and others not,
# the file INCOMPLETE says so. Can be cut off, and run again with new copies.
set -eu
cd "$1"
shift
sync
: >INCOMPLETE
for name in "$@"; do
  mv "$name.part" "$name"
done
sync
rm INCOMPLETE
