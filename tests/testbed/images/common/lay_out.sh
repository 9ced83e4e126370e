#!/bin/sh
# Puts the hub's config where it belongs: lay_out.sh CONFIG_FOLDER USER_ENVIRONMENT SPAWNER START_PAGE [DB_URL]
set -eu
folder=$1 user_environment=$2 spawner=$3 start_page=$4 db_url=${5:-sqlite:///jupyterhub.sqlite}

mkdir -p "$folder"
sed -e "s|@config_folder@|$folder|" -e "s|@user_environment@|$user_environment|" -e "s|@spawner@|$spawner|" \
    -e "s|@start_page@|$start_page|" -e "s|@db_url@|$db_url|" \
    /usr/local/share/testbed/jupyterhub_config.py > "$folder/jupyterhub_config.py"
cp /usr/local/share/testbed/roles.py "$folder/roles.py"
install -m 0600 /usr/local/share/testbed/environment "$folder/environment"
