"""Creates certificates and kubeconfigs with openssl."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

from clusterlib.settings import Settings


def _openssl(*arguments: str, text: str = "") -> None:
    subprocess.run(["openssl", *arguments], input=text.encode(), check=True, capture_output=True)


class Pki:
    """Certificate authority of a cluster. Missing certificates are created."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.directory = settings.state / "pki"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.ca = self.directory / "ca.crt"
        if not self.ca.exists():
            _openssl(
                *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-days", "3650", "-subj", "/CN=trtllm-cluster", "-keyout", str(self.directory / "ca.key")),
                *("-out", str(self.ca)),
            )
            _openssl("genrsa", "-out", str(self.directory / "sa.key"), "2048")

    @property
    def service_account_key(self) -> Path:
        """Key that signs ServiceAccount tokens."""
        return self.directory / "sa.key"

    def certificate(self, name: str, subject: str, alt_names: str = "") -> tuple[Path, Path]:
        """Certificate and key for servers and clients; `alt_names` in openssl's format."""
        certificate, key = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        if certificate.exists():
            return certificate, key
        request = self.directory / f"{name}.csr"
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", subject),
            *("-keyout", str(key), "-out", str(request)),
        )
        extensions = "extendedKeyUsage=serverAuth,clientAuth\n"
        if alt_names:
            extensions += f"subjectAltName={alt_names}\n"
        extension_file = self.directory / f"{name}.ext"
        extension_file.write_text(extensions)
        _openssl(
            *("x509", "-req", "-days", "3650", "-in", str(request), "-CA", str(self.ca)),
            *("-CAkey", str(self.directory / "ca.key"), "-set_serial", f"0x{name.encode().hex()[:30]}"),
            *("-extfile", str(extension_file), "-out", str(certificate)),
        )
        request.unlink()
        extension_file.unlink()
        return certificate, key

    def kubeconfig(self, path: Path, name: str, subject: str) -> Path:
        """A self-contained kubeconfig for the user of the subject."""
        certificate, key = self.certificate(name, subject)
        server = f"https://{self.settings.api_address}:{self.settings.api_port}"
        cluster = self.settings.name

        def embedded(file: Path) -> str:
            return base64.b64encode(file.read_bytes()).decode()

        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": cluster,
            "clusters": [
                {"name": cluster, "cluster": {"server": server, "certificate-authority-data": embedded(self.ca)}}
            ],
            "users": [
                {
                    "name": name,
                    "user": {"client-certificate-data": embedded(certificate), "client-key-data": embedded(key)},
                }
            ],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": name}}],
        }
        path.write_text(json.dumps(config, indent=2))
        path.chmod(0o600)
        return path
