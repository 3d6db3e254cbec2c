"""Plays an Exchange server with two unread mails, as far as exchangelib's clients ask: `exchange.py CERTIFICATE`.

The first line of its output is its port; then one line for each mail that a client marks as read.
"""

import base64
import http.server
import re
import ssl
import sys

SCHEMAS = "http://schemas.microsoft.com/exchange/services/2006/"
ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:t="%stypes" xmlns:m="%smessages"><s:Header><t:ServerVersionInfo MajorVersion="15" MinorVersion="0" '
    'MajorBuildNumber="800" MinorBuildNumber="1" Version="Exchange2013"/></s:Header><s:Body>%%s</s:Body>'
    "</s:Envelope>" % (SCHEMAS, SCHEMAS)
)
LOGIN = "Basic " + base64.b64encode(b"ann@mail.example:between us").decode()
TYPES = '<?xml version="1.0"?><xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" version="Exchange2013"/>'
unread = ["one", "two"]


def of_service(name, *parts, code="NoError"):
    """The response of a service, one message for each part."""
    kind = "Success" if code == "NoError" else "Error"
    message = '<m:%sResponseMessage ResponseClass="%s"><m:ResponseCode>%s</m:ResponseCode>%s</m:%sResponseMessage>'
    messages = "".join(message % (name, kind, code, part, name) for part in parts)
    return "<m:%sResponse><m:ResponseMessages>%s</m:ResponseMessages></m:%sResponse>" % (name, messages, name)


def folder(name):
    """A folder of mails."""
    fields = "<t:FolderClass>IPF.Note</t:FolderClass><t:DisplayName>%s</t:DisplayName>" % name
    return '<t:Folder><t:FolderId Id="%s" ChangeKey="k"/>%s</t:Folder>' % (name, fields)


def mail(name):
    """An unread mail."""
    fields = (
        "<t:Subject>mail %s</t:Subject><t:Body BodyType='Text'>text of %s</t:Body>"
        "<t:DateTimeReceived>2026-01-02T03:04:05Z</t:DateTimeReceived><t:IsRead>false</t:IsRead>" % (name, name)
    )
    return '<t:Message><t:ItemId Id="%s" ChangeKey="k1"/>%s</t:Message>' % (name, fields)


def page(kind, items):
    """All items of a folder in one page."""
    head = '<m:RootFolder TotalItemsInView="%d" IncludesLastItemInRange="true">' % len(items)
    return "%s<t:%s>%s</t:%s></m:RootFolder>" % (head, kind, "".join(items), kind)


def answer(name, body):
    """What the service says to this request."""
    ids = re.findall('ItemId[^>]* Id="([^"]+)"', body)
    if name == "GetFolder":
        return of_service(name, "<m:Folders>%s</m:Folders>" % folder("root"))
    if name == "FindFolder":
        return of_service(name, page("Folders", [folder("Inbox")]))
    if name == "FindItem":
        return of_service(name, page("Items", [mail(one) for one in unread]))
    if name == "GetItem":
        return of_service(name, *("<m:Items>%s</m:Items>" % mail(one) for one in ids))
    if name == "UpdateItem":
        return of_service(name, *(mark_as_read(one) for one in ids))
    return of_service(name, "", code="ErrorNameResolutionNoResults")


def mark_as_read(name):
    """Take the mail from the unread ones."""
    unread.remove(name)
    print("read", name, flush=True)
    item = '<t:Message><t:ItemId Id="%s" ChangeKey="k2"/></t:Message>' % name
    return "<m:Items>%s</m:Items><m:ConflictResults><t:Count>0</t:Count></m:ConflictResults>" % item


class Handler(http.server.BaseHTTPRequestHandler):
    """Asks for the password, then answers."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.reply(TYPES)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        name = re.search(r"Body>\s*<m:(\w+)", body)
        self.reply(ENVELOPE % answer(name.group(1), body) if self.known() and name else "")

    def known(self):
        return self.headers["Authorization"] == LOGIN

    def reply(self, text):
        self.send_response(200 if self.known() else 401)
        if not self.known():
            text = ""
            self.send_header("WWW-Authenticate", 'Basic realm="mail"')
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


def main():
    """Serve until killed."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    server.serve_forever()


main()
