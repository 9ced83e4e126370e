"""A program for the hub environment's own Python: loads the hub's config and says what it means.

Its text is given to ``python -B -c``; it reads ``{"script": ..., "arguments": [...]}`` from standard input
and prints one JSON document to what was standard output at its start. The config's own output goes to
standard error, so that it cannot garble the document. It starts nothing and writes nothing: classes are
looked at, only the application itself is made, and of that only its options are read.

It runs on every JupyterHub from 1.0 on, so it is written for Python 3.6 and later, and stands alone.
"""

import builtins
import io
import json
import logging
import os
import shutil
import ssl
import stat
import sys
import traceback
from urllib.parse import quote, unquote, urlsplit, urlunsplit

DEFAULT_CONFIG_FILE = "jupyterhub_config.py"
#: Packages that the hub has imported when its config is loaded; another place than its environment is wrong.
RELATED_PACKAGES = (
    "alembic",
    "jinja2",
    "jupyterhub",
    "oauthlib",
    "pydantic",
    "sqlalchemy",
    "tornado",
    "traitlets",
)
LARGEST_INCLUDED_FILE = 1024 * 1024
#: The engine of the host, as programs name it that do not name another one.
ENGINES = ("unix:///var/run/docker.sock", "unix://var/run/docker.sock", "unix:///run/docker.sock")
#: With one of these a class of one's own may choose another image than its options say.
CHOOSE = {"image", "start", "check_allowed", "create_object", "get_image", "_image_default"}


def main():  # type: ignore[no-untyped-def]
    sys.dont_write_bytecode = True
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # As for a script: its folder first; for `-m` the working directory, which '' already is.
    if request["script"]:
        sys.path[0] = os.path.dirname(os.path.abspath(request["script"]))
    sys.argv = [request["script"] or "jupyterhub"] + request["arguments"]
    try:
        document = look(request["arguments"])
    except BaseException as error:
        document = {"error": describe_error(error)}
    json.dump(document, answer)
    answer.flush()
    sys.stderr.flush()
    # Threads and exit handlers that the config may have set up have nothing to do here.
    os._exit(0)


def look(arguments):  # type: ignore[no-untyped-def]
    warnings = collect_warnings()
    from jupyterhub import __version__
    from jupyterhub.app import JupyterHub

    app = JupyterHub.instance()
    app.parse_command_line(arguments)
    files = Files(app.config_file)
    if files.config_file is None and app.config_file != DEFAULT_CONFIG_FILE:
        raise FileNotFoundError(f"there is no {os.path.abspath(app.config_file)}")
    with files:
        app.load_config_file(app.config_file)
    return {
        "jupyterhub": __version__,
        "config_file": files.config_file,
        "files": files.included(),
        "warnings": list(warnings),
        "db_url": app.db_url,
        "db_connect_args": connect_args(app),
        "base_url": app.base_url,
        "hub_prefix": app.hub_prefix,
        "bind_url": with_absolute_socket(app.bind_url),
        "hub_bind_url": with_absolute_socket(hub_bind_url(app)),
        "internal_ssl": app.internal_ssl,
        "certificate_problem": certificate_problem(app),
        "ssl_files": [path for path in (app.ssl_key, app.ssl_cert) if path],
        "options": options(app.config),
        "services": [look_at_service(service) for service in app.services],
        "roles": [look_at_role(role) for role in option(app, JupyterHub, "load_roles", [])],
        "template_folders": template_folders(app),
        "cleanup_servers": bool(app.cleanup_servers),
        "oauth_require_pkce": bool(option(app, JupyterHub, "oauth_require_pkce", False)),
        "shadowed": shadowed(),
        "written": written(app),
        "cookie_secret_file": app.cookie_secret_file,
        "cookie_secret_in_config": bool(app.cookie_secret),
        "crypt_key_in_config": "keys" in app.config.get("CryptKeeper", {}),
        "proxy": look_at_proxy(app),
        "proxy_token_in_config": proxy_token_in_config(app),
        "spawner": look_at_spawner(app),
        "authenticator": look_at_authenticator(app),
    }


def connect_args(app):  # type: ignore[no-untyped-def]
    """Parameters of the database's connections besides its URL, without objects that JSON does not have."""
    return plain(app.db_kwargs.get("connect_args", {}))


