"""Runs inside the staged hub environment, handed over as text: the new hub on a copy, kept apart.

It reads one line of JSON from standard input, then is the hub that the service's own command would start,
with the service's own config. After that config, and whatever it says, come the settings of `Aside`: ports
of its own, the copy of the database, a proxy and a spawner of its own, no service that acts, no file of the
hub's that is written. The request:

    script, arguments      the hub's part of the service's command
    folder, db_url         the rehearsal's folder, and the URL of the copy
    base_url, public_port, api_port, hub_port
    proxy                  {command, class} or null, where the hub's proxy cannot be started a second time
    proxy_token, token     secrets of the rehearsal alone
    name                   of the user, service and role that the rehearsal adds to its copy
    scopes                 of that role
    single_user            command of the server that is started
    single_user_arguments  to be added
    seconds                until a server must answer
    marker                 environment variable that tells the rehearsal's processes
    nice                   how much less than others its processes matter

Works with hubs 1.5 to 6.1.
"""

from __future__ import annotations

import copy
import ctypes
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any, Iterator

#: linux/prctl.h
PR_SET_PDEATHSIG = 1

#: Options of the application that would reach out, or that name places and addresses of the real hub.
DROPPED = {
    "JupyterHub": (
        *("active_server_limit", "base_url", "concurrent_spawn_limit", "default_server_name"),
        *("extra_log_file", "extra_log_handlers", "hub_bind_url", "hub_connect_ip", "hub_connect_port"),
        *("hub_connect_url", "hub_ip", "hub_port", "hub_routespec", "internal_ssl", "ip", "logging_config"),
        *("pid_file", "port", "proxy_api_ip", "proxy_api_port", "proxy_auth_token", "proxy_cmd"),
        *("proxy_check_ip", "public_url", "ssl_cert", "ssl_key", "statsd_host", "subdomain_host"),
        *("trusted_alt_names", "generate_certs", "generate_config", "reset_db", "upgrade_db"),
    ),
    "EventLog": ("handlers",),
    "EventLogger": ("handlers",),
}
#: Of the real spawner's options, those that say what is started, not where or with what else.
KEPT_OF_SPAWNER = (
    *("args", "debug", "default_url", "disable_user_config", "environment", "env_keep"),
    *("oauth_client_allowed_scopes", "oauth_roles", "server_token_scopes"),
)
SPAWNERS = ("Spawner", "LocalProcessSpawner", "SimpleLocalProcessSpawner")


def main() -> None:
    request = json.loads(sys.stdin.readline())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.nice(request["nice"])
    os.environ[request["marker"]] = request["folder"]
    os.environ["CONFIGPROXY_AUTH_TOKEN"] = request["proxy_token"]
    # As for the hub's own script: its folder first, not the working directory.
    sys.path[0] = os.path.dirname(os.path.abspath(request["script"]))
    sys.argv = [request["script"], *request["arguments"]]
    from jupyterhub.app import JupyterHub

    Aside(request).put(JupyterHub)
    JupyterHub.launch_instance()


