#!/usr/bin/env python3
"""Hands a mail to sendmail: BINARY FROM TO SUBJECT SEND_EMPTY TYPE BODY [ATTACHMENTS]."""

import mimetypes
import os
import shlex
import shutil
import socket
import subprocess
import sys
from email.message import EmailMessage
from email.policy import SMTP


def fail(text):
    """Ends with StackStorm's code."""
    print(text, file=sys.stderr)
    sys.exit(2)


def command(binary):
    """The program and its arguments; a given one is called as it is."""
    if binary and binary != "None":
        return shlex.split(binary)
    found = shutil.which("sendmail")
    if found is None:
        fail("no sendmail in PATH: install a mail transport agent, or give sendmail_binary")
    return [found, "-t"]


def attach(mail, path):
    """Adds a file; one that is not there is left out with a warning."""
    if not os.path.isfile(path):
        print("warning: no such attachment, left out: %s" % path, file=sys.stderr)
        return
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    main, sub = kind.split("/", 1)
    with open(path, "rb") as file:
        mail.add_attachment(file.read(), maintype=main, subtype=sub, filename=os.path.basename(path))


def compose(sender, to, subject, content_type, body, attachments):
    """The whole mail; the library refuses line breaks in headers."""
    mail = EmailMessage(policy=SMTP.clone(linesep="\n", cte_type="7bit"))
    mail["To"] = to
    mail["From"] = sender if "@" in sender else "%s@%s" % (sender, socket.getfqdn())
    mail["Subject"] = subject
    main, _, sub = content_type.partition("/")
    if main != "text" or not sub:
        fail("content_type must be text/plain, text/html or another text, and is %s" % content_type)
    mail.set_content(body, subtype=sub, charset="utf-8")
    for path in filter(None, (path.strip() for path in attachments.split(","))):
        attach(mail, path)
    return mail.as_bytes()


def main(binary, sender, to, subject, send_empty, content_type, body, attachments=""):
    if not body.strip() and send_empty != "1":
        print("the body is empty and send_empty_body is false: nothing is sent")
        return
    try:
        mail = compose(sender, to, subject, content_type, body, attachments)
        code = subprocess.run(command(binary), input=mail).returncode
    except (OSError, ValueError) as error:
        fail("failed to send mail to %s: %s" % (to, error))
    if code != 0:
        fail("failed to send mail to %s: sendmail ended with %d" % (to, code))
    print("sendmail took the mail to %s" % to)


if __name__ == "__main__":
    main(*sys.argv[1:])
