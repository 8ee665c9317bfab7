"""Certificate, tokens and kubeconfig files of one control plane."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .paths import ControlPlaneError

ADMIN = "admin"
WEAK_USERS = tuple(f"user-{number}" for number in range(10))
USERS = (ADMIN, *WEAK_USERS)
NAMES = "IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes.default.svc"
EXTENSIONS = (
    f"subjectAltName={NAMES}",
    "basicConstraints=critical,CA:TRUE",
    "keyUsage=critical,digitalSignature,keyCertSign",
    "extendedKeyUsage=serverAuth",
)


@dataclass(frozen=True)
class Credentials:
    """Files that every component and client needs, all in one folder that only the tests see."""

    folder: Path
    server: str

    @property
    def certificate(self) -> Path:
        """Self-signed: it is at once the API server's certificate and the authority to trust."""
        return self.folder / "apiserver.crt"

    @property
    def key(self) -> Path:
        """The key of the certificate; service account tokens are signed with it, too."""
        return self.folder / "apiserver.key"

    @property
    def tokens(self) -> Path:
        """The API server's --token-auth-file."""
        return self.folder / "tokens.csv"

    def token(self, user: str) -> str:
        """The bearer token of a user."""
        if user not in USERS:
            raise ControlPlaneError(f"no user {user}; there are: {', '.join(USERS)}")
        return f"token-of-{user}"

    def kubeconfig(self, user: str = ADMIN, server: str | None = None, name: str | None = None) -> Path:
        """Write (once) a kubeconfig for a user; `server` for one that goes through the lag proxy."""
        path = self.folder / f"{name or user}.kubeconfig"
        if not path.exists():
            path.write_text(json.dumps(self._kubeconfig(user, server or self.server), indent=1))
            path.chmod(0o600)
        return path

    def _kubeconfig(self, user: str, server: str) -> dict[str, object]:
        authority = base64.b64encode(self.certificate.read_bytes()).decode()
        cluster = {"server": server, "certificate-authority-data": authority}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": user}}],
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": self.token(user)}}],
        }


def make(folder: Path, server: str) -> Credentials:
    """Make certificate, key and token file in a new folder."""
    folder.mkdir(mode=0o700)
    made = Credentials(folder, server)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=gatekeep-controlplane"]
    command += ["-keyout", str(made.key), "-out", str(made.certificate)]
    for extension in EXTENSIONS:
        command += ["-addext", extension]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise ControlPlaneError(f"openssl could not make a certificate: {run.stderr.strip()}")
    lines = [f'{made.token(ADMIN)},{ADMIN},{ADMIN},"system:masters"']
    lines += [f"{made.token(user)},{user},{user}" for user in WEAK_USERS]
    made.tokens.write_text("\n".join(lines) + "\n")
    made.tokens.chmod(0o600)
    return made
