"""A connection to another host for actions (names of st2common/runners/paramiko_ssh.py).

Petrel's own remote runners use the system's ssh; this is for packs that talk to a host themselves. paramiko
comes from the base environment.
"""

import io
import os

import paramiko
from oslo_config import cfg

__all__ = ["ParamikoSSHClient"]

_TIMEOUT_S = 60
_USER = [
    cfg.StrOpt("user", default="stanley", help="Default system user."),
    cfg.StrOpt("ssh_key_file", default="/home/stanley/.ssh/stanley_rsa", help="SSH private key for the system user."),
]
# Packs that bring no key ask for that of the system's user.
cfg.CONF.register_opts(_USER, group="system_user")


class ParamikoSSHClient:
    """One host; `connect`, `run` and `close`."""

    def __init__(
        self,
        hostname,
        port=22,
        username=None,
        password=None,
        bastion_host=None,
        key_files=None,
        key_material=None,
        timeout=None,
        passphrase=None,
        **_,
    ):
        if bastion_host:
            raise NotImplementedError("petrel's ParamikoSSHClient goes to a host directly; use a remote-shell action")
        self.hostname = hostname
        self.port = port
        self.username = username or cfg.CONF.system_user.user
        self.password = password
        self.key_files = [key_files] if isinstance(key_files, str) else key_files
        self.key_material = key_material
        self.timeout = timeout or _TIMEOUT_S
        self.passphrase = passphrase
        self.client = None

    def connect(self):
        """Connect with the key, else the password, else what an agent or the user's folder has; True."""
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(
            self.hostname,
            port=int(self.port),
            username=self.username,
            password=self.password,
            pkey=self._key(),
            key_filename=[os.path.expanduser(path) for path in self.key_files or []] or None,
            passphrase=self.passphrase,
            timeout=self.timeout,
            allow_agent=not self.password,
            look_for_keys=not self.password,
        )
        self.client = client
        return True

    def run(self, cmd, timeout=None, quote=False, call_line_handler_func=False):
        """Run a command: [output, errors, exit code], the first two as text."""
        _, out, errors = self.client.exec_command(cmd, timeout=timeout or self.timeout)
        text, wrong = out.read().decode("utf-8", "replace"), errors.read().decode("utf-8", "replace")
        return [text, wrong, out.channel.recv_exit_status()]

    def close(self):
        """Hang up; True."""
        if self.client:
            self.client.close()
        return True

    def _key(self):
        if not self.key_material:
            return None
        for kind in (paramiko.RSAKey, paramiko.ECDSAKey, paramiko.Ed25519Key):
            try:
                return kind.from_private_key(io.StringIO(self.key_material), password=self.passphrase)
            except paramiko.SSHException:
                continue
        raise paramiko.SSHException("the key is neither RSA, ECDSA nor Ed25519, or its passphrase is wrong")
