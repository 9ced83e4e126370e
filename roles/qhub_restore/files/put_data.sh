# In a pod: unpacks the tar into the shared volume. Can be cut off and run again.
set -eu
cd "$1"
touch .hubops-restore
tar --extract --file "$2" --numeric-owner --same-owner --same-permissions
if [ "$3" = moved ]; then
  # From 0.4 on shared folders are beside the homes, and all of it belongs to one user.
  if [ -d home/shared ]; then
    mkdir -p shared
    cp -a home/shared/. shared/
    rm -rf home/shared
  fi
  for folder in home shared; do
    [ ! -d "$folder" ] || find "$folder" -mindepth 1 -exec chown --no-dereference 1000:100 {} +
  done
fi
sync
rm .hubops-restore