def plain(given):  # type: ignore[no-untyped-def]
    found = {}
    for name, value in given.items():
        if isinstance(value, dict):
            found[name] = plain(value)
        elif isinstance(value, os.PathLike):
            found[name] = os.fspath(value)
        elif isinstance(value, (str, int, float, bool)):
            found[name] = value
    return found


def hub_bind_url(app):  # type: ignore[no-untyped-def]
    """Where the hub itself listens, as JupyterHub.init_hub works it out."""
    if app.hub_bind_url:
        return app.hub_bind_url
    scheme = "https" if app.internal_ssl else "http"
    return f"{scheme}://{app.hub_ip}:{app.hub_port}"


def with_absolute_socket(url):  # type: ignore[no-untyped-def]
    """The URL; where it has the path of a socket instead of a host, not relative to the working directory."""
    parts = urlsplit(url)
    if "unix" not in parts.scheme.split("+"):
        return url
    path = quote(os.path.abspath(unquote(parts.netloc)), safe="")
    return urlunsplit(parts._replace(netloc=path))


def certificate_problem(app):  # type: ignore[no-untyped-def]
    """Why the proxy that the hub starts could not serve with its certificate and key; None where it could."""
    if not (app.ssl_key and app.ssl_cert and option(app, app.proxy_class, "should_start", True)):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Whether they are strong enough is the proxy's to judge.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    try:
        for path in (app.ssl_key, app.ssl_cert):
            # The error of this one has a name in it.
            os.close(os.open(path, os.O_RDONLY))
        passphrase = os.environ.get("CONFIGPROXY_SSL_KEY_PASSPHRASE", "")
        context.load_cert_chain(app.ssl_cert, app.ssl_key, lambda: passphrase)
    except (OSError, ValueError) as error:
        return str(error)
    return None


def written(app):  # type: ignore[no-untyped-def]
    """``{setting: path}`` of what the hub writes besides its database and its cookie secret."""
    paths = {
        "c.JupyterHub.pid_file": app.pid_file,
        "c.JupyterHub.extra_log_file": getattr(app, "extra_log_file", ""),
        "c.JupyterHub.internal_certs_location": app.internal_certs_location if app.internal_ssl else "",
    }
    if option(app, app.proxy_class, "should_start", True):
        paths["c.ConfigurableHTTPProxy.pid_file"] = option(app, app.proxy_class, "pid_file", "")
    return {setting: os.path.abspath(path) for setting, path in paths.items() if path}


def look_at_proxy(app):  # type: ignore[no-untyped-def]
    cls = app.proxy_class
    found = look_at_class(cls)
    scheme = "https" if app.internal_ssl else "http"
    found.update(
        managed=bool(option(app, cls, "should_start", True)),
        # The default of ConfigurableHTTPProxy.api_url depends on the application.
        api_url=option(app, cls, "api_url", None) or scheme + "://127.0.0.1:8001",
        command=words(option(app, cls, "command", None)),
    )
    return found


def proxy_token_in_config(app):  # type: ignore[no-untyped-def]
    token = option(app, app.proxy_class, "auth_token", None)
    return bool(token or app.config.JupyterHub.get("proxy_auth_token"))


def look_at_spawner(app):  # type: ignore[no-untyped-def]
    """The spawner's class, and the commands of the servers that it starts, itself or through others."""
    from jupyterhub.spawner import LocalProcessSpawner

    cls = app.spawner_class
    started = list(starting_classes(app, cls, LocalProcessSpawner))
    commands = [single_user_command(app, each, given) for each, given in started]
    found = look_at_class(cls)
    found["command"] = commands[0]
    found["further_commands"] = [each for each in commands[1:] if each != commands[0]]
    found["local"] = any(issubclass(each, LocalProcessSpawner) for each, _given in started)
    found["images"] = server_images(app, started)
    elsewhere = [each for each, _given in started if not starts_on_this_host(each, LocalProcessSpawner)]
    if found["images"]:
        elsewhere = [each for each in elsewhere if not makes_containers(each)]
    found["elsewhere"] = sorted({each.__name__ for each in elsewhere})
    return found


def makes_containers(cls):  # type: ignore[no-untyped-def]
    """Whether its servers are containers of one engine, not services of a swarm."""
    names = [each.__name__ for each in cls.__mro__]
    return "DockerSpawner" in names and "SwarmSpawner" not in names


