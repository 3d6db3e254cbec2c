//! `http-request` by way of a proxy, as python-requests uses one.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use petrel_tests::Place;
use petrel_tests::web::{self, Server};
use serde_json::{Value, json};

/// A proxy that reaches one server, whatever the host is called, and keeps the heads that it was sent.
struct Proxy {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::default();
        let (kept, behind) = (Arc::clone(&heads), server.port.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (kept, behind) = (Arc::clone(&kept), behind.clone());
                // Whoever goes away early is no fault of the proxy's.
                std::thread::spawn(move || drop(serve(client, &kept, &behind)));
            }
        });
        Self { port, heads }
    }

    /// Heads since the last question.
    fn heads(&self) -> Vec<String> {
        std::mem::take(&mut *self.heads.lock().unwrap())
    }
}

fn serve(client: TcpStream, kept: &Mutex<Vec<String>>, port: &str) -> std::io::Result<()> {
    let mut from = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && from.read_line(&mut head)? > 0 {}
    kept.lock().unwrap().push(head.clone());
    let mut server = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    let line = head.lines().next().unwrap_or_default();
    if line.starts_with("CONNECT ") {
        (&client).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        // To the server goes what stands behind the host.
        let (method, url) = line.split_once(" http://").unwrap_or((line, ""));
        let path = url.find('/').map_or("/ HTTP/1.1", |slash| &url[slash..]);
        let rest = head.split_once("\r\n").unwrap_or_default().1;
        server.write_all(format!("{method} {path}\r\n{rest}").as_bytes())?;
    }
    let (mut back, mut to) = (server.try_clone()?, client);
    let answers = std::thread::spawn(move || {
        let copied = std::io::copy(&mut back, &mut to);
        let _ = to.shutdown(Shutdown::Both);
        copied
    });
    std::io::copy(&mut from, &mut server)?;
    server.shutdown(Shutdown::Write)?;
    answers.join().expect("the other direction").map(drop)
}

fn place() -> Place {
    let place = Place::new();
    place.pack("shop");
    place.write(
        "packs/shop/actions/ask.yaml",
        "name: ask\nrunner_type: http-request\nparameters:\n  timeout: {type: number, default: 20}\n  \
         body: {type: string}\n",
    );
    place
}

fn ask(place: &Place, parameters: &[&str]) -> Value {
    let args = [&["run-action", "--json", "shop.ask"], parameters].concat();
    let output = place.petrel(&args);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}"))
}

/// A host that only the proxy knows: no tunnel, the whole URL, each hop of a redirect.
#[test]
fn plain_requests_go_to_the_proxy_with_their_whole_url() {
    let place = place();
    let petrel = place.start();
    petrel.up();
    let server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    let by = format!("http_proxy=http://me:p%40ss@127.0.0.1:{}", proxy.port);
    let other = "https_proxy=http://127.0.0.1:1";

    let url = "url=http://u:p@shop.invalid:81/echo?a=1";
    let shown = ask(&place, &[url, &by, other, "body=some"]);
    assert_eq!(shown["status"], "succeeded", "{shown}");
    let said = &shown["result"]["body"];
    assert_eq!(said["path"], "/echo?a=1");
    assert_eq!(
        (&said["method"], &said["body"]),
        (&json!("POST"), &json!("some"))
    );
    assert_eq!(said["headers"]["host"], "shop.invalid:81");
    assert_eq!(said["headers"]["authorization"], "Basic dTpw");
    let heads = proxy.heads();
    let [head] = heads.as_slice() else {
        panic!("{heads:?}")
    };
    assert!(
        head.starts_with("POST http://shop.invalid:81/echo?a=1 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains("\r\nProxy-Authorization: Basic bWU6cEBzcw==\r\n"),
        "{head}"
    );

    let url = "url=http://shop.invalid/redirect";
    let shown = ask(&place, &[url, &by, "allow_redirects=true"]);
    assert_eq!(shown["result"]["body"]["path"], "/echo", "{shown}");
    let heads = proxy.heads();
    let lines: Vec<_> = heads
        .iter()
        .filter_map(|head| head.lines().next())
        .collect();
    assert_eq!(
        lines,
        [
            "GET http://shop.invalid/redirect HTTP/1.1",
            "GET http://shop.invalid/echo HTTP/1.1"
        ]
    );

    let long = format!("body={}", "x".repeat(60_000));
    let shown = ask(&place, &["url=http://shop.invalid/", &by, &long]);
    let sent = shown["result"]["body"]["body"].as_str().unwrap();
    assert_eq!(sent.len(), 60_000);
}

/// A tunnel for `https://`, through which the proxy reads nothing.
#[test]
fn encrypted_requests_go_through_a_tunnel() {
    let place = place();
    let Some(pem) = web::certificate(&place, "https by way of a proxy") else {
        return;
    };
    let petrel = place.start();
    petrel.up();
    let server = Server::start(&[pem.to_str().unwrap()]);
    let proxy = Proxy::start(&server);
    let by = format!("https_proxy=http://me:pass@127.0.0.1:{}", proxy.port);
    let other = "http_proxy=http://127.0.0.1:1";
    let url = "url=https://shop.invalid/echo";
    let shown = ask(&place, &[url, &by, other, "verify_ssl_cert=false"]);
    assert_eq!(shown["result"]["body"]["path"], "/echo", "{shown}");
    let heads = proxy.heads();
    let [head] = heads.as_slice() else {
        panic!("{heads:?}")
    };
    assert!(
        head.starts_with("CONNECT shop.invalid:443 HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains("\r\nProxy-Authorization: Basic bWU6cGFzcw==\r\n"),
        "{head}"
    );
}

/// The environment's proxies are for hosts that `no_proxy` does not name; a parameter is for all.
#[test]
fn the_environment_has_proxies_too() {
    let mut place = place();
    let server = Server::start(&[]);
    let proxy = Proxy::start(&server);
    let by = format!("http://127.0.0.1:{}", proxy.port);
    place.set("http_proxy", &by);
    place.set("no_proxy", "127.0.0.1,intern.invalid");
    let petrel = place.start();
    petrel.up();
    let shown = ask(&place, &["url=http://shop.invalid/echo"]);
    assert_eq!(shown["result"]["body"]["path"], "/echo", "{shown}");
    assert_eq!(proxy.heads().len(), 1);
    let direct = format!("url=http://127.0.0.1:{}/echo", server.port);
    assert_eq!(ask(&place, &[&direct])["status"], "succeeded");
    assert_eq!(proxy.heads().len(), 0);
    assert_eq!(
        ask(&place, &["url=http://a.intern.invalid/"])["status"],
        "failed"
    );
    assert_eq!(proxy.heads().len(), 0);
    assert_eq!(
        ask(&place, &[&direct, &format!("http_proxy={by}")])["status"],
        "succeeded"
    );
    assert_eq!(proxy.heads().len(), 1);
    let shown = ask(
        &place,
        &["url=http://h/", "http_proxy=socks5://127.0.0.1:1"],
    );
    let error = shown["result"]["error"].as_str().unwrap();
    assert!(
        error.contains("SOCKS5") && error.contains("http_proxy"),
        "{error}"
    );
}
