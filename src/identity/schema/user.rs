//! User (RFC 7643 §4.1), without `password`: OpenID IPSIE forbids it, and what is not stored can't leak (`with_password` serves one).

use super::{Attribute, Format, Schema, USER_URN};

const NAME: &[Attribute] = &[
    Attribute::string("formatted", "Full name, formatted for display."),
    Attribute::string("familyName", "Family name."),
    Attribute::string("givenName", "Given name."),
    Attribute::string("middleName", "Middle names."),
    Attribute::string("honorificPrefix", "Title before the name."),
    Attribute::string("honorificSuffix", "Suffix after the name."),
];

const DISPLAY: Attribute = Attribute::string("display", "Name of the value, for people.");
const TYPE: Attribute = Attribute::string("type", "What the value is for.");
const PRIMARY: Attribute = Attribute::boolean("primary", "Whether this is the preferred value; true at most once.");
const PLACES: &[&str] = &["work", "home", "other"];

const EMAIL: &[Attribute] = &[Attribute::string("value", "E-mail address."), DISPLAY, TYPE.canonical(PLACES), PRIMARY];

const PHONE: &[Attribute] = &[
    Attribute::string("value", "Phone number."),
    DISPLAY,
    TYPE.canonical(&["work", "home", "mobile", "fax", "pager", "other"]),
    PRIMARY,
];

const IM: &[Attribute] = &[
    Attribute::string("value", "Instant messaging address."),
    DISPLAY,
    TYPE.canonical(&["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"]),
    PRIMARY,
];

const PHOTO: &[Attribute] = &[
    Attribute::reference("value", &["external"], "URI of the photo."),
    DISPLAY,
    TYPE.canonical(&["photo", "thumbnail"]),
    PRIMARY,
];

const ADDRESS: &[Attribute] = &[
    Attribute::string("formatted", "The whole address, formatted for display."),
    Attribute::string("streetAddress", "Street, house number, and the like."),
    Attribute::string("locality", "City."),
    Attribute::string("region", "State or region."),
    Attribute::string("postalCode", "Postal code."),
    Attribute::string("country", "Country, ISO 3166-1 alpha-2."),
    TYPE.canonical(PLACES),
    PRIMARY,
];

pub(super) const GROUP: &[Attribute] = &[
    Attribute::string("value", "Identifier of the group.").exact().read_only(),
    Attribute::reference("$ref", &["Group"], "URI of the group.").read_only(),
    Attribute::string("display", "Name of the group.").read_only(),
    Attribute::string("type", "Whether directly or through another group.")
        .read_only()
        .canonical(&["direct", "indirect"]),
];

pub(super) const VALUE: &[Attribute] = &[Attribute::string("value", "The value."), DISPLAY, TYPE, PRIMARY];

pub(super) const CERTIFICATE: &[Attribute] =
    &[Attribute::binary("value", "DER certificate, base64."), DISPLAY, TYPE, PRIMARY];

pub(super) static USER: Schema = Schema {
    id: USER_URN,
    name: "User",
    description: "A person",
    attributes: &[
        Attribute::string("userName", "Name of the user, unique within the identity provider.")
            .required()
            .unique()
            .format(Format::Name),
        Attribute::complex("name", NAME, "Parts of the user's name."),
        Attribute::string("displayName", "Name of the user, for people.").format(Format::Name),
        Attribute::string("nickName", "Casual name."),
        Attribute::reference("profileUrl", &["external"], "URI of the user's profile."),
        Attribute::string("title", "Title, as \"Vice President\"."),
        Attribute::string("userType", "Relationship to the organization, as \"Contractor\"."),
        Attribute::string("preferredLanguage", "Preferred languages, as Accept-Language spells them."),
        Attribute::string("locale", "Locale, as \"en-US\"."),
        Attribute::string("timezone", "Time zone, as \"Europe/Berlin\"."),
        // Required beyond RFC 7643: absent would have to mean true, so to take it away would be to revive a leaver. A new
        // user of whom it is not said is active.
        Attribute::boolean("active", "Whether the user may do anything; false ends all that the user holds, at once.")
            .required(),
        Attribute::complex("emails", EMAIL, "E-mail addresses.").multi(),
        Attribute::complex("phoneNumbers", PHONE, "Phone numbers.").multi(),
        Attribute::complex("ims", IM, "Instant messaging addresses.").multi(),
        Attribute::complex("photos", PHOTO, "URIs of photos.").multi(),
        Attribute::complex("addresses", ADDRESS, "Postal addresses.").multi(),
        Attribute::complex("groups", GROUP, "Groups that the user is in, directly.").multi().read_only(),
        Attribute::complex("entitlements", VALUE, "Entitlements.").multi(),
        Attribute::complex("roles", VALUE, "Roles.").multi(),
        Attribute::complex("x509Certificates", CERTIFICATE, "X.509 certificates.").multi(),
    ],
};
