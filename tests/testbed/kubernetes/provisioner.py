"""A stand-in of a storage provisioner: each claim of its class gets a folder of the node.

The volumes are Kubernetes' own local volumes, so a pod's ``fsGroup`` counts as on the disks of a cloud. The
folder of a volume is removed with its claim, as clouds do by default.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Any

from .api import Api
from .settings import NODE

NAME = "hubops.test/folder"
VOLUMES = "/api/v1/persistentvolumes"
STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {
        "name": "folder",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": NAME,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "Immediate",
}


def volume_for(claim: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The volume for a claim: of the size that is asked for, on this node."""
    metadata, spec = claim["metadata"], claim["spec"]
    name = f"pvc-{metadata['uid']}"
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": NAME}},
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "persistentVolumeReclaimPolicy": STORAGE_CLASS["reclaimPolicy"],
            "storageClassName": spec["storageClassName"],
            "volumeMode": "Filesystem",
            "local": {"path": str(folder / name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
        },
    }


def look(api: Api, folder: Path) -> None:
    """Make a volume for each claim that waits for one, and remove those whose claims are gone."""
    volumes = api.items(VOLUMES)
    existing = {volume["metadata"]["name"] for volume in volumes}
    for claim in api.items("/api/v1/persistentvolumeclaims"):
        annotations = claim["metadata"].get("annotations", {})
        is_ours = annotations.get("volume.kubernetes.io/storage-provisioner") == NAME
        if is_ours and claim["status"]["phase"] == "Pending":
            volume = volume_for(claim, folder)
            if volume["metadata"]["name"] not in existing:
                Path(volume["spec"]["local"]["path"]).mkdir(parents=True, exist_ok=True)
                api.create(VOLUMES, volume)
    for volume in volumes:
        annotations = volume["metadata"].get("annotations", {})
        is_ours = annotations.get("pv.kubernetes.io/provisioned-by") == NAME
        is_to_go = volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
        if is_ours and is_to_go and volume["status"]["phase"] in {"Released", "Failed"}:
            api.delete(f"{VOLUMES}/{volume['metadata']['name']}")
            shutil.rmtree(volume["spec"]["local"]["path"], ignore_errors=True)


def main(folder: Path) -> None:
    """Look twice a second, until this process is killed."""
    api = Api(folder)
    while True:
        try:
            look(api, folder / "volumes")
        except OSError as error:
            print(error, flush=True)
        time.sleep(0.5)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
