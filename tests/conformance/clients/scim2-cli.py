"""scim2-cli as a person uses it: address and token by its environment, everything else by its options."""

import json

from checks import BASE, IDP, TOKEN, check, groups, members, program, read, tekton, users

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def scim2(*command, stdin="", token=TOKEN):
    env = {"SCIM_CLI_URL": BASE, "SCIM_CLI_HEADERS": f"Authorization: Bearer {token}"}
    return program("scim2", *command, stdin=stdin, env=env)


def said(*command, stdin=""):
    """What it prints, where it ends well."""
    ended = scim2(*command, stdin=stdin)
    return json.loads(ended.stdout or "null") if ended.returncode == 0 else ended.stderr


def found(*command):
    """The names of what a query finds, with how many there are."""
    answer = said(*command)
    if not isinstance(answer, dict):
        return answer
    return [answer["totalResults"], *(one.get("userName") or one["displayName"] for one in answer["Resources"])]


def refused(title, status, part, *command):
    ended = scim2(*command)
    check(title, (ended.returncode, f"Error: {status}" in ended.stderr, part in ended.stderr), (1, True, True))


ended = scim2("query", "user", token=TOKEN[:-1])
check("a token that is none", (ended.returncode, "with a live token of this server" in ended.stderr), (1, True))
options = scim2("create", "user", "--help").stdout
check("its options are our schemas' attributes", [name in options for name in ["--nick-name", "--enterpriseuser", "--sourcecodeaccounts"]], [True] * 3)
check("no password among them", "--password" in options, False)

ada = said("create", "user", "--user-name", "ada", "--external-id", "A1", "--display-name", "Ada",
           "--name", '{"givenName": "Ada", "familyName": "Lovelace"}', "--emails", '[{"value": "ada@example.org", "type": "work", "primary": true}]',
           "--enterpriseuser", '{"employeeNumber": "7", "department": "Engines"}')
check("a person is created by options", ada, {"userName": "ada", "externalId": "A1", "active": True})
check("and is there, whole", users().get("ada"), {
    "id": ada["id"], "externalId": "A1", "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "emails": [{"value": "ada@example.org", "type": "work", "primary": True}],
    ENTERPRISE: {"employeeNumber": "7", "department": "Engines"}})
check("as our own command line shows it", tekton("users", "show", "ada", "--idp", IDP), {"id": ada["id"], "displayName": "Ada", "active": True})
bob = said("create", "user", stdin=json.dumps({"schemas": [USER], "userName": "bob", "title": "Dr."}))
check("another one by stdin", users().get("bob"), {"id": bob["id"], "title": "Dr."})
refused("a name that is taken", 409, 'userName "Ada" is taken', "create", "user", "--user-name", "Ada")

check("one is read by id, with what is asked for", sorted(said("query", "user", ada["id"], "--attribute", "userName")), ["id", "meta", "schemas", "userName"])
check("a filter by name", found("query", "user", "--filter", 'userName eq "ADA"'), [1, "ada"])
check("a filter by an address of a type", found("query", "user", "--filter", 'emails[type eq "work" and value co "@example.org"]'), [1, "ada"])
check("a filter by an extension", found("search", "user", "--filter", f'{ENTERPRISE}:department eq "Engines"'), [1, "ada"])
check("an order", found("query", "user", "--sort-by", "userName", "--sort-order", "descending"), [2, "bob", "ada"])
check("a page", found("query", "user", "--start-index", "2", "--count", "1", "--sort-by", "userName"), [2, "bob"])
refused("a filter by what there is not", 400, "shoeSize", "query", "user", "--filter", "shoeSize eq 7")

check("a PATCH of three operations", said("modify", "user", ada["id"], "replace", "displayName", "Countess", "remove", 'emails[type eq "work"]',
      "add", "emails", '[{"value": "ada@home.example", "type": "home"}]'), {"displayName": "Countess"})
check("all of it is there", users()["ada"], {"displayName": "Countess", "emails": [{"value": "ada@home.example", "type": "home"}], "externalId": "A1"})
check("deactivated", said("modify", "user", ada["id"], "replace", "active", "false"), {"active": False})
check("inactive for our own command line too", tekton("users", "show", "ada", "--idp", IDP), {"active": False})
check("a PUT", said("replace", "user", "--id", ada["id"], "--user-name", "ada.l", "--active", "true"), {"userName": "ada.l"})
after = users().get("ada.l", {})
check("replaces the whole", (after.get("id"), after.get("active"), "displayName" in after, "emails" in after), (ada["id"], True, False, False))
refused("a PATCH of nobody", 404, "", "modify", "user", "nobody", "replace", "displayName", "x")

devs = said("create", "group", "--display-name", "devs", "--members", json.dumps([{"value": ada["id"]}]))
check("a group with a member is created", (groups()["devs"]["id"], members("devs")), (devs["id"], [ada["id"]]))
check("a member is added", scim2("modify", "group", devs["id"], "add", "members", json.dumps([{"value": bob["id"]}])).returncode, 0)
check("both are in it", members("devs"), sorted([ada["id"], bob["id"]]))
check("a member is removed by path", scim2("modify", "group", devs["id"], "remove", f'members[value eq "{ada["id"]}"]').returncode, 0)
check("the other one stays", members("devs"), [bob["id"]])
check("whoever is in a group shows it", read(f"/Users/{bob['id']}").get("groups"), [{"value": devs["id"], "display": "devs"}])
either = 'displayName eq "devs" or userName eq "bob"'
check("a query of everything", found("query", "--filter", either), [2, "bob", "devs"])
check("a search of everything", found("search", "--filter", either), [2, "bob", "devs"])

bulk = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [
    {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {"schemas": [GROUP], "displayName": "ops", "members": [{"value": "bulkId:u"}]}},
    {"method": "POST", "path": "/Users", "bulkId": "u", "data": {"schemas": [USER], "userName": "carol"}}]}
check("a Bulk whose group names a person who comes after it", said("bulk", stdin=json.dumps(bulk)), {"Operations": [{"status": "201"}, {"status": "201"}]})
check("both are there", members("ops"), [users()["carol"]["id"]])

page = said("query", "user", "--cursor", "", "--count", "2")
rest = said("query", "user", "--cursor", page["nextCursor"], "--count", "2")
check("a walk by cursor meets everyone once", sorted(one["userName"] for one in page["Resources"] + rest["Resources"]), ["ada.l", "bob", "carol"])
check("and says where it ends", rest.get("nextCursor"), None)

ended = scim2("delete", "user", bob["id"])
check("a person is deleted", (ended.returncode, ended.stdout.strip()), (0, ""))
check("gone from the list and the group", ("bob" in users(), members("devs")), (False, []))
refused("who is gone", 404, "", "query", "user", bob["id"])
refused("who is gone can't be deleted", 404, "", "delete", "user", bob["id"])
check("a group is deleted", scim2("delete", "group", devs["id"]).returncode, 0)
check("only that one", sorted(groups()), ["ops"])
