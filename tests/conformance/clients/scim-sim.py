"""scim-sim as a person uses it, for whom it says in words what became of each command; its exit code is always 0."""

import re

from checks import BASE, IDP, TOKEN, check, groups, members, program, tekton, users


def sim(*command, stdin=""):
    return program("scim-sim", *command, stdin=stdin).stdout


check("a token that is none is told", "Token is invalid" in sim("setup", stdin=f"{BASE}\n{TOKEN[:-1]}\n"))
check("the connection is tested and kept", "saved successfully" in sim("setup", stdin=f"{BASE}\n{TOKEN}\n"))

created = [re.search("User ID: (\\S+)", sim("add-user")) for _ in range(2)]
check("two people are created", [bool(one) for one in created], [True, True])
ids = [one[1] for one in created]
people = {user["id"]: user for user in users().values()}
check("they are there under the ids that it was told", sorted(people), sorted(ids))
one = people[ids[0]]
# Made up anew each time: the address is the name, the rest is there.
check("with an address that is the userName", one, {"emails": [{"value": one["userName"], "primary": True}], "active": True})
check("with each part of the name", sorted(one["name"]), sorted(
    ["formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix"]))
check("and each is one that we show", tekton("users", "show", one["userName"], "--idp", IDP), {"id": ids[0], "active": True})

group = re.search("Group ID: (\\S+)", sim("create-group", "devs"))
check("a group is created", bool(group))
group = group[1]
check("it is there, and empty", (groups()["devs"]["id"], members("devs")), (group, []))
for number, id in enumerate(ids, 1):
    check(f"member {number} is added", "successfully" in sim("add-to-group", id, group))
    check("who is in it", members("devs"), sorted(ids[:number]))
shown = sim("show")
check("it shows the group with both", [name in shown for name in ["devs", *(people[id]["userName"] for id in ids)]], [True] * 3)
check("a member that is nobody is refused, in our words", "Failed to add user to group" in sim("add-to-group", "nobody", group))
check("and nothing changed", members("devs"), sorted(ids))
check("a member is removed", "removed from group" in sim("remove-from-group", ids[0], group))
check("only that one", members("devs"), [ids[1]])

check("a person is deleted", "deleted successfully" in sim("remove-user", ids[0]))
check("and gone", sorted(user["id"] for user in users().values()), [ids[1]])
check("a group is deleted with its members", "all its members deleted" in sim("delete-group", group))
check("nobody is left", (users(), groups()), ({}, {}))
