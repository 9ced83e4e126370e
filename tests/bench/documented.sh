# https://jupyterhub.readthedocs.io/en/stable/howto/upgrading.html, for both environments.
set -eu
version=$1
systemctl stop jupyterhub
cp -a /srv/jupyterhub/jupyterhub.sqlite /srv/jupyterhub/jupyterhub.sqlite.before
/opt/jupyterhub/bin/python -m pip install --quiet --upgrade "jupyterhub==$version"
/opt/user-env/bin/python -m pip install --quiet --upgrade "jupyterhub==$version"
cd /srv/jupyterhub
PATH="/opt/jupyterhub/bin:$PATH" jupyterhub upgrade-db -f /etc/jupyterhub/jupyterhub_config.py
systemctl start jupyterhub
