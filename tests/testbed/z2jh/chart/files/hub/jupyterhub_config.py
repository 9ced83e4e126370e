"""The configuration of the hub of a release, from the values of the release."""

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from z2jh import get_config as value
from z2jh import get_secret_value, set_config_if_not_none

c = get_config()  # type: ignore[name-defined]  # noqa: F821


def in_camel_case(trait: str) -> str:
    return re.sub("_(.)", lambda found: found.group(1).upper(), trait)


# The hub, its proxy and its database.
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.hub_bind_url = "http://:8081"
c.JupyterHub.hub_connect_url = f"http://hub:{os.environ['HUB_SERVICE_PORT']}"
c.ConfigurableHTTPProxy.api_url = f"http://proxy-api:{os.environ['PROXY_API_SERVICE_PORT']}"
c.ConfigurableHTTPProxy.should_start = False
database = value("hub.db.type")
if database == "sqlite-pvc":
    c.JupyterHub.db_url = "sqlite:///jupyterhub.sqlite"
elif database == "sqlite-memory":
    c.JupyterHub.db_url = "sqlite://"
else:
    set_config_if_not_none(c.JupyterHub, "db_url", "hub.db.url")
password = get_secret_value("hub.db.password", None)
if password is not None:
    os.environ[{"mysql": "MYSQL_PWD"}.get(database, "PGPASSWORD")] = password
for trait in (
    "active_server_limit",
    "allow_named_servers",
    "authenticate_prometheus",
    "base_url",
    "concurrent_spawn_limit",
    "named_server_limit_per_user",
    "redirect_to_server",
    "shutdown_on_logout",
    "template_paths",
    "template_vars",
):
    set_config_if_not_none(c.JupyterHub, trait, f"hub.{in_camel_case(trait)}")
set_config_if_not_none(c.Spawner, "consecutive_failure_limit", "hub.consecutiveFailureLimit")

# People's servers.
chart = value("Chart")
labels = {
    "app": chart["Name"],
    "release": value("Release.Name"),
    "chart": f"{chart['Name']}-{chart['Version'].replace('+', '_')}",
}
if int(chart["Version"].split(".")[0]) >= 4:
    labels.update(
        {
            "app.kubernetes.io/name": labels["app"],
            "app.kubernetes.io/instance": labels["release"],
            "helm.sh/chart": labels["chart"],
            "app.kubernetes.io/managed-by": "kubespawner",
        }
    )
c.KubeSpawner.common_labels = labels
c.KubeSpawner.namespace = os.environ["POD_NAMESPACE"]
for trait, key in {
    "allow_privilege_escalation": "allowPrivilegeEscalation",
    "cpu_guarantee": "cpu.guarantee",
    "cpu_limit": "cpu.limit",
    "environment": "extraEnv",
    "events_enabled": "events",
    "extra_annotations": "extraAnnotations",
    "extra_containers": "extraContainers",
    "extra_labels": "extraLabels",
    "extra_pod_config": "extraPodConfig",
    "fs_gid": "fsGid",
    "image_pull_policy": "image.pullPolicy",
    "init_containers": "initContainers",
    "lifecycle_hooks": "lifecycleHooks",
    "mem_guarantee": "memory.guarantee",
    "mem_limit": "memory.limit",
    "node_selector": "nodeSelector",
    "pod_name_template": "podNameTemplate",
    "profile_list": "profileList",
    "service_account": "serviceAccountName",
    "start_timeout": "startTimeout",
    "storage_extra_labels": "storage.extraLabels",
    "uid": "uid",
}.items():
    set_config_if_not_none(c.KubeSpawner, trait, f"singleuser.{key}")
c.KubeSpawner.image = f"{value('singleuser.image.name')}:{value('singleuser.image.tag')}"
set_config_if_not_none(c.Spawner, "cmd", "singleuser.cmd")
set_config_if_not_none(c.Spawner, "default_url", "singleuser.defaultUrl")

storage = value("singleuser.storage")
volumes, mounts = [], []
if storage["type"] == "dynamic":
    dynamic = storage["dynamic"]
    c.KubeSpawner.storage_pvc_ensure = True
    for trait, key in {
        "pvc_name_template": "dynamic.pvcNameTemplate",
        "storage_access_modes": "dynamic.storageAccessModes",
        "storage_capacity": "capacity",
        "storage_class": "dynamic.storageClass",
    }.items():
        set_config_if_not_none(c.KubeSpawner, trait, f"singleuser.storage.{key}")
    # The name as it was made or is kept for this server; before 4.0 the template, filled in at each start.
    claim = "{pvc_name}" if dynamic["pvcNameTemplate"] is None else dynamic["pvcNameTemplate"]
    volumes.append({"name": dynamic["volumeNameTemplate"], "persistentVolumeClaim": {"claimName": claim}})
    mounts.append({"name": dynamic["volumeNameTemplate"], "mountPath": storage["homeMountPath"]})
    if dynamic.get("subPath"):
        mounts[0]["subPath"] = dynamic["subPath"]
elif storage["type"] == "static":
    static = storage["static"]
    volumes.append({"name": "home", "persistentVolumeClaim": {"claimName": static["pvcName"]}})
    mounts.append({"name": "home", "mountPath": storage["homeMountPath"], "subPath": static["subPath"]})
c.KubeSpawner.volumes = volumes + list(storage["extraVolumes"] or [])
c.KubeSpawner.volume_mounts = mounts + list(storage["extraVolumeMounts"] or [])

# Services, roles and secrets.
c.JupyterHub.services = [
    {
        "name": name,
        **{key: part for key, part in service.items() if key != "apiToken"},
        "api_token": get_secret_value(f"hub.services.{name}.apiToken"),
    }
    for name, service in value("hub.services", {}).items()
]
roles = [{"name": name, **role} for name, role in value("hub.loadRoles", {}).items()]
if roles:
    c.JupyterHub.load_roles = roles
c.JupyterHub.cookie_secret = bytes.fromhex(get_secret_value("hub.config.JupyterHub.cookie_secret"))
c.CryptKeeper.keys = get_secret_value("hub.config.CryptKeeper.keys").split(";")
if value("debug.enabled"):
    c.JupyterHub.log_level = "DEBUG"
    c.Spawner.debug = True

# What the administrator says goes before all of this.
SECRETS = {("JupyterHub", "cookie_secret"), ("ConfigurableHTTPProxy", "auth_token"), ("CryptKeeper", "keys")}
for section, traits in value("hub.config", {}).items():
    for trait, setting in (traits or {}).items():
        if (section, trait) not in SECRETS:
            setattr(c[section], trait, setting)
for name, code in sorted(value("hub.extraConfig", {}).items()):
    print(f"Loading extra config: {name}")
    exec(code)
