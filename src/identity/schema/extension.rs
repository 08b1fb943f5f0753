//! The extensions that we know: the enterprise one of User (RFC 7643 §4.3) and our own, of User and Agent.

use super::{ACCOUNTS_URN, Attribute, ENTERPRISE_URN, Format, Schema};

// displayName is readOnly in RFC 7643, for servers that derive it; we keep what the IdP says, as Okta and Entra send it.
const MANAGER: &[Attribute] = &[
    Attribute::string("value", "Identifier of the manager.").exact(),
    Attribute::reference("$ref", &["User"], "URI of the manager."),
    Attribute::string("displayName", "Name of the manager."),
];

pub(super) static ENTERPRISE: Schema = Schema {
    id: ENTERPRISE_URN,
    name: "EnterpriseUser",
    description: "What an enterprise knows of its users",
    attributes: &[
        Attribute::string("employeeNumber", "Number or code of the employee."),
        Attribute::string("costCenter", "Cost center."),
        Attribute::string("organization", "Organization."),
        Attribute::string("division", "Division."),
        Attribute::string("department", "Department."),
        Attribute::complex("manager", MANAGER, "The user's manager."),
    ],
};

pub(super) static ACCOUNTS: Schema = Schema {
    id: ACCOUNTS_URN,
    name: "SourceCodeAccounts",
    description: "Accounts at source-code hosts, by the hosts' numeric ids: who a webhook speaks of",
    attributes: &[
        Attribute::string(
            "githubId",
            "Numeric account id at GitHub (api.github.com/users/LOGIN tells it), never a login.",
        )
        .exact()
        .format(Format::Account),
        Attribute::string("gitlabId", "Numeric account id at GitLab, never a user name.")
            .exact()
            .format(Format::Account),
        Attribute::string("giteaId", "Numeric account id at Gitea or Forgejo, never a user name.")
            .exact()
            .format(Format::Account),
    ],
};
