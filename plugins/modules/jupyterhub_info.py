#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_info
short_description: Finds the JupyterHub of a host and describes it
version_added: 0.1.0
author:
  - The hubops.jupyterhub maintainers (@hubops)
description:
  - Finds the systemd unit or supervisord program that runs a hub, and from it the hub's environment,
    config, database, secrets, proxy, spawner and single-user environment.
  - The hub's config is loaded by the hub environment's own Python, as the service's user, in the service's
    directory and with the service's environment. Nothing is written, neither a cookie secret nor a database.
    Only O(scratch_database_url) and O(database_admin_url) are, outside of check mode, into a file of the
    state folder that its owner alone may read.
  - Names of environment variables are returned, never their values; a database URL's password is masked.
  - Takes less than half a second of its own, and at most one more to check a large database; loading the
    hub's code and config takes the hub's Python one to three seconds more.
notes:
  - A hub that runs as another user needs root, because its config can only be read as that user.
  - Only a supervisord that is running, and only one's own without root, is looked at.
extends_documentation_fragment:
  - hubops.jupyterhub.state_folder
  - hubops.jupyterhub.attributes.reads
options:
  service:
    description:
      - Name of the hub's service, V(jupyterhub) or V(jupyterhub.service) for a systemd unit, V(program) or
        V(group:program) for supervisord.
      - Needed only where there are several hubs, or where the unit starts a script that hides a stopped hub.
    type: str
  config_file:
    description: Config file to use in the place of the one the service names.
    type: path
  hub_environment:
    description: Path of the hub's Python environment, where it cannot be found or another one is meant.
    type: path
  user_environments:
    description:
      - Paths and globs of single-user environments besides the one of the spawner's command.
      - A glob takes only folders that have a C(bin/python).
      - C({username}) stands for the name of each user that the hub's database knows, as in
        V(/home/{username}/venv).
    type: list
    elements: str
    default: []
  database_path:
    description: Path of the hub's SQLite database, where the one of the config is not meant.
    type: path
  scratch_database_url:
    description:
      - URL of a database for copies of the hub's, where the hub's role may not make databases. It is
        emptied, and its name has C(scratch) in it.
      - It is of the same kind, on the hub's server or another one.
    type: str
    default: ""
  database_admin_url:
    description:
      - URL of a role that may make databases, on the hub's server; it makes and removes the one for copies.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Find the hub
  hubops.jupyterhub.jupyterhub_info:
  become: true
  register: found

- name: Say what runs
  ansible.builtin.debug:
    msg: "{{ found.deployment.name }} runs JupyterHub {{ found.deployment.hub_environment.jupyterhub }}"