def server_images(app, started):  # type: ignore[no-untyped-def]
    """The images of DockerSpawner, itself or in profiles; None without it, or with an engine elsewhere."""
    makers = [(cls, given) for cls, given in started if makes_containers(cls)]
    if not makers or not all(has_engine_of_host(app, cls, given) for cls, given in makers):
        return None
    images = []
    others = []  # type: ignore[var-annotated]
    any_image = computed = False
    for cls, given in makers:
        images.append(
            configured(app, cls, given, "image", "container_image") or option(app, cls, "image", "")
        )
        allowed = configured(app, cls, given, "allowed_images", "image_whitelist") or []
        any_image = any_image or allowed == "*"
        own = [each for each in cls.__mro__ if each.__module__.split(".")[0] != "dockerspawner"]
        own = [each for each in own if makes_containers(each)]
        computed = computed or callable(allowed) or any(CHOOSE.intersection(vars(each)) for each in own)
        if isinstance(allowed, (list, tuple, dict)):
            others.extend(allowed.values() if isinstance(allowed, dict) else allowed)
    cls, given = makers[0]
    template = configured(app, cls, given, "name_template", "container_name_template")
    prefix = configured(app, cls, given, "prefix", "container_prefix") or "jupyter"
    choices = [str(image) for image in images[1:] + others]
    return {
        "image": str(images[0]),
        "tag_follows_hub": configured(app, cls, given, "image", "container_image") is None,
        "choices": sorted(set(choices) - {images[0]}),
        "any_image": any_image,
        "computed": computed,
        "removes": bool(configured(app, cls, given, "remove", "remove_containers")),
        "name_begins": (template or "{prefix}-").replace("{prefix}", prefix).split("{")[0],
        "pull_policy": str(configured(app, cls, given, "pull_policy") or "ifnotpresent").lower(),
    }


def has_engine_of_host(app, cls, given):  # type: ignore[no-untyped-def]
    """Whether its containers are those of the engine at the usual address."""
    client = configured(app, cls, given, "client_kwargs") or {}
    address = client.get("base_url") or os.environ.get("DOCKER_HOST") or ENGINES[0]
    return address in ENGINES


def configured(app, cls, given, *names):  # type: ignore[no-untyped-def]
    """The value that the config gives to an option, by one of its names; None where it gives none."""
    value = None
    for name in names:
        for section in cls.section_names():
            if section in app.config and name in app.config[section]:
                value = settled(app.config[section][name], [])
        value = given.get(name, value)
        if value is not None:
            break
    return value


def starting_classes(app, cls, local_class):  # type: ignore[no-untyped-def]
    """``(class, {option: value})`` of all that start servers: those that wrapspawner wraps, or the class."""
    from traitlets.utils.importstring import import_item

    names = [each.__name__ for each in cls.__mro__]
    wrapped = []
    if "ProfilesSpawner" in names:
        wrapped = [(profile[2], profile[3]) for profile in option(app, cls, "profiles", [])]
    elif "WrapSpawner" in names:
        wrapped = [(option(app, cls, "child_class", local_class), option(app, cls, "child_config", {}))]
    if not wrapped:
        yield cls, {}
    for child, given in wrapped:
        # What a wrapped spawner is not given it has from the one that wraps it.
        inherited = {"cmd": option(app, cls, "cmd", None)}
        yield import_item(child) if isinstance(child, str) else child, dict(inherited, **given)


def single_user_command(app, cls, given):  # type: ignore[no-untyped-def]
    """The command of single-user servers; a bare name that the spawner's own PATH has is a path."""
    mediator = given.get("sudospawner_path") or option(app, cls, "sudospawner_path", "")
    if mediator:
        # sudospawner starts what is beside its own script, whatever the command is.
        return [os.path.join(os.path.dirname(mediator), "jupyterhub-singleuser")]
    command = words(given.get("cmd") or option(app, cls, "cmd", None))
    variables = given.get("environment") or option(app, cls, "environment", {})
    folders = list(given.get("extra_paths") or option(app, cls, "extra_paths", []))
    if isinstance(variables, dict) and isinstance(variables.get("PATH"), str):
        folders.append(variables["PATH"])
    path = os.pathsep.join(folders)
    return [shutil.which(word, path=path) or word for word in command] if path else command


def starts_on_this_host(cls, local_class):  # type: ignore[no-untyped-def]
    """Whether its servers are known to be processes of this host."""
    return issubclass(cls, local_class) or any(each.__name__ == "SystemdSpawner" for each in cls.__mro__)


