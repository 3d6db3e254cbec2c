//! `http-request` against a real server.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "tests make children")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use petrel_tests::{Place, wait_until};
use serde_json::{Value, json};

const SERVER: &str = r#"
import http.server, json, ssl, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    def answer(self, code, body, kind="text/plain", **more):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        path = self.path.split("?")[0]
        if path == "/redirect":
            self.answer(302, b"", Location="/echo")
        elif path == "/slow":
            time.sleep(1000)
        elif path == "/big":
            self.answer(200, b"x" * 10_000_000)
        elif path == "/huge":
            self.answer(200, b"x" * 40_000_000)
        elif path == "/binary":
            self.answer(200, bytes(range(256)), "application/octet-stream")
        elif path == "/gone":
            self.answer(404, b'{"error": "gone"}', "application/json; charset=utf-8")
        else:
            said = {"method": self.command, "path": self.path, "body": body,
                    "headers": {k.lower(): v for k, v in self.headers.items()}}
            self.answer(200, json.dumps(said).encode(), "application/json")
    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = handle_any
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
server = Server(("127.0.0.1", 0), Handler)
if len(sys.argv) > 1:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

struct Server {
    child: Child,
    port: String,
}

impl Server {
    fn start(more: &[&str]) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", SERVER])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut port).unwrap();
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

fn place() -> Place {
    let place = Place::new();
    place.pack("shop");
    place.write(
        "packs/shop/actions/ask.yaml",
        "name: ask\nrunner_type: http-request\nparameters:\n  method: {type: string}\n  \
         body: {type: string}\n  params: {type: object}\n  timeout: {type: number, default: 20}\n  \
         file_name: {type: string}\n  file_content: {type: string}\n",
    );
    place
}

fn ask(place: &Place, url: &str, more: &[&str]) -> Value {
    let url = format!("url={url}");
    let args = [&["run-action", "--json", "shop.ask", &url], more].concat();
    let output = place.petrel(&args);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}"))
}

#[test]
fn requests_are_made_and_answers_are_results() {
    let place = place();
    let petrel = place.start();
    petrel.up();
    let server = Server::start(&[]);
    let at = |path: &str| format!("http://127.0.0.1:{}{path}", server.port);

    let shown = ask(&place, &at("/echo?a=1"), &["params={\"b\": [2, 3]}"]);
    let result = &shown["result"];
    assert_eq!(
        (&shown["status"], &result["parsed"]),
        (&json!("succeeded"), &json!(true))
    );
    assert_eq!(result["body"]["method"], "GET");
    assert_eq!(result["body"]["path"], "/echo?a=1&b=2&b=3");
    assert_eq!(result["body"]["headers"]["x-stanley-action"], "shop.ask");
    assert_eq!(result["headers"]["Content-Type"], "application/json");
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"] {
        let shown = ask(
            &place,
            &at("/echo"),
            &[&format!("method={method}"), "body=some"],
        );
        assert_eq!(shown["status"], "succeeded", "{shown}");
        if method != "HEAD" {
            let said = &shown["result"]["body"];
            assert_eq!(
                (&said["method"], &said["body"]),
                (&json!(method), &json!("some"))
            );
        }
    }
    let kind = "headers={\"Content-Type\": \"application/json\", \"X-Own\": \"ünï\"}";
    let shown = ask(&place, &at("/echo"), &[kind, "body={'a': None}"]);
    assert_eq!(shown["result"]["body"]["body"], r#"{"a":null}"#);
    let shown = ask(
        &place,
        &at("/echo"),
        &["file_name=f.txt", "file_content=hello"],
    );
    let body = shown["result"]["body"]["body"].as_str().unwrap();
    assert!(
        body.contains("filename=\"f.txt\"") && body.contains("hello"),
        "{shown}"
    );

    let shown = ask(&place, &at("/redirect"), &[]);
    assert_eq!(
        (&shown["status"], &shown["result"]["status_code"]),
        (&json!("failed"), &json!(302))
    );
    let shown = ask(&place, &at("/redirect"), &["allow_redirects=true"]);
    assert_eq!(shown["result"]["body"]["path"], "/echo");
    let shown = ask(&place, &at("/gone"), &[]);
    assert_eq!(shown["status"], "failed");
    assert_eq!(shown["result"]["body"], json!({"error": "gone"}));

    let shown = ask(&place, &at("/big"), &[]);
    assert_eq!(shown["result"]["body"].as_str().unwrap().len(), 10_000_000);
    let shown = ask(&place, &at("/huge"), &[]);
    assert_eq!(shown["status"], "failed");
    let shown = ask(&place, &at("/binary"), &[]);
    let wanted: String = (0..=255_u8).map(char::from).collect();
    assert_eq!(shown["result"]["body"], wanted);
    let shown = ask(&place, &at("/slow"), &["timeout=0.5"]);
    assert_eq!(shown["status"], "timeout", "{shown}");
    let shown = ask(&place, "http://127.0.0.1:1/", &[]);
    assert!(shown["result"]["error"].is_string(), "{shown}");
}

