"""Canaille, an identity provider that pushes what its admin does: by its command line, and on its pages as a browser would.

Between it and the server stands a recorder. It only logs that something failed, and sends the hash of everyone's password: so each of our answers
is looked at, and the hash is looked for in what we said, stored and logged.
"""

import contextlib
import datetime
import glob
import http.cookiejar
import os
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request

from checks import BASE, BIN, HOME, IDP, TOKEN, check, groups, members, program, read, run, tekton, users
from recorder import Recorder

PASSWORD = "correct horse battery staple"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
LOG = os.path.join(HOME, "canaille.log")
CONFIG = os.path.join(HOME, "canaille.toml")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def configure(port, recorder):
    """Its admin may do everything. A client is told of everyone if its host is trusted."""
    host = urllib.parse.urlsplit(recorder.base).netloc
    with open(CONFIG, "w") as file:
        file.write(f"""
SECRET_KEY = "of-the-conformance-test"
SERVER_NAME = "127.0.0.1:{port}"
PREFERRED_URL_SCHEME = "http"
[CANAILLE]
DATABASE = "sql"
[CANAILLE.ACL.ADMIN]
FILTER = {{user_name = "admin"}}
PERMISSIONS = ["manage_users", "manage_all_groups"]
WRITE = ["user_name", "groups", "given_name", "family_name", "display_name", "emails", "password"]
[CANAILLE_SQL]
DATABASE_URI = "sqlite:///{HOME}/canaille.db"
[CANAILLE_SCIM]
ENABLE_CLIENT = true
[CANAILLE_OIDC]
TRUSTED_DOMAINS = ["127.0.0.1", "{host}"]
""")


def canaille(*command):
    """Its command line; what it logs is kept with what its server does."""
    ended = program("canaille", *command, env={"CANAILLE_CONFIG": CONFIG})
    with open(LOG, "a") as log:
        log.write(ended.stderr)
    if ended.returncode != 0:
        raise RuntimeError(f"canaille {command[0]} failed: {ended.stderr[-400:]}")


@contextlib.contextmanager
def running(port):
    """Its server. It has processes below it: who runs this script ends the whole process group, should any of them be left."""
    with open(LOG, "a") as log:
        server = subprocess.Popen([os.path.join(BIN, "canaille"), "run", "--bind", f"127.0.0.1:{port}"],
                                  env={**os.environ, "CANAILLE_CONFIG": CONFIG, "HOME": HOME}, stdout=log, stderr=log)
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


class Browser:
    """Someone in front of its pages."""

    def __init__(self, port, server):
        self.base = f"http://127.0.0.1:{port}"
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        until = time.monotonic() + 120
        while server.poll() is None and time.monotonic() < until:
            try:
                self.get("/login")
                return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError(f"its server does not answer: {open(LOG).read()[-400:]!r}")

    def get(self, path):
        with self.opener.open(self.base + path, timeout=60) as page:
            return page.read().decode()

    def send(self, path, says, **form):
        """Fills the form of a page in and sends it. The answer must say that it worked."""
        token = re.search('name="csrf_token"[^>]*value="([^"]+)"', self.get(path))[1]
        data = urllib.parse.urlencode({"csrf_token": token, **form}, doseq=True).encode()
        with self.opener.open(self.base + path, data, timeout=60) as page:
            text = page.read().decode()
        if says not in text:
            raise RuntimeError(f"{path} does not say {says!r}")


def by_command_line():
    check("what its admin's command line creates is there", users().get("admin"), {
        "displayName": "Ada", "name": {"formatted": "Ada Min", "givenName": "Ada", "familyName": "Min"}, "active": True,
        "emails": [{"value": "admin@example.org"}], ENTERPRISE: {"employeeNumber": "43"}})


def by_pages(browser):
    profile = {"given_name": "Bob", "family_name": "Builder", "display_name": "Bob", "emails-0": "bob@example.org"}
    browser.send("/profile", "creation succeeded", user_name="bob", password1=PASSWORD, password2=PASSWORD, **profile)
    bob = users().get("bob", {})
    check("a person is created", bob, {
        "displayName": "Bob", "name": {"formatted": "Bob Builder", "givenName": "Bob", "familyName": "Builder"}, "active": True,
        "emails": [{"value": "bob@example.org"}]})
    check("with its own id as externalId", re.fullmatch("[0-9a-f-]{36}", bob["externalId"]) is not None)
    check("as our own command line shows it", tekton("users", "show", "bob", "--idp", IDP), {"id": bob["id"], "active": True})

    browser.send("/groups/add", "successfully created", display_name="devs", description="")
    admin = users()["admin"]["id"]
    check("a group is created, with our id of who made it", members("devs"), [admin])
    devs = groups()["devs"]["id"]
    joins = {"user_name": "bob", "action": "edit-settings", "groups": offered(browser, "devs")}
    browser.send("/profile/bob/settings", "updated successfully", **joins)
    check("another one joins", (groups()["devs"]["id"], members("devs")), (devs, sorted([admin, bob["id"]])))

    edited = {**profile, "display_name": "Bobby", "emails-0": "bobby@example.org"}
    browser.send("/profile/bob", "updated successfully", action="edit-profile", **edited)
    check("an edited person is replaced", users().get("bob"), {
        "id": bob["id"], "externalId": bob["externalId"], "displayName": "Bobby", "emails": [{"value": "bobby@example.org"}],
        "groups": [{"value": devs}]})
    browser.send("/profile/bob/settings", "has been locked", action="lock-execute")
    check("a locked person is inactive", users()["bob"]["active"], False)
    check("for our own command line too", tekton("users", "show", "bob", "--idp", IDP), {"active": False})
    browser.send("/profile/bob/settings", "has been unlocked", action="unlock")
    check("an unlocked one is active again, under the same id", users()["bob"], {"id": bob["id"], "active": True})

    browser.send("/groups/devs", "has been removed", action="remove-member", member=bob["externalId"])
    check("who is removed from the group is not in it", members("devs"), [admin])
    browser.send("/profile/bob/settings", "updated successfully", **joins)
    check("and joins again", members("devs"), sorted([admin, bob["id"]]))
    return bob


