# Makes the database jupyterhub of the role hub, with the password of the variable PASSWORD, and serves it.
set -eu
as_postgres() {
    setpriv --reuid postgres --regid postgres --clear-groups "$@"
}
install -d -o postgres -g postgres -m 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    as_postgres initdb --auth-host scram-sha-256 --auth-local trust >/dev/null
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    # One statement to a line.
    as_postgres postgres --single postgres <<END
CREATE ROLE hub LOGIN PASSWORD '$PASSWORD'
CREATE DATABASE jupyterhub OWNER hub
END
fi
exec setpriv --reuid postgres --regid postgres --clear-groups postgres -c 'listen_addresses=*' -k /tmp
