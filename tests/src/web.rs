//! A server of the web, in Python, that says what it was asked.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::{Place, skipped};

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// On 127.0.0.1.
    pub port: String,
}

impl Server {
    /// Starts one; `more` is the file of a certificate with its key, for TLS.
    ///
    /// # Panics
    /// When there is no Python.
    pub fn start(more: &[&str]) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", include_str!("web.py")])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut port = String::new();
        let out = child.stdout.take().expect("it is a pipe");
        BufReader::new(out)
            .read_line(&mut port)
            .expect("the server says its port");
        let port = port.trim().to_owned();
        Self { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A certificate of `localhost` that nobody signed, with its key; none, and said so, without openssl.
///
/// # Panics
/// When the file cannot be written.
pub fn certificate(place: &Place, what: &str) -> Option<PathBuf> {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .args(["-keyout", "-", "-out", "-"])
        .output();
    let Ok(made) = made else {
        skipped(what, "openssl is not installed");
        return None;
    };
    let pem = place.path("server.pem");
    std::fs::write(&pem, made.stdout).expect("the file is written");
    Some(pem)
}