class Aside:
    """What keeps the hub of this process from the real one's world."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.folder = request["folder"]
        #: Names of options that the config gives to spawners, of any class.
        self.spawner_options: dict[str, set[str]] = {}
        self.spawner = make_spawner(request)
        #: What the config gives to them as images: `image` itself, and `profile_list`.
        self.images: dict[str, Any] = {}
        #: Class of the real hub's spawner, of which only the options are looked at.
        self.real_spawner: Any = None

    def put(self, application: Any) -> None:
        """Change the class of the application; each step of its start does its own work as well."""
        update_config, init_users = application.update_config, application.init_users
        init_secrets, init_services = application.init_secrets, application.init_services
        init_handlers = application.init_handlers
        init_role_creation = getattr(application, "init_role_creation", None)

        def with_settings(app: Any, config: Any) -> None:
            update_config(app, self.settings(app, copy.deepcopy(config)))

        def without_writing(app: Any) -> None:
            if not os.path.exists(os.path.abspath(os.path.expanduser(app.cookie_secret_file))):
                app.cookie_secret_file = os.path.join(self.folder, "cookie_secret")
            init_secrets(app)

        async def with_role(app: Any) -> None:
            role = {"name": self.request["name"], "scopes": self.request["scopes"]}
            app.load_roles = [*app.load_roles, {**role, "services": [self.request["name"]]}]
            if init_role_creation:
                await init_role_creation(app)

        async def with_user(app: Any) -> None:
            self.quieten(app.authenticator)
            await init_users(app)
            self.add_user(app)

        def without_service(app: Any) -> None:
            service = {"name": self.request["name"], "api_token": self.request["token"]}
            if init_role_creation is None:
                service["admin"] = True
            app.services = [*app.services, service]
            init_services(app)
            self.disarm(app)

        def with_routes(app: Any) -> None:
            routes: list[Any] = []
            get_handlers = app.authenticator.get_handlers

            def remembered(app: Any) -> Any:
                routes.extend(get_handlers(app))
                return routes

            app.authenticator.get_handlers = remembered
            init_handlers(app)
            self.tell(app, routes)

        application.update_config = with_settings
        application.init_secrets = without_writing
        application.init_users = with_user
        application.init_services = without_service
        application.init_handlers = with_routes
        if init_role_creation is not None:
            application.init_role_creation = with_role

    def settings(self, app: Any, config: Any) -> Any:
        """The config with everything out of it that leads to the real world, and the rehearsal's in it."""
        request = self.request
        for section, names in DROPPED.items():
            for name in names:
                if section in config:
                    config[section].pop(name, None)
        hub = config.JupyterHub
        trait = app.traits()["spawner_class"]
        if "spawner_class" in hub or self.real_spawner is None:
            # A class that the config defines has no module from which it could be imported.
            self.real_spawner = trait.validate(app, hub.get("spawner_class", trait.default_value))
        self.take_spawner_options(config)
        hub.bind_url = "http://127.0.0.1:{}{}".format(request["public_port"], request["base_url"])
        hub.hub_bind_url = "http://127.0.0.1:{}".format(request["hub_port"])
        hub.db_url = request["db_url"]
        given = hub.get("db_kwargs", {})
        hub.db_kwargs = without_connect_args(given if isinstance(given, dict) else given.get_value({}))
        hub.internal_certs_location = os.path.join(self.folder, "certificates")
        hub.cleanup_servers = False
        hub.cleanup_proxy = True
        hub.spawner_class = self.spawner
        config.Authenticator.auth_refresh_age = 0
        own = config[self.spawner.__name__]
        own.cmd = request["single_user"]
        own.ip = "127.0.0.1"
        own.home_dir_template = os.path.join(self.folder, "home")
        own.start_timeout = own.http_timeout = request["seconds"]
        if request["proxy"]:
            # The section of the class itself counts before those of the classes it comes from.
            proxy = config[request["proxy"]["class_name"].rpartition(".")[2]]
            proxy.should_start = True
            proxy.command = request["proxy"]["command"]
            proxy.api_url = "http://127.0.0.1:{}".format(request["api_port"])
            proxy.auth_token = request["proxy_token"]
            proxy.pid_file = os.path.join(self.folder, "proxy.pid")
        else:
            hub.proxy_class = make_proxy()
        return config

    def take_spawner_options(self, config: Any) -> None:
        for section in list(config):
            if section in (*SPAWNERS, *self.real_spawner.section_names()):
                names = {name for name in config[section] if not name[:1].isupper()}
                self.spawner_options.setdefault(section, set()).update(names)
                given = {name: config[section][name] for name in ("image", "profile_list") if name in names}
                self.images.update(given)
                for name in names:
                    if section not in SPAWNERS or name not in KEPT_OF_SPAWNER:
                        del config[section][name]

    @staticmethod
    def quieten(authenticator: Any) -> None:
        """Keep the authenticator from system users, sessions and external identity providers."""

        async def nothing(*_: Any) -> None:
            pass

        async def fresh(*_: Any, **__: Any) -> bool:
            return True

        for name in ("create_system_users", "delete_invalid_users", "open_sessions"):
            if authenticator.has_trait(name):
                setattr(authenticator, name, False)
        authenticator.pre_spawn_start = authenticator.post_spawn_stop = nothing
        authenticator.refresh_user = fresh

    def add_user(self, app: Any) -> None:
        from jupyterhub import orm

        user = orm.User(name=self.request["name"])
        app.db.add(user)
        app.db.commit()
        if hasattr(orm, "Role"):
            from jupyterhub import roles

            roles.assign_default_roles(app.db, entity=user)

    def disarm(self, app: Any) -> None:
        """Leave the services as they were understood, without what they would start or be asked at."""
        for service in app._service_map.values():
            if service.orm.server is not None:
                app.db.delete(service.orm.server)
                service.orm.server = None
            service.command = []
            service.url = ""
        app.db.commit()

    def tell(self, app: Any, routes: list[Any]) -> None:
        """Write what only the hub itself knows, for the rehearsal to read."""
        known = {
            "enable_auth_state": bool(app.authenticator.enable_auth_state),
            "unrecognized": self.unrecognized_by_spawner(),
            "posts": own_paths(routes, "post"),
            "pages": own_paths(routes, "get"),
            "images": [*dict.fromkeys(images_in(self.images))],
        }
        Path(self.folder, "known.json").write_text(json.dumps(known), encoding="utf-8")

    def unrecognized_by_spawner(self) -> list[str]:
        """The hub's warnings about options that the real spawner does not know, once it starts a server."""
        real = self.real_spawner
        return [
            f"Config option `{option}` not recognized by `{real.__name__}`."
            for section in real.section_names()
            for option in sorted(self.spawner_options.get(section, ()))
            if option not in real.class_traits(config=True)
        ]


