# In a pod, beside no hub: gives the hub the restored database, and keeps the one it has had. Can be cut off and run again.
set -eu
database=$1 backup=$2
kept=$database.before-restore
if [ ! -e "$database" ] && [ ! -e "$kept" ]; then
  echo "There is no $database in the claim of the hub: look at qhub_new_hub_claim and qhub_database." >&2
  exit 1
fi
if [ ! -e "$kept" ]; then
  for end in -wal -shm -journal ""; do
    [ ! -e "$database$end" ] || cp -a "$database$end" "$kept$end"
  done
fi
cp "$backup" "$database.restored"
chown --reference="$kept" "$database.restored"
chmod --reference="$kept" "$database.restored"
rm -f "$database-wal" "$database-shm" "$database-journal"
sync
mv "$database.restored" "$database"
sync
