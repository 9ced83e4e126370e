"""What the rehearsal has shown: the new hub on a copy, before the outage."""

from __future__ import annotations

from .finding import BLOCKER, NOTE, WARNING, Kind

_UNTOUCHED = "The hub that serves is untouched; the end of the new one's log says more."

MIGRATION = Kind(
    "rehearsal-migration",
    BLOCKER,
    "A copy of the database cannot be migrated, or loses rows.",
    "The database itself would be half migrated, in the outage.",
    "Do what the message says. The database itself is unchanged.",
)
ROWS = Kind(
    "rehearsal-rows",
    BLOCKER,
    "The migration changes values that tell people, their rights or their tokens apart.",
    "People would be somebody else after the upgrade, or nobody.",
    "Report it to the project whose release this is. The database itself is unchanged.",
)
CONFIG = Kind(
    "rehearsal-config",
    BLOCKER,
    "The config does not load with the new version.",
    "The new hub would exit at its start.",
    "Change it so that it loads with both versions, or install what it needs with jupyterhub_packages.",
)
START = Kind(
    "rehearsal-start",
    BLOCKER,
    "The new hub exits at its start.",
    "It would do so in the outage.",
    _UNTOUCHED,
)
NO_ANSWER = Kind(
    "rehearsal-no-answer",
    BLOCKER,
    "The new hub starts, and does not answer in time.",
    "The outage would last until the old one is put back.",
    "Its log says what it waits for; jupyterhub_start_timeout gives it more time.",
)
PROXY = Kind(
    "rehearsal-proxy",
    BLOCKER,
    "The new hub cannot start the proxy.",
    "It exits for that reason.",
    "Compare the proxy's version, and Node's, with what the new hub needs.",
)
OTHER_VERSION = Kind(
    "rehearsal-version",
    BLOCKER,
    "The new hub says that it is another version than the one that is wanted.",
    "What was staged is not what was asked for.",
    "Remove the staged environment, and run the playbook again.",
)
DATABASE = Kind(
    "rehearsal-database",
    BLOCKER,
    "The new hub starts, and cannot read its users, groups or services.",
    "It looks healthy, and nobody can work with it.",
    _UNTOUCHED,
)
LOG_IN = Kind(
    "rehearsal-log-in",
    BLOCKER,
    "The new hub does not let in a user by a token that it has made, or has no login page.",
    "Nobody could log in.",
    _UNTOUCHED,
)
AUTH_STATE = Kind(
    "rehearsal-auth-state",
    BLOCKER,
    "The new hub cannot decrypt the auth_state that is kept.",
    "JUPYTERHUB_CRYPT_KEY is not the one that it was written with: the hub would silently go on without it.",
    "Give the service the key from before, after the present one and a semicolon where both are needed.",
    accept=True,
)
SPAWN = Kind(
    "rehearsal-spawn",
    BLOCKER,
    "No server starts from the new single-user environment, or it cannot be reached.",
    "People could log in, and not work.",
    "See to the packages of the environment; jupyterhub_user_packages installs more.",
)
ERRORS = Kind(
    "rehearsal-errors",
    WARNING,
    "The new hub does all that was asked, and logs errors.",
    "Something of it does not work.",
    "See what they mean before it serves.",
)
OLD_START = Kind(
    "rehearsal-old-start",
    BLOCKER,
    "The hub of today does not start any more with the config and the environment that are on the disk.",
    "A rollback starts it: the hub would stay down.",
    "Fix what the end of its log names, and restart the hub to see that it starts.",
    accept=True,
)
NOT_REHEARSED = Kind(
    "not-rehearsed",
    WARNING,
    "An environment is upgraded in place.",
    "There is nothing yet that could be rehearsed.",
    "Make space for a staged environment, or leave out jupyterhub_environment_strategy.",
)
PROXY_NOT_REHEARSED = Kind(
    "proxy-not-rehearsed",
    NOTE,
    "The proxy is not one that the hub starts for itself.",
    "The rehearsal went without one.",
    "See that it goes with the new version.",
)
SPAWN_NOT_REHEARSED = Kind(
    "spawn-not-rehearsed",
    NOTE,
    "The single-user environment has neither jupyter-server nor notebook, today as well.",
    "No server was started from it.",
    "Nothing is to be done where single-user servers come from elsewhere, such as an image.",
)
KINDS = (
    MIGRATION,
    ROWS,
    CONFIG,
    START,
    NO_ANSWER,
    PROXY,
    OTHER_VERSION,
    DATABASE,
    LOG_IN,
    AUTH_STATE,
    SPAWN,
    ERRORS,
    OLD_START,
    NOT_REHEARSED,
    PROXY_NOT_REHEARSED,
    SPAWN_NOT_REHEARSED,
)