def look_at_authenticator(app):  # type: ignore[no-untyped-def]
    """Its class, the names of the options that allow users, and whether the class decides by itself."""
    cls = app.authenticator_class
    found = look_at_class(cls)
    names = set(cls.class_traits(config=True))
    for section in cls.section_names():
        names.update(app.config.get(section, {}))
    rules = [name for name in names if name.startswith("allow") or name in ("whitelist", "any_allow_config")]
    own = [each for each in cls.__mro__ if each.__module__.split(".")[0] not in ("jupyterhub", "traitlets")]
    found.update(
        bases=[each.__module__ + "." + each.__name__ for each in cls.__mro__],
        allow_rules=sorted(name for name in rules if option(app, cls, name, None)),
        admins=bool(option(app, cls, "admin_users", None) or app.config.JupyterHub.get("admin_users")),
        decides_itself=any("check_allowed" in vars(each) or allows_all(each) for each in own),
        auth_state=bool(option(app, cls, "enable_auth_state", False)),
    )
    return found


def allows_all(cls):  # type: ignore[no-untyped-def]
    """Whether a class has a default of its own for ``allow_all`` (traitlets keeps them as handlers)."""
    return any(getattr(value, "trait_name", None) == "allow_all" for value in vars(cls).values())


def look_at_service(service):  # type: ignore[no-untyped-def]
    """A service without its secrets: its command may hold some, too."""
    command = " ".join(str(word) for word in words(service.get("command")))
    return {
        "name": service.get("name"),
        "url": service.get("url"),
        "managed": bool(command),
        "admin": bool(service.get("admin")),
        "token": bool(service.get("api_token")) or bool(command),
        "culls": "cull" in command or "cull" in str(service.get("name")),
        "oauth": any(service.get(name) for name in ("oauth_client_id", "oauth_no_confirm")),
        "oauth_redirect": bool(service.get("oauth_redirect_uri")),
    }


def look_at_role(role):  # type: ignore[no-untyped-def]
    return {
        "name": role.get("name"),
        "scopes": [str(scope) for scope in role.get("scopes") or []],
        "services": [str(service) for service in role.get("services") or []],
    }


def options(config):  # type: ignore[no-untyped-def]
    """``{class: [names]}`` of what the config sets; values may be secrets."""
    return {
        section: sorted(values)
        for section, values in config.items()
        if section[:1].isupper() and isinstance(values, dict) and values
    }


def template_folders(app):  # type: ignore[no-untyped-def]
    """Folders of templates that are not JupyterHub's own."""
    own = os.path.join(app.data_files_path, "templates")
    return [os.path.abspath(str(path)) for path in app.template_paths if str(path) != own]


def shadowed():  # type: ignore[no-untyped-def]
    """``{package: file}`` of what was imported from a PYTHONPATH outside of the environment, or ~/.local."""
    import site

    own = sys.prefix + os.sep
    folders = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    folders = [path for path in folders if not os.path.abspath(path).startswith(own)]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    files = {name: getattr(sys.modules.get(name), "__file__", None) or "" for name in RELATED_PACKAGES}
    return {
        name: file
        for name, file in files.items()
        if any(file.startswith(os.path.abspath(folder) + os.sep) for folder in folders)
    }


def option(app, cls, name, otherwise):  # type: ignore[no-untyped-def]
    """The configured value of a class's option, else the static default, without making an instance."""
    trait = cls.class_traits().get(name)
    # Lists make their default for each instance, plain values have it.
    make = getattr(trait, "make_dynamic_default", None)
    default = make() if make else getattr(trait, "default_value", None)
    value = default if type(default) in (bool, str, int, list) else otherwise
    for section in cls.section_names():
        if section in app.config and name in app.config[section]:
            value = settled(app.config[section][name], value)
    return value


def settled(configured, value):  # type: ignore[no-untyped-def]
    """A configured value; what ``c.A.b.append(...)``, ``.update(...)`` or ``.add(...)`` make of a default."""
    if type(configured).__name__ != "LazyConfigValue":
        return configured
    changes = configured.to_dict()
    return changes["update"] if "update" in changes else configured.get_value(words(value))


def words(command):  # type: ignore[no-untyped-def]
    """A command as JupyterHub's Command trait has it: a string is one word."""
    if not command:
        return []
    return [command] if isinstance(command, str) else [str(word) for word in command]