def deletions(browser, bob):
    admin = users()["admin"]["id"]
    browser.send("/profile/bob/settings", "successfully deleted", action="delete-execute")
    check("a deleted person is gone", "bob" in users(), False)
    check("also from the group", members("devs"), [admin])
    check("and for our own command line", tekton("users", "show", bob["id"]), None)
    browser.send("/groups/devs", "successfully deleted", action="delete")
    check("a deleted group is gone", (groups(), sorted(users())), ({}, ["admin"]))


def offered(browser, group):
    """Its own id of a group, as the form offers it."""
    return re.search(f'<option[^>]*value="([^"]+)"[^>]*>\\s*{group}', browser.get("/profile/bob/settings"))[1]


def hashes(recorder):
    """What stands behind the last $ of each hash that it sent: nothing in it is ever written in another way."""
    sent = "".join(sent for _, _, sent, _, _ in recorder.exchanges)
    return set(re.findall('"password": ?"\\$pbkdf2-[^"]*\\$([^"$]+)"', sent))


def stored():
    """The bytes of the store: a file with what has not yet gone into it, or PostgreSQL's own copy in SQL."""
    kind, _, path = os.environ["SCIM_TEKTON_STORE"].partition("://")
    if kind == "sqlite":
        return b"".join(open(file, "rb").read() for file in glob.glob(path + "*"))
    dump = max(glob.glob("/usr/lib/postgresql/*/bin/pg_dump"))
    text = run(dump, "--inserts", os.environ["SCIM_TEKTON_STORE"]).stdout
    # Binary columns are written in hexadecimal.
    return text.encode() + b"".join(bytes.fromhex(hex) for hex in re.findall(r"'\\x((?:[0-9a-f]{2})*)'", text))


def nowhere(recorder):
    """The hash is in nothing of ours. Each place is shown to be one where it would be found."""
    found = hashes(recorder)
    check("it sent a hash for each of two people", len(found), 2)
    said = "".join(got for *_, got in recorder.exchanges) + str(read("/Users?attributes=password,userName"))
    log = open(os.environ["SERVER_LOG"]).read()
    store = stored().decode(errors="replace")
    for place, text, sign in [("say", said, "bobby@example.org"), ("log", log, "listening"), ("store", store, "bobby@example.org")]:
        check(f"what we {place} is looked at", sign in text)
        check(f"none of them is in what we {place}", [hash for hash in found if hash in text], [])


def what_was_said(recorder):
    check("every answer of ours was a success", [(*exchange[:2], exchange[3]) for exchange in recorder.exchanges if exchange[3] >= 300], [])
    check("it created, replaced and deleted", sorted({method for method, *_ in recorder.exchanges}), ["DELETE", "GET", "POST", "PUT"])
    lines = open(LOG).read().splitlines()
    wrong = re.compile("SCIM.*(failed|not supported|Unable)|Unable to find user|ERROR|CRITICAL|Traceback")
    check("its log tells of no failure", [line for line in lines if wrong.search(line)], [])


def main():
    recorder, port = Recorder(BASE), free_port()
    configure(port, recorder)
    canaille("install")
    canaille("create", "client", "--client-id", "tekton", "--client-name", "tekton", "--client-uri", recorder.base, "--quiet")
    # It would make a token of its own for the client; that it is told ours is what ties the two.
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    canaille("create", "token", "--token-id", "ours", "--client", "tekton", "--access-token", TOKEN, "--issue-date", now,
             "--lifetime", "3600", "--quiet")
    canaille("create", "user", "--user-name", "admin", "--given-name", "Ada", "--family-name", "Min", "--formatted-name", "Ada Min",
             "--display-name", "Ada", "--emails", "admin@example.org", "--employee-number", "43", "--password", PASSWORD, "--quiet")
    by_command_line()
    with running(port) as server:
        browser = Browser(port, server)
        browser.send("/login", "csrf_token", login="admin")
        browser.send("/auth/password", "Connection successful", password=PASSWORD)
        bob = by_pages(browser)
        nowhere(recorder)
        deletions(browser, bob)
    what_was_said(recorder)


main()
