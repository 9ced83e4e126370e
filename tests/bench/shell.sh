# The shortest outage that a shell gives: all packages are installed already, beside the old ones.
set -eu
systemctl stop jupyterhub
cp -a /srv/jupyterhub/jupyterhub.sqlite /srv/jupyterhub/jupyterhub.sqlite.before
for environment in /opt/jupyterhub /opt/user-env; do
    mv "$environment" "$environment.before"
    mv "$environment.new" "$environment"
done
cd /srv/jupyterhub
PATH="/opt/jupyterhub/bin:$PATH" jupyterhub upgrade-db -f /etc/jupyterhub/jupyterhub_config.py
systemctl start jupyterhub
