"""Runs etcd, API server, controller manager, scheduler, kube-proxy and CoreDNS as processes of the host."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from clusterlib.binary import clients
from clusterlib.pki import Pki
from clusterlib.processes import Processes
from clusterlib.settings import Settings

PROVISIONER_UID = 65532
"""User of the builder's pods. The controller manager runs as it, so that volumes that it provisions belong to it."""


class ControlPlane:
    """Control plane of a cluster. Every program binds to loopback or to an address of the bridge."""

    def __init__(self, settings: Settings, pki: Pki, processes: Processes, binaries: Path) -> None:
        self.settings, self.pki, self.processes, self.binaries = settings, pki, processes, binaries

    def up(self) -> None:
        """Start the programs that do not run, and wait until the API server is ready."""
        self._etcd()
        self._api_server()
        self.pki.kubeconfig(self.settings.kubeconfig, "admin", "/O=system:masters/CN=kubernetes-admin")
        self.processes.wait_until(self.api_ready, "the API server", 60, "kube-apiserver")
        self._controller_manager()
        if not self.settings.control_plane_only:
            self._scheduler()

    def api_ready(self) -> bool:
        """True if /readyz answers ok."""
        context = ssl.create_default_context(cafile=str(self.pki.ca))
        url = f"https://{self.settings.api_address}:{self.settings.api_port}/readyz"
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as the administrator and return its output."""
        return subprocess.run(
            [str(clients() / "kubectl"), "--kubeconfig", str(self.settings.kubeconfig), *arguments],
            input=stdin,
            text=True,
            check=True,
            stdout=subprocess.PIPE,
        ).stdout

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects (server-side apply)."""
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)

    def _etcd(self) -> None:
        client = f"http://127.0.0.1:{self.settings.etcd_port}"
        peer = f"http://127.0.0.1:{self.settings.etcd_port + 1}"
        self.processes.start(
            "etcd",
            [
                self.binaries / "etcd",
                f"--data-dir={self.settings.state / 'etcd'}",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--unsafe-no-fsync",  # the cluster is for demos and tests: a crash may lose it
                "--log-level=warn",
            ],
        )

    def _api_server(self) -> None:
        settings = self.settings
        names = (
            "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,"
            f"IP:{settings.api_address},IP:{settings.kubernetes_address}"
        )
        certificate, key = self.pki.certificate("apiserver", "/CN=kube-apiserver", names)
        kubelet_certificate, kubelet_key = self.pki.certificate(
            "apiserver-kubelet", "/O=system:masters/CN=apiserver-kubelet"
        )
        front_certificate, front_key = self.pki.certificate("front-proxy", "/CN=front-proxy")
        self.processes.start(
            "kube-apiserver",
            [
                self.binaries / "kube-apiserver",
                f"--bind-address={settings.api_address}",
                f"--advertise-address={settings.api_address}",
                f"--secure-port={settings.api_port}",
                f"--etcd-servers=http://127.0.0.1:{settings.etcd_port}",
                f"--service-cluster-ip-range={settings.service_cidr}",
                f"--client-ca-file={self.pki.ca}",
                f"--tls-cert-file={certificate}",
                f"--tls-private-key-file={key}",
                f"--service-account-key-file={self.pki.service_account_key}",
                f"--service-account-signing-key-file={self.pki.service_account_key}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--kubelet-client-certificate={kubelet_certificate}",
                f"--kubelet-client-key={kubelet_key}",
                f"--kubelet-certificate-authority={self.pki.ca}",
                "--kubelet-preferred-address-types=InternalIP",
                f"--requestheader-client-ca-file={self.pki.ca}",
                "--requestheader-allowed-names=front-proxy",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                "--requestheader-group-headers=X-Remote-Group",
                "--requestheader-username-headers=X-Remote-User",
                f"--proxy-client-cert-file={front_certificate}",
                f"--proxy-client-key-file={front_key}",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--allow-privileged=true",
                f"--cert-dir={settings.state / 'apiserver'}",
                *(
                    # on loopback nothing can reach the Service `kubernetes`, and its endpoint may not be loopback
                    ("--endpoint-reconciler-type=none",) if settings.control_plane_only else ()
                ),
            ],
        )

    def _controller_manager(self) -> None:
        settings = self.settings
        kubeconfig = self.pki.kubeconfig(
            settings.state / "kcm.kubeconfig", "kube-controller-manager", "/CN=system:kube-controller-manager"
        )
        key = settings.state / "kcm-sa.key"
        if not key.exists():
            key.write_bytes(self.pki.service_account_key.read_bytes())
        command: list[str | Path] = [
            self.binaries / "kube-controller-manager",
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            "--secure-port=0",
            "--leader-elect=false",
            "--use-service-account-credentials",
            f"--service-account-private-key-file={key}",
            f"--root-ca-file={self.pki.ca}",
            f"--cluster-cidr={settings.pod_cidr}",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
            "--concurrent-job-syncs=10",
        ]
        if not settings.control_plane_only:
            command.append("--enable-hostpath-provisioner=true")
            identity = str(PROVISIONER_UID)
            command = ["setpriv", "--reuid", identity, "--regid", identity, "--clear-groups", *command]
            for path in (kubeconfig, key):
                os.chown(path, PROVISIONER_UID, PROVISIONER_UID)
            for directory in (settings.state, *settings.state.parents):
                if directory.is_relative_to("/var/lib") and directory != Path("/var/lib"):
                    directory.chmod(0o711)
        self.processes.start("kube-controller-manager", command)

    def _scheduler(self) -> None:
        kubeconfig = self.pki.kubeconfig(
            self.settings.state / "scheduler.kubeconfig", "kube-scheduler", "/CN=system:kube-scheduler"
        )
        self.processes.start(
            "kube-scheduler",
            [
                self.binaries / "kube-scheduler",
                f"--kubeconfig={kubeconfig}",
                f"--authentication-kubeconfig={kubeconfig}",
                f"--authorization-kubeconfig={kubeconfig}",
                "--bind-address=127.0.0.1",
                "--secure-port=0",
                "--leader-elect=false",
                "--kube-api-qps=200",
                "--kube-api-burst=400",
            ],
        )
