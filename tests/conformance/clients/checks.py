"""What the clients' scripts share: one line for each check, and the directory as the server shows it to the client's IdP."""

import json
import os
import subprocess
import urllib.request

BASE, TOKEN, IDP = os.environ["SCIM_BASE"], os.environ["SCIM_TOKEN"], os.environ["SCIM_IDP"]
# Where the client is installed, and a folder of its own.
BIN, HOME = os.environ["CLIENT_BIN"], os.environ["CLIENT_HOME"]


def check(title, found, expected=True):
    """Objects may hold more than is expected, lists may not."""
    if holds(found, expected):
        print("PASS", title, flush=True)
    else:
        print(f"FAIL {title}: expected {json.dumps(expected)}, found {json.dumps(found)}", flush=True)


def holds(found, expected):
    if isinstance(expected, dict) and isinstance(found, dict):
        return all(key in found and holds(found[key], value) for key, value in expected.items())
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(holds, found, expected))
    return found == expected


def program(name, *arguments, stdin="", env=None):
    """Runs a program of the client's to its end."""
    return run(os.path.join(BIN, name), *arguments, stdin=stdin, env=env)


def run(*command, stdin="", env=None):
    env = {**os.environ, "HOME": HOME, "PYTHONUTF8": "1", **(env or {})}
    return subprocess.run(command, input=stdin, env=env, capture_output=True, text=True, timeout=60)


def tekton(*arguments):
    """What our own command line prints."""
    ended = run(os.environ["SUITE_BIN"], *arguments, "-o", "json")
    return json.loads(ended.stdout) if ended.returncode == 0 else None


def read(path):
    request = urllib.request.Request(BASE + path, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def users():
    """The IdP's people by userName."""
    return {user["userName"]: user for user in read("/Users?count=1000")["Resources"]}


def groups():
    """The IdP's groups by name."""
    return {group["displayName"]: group for group in read("/Groups?count=1000")["Resources"]}


def members(group):
    """The ids of a group's members, as a set is written down."""
    return sorted(one["value"] for one in groups().get(group, {}).get("members", []))
