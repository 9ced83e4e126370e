# Before the outage: a copy of each environment, in which the target is installed, with scripts for its later place.
set -eu
version=$1
for environment in /opt/jupyterhub /opt/user-env; do
    cp -a "$environment" "$environment.new"
    uv pip install --quiet --compile-bytecode --python "$environment.new/bin/python" "jupyterhub==$version"
    grep -lrZ --binary-files=without-match "^#!$environment.new/" "$environment.new/bin" |
        xargs -0 sed -i "1s|$environment.new/|$environment/|"
done
