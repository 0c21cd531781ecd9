"""Starts kube-proxy and CoreDNS, one of each per cluster, as processes of the host."""

from __future__ import annotations

import json

from clusterlib.controlplane import ControlPlane


def start_proxy(control: ControlPlane) -> None:
    """Start kube-proxy in iptables mode. Node ports open on the API's address only."""
    settings = control.settings
    kubeconfig = control.pki.kubeconfig(settings.state / "proxy.kubeconfig", "kube-proxy", "/CN=system:kube-proxy")
    config = settings.state / "proxy.json"
    config.write_text(
        json.dumps(
            {
                "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                "kind": "KubeProxyConfiguration",
                "mode": "iptables",
                "bindAddress": settings.api_address,
                "healthzBindAddress": "127.0.0.1:10256",
                "metricsBindAddress": "127.0.0.1:10249",
                "clientConnection": {"kubeconfig": str(kubeconfig)},
                "clusterCIDR": settings.pod_cidr,
                "hostnameOverride": settings.node_name(1),
                "nodePortAddresses": [f"{settings.api_address}/32"],
                "conntrack": {"maxPerCore": 0, "min": 0},
            }
        )
    )
    control.processes.start("kube-proxy", [control.binaries / "kube-proxy", f"--config={config}"])


def start_dns(control: ControlPlane) -> None:
    """Start CoreDNS on the API's address, and create the Service kube-dns for it."""
    settings = control.settings
    kubeconfig = control.pki.kubeconfig(settings.state / "dns.kubeconfig", "coredns", "/CN=system:coredns")
    corefile = settings.state / "Corefile"
    corefile.write_text(
        f""".:53 {{
    bind {settings.api_address}
    errors
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
    cache 5 {{
        disable success cluster.local
        disable denial cluster.local
    }}
}}
"""
    )
    ports = [
        {"name": name, "port": 53, "protocol": protocol} for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP"))
    ]
    control.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["endpoints", "services", "pods", "namespaces"],
                    "verbs": ["list", "watch"],
                },
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "system:coredns"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:coredns"}],
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system"},
            "spec": {"clusterIP": settings.dns_address, "ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kube-dns",
                "namespace": "kube-system",
                "labels": {"kubernetes.io/service-name": "kube-dns"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [settings.api_address], "conditions": {"ready": True}}],
            "ports": ports,
        },
    )
    control.processes.start("coredns", [control.binaries / "coredns", "-conf", corefile])
