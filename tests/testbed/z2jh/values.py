"""The default values of a version of the chart, and the schema that Helm checks values against.

The interface is that of Zero to JupyterHub, so that values written for it are taken and refused as there.
What has no effect in one node without a registry (pulling images, schedulers, ingress) is left alone.
"""

from __future__ import annotations

from typing import Any

from .versions import Version

RESTRICTED = {
    "runAsUser": 1000,
    "runAsGroup": 1000,
    "allowPrivilegeEscalation": False,
}
#: What 2.0 refuses by name, so that its schema has to let it through.
NAMED = {"hub": ("fsGid",), "rbac": ("enabled",)}
#: Keys of a fixed set of values.
CHOICES = {
    "hub.db.type": ["sqlite-pvc", "sqlite-memory", "mysql", "postgres", "other"],
    "singleuser.storage.type": ["dynamic", "static", "none"],
    "proxy.service.type": ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"],
}


def default_values(version: Version, hub: str, person: str, proxy: str) -> dict[str, Any]:
    """The values of a version whose pods run these images."""
    values: dict[str, Any] = {
        "custom": {},
        "imagePullSecret": {
            "create": False,
            "automaticReferenceInjection": True,
            "registry": None,
            "username": None,
            "password": None,
            "email": None,
        },
        "imagePullSecrets": [],
        "fullnameOverride": "",
        "nameOverride": None,
        "hub": _hub(hub),
        "rbac": {"create": True},
        "proxy": _proxy(proxy),
        "singleuser": _person(person),
        "scheduling": {
            "userScheduler": _switched(False, replicas=2),
            "podPriority": _switched(False),
            "userPlaceholder": _switched(False, replicas=0),
            "corePods": {"nodeAffinity": {"matchNodePurpose": "prefer"}, "tolerations": []},
            "userPods": {"nodeAffinity": {"matchNodePurpose": "prefer"}, "tolerations": []},
        },
        "prePuller": {
            "hook": _switched(True, pullOnlyOnChanges=True),
            "continuous": _switched(True),
            "pullProfileListImages": True,
            "extraImages": {},
        },
        "ingress": {
            "enabled": False,
            "annotations": {},
            "ingressClassName": None,
            "hosts": [],
            "pathSuffix": None,
            "pathType": "Prefix",
            "tls": [],
        },
        "cull": {
            "enabled": True,
            "users": False,
            "adminUsers": True,
            "removeNamedServers": False,
            "timeout": 3600,
            "every": 600,
            "concurrency": 10,
            "maxAge": 0,
        },
        "debug": {"enabled": False},
        "global": {"safeToShowValues": False},
    }
    hub_values, singleuser = values["hub"], values["singleuser"]
    if version.major < 2:
        values["rbac"] = {"enabled": True}
        hub_values["fsGid"] = 1000
        for key in ("podSecurityContext", "serviceAccount"):
            del hub_values[key]
        for policy in (hub_values, values["proxy"]["chp"], singleuser):
            del policy["networkPolicy"]["egressAllowRules"]
        singleuser["cmd"] = None
        del singleuser["allowPrivilegeEscalation"]
    if version.major < 4:
        singleuser["storage"]["dynamic"].update(
            pvcNameTemplate="claim-{username}{servername}", volumeNameTemplate="volume-{username}{servername}"
        )
    else:
        values["httpRoute"] = {"enabled": False, "annotations": {}, "hostnames": [], "gateway": {}}
    return values


def schema(version: Version, values: dict[str, Any]) -> dict[str, Any]:
    """The schema of these values: no other key, but below what is empty by default, which is free."""
    named = NAMED if version.major >= 2 else {}
    described = _described(values, "")
    for part, keys in named.items():
        described["properties"][part]["properties"].update({key: {} for key in keys})
    return {"$schema": "http://json-schema.org/draft-07/schema#", **described}


def _described(value: Any, path: str) -> dict[str, Any]:
    if path in CHOICES:
        return {"enum": CHOICES[path]}
    if isinstance(value, dict) and value and path != "hub.config":
        below = {key: _described(part, f"{path}.{key}".lstrip(".")) for key, part in value.items()}
        return {"type": ["object", "null"], "additionalProperties": False, "properties": below}
    if isinstance(value, dict):
        return {"type": ["object", "null"]}
    if isinstance(value, bool):
        return {"type": ["boolean", "null"]}
    return {}


def _switched(enabled: bool, **rest: Any) -> dict[str, Any]:
    return {"enabled": enabled, **rest}


def _policy() -> dict[str, Any]:
    rules = (
        "cloudMetadataServer",
        "dnsPortsCloudMetadataServer",
        "dnsPortsKubeSystemNamespace",
        "dnsPortsPrivateIPs",
        "nonPrivateIPs",
        "privateIPs",
    )
    return {
        "enabled": True,
        "ingress": [],
        "egress": [],
        "egressAllowRules": dict.fromkeys(rules, True),
        "interNamespaceAccessLabels": "ignore",
        "allowedIngressPorts": [],
    }