/// Every argument and every variable of every process, but those of `except`.
fn anywhere(text: &str, except: u32) -> Option<String> {
    let found = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let pid: u32 = path.file_name()?.to_str()?.parse().ok()?;
        let seen = ["cmdline", "environ"].into_iter().find(|file| {
            let bytes = std::fs::read(path.join(file)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(text)
        })?;
        (pid != except).then(|| format!("{}/{seen}", path.display()))
    });
    found.into_iter().next()
}

#[test]
fn credentials_reach_the_server_and_nobody_else() {
    const SECRET: &str = "correct-horse-battery";
    let place = place();
    place.write(
        "packs/shop/rules/r.yaml",
        "name: r\nenabled: true\ntrigger: {type: core.st2.IntervalTimer, parameters: {unit: hours, delta: 1}}\n\
         action: {ref: shop.ask, parameters: {url: 'http://x'}}\n",
    );
    let petrel = place.start();
    petrel.up();
    let server = Server::start(&[]);
    let key = place.petrel(&["key", "set", "word", SECRET, "--encrypt"]);
    assert!(key.status.success());
    let template = "password={{ st2kv.system.word | decrypt_kv }}";
    let echo = format!("http://127.0.0.1:{}/echo", server.port);
    let shown = ask(&place, &echo, &["username=me", template]);
    let sent = &shown["result"]["body"]["headers"]["authorization"];
    assert_eq!(sent, "Basic bWU6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5");
    assert_eq!(shown["parameters"]["password"], "********");
    let slow = format!("url=http://127.0.0.1:{}/slow", server.port);
    place.petrel(&[
        "run-action",
        "--async",
        "shop.ask",
        &slow,
        "username=me",
        template,
    ]);
    wait_until("the request is under way", || {
        let all = place.executions();
        all.iter().find(|one| one["status"] == "running").cloned()
    });
    assert_eq!(anywhere(SECRET, std::process::id()), None);
}

#[test]
fn certificates_are_checked_unless_told_otherwise() {
    let place = place();
    let pem = place.path("server.pem");
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ])
        .args(["-keyout", "-", "-out", "-"])
        .output();
    let Ok(made) = made else {
        println!("skipped: openssl is not installed");
        return;
    };
    std::fs::write(&pem, made.stdout).unwrap();
    let petrel = place.start();
    petrel.up();
    let server = Server::start(&[pem.to_str().unwrap()]);
    let url = format!("https://localhost:{}/echo", server.port);
    let shown = ask(&place, &url, &[]);
    assert_eq!(shown["status"], "failed");
    let error = shown["result"]["error"].as_str().unwrap();
    assert!(error.to_lowercase().contains("certificate"), "{error}");
    let shown = ask(&place, &url, &["verify_ssl_cert=false"]);
    assert_eq!(shown["result"]["status_code"], 200, "{shown}");
}
