//! A real `sshd` on this host: no account is made for it.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use crate::{Place, skipped, wait_until};

/// Of the key `locked`.
pub const PASSPHRASE: &str = "open sesame";

/// `sshd` on this host, which lets in whoever has the key `id` or `locked`.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// Its files, away from those of the supervisor, which leaves nothing behind: in `ssh` the keys.
    pub files: Place,
}

impl Server {
    /// None, with a word why, where it is not installed or does not start.
    ///
    /// # Panics
    /// When its files cannot be written.
    pub fn start(what: &str) -> Option<Self> {
        let place = Place::new();
        fs::create_dir_all(place.path("ssh")).expect("the system");
        let names = [
            ("host", ""),
            ("id", ""),
            ("locked", PASSPHRASE),
            ("foreign", ""),
        ];
        for (name, phrase) in names {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", phrase, "-f"])
                .arg(place.path(&format!("ssh/{name}")))
                .status();
            if made.is_err() {
                skipped(what, "there is no ssh-keygen");
                return None;
            }
        }
        let keys = ["id", "locked"].map(|name| place.read(&format!("ssh/{name}.pub")));
        let keys = place.write("ssh/authorized", &keys.concat());
        fs::set_permissions(keys, PermissionsExt::from_mode(0o600)).expect("the system");
        // Where root starts it, it wants this folder; for others it changes nothing.
        let _ = fs::create_dir_all("/run/sshd");
        let socket = TcpListener::bind("127.0.0.1:0").expect("the system");
        let port = socket.local_addr().expect("the system").port();
        drop(socket);
        let folder = place.path("ssh").display().to_string();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\n\
             AuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\n\
             PidFile none\nPermitRootLogin yes\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\n"
        );
        let config = place.write("ssh/config", &config);
        let log = fs::File::create(place.path("ssh/log")).expect("the system");
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(config)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn();
        let Ok(child) = child else {
            skipped(
                what,
                "there is no sshd (Debian: apt-get install openssh-server)",
            );
            return None;
        };
        let mut server = Self {
            child,
            port,
            files: place,
        };
        let mut gone = None;
        wait_until("sshd answers", || {
            gone = server.child.try_wait().expect("the system");
            let up = gone.is_some() || TcpStream::connect(("127.0.0.1", port)).is_ok();
            up.then_some(())
        });
        if gone.is_some() {
            skipped(what, &server.files.read("ssh/log"));
            return None;
        }
        Some(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
