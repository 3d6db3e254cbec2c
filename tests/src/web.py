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
    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_PURGE = handle_any
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
server = Server(("127.0.0.1", 0), Handler)
if len(sys.argv) > 1:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