def images_in(given: dict[str, Any]) -> Iterator[str]:
    """The images that options of a spawner name: the one of ``image`` first, then those of profiles."""
    if isinstance(given.get("image"), str):
        yield given["image"]
    if isinstance(given.get("profile_list"), list):
        yield from images_of_profiles(given["profile_list"])


def images_of_profiles(value: Any) -> Iterator[str]:
    """The images of KubeSpawner's profiles and of the choices in them; not those that a user types in."""
    for name, part in value.items() if isinstance(value, dict) else enumerate(value):
        if name == "kubespawner_override":
            image = part.get("image") if isinstance(part, dict) else None
            if isinstance(image, str) and "{" not in image:
                yield image
        elif isinstance(part, (dict, list)):
            yield from images_of_profiles(part)


def own_paths(routes: list[Any], method: str) -> list[str]:
    """The paths of an authenticator at which code of its own answers a ``method``: ``post`` to a launch.

    JupyterHub's own are left out: their forms are its own, too. So are paths with variable parts.
    """
    found = []
    for path, handler, *_rest in routes:
        owner = next((cls for cls in handler.__mro__ if method in vars(cls)), None)
        own = owner is not None and owner.__module__.split(".")[0] not in ("jupyterhub", "tornado")
        if own and re.fullmatch(r"[\w/.-]+\$?", path):
            found.append(path.rstrip("$"))
    return found


def without_connect_args(db_kwargs: dict[str, Any]) -> dict[str, Any]:
    """What the config gives to SQLAlchemy, without what would lead to the hub's own database.

    The URL of the copy has these parameters. Other objects, such as classes of cursors, are in no URL.
    """
    plain = (str, int, float, bool, dict, os.PathLike)
    given = db_kwargs.get("connect_args", {})
    kept = {name: value for name, value in given.items() if not isinstance(value, plain)}
    return {**db_kwargs, "connect_args": kept} if given else dict(db_kwargs)


def make_spawner(request: dict[str, Any]) -> Any:
    """A spawner of processes of the hub's own user, which end with the hub, however that ends."""
    from jupyterhub.spawner import SimpleLocalProcessSpawner

    library = ctypes.CDLL(None)

    class RehearsalSpawner(SimpleLocalProcessSpawner):
        def make_preexec_fn(self, name: str) -> Any:
            go_home = super().make_preexec_fn(name)

            def prepare() -> None:
                go_home()
                library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

            return prepare

        def user_env(self, env: dict[str, str]) -> dict[str, str]:
            env = super().user_env(env)
            env.update({request["marker"]: request["folder"], "PYTHONDONTWRITEBYTECODE": "1"})
            return env

        def get_args(self) -> list[str]:
            return [*super().get_args(), *request["single_user_arguments"]]

    return RehearsalSpawner


def make_proxy() -> Any:
    """A proxy that keeps its routes in mind and forwards nothing."""
    from jupyterhub.proxy import Proxy

    class RememberedRoutes(Proxy):
        should_start = False

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.routes: dict[str, dict[str, Any]] = {}

        async def add_route(self, routespec: str, target: str, data: Any) -> None:
            self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

        async def delete_route(self, routespec: str) -> None:
            self.routes.pop(routespec, None)

        async def get_all_routes(self) -> dict[str, dict[str, Any]]:
            return dict(self.routes)

    return RememberedRoutes


if __name__ == "__main__":
    main()
