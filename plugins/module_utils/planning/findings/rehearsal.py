"""Results of the rehearsal: the new hub on a copy, before the outage."""

from __future__ import annotations

from .finding import BLOCKER, NOTE, WARNING, Kind

_UNTOUCHED = "The serving hub is unchanged; the end of the new hub's log has the details."

MIGRATION = Kind(
    "rehearsal-migration",
    BLOCKER,
    "A copy of the database cannot be migrated, or loses rows.",
    "The real database would be left half migrated during the outage.",
    "Follow the message. The database itself is unchanged.",
)
ROWS = Kind(
    "rehearsal-rows",
    BLOCKER,
    "The migration changes values that identify users, their rights or their tokens.",
    "Users would have another identity after the upgrade, or none.",
    "Report it to the project of this release. The database itself is unchanged.",
)
FRESH_DATABASE = Kind(
    "fresh-database",
    BLOCKER,
    "The migration fails, and a fresh database takes the place of the old one.",
    "What it does not take over is lost with the upgrade; the old database stays in the recovery point, and "
    "a rollback brings it back.",
    "Tell those whom it concerns what is lost.",
    accept=True,
)
FRESH_DATABASE_NOT_POSSIBLE = Kind(
    "fresh-database-not-possible",
    BLOCKER,
    "The migration fails, and a fresh database cannot take the place of the old one.",
    "The conditions are not met under which JupyterHub can do with a fresh database.",
    "Follow the message. The database itself is unchanged.",
)
CONFIG = Kind(
    "rehearsal-config",
    BLOCKER,
    "The config does not load with the new version.",
    "The new hub would exit at its start.",
    "Change it so that it loads with both versions, or install what it needs with jupyterhub_packages.",
)
SOCKET = Kind(
    "rehearsal-socket",
    BLOCKER,
    "The config names the socket that the hub listens on as only the other versions know it.",
    "JupyterHub before 6.0 knows unix+http://, later ones know http+unix://. With the other one the new hub "
    "does not start, or the old one after a rollback.",
    "Name it as the version that loads the config knows it: `'http+unix' if jupyterhub.version_info >= (6,) "
    "else 'unix+http'`, with `import jupyterhub`.",
)
START = Kind(
    "rehearsal-start",
    BLOCKER,
    "The new hub exits at its start.",
    "It would do so during the outage.",
    _UNTOUCHED,
)
NO_ANSWER = Kind(
    "rehearsal-no-answer",
    BLOCKER,
    "The new hub starts, but does not answer in time.",
    "The outage would last until the old hub is restored.",
    "Its log shows what it waits for; jupyterhub_start_timeout gives it more time.",
)
PROXY = Kind(
    "rehearsal-proxy",
    BLOCKER,
    "The new hub cannot start the proxy.",
    "The new hub exits then.",
    "Compare the proxy's version, and Node's, with what the new hub needs.",
)
OTHER_VERSION = Kind(
    "rehearsal-version",
    BLOCKER,
    "The new hub reports another version than the target.",
    "The staged environment does not have the requested version.",
    "Remove the staged environment, and run the playbook again.",
)
DATABASE = Kind(
    "rehearsal-database",
    BLOCKER,
    "The new hub starts, but cannot read its users, groups or services.",
    "It looks healthy, but no user can work with it.",
    _UNTOUCHED,
)
LOG_IN = Kind(
    "rehearsal-log-in",
    BLOCKER,
    "The new hub rejects a user with a token that it has issued, or has no login page.",
    "No user could log in.",
    _UNTOUCHED,
)
POST_REFUSED = Kind(
    "rehearsal-post-refused",
    BLOCKER,
    "The new hub refuses what other sites post to the authenticator (LTI, SAML); the present one takes it.",
    "JupyterHub checks each POST for its own token since 4.0: the hub is healthy, but no user can log in.",
    "Install a release of the authenticator that is made for this version, with jupyterhub_packages: "
    "ltiauthenticator 1.5.1 or later, for instance; in an authenticator of the site, let the handler's "
    "check_xsrf_cookie pass.",
    accept=True,
)
PAGE_FAILS = Kind(
    "rehearsal-page-fails",
    BLOCKER,
    "A page of the authenticator's, which the present hub answers, fails with the new one.",
    "Users who come by it could not log in, though the hub is healthy.",
    "Install a release of the authenticator that is made for this version, with jupyterhub_packages. What "
    "fails is in the errors that the rehearsal has found in the log (rehearsal-errors).",
    accept=True,
)
AUTH_STATE = Kind(
    "rehearsal-auth-state",
    BLOCKER,
    "The new hub cannot decrypt the stored auth_state.",
    "JUPYTERHUB_CRYPT_KEY is not the key that encrypted it: the hub would silently ignore the auth_state.",
    "Give the service the earlier key; where both are needed, the present key first, then a semicolon.",
    accept=True,
)
SPAWN = Kind(
    "rehearsal-spawn",
    BLOCKER,
    "No server starts from the new single-user environment, or it cannot be reached.",
    "Users could log in, but not work.",
    "Check the packages of the environment; jupyterhub_user_packages installs more.",
)
ERRORS = Kind(
    "rehearsal-errors",
    WARNING,
    "The new hub passes all checks, but logs errors.",
    "A part of it does not work.",
    "Find out what they mean before the upgrade.",
)
OLD_START = Kind(
    "rehearsal-old-start",
    BLOCKER,
    "The present hub no longer starts with the config and the environment on the disk.",
    "A rollback starts it: the hub would stay down.",
    "Fix what the end of its log names, and restart the hub to check that it starts.",
    accept=True,
)
NOT_REHEARSED = Kind(
    "not-rehearsed",
    WARNING,
    "An environment is upgraded in place.",
    "There is no staged environment to rehearse with.",
    "Make space for a staged environment, or leave out jupyterhub_environment_strategy.",
)
PROXY_NOT_REHEARSED = Kind(
    "proxy-not-rehearsed",
    NOTE,
    "The proxy is not one that the hub starts for itself.",
    "The rehearsal ran without a proxy.",
    "Check that it works with the new version.",
)
SPAWN_NOT_REHEARSED = Kind(
    "spawn-not-rehearsed",
    NOTE,
    "The single-user environment has neither jupyter-server nor notebook, today as well; or it is not "
    "the one of root, as whom the hub runs.",
    "No server was started from it.",
    "Nothing, where single-user servers come from elsewhere, such as an image.",
)
KINDS = (
    MIGRATION,
    ROWS,
    FRESH_DATABASE,
    FRESH_DATABASE_NOT_POSSIBLE,
    CONFIG,
    SOCKET,
    START,
    NO_ANSWER,
    PROXY,
    OTHER_VERSION,
    DATABASE,
    LOG_IN,
    POST_REFUSED,
    PAGE_FAILS,
    AUTH_STATE,
    SPAWN,
    ERRORS,
    OLD_START,
    NOT_REHEARSED,
    PROXY_NOT_REHEARSED,
    SPAWN_NOT_REHEARSED,
)
