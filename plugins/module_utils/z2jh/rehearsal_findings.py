"""Rehearsal in the cluster: the target's hub, and the images of users' servers, before the upgrade."""

from __future__ import annotations

from ..planning.findings import rehearsal
from ..planning.findings.config import ALLOW_OPTION_GONE, CONFIG_OPTION_GONE
from ..planning.findings.finding import BLOCKER, NOTE, WARNING, Kind

POD_DOES_NOT_RUN = Kind(
    "rehearsal-pod",
    BLOCKER,
    "No pod of the target's hub comes to run in the rehearsal.",
    "The new hub would not start either, unless the rehearsal alone lacks something, such as room on a node.",
    "See why: kubectl get events. The hub itself is unchanged.",
    accept=True,
)
DATABASE_NOT_REHEARSED = Kind(
    "database-not-rehearsed",
    NOTE,
    "The hub's database is none that the rehearsal can copy.",
    "The new hub was started on a new database: whether the real one can be migrated is not known.",
    "Nothing, where it is lost with the pod anyway; else migrate a copy of it before.",
)
DATABASE_NOT_COPIED = Kind(
    "database-not-copied",
    BLOCKER,
    "No copy of the hub's database on a server can be made for the rehearsal.",
    "The upgrade itself begins with such a dump, and ends there, too, before anything has changed.",
    "Correct what it names. z2jh_database_image has to be of the server's version, and a network policy of "
    "the server has to let pods with the label app.kubernetes.io/name: hubops in.",
    accept=True,
)
HUB_USER_CHANGES = Kind(
    "hub-user-changes",
    WARNING,
    "The hub runs as another user or group after the upgrade, and its database is on a volume.",
    "The rehearsal's copy is on another volume: whether the new user may write to the hub's is not known.",
    "Set hub.podSecurityContext and hub.containerSecurityContext as now, or the rights on the volume.",
)
SINGLE_USER_IMAGE_MISSING = Kind(
    "single-user-image-missing",
    BLOCKER,
    "The cluster cannot get the image that users' servers start from after the upgrade.",
    "No user could start a server.",
    "Push it to the registry, give the pull secrets, or name another one in singleuser.image.",
    accept=True,
)
SINGLE_USER_IMAGE_VERSION = Kind(
    "single-user-image-version",
    BLOCKER,
    "An image of users' servers has another major of JupyterHub than the target, or a newer release.",
    "Servers of another major do not start, or lose their users' requests.",
    "Build it with the target's JupyterHub, and set it in singleuser.image or singleuser.profileList.",
    accept=True,
)
SINGLE_USER_IMAGE_RELEASE = Kind(
    "single-user-image-release",
    NOTE,
    "An image of users' servers has another release of the target's major.",
    "It works, and the hub warns at each start of a server.",
    "Build it with the target's JupyterHub.",
)
SINGLE_USER_IMAGE_UNKNOWN = Kind(
    "single-user-image-unknown",
    WARNING,
    "It could not be read which JupyterHub an image of users' servers has.",
    "Servers from an image with another major do not start.",
    "See that the cluster can get it, and that its PATH leads to jupyterhub-singleuser; or take it out.",
)
SINGLE_USER_IMAGE_MOVED = Kind(
    "single-user-image-moved",
    WARNING,
    "An image that was pushed again under the same name is not the one that servers run.",
    "A node that has the earlier one may go on starting it: the rehearsal has looked at the other one alone.",
    "Name it by its digest, or by a tag that is never pushed again.",
)
KINDS = (
    *(POD_DOES_NOT_RUN, DATABASE_NOT_COPIED, DATABASE_NOT_REHEARSED, HUB_USER_CHANGES),
    *(SINGLE_USER_IMAGE_MISSING, SINGLE_USER_IMAGE_VERSION),
    *(SINGLE_USER_IMAGE_RELEASE, SINGLE_USER_IMAGE_UNKNOWN, SINGLE_USER_IMAGE_MOVED),
)
#: Those of a rehearsal of a hub on a host that are found here as well.
SHARED = (
    *(rehearsal.MIGRATION, rehearsal.ROWS, rehearsal.CONFIG, rehearsal.START, rehearsal.NO_ANSWER),
    *(rehearsal.OTHER_VERSION, rehearsal.DATABASE, rehearsal.LOG_IN, rehearsal.ERRORS),
    *(ALLOW_OPTION_GONE, CONFIG_OPTION_GONE),
)