- name: One of two hubs, with all environments that its users may choose from
  hubops.jupyterhub.jupyterhub_info:
    service: jupyterhub-teaching
    user_environments:
      - /opt/kernels/*
"""

RETURN = r"""
deployment:
  description: What runs on the host.
  returned: success
  type: dict
  contains:
    name:
      description: Name of the deployment, which is the service's without its manager's suffix or group.
      type: str
      sample: jupyterhub
    service:
      description: What the service manager knows, with state, user, directory and command.
      type: dict
      sample:
        manager: systemd
        name: jupyterhub.service
        state: running
        main_pid: 812
        user: root
        group: root
        home: /root
        working_directory: /srv/jupyterhub
        command: [/opt/jupyterhub/bin/jupyterhub, -f, /etc/jupyterhub/jupyterhub_config.py]
        path: /opt/jupyterhub/bin:/usr/bin:/bin
        environment_names: [HOME, LANG, PATH]
        environment_files: [/etc/default/jupyterhub]
        enabled: true
        unit_file: /etc/systemd/system/jupyterhub.service
        manager_files: []
        log_file: null
        needs_root: true
        sees_host: true
        obstacles: []
        defined_in: ""
        lost: []
        particulars: {kill_mode: control-group, restart: on-failure}
    config:
      description: What the hub's config means.
      type: dict
      sample:
        file: /etc/jupyterhub/jupyterhub_config.py
        files: [/etc/jupyterhub/jupyterhub_config.py]
        base_url: /
        bind_url: http://:8000
        hub_api_url: http://127.0.0.1:8081/hub/api
        public_url: http://127.0.0.1:8000/
        services:
          - name: idle-culler
            url: null
            managed: true
            running: true
            admin: false
            token: true
            culls: true
            oauth: false
            oauth_redirect: false
        roles: [{name: culler, scopes: ["list:users"], services: [idle-culler]}]
        options: {JupyterHub: [bind_url, services]}
        template_folders: []
        written: {c.ConfigurableHTTPProxy.pid_file: /srv/jupyterhub/jupyterhub-proxy.pid}
        cleanup_servers: true
        oauth_require_pkce: false
        tls: false
        internal_ssl: false
        certificate_problem: null
        shadowed: {}
        warnings: []
    database:
      description: The hub's database. Its C(problem) says why it cannot be read.
      type: dict
      sample:
        kind: sqlite
        url: sqlite:///jupyterhub.sqlite
        path: /srv/jupyterhub/jupyterhub.sqlite
        exists: true
        bytes: 184320
        revision: 0eee8c825d24
        journal_mode: delete
        rows: {users: 200, spawners: 200}
        file_system: ext4
        writable: {/srv/jupyterhub/jupyterhub.sqlite: true, /srv/jupyterhub: true}
        damage: null
        broken_references: {}
        revisions: 1
        ahead: []
        servers: 3
        server_names: []
        encrypted: 0
        problem: null
        server: null
        driver: ""
        copies_file: ""
    secrets:
      description: Where the hub's secrets come from, never what they are.
      type: dict
      sample:
        cookie_secret_file: {path: /srv/jupyterhub/jupyterhub_cookie_secret, exists: true, mode: "0600"}
        cookie_secret_source: file
        proxy_auth_token_source: generated
        crypt_key_source: none
        files: [/srv/jupyterhub/jupyterhub_cookie_secret]
    proxy:
      description:
        - The proxy's class, whether the hub starts it, and the program that it starts.
        - C(answers) is false where one that the hub does not start did not lead to it from C(public_url).
      type: dict
      sample:
        class_name: jupyterhub.proxy.ConfigurableHTTPProxy
        package: jupyterhub
        version: 4.1.6
        managed: true
        api_url: http://127.0.0.1:8001
        command: [configurable-http-proxy]
        answers: true
        program:
          path: /usr/local/bin/configurable-http-proxy
          kind: node
          version: 5.1.0
          node: /usr/bin/node
          node_version: 18.20.4
          engine: ">=18"
    spawner:
      description: The spawner's class and the single-user command.
      type: dict
      sample:
        class_name: jupyterhub.spawner.LocalProcessSpawner
        package: jupyterhub
        version: 4.1.6
        command: [/opt/jupyter/bin/jupyterhub-singleuser]
        local: true
        further_commands: []
        elsewhere: []
        images: null
    authenticator:
      description: The authenticator's class, and the names of the options that let people in.
      type: dict
      sample:
        class_name: oauthenticator.github.GitHubOAuthenticator
        package: oauthenticator
        version: 16.2.1
        bases: [oauthenticator.github.GitHubOAuthenticator, jupyterhub.auth.Authenticator]
        allow_rules: [allowed_organizations]
        admins: true
        decides_itself: true
        auth_state: false
    hub_environment:
      description: The Python environment that the hub runs in.
      type: dict
      sample:
        path: /opt/jupyterhub
        kind: venv
        python: /opt/jupyterhub/bin/python
        python_version: 3.11.2
        jupyterhub: 4.1.6
        packages: {jupyterhub: 4.1.6, sqlalchemy: 2.0.30}
    user_environments:
      description: The Python environments of single-user servers, without the hub's own.
      type: list
      elements: dict
      sample: []
seconds:
  description: How long it took.
  returned: always
  type: float
  sample: 1.9
"""

from typing import Any

from ansible_collections.hubops.jupyterhub.plugins.module_utils import arguments
from ansible_collections.hubops.jupyterhub.plugins.module_utils.databases.access import CopiesConfig
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.database import keep_copies_config
from ansible_collections.hubops.jupyterhub.plugins.module_utils.deployment.discovery import find_deployment
from ansible_collections.hubops.jupyterhub.plugins.module_utils.shapes import to_dict
from ansible_collections.hubops.jupyterhub.plugins.module_utils.system.state import state_folder


def found(params: dict[str, Any], check: bool) -> dict[str, Any]:
    """The deployment, as far as the arguments do not say what is meant."""
    urls = params["scratch_database_url"], params["database_admin_url"]
    copies = CopiesConfig(*urls) if any(urls) else None
    deployment = find_deployment(
        params["service"] or None,
        config_file=params["config_file"],
        hub_environment=params["hub_environment"],
        user_environments=params["user_environments"],
        database_path=params["database_path"],
        copies=copies,
        base=params["state_folder"],
    )
    if not check:
        keep_copies_config(state_folder(deployment.name, params["state_folder"]), copies)
    return {"changed": False, "deployment": to_dict(deployment)}


def main() -> None:
    """Arguments, call, result."""
    arguments.run(
        dict(
            service=dict(type="str"),
            config_file=dict(type="path"),
            hub_environment=dict(type="path"),
            user_environments=dict(type="list", elements="str", default=[]),
            database_path=dict(type="path"),
            scratch_database_url=dict(type="str", default="", no_log=True),
            database_admin_url=dict(type="str", default="", no_log=True),
            **arguments.STATE_FOLDER,
        ),
        found,
    )


if __name__ == "__main__":
    main()
