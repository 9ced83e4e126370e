"""What the programs of the node are started with: files, and the arguments of each."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .certificates import write_certificates

NODE = "hubops-test"
#: The two ends of the only wire between this machine and the node.
HOST_ADDRESS = "10.97.0.1"
NODE_ADDRESS = "10.97.0.2"
WIRE = "10.97.0.0/30"
SERVICES = "10.96.0.0/16"
PODS = "10.244.0.0/16"
SERVER = f"https://{NODE_ADDRESS}:6443"
PAUSE = "hubops-test/pause:1"
#: The cgroup of all pods, below which nothing of the machine's own is.
CGROUP = "hubops-test"

# Each program of the control plane is a user of its own, as the cluster's own rules for them (RBAC) expect.
USERS = {
    "administrator": ("administrator", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
}


@dataclass(frozen=True)
class Program:
    """A program of the node, and whether it waits until the API server answers."""

    name: str
    arguments: tuple[str, ...]
    needs_server: bool = True


def write_settings(folder: Path) -> None:
    """Write all files that the programs read, into a folder without any."""
    settings = folder / "settings"
    settings.mkdir(parents=True)
    service = SERVICES.replace("0.0/16", "0.1")
    names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    write_certificates(settings, names, ["127.0.0.1", NODE_ADDRESS, service])
    tokens = []
    for name, (user, group) in USERS.items():
        token = secrets.token_hex(16)
        tokens.append(f'{token},{user},{user},"{group}"' if group else f"{token},{user},{user}")
        _write(settings / f"{name}.kubeconfig", json.dumps(_kubeconfig(settings, user, token)))
    _write(settings / "tokens.csv", "\n".join(tokens) + "\n")
    _write(settings / "kubelet.json", json.dumps(_kubelet(folder)))
    _write(settings / "kube-proxy.json", json.dumps(_kube_proxy(settings)))
    _write(settings / "containerd.toml", _containerd(folder))
    _write(settings / "resolv.conf", "")
    _write(settings / "Corefile", _names(settings))
    (settings / "cni").mkdir()
    _write(settings / "cni" / "10-pods.conflist", json.dumps(_network()))


def programs(folder: Path, binaries: Path) -> list[Program]:
    """The programs of the node, in the order of their start."""
    settings = folder / "settings"

    def kubeconfig(name: str) -> str:
        return f"--kubeconfig={settings}/{name}.kubeconfig"

    return [
        Program(
            "etcd",
            (
                "etcd",
                f"--data-dir={folder}/etcd",
                "--listen-client-urls=http://127.0.0.1:2379",
                "--advertise-client-urls=http://127.0.0.1:2379",
                "--listen-peer-urls=http://127.0.0.1:2380",
                "--log-level=warn",
            ),
            needs_server=False,
        ),
        Program("containerd", ("containerd", f"--config={settings}/containerd.toml"), needs_server=False),
        Program(
            "kube-apiserver",
            (
                f"{binaries}/kube-apiserver",
                "--etcd-servers=http://127.0.0.1:2379",
                f"--advertise-address={NODE_ADDRESS}",
                f"--tls-cert-file={settings}/server.crt",
                f"--tls-private-key-file={settings}/server.key",
                f"--client-ca-file={settings}/ca.crt",
                f"--kubelet-client-certificate={settings}/client.crt",
                f"--kubelet-client-key={settings}/client.key",
                "--kubelet-preferred-address-types=InternalIP",
                f"--token-auth-file={settings}/tokens.csv",
                "--authorization-mode=Node,RBAC",
                "--allow-privileged=true",
                f"--service-cluster-ip-range={SERVICES}",
                # Debian's etcd 3.4 cannot report its progress to a watch, which this would wait for.
                "--feature-gates=SizeBasedListCostEstimate=false",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={settings}/accounts.key",
                f"--service-account-signing-key-file={settings}/accounts.key",
            ),
            needs_server=False,
        ),
        Program(
            "kube-controller-manager",
            (
                f"{binaries}/kube-controller-manager",
                kubeconfig("kube-controller-manager"),
                "--leader-elect=false",
                "--use-service-account-credentials=true",
                f"--root-ca-file={settings}/ca.crt",
                f"--service-account-private-key-file={settings}/accounts.key",
            ),
        ),
        Program(
            "kube-scheduler",
            (f"{binaries}/kube-scheduler", kubeconfig("kube-scheduler"), "--leader-elect=false"),
        ),
        Program("dns", (f"{binaries}/dns", f"-conf={settings}/Corefile", "-quiet")),
        Program("kube-proxy", (f"{binaries}/kube-proxy", f"--config={settings}/kube-proxy.json")),
        Program(
            "kubelet",
            (
                f"{binaries}/kubelet",
                f"--config={settings}/kubelet.json",
                kubeconfig("kubelet"),
                f"--root-dir={folder}/kubelet",
                f"--hostname-override={NODE}",
                f"--node-ip={NODE_ADDRESS}",
            ),
        ),
    ]


def _kubeconfig(settings: Path, user: str, token: str) -> dict[str, Any]:
    cluster = {"server": SERVER, "certificate-authority": str(settings / "ca.crt")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NODE, "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": NODE, "context": {"cluster": NODE, "user": user}}],
        "current-context": NODE,
    }


def _kubelet(folder: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{folder}/run/containerd.sock",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": f"{folder}/settings/ca.crt"},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "clusterDomain": "cluster.local",
        "clusterDNS": [NODE_ADDRESS],
        "resolvConf": f"{folder}/settings/resolv.conf",
        "podLogsDir": f"{folder}/logs/pods",
        # A machine for tests may have swap, the first version of cgroups, and no right to lower a process's
        # score for the kernel's killer.
        "failSwapOn": False,
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "enforceNodeAllocatable": [],
        "oomScoreAdj": _own_score(),
        # Images cannot be pulled again, so none is removed however full the disk is.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }


def _kube_proxy(settings: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": f"{settings}/kube-proxy.kubeconfig"},
        "clusterCIDR": PODS,
        "hostnameOverride": NODE,
        "mode": "iptables",
        # The machine's own limits are not the node's to set.
        "conntrack": {
            "maxPerCore": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "oomScoreAdj": _own_score(),
    }


def _names(settings: Path) -> str:
    """Names of services for pods; the node itself asks nobody."""
    return f"""\
.:53 {{
    errors
    kubernetes cluster.local {{
        kubeconfig {settings}/administrator.kubeconfig
    }}
}}
"""


def _containerd(folder: Path) -> str:
    return f"""\
version = 2
root = "{folder}/containerd"
state = "{folder}/run/containerd"

[grpc]
  address = "{folder}/run/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/settings/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""


def _network() -> dict[str, Any]:
    """Each pod on a wire of its own: what goes from one to another is routed, as services need it."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": "/run/pod-addresses",
    }
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{"type": "ptp", "ipam": addresses}],
    }


def _own_score() -> int:
    return int(Path("/proc/self/oom_score_adj").read_text())


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
