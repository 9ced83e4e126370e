#!/bin/sh
# first_start.sh ENVIRONMENT CONFIG [DB_URL]
# Starts a hub for the first time, so that it makes its database and secrets, and fills it once it has stopped.
# Runs in the hub's working directory, as the hub's user and with the hub's environment variables.
set -eu
environment=$1 config=$2 db_url=${3:-sqlite:///jupyterhub.sqlite}

"$environment/bin/jupyterhub" -f "$config" > /tmp/first-start.log 2>&1 &
hub=$!
until curl --silent --fail --output /dev/null http://127.0.0.1:8000/hub/api; do
    kill -0 "$hub" || { cat /tmp/first-start.log; exit 1; }
    sleep 0.2
done
kill -TERM "$hub"
wait "$hub" || true
"$environment/bin/python" /usr/local/share/testbed/seed.py "$db_url"
rm /tmp/first-start.log