def look_at_class(cls):  # type: ignore[no-untyped-def]
    package, version = package_of(cls.__module__.split(".")[0])
    return {"class_name": cls.__module__ + "." + cls.__name__, "package": package, "version": version}


def package_of(module):  # type: ignore[no-untyped-def]
    """Name and version of the installed package that a module belongs to."""
    try:
        from importlib import metadata
    except ImportError:  # Python 3.7 and older
        return module, getattr(sys.modules.get(module), "__version__", None)
    path = getattr(sys.modules.get(module), "__file__", None)
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name is None:
            continue
        declared = (distribution.read_text("top_level.txt") or "").split()
        owned = module in declared or (path and not declared and owns(distribution, path))
        if owned or same_name(module, name):
            return name.lower().replace("_", "-"), distribution.version
    return None, getattr(sys.modules.get(module), "__version__", None)


def same_name(module, name):  # type: ignore[no-untyped-def]
    return module.lower().replace("_", "-") == name.lower().replace("_", "-")


def owns(distribution, path):  # type: ignore[no-untyped-def]
    """Whether a package without a list of its modules has installed this file."""
    tail = "/".join(path.split(os.sep)[-2:])
    return any(str(file) == tail for file in distribution.files or ())


class Files:
    """The config file, and the files that it reads and the modules that it imports while it is loaded."""

    def __init__(self, config_file):  # type: ignore[no-untyped-def]
        self.config_file = self.existing(config_file)
        self.opened = {}
        self.modules = set(sys.modules)
        self.open = builtins.open

    @staticmethod
    def existing(config_file):  # type: ignore[no-untyped-def]
        """The absolute path of what traitlets loads for a name: with .py, or with .json."""
        root = os.path.splitext(os.path.abspath(config_file))[0]
        for path in (root + ".py", root + ".json"):
            if os.path.exists(path):
                return path
        return None

    def __enter__(self):  # type: ignore[no-untyped-def]
        # Python's own imports do not go through these, so only what the config reads is noticed.
        builtins.open = io.open = self.note_and_open
        return self

    def __exit__(self, *_exception):  # type: ignore[no-untyped-def]
        builtins.open = io.open = self.open

    def note_and_open(self, file, mode="r", *rest, **options):  # type: ignore[no-untyped-def]
        if not isinstance(file, int) and not set(mode) & set("wax+"):
            self.opened[os.path.abspath(os.fsdecode(file))] = True
        return self.open(file, mode, *rest, **options)

    def included(self):  # type: ignore[no-untyped-def]
        """All of them that belong to the deployment, not to Python or the system; the config file first."""
        modules = [getattr(sys.modules[name], "__file__", None) for name in set(sys.modules) - self.modules]
        paths = set(self.opened) | {os.path.abspath(path) for path in modules if path}
        paths.discard(self.config_file)
        first = [self.config_file] if self.config_file else []
        return first + sorted(path for path in paths if belongs_to_config(path))


def belongs_to_config(path):  # type: ignore[no-untyped-def]
    of_others = (sys.prefix, sys.base_prefix, "/usr/lib", "/usr/share", "/proc", "/sys", "/dev", "/run")
    if any(path.startswith(folder.rstrip("/") + "/") for folder in of_others) or "site-packages" in path:
        return False
    try:
        status = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST_INCLUDED_FILE


def collect_warnings():  # type: ignore[no-untyped-def]
    """All lines that are logged at WARNING or above from now on; no handler, since those get replaced."""
    lines = {}
    make_record = logging.getLogRecordFactory()

    def make_and_note(*arguments, **options):  # type: ignore[no-untyped-def]
        record = make_record(*arguments, **options)
        if record.levelno >= logging.WARNING:
            lines[record.getMessage()] = True
        return record

    logging.setLogRecordFactory(make_and_note)
    return lines


def describe_error(error):  # type: ignore[no-untyped-def]
    """The last line of the traceback, and the place in the config that it came from, empty when in none."""
    last = traceback.format_exception_only(type(error), error)[-1].strip()
    if isinstance(error, SyntaxError) and error.filename:
        return {"message": last, "place": f"{error.filename}:{error.lineno}"}
    places = [place for place in traceback.extract_tb(error.__traceback__) if belongs_to_config(place[0])]
    return {"message": last, "place": f"{places[-1][0]}:{places[-1][1]}" if places else ""}


if __name__ == "__main__":
    main()