def _image(image: str) -> dict[str, Any]:
    name, tag = image.rsplit(":", 1)
    return {"name": name, "tag": tag, "pullPolicy": None, "pullSecrets": []}


def _hub(image: str) -> dict[str, Any]:
    return {
        "config": {"JupyterHub": {"admin_access": True, "authenticator_class": "dummy"}},
        "service": {"type": "ClusterIP", "annotations": {}, "ports": {"nodePort": None}},
        "baseUrl": "/",
        "cookieSecret": None,
        "initContainers": [],
        "nodeSelector": {},
        "tolerations": [],
        "concurrentSpawnLimit": 64,
        "consecutiveFailureLimit": 5,
        "activeServerLimit": None,
        "deploymentStrategy": {"type": "Recreate"},
        "db": {
            "type": "sqlite-pvc",
            "upgrade": None,
            "pvc": {
                "annotations": {},
                "selector": {},
                "accessModes": ["ReadWriteOnce"],
                "storage": "1Gi",
                "subPath": None,
                "storageClassName": None,
            },
            "url": None,
            "password": None,
        },
        "labels": {},
        "annotations": {},
        "command": [],
        "args": [],
        "extraConfig": {},
        "extraFiles": {},
        "extraEnv": {},
        "extraContainers": [],
        "extraVolumes": [],
        "extraVolumeMounts": [],
        "image": _image(image),
        "resources": {},
        "podSecurityContext": {"fsGroup": 1000},
        "containerSecurityContext": dict(RESTRICTED),
        "lifecycle": {},
        "loadRoles": {},
        "services": {},
        "pdb": _switched(False, maxUnavailable=None, minAvailable=1),
        "networkPolicy": _policy(),
        "allowNamedServers": False,
        "namedServerLimitPerUser": None,
        "authenticatePrometheus": None,
        "redirectToServer": None,
        "shutdownOnLogout": None,
        "templatePaths": [],
        "templateVars": {},
        "livenessProbe": _switched(
            True, initialDelaySeconds=300, periodSeconds=10, failureThreshold=30, timeoutSeconds=3
        ),
        "readinessProbe": _switched(
            True, initialDelaySeconds=0, periodSeconds=2, failureThreshold=1000, timeoutSeconds=1
        ),
        "existingSecret": None,
        "serviceAccount": {"create": True, "name": None, "annotations": {}},
        "extraPodSpec": {},
    }


def _proxy(image: str) -> dict[str, Any]:
    return {
        "secretToken": None,
        "annotations": {},
        "labels": {},
        "deploymentStrategy": {"type": "Recreate", "rollingUpdate": None},
        "service": {
            "type": "LoadBalancer",
            "labels": {},
            "annotations": {},
            "nodePorts": {"http": None, "https": None},
            "loadBalancerIP": None,
        },
        "chp": {
            "containerSecurityContext": {**RESTRICTED, "runAsUser": 65534, "runAsGroup": 65534},
            "image": _image(image),
            # Without tini the first process would not take the signal to end.
            "command": ["tini", "--", "configurable-http-proxy"],
            "extraCommandLineFlags": [],
            "resources": {},
            "nodeSelector": {},
            "networkPolicy": _policy(),
        },
        "https": {
            "enabled": False,
            "type": "letsencrypt",
            "letsencrypt": {"contactEmail": None, "acmeServer": None},
            "manual": {"key": None, "cert": None},
            "secret": {"name": None, "key": "tls.key", "crt": "tls.crt"},
            "hosts": [],
        },
    }


def _person(image: str) -> dict[str, Any]:
    return {
        "podNameTemplate": None,
        "extraTolerations": [],
        "nodeSelector": {},
        "networkPolicy": _policy(),
        # What blocks it is a container with iptables, for which there is no image here.
        "cloudMetadata": {"blockWithIptables": False, "ip": "169.254.169.254"},
        "events": True,
        "extraAnnotations": {},
        "extraLabels": {"hub.jupyter.org/network-access-hub": "true"},
        "extraFiles": {},
        "extraEnv": {},
        "lifecycleHooks": {},
        "initContainers": [],
        "extraContainers": [],
        "allowPrivilegeEscalation": False,
        "uid": 1000,
        "fsGid": 100,
        "serviceAccountName": None,
        "storage": {
            "type": "dynamic",
            "extraLabels": {},
            "extraVolumes": [],
            "extraVolumeMounts": [],
            "static": {"pvcName": None, "subPath": "{username}"},
            "capacity": "10Gi",
            "homeMountPath": "/home/jovyan",
            "dynamic": {
                "storageClass": None,
                "pvcNameTemplate": None,
                "volumeNameTemplate": "volume-{user_server}",
                "storageAccessModes": ["ReadWriteOnce"],
                "subPath": None,
            },
        },
        "image": _image(image),
        "startTimeout": 300,
        "cpu": {"limit": None, "guarantee": None},
        "memory": {"limit": None, "guarantee": "100M"},
        "extraResource": {"limits": {}, "guarantees": {}},
        "cmd": "jupyterhub-singleuser",
        "defaultUrl": None,
        "extraPodConfig": {},
        "profileList": [],
    }
