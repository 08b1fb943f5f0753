//! What a schema says of one attribute (RFC 7643 §2.2, §7), and a vocabulary to state it in a line.

/// Data type (RFC 7643 §2.3).
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// Text.
    String,
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Decimal,
    /// A moment, RFC 3339.
    DateTime,
    /// A URI; to resources of these types.
    Reference(&'static [&'static str]),
    /// Base64.
    Binary,
    /// Sub-attributes.
    Complex(&'static [Attribute]),
}

impl Type {
    /// As `/Schemas` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::DateTime => "dateTime",
            Self::Reference(_) => "reference",
            Self::Binary => "binary",
            Self::Complex(_) => "complex",
        }
    }
}

/// Who may change it (RFC 7643 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutability {
    /// We alone: what a client sends is ignored in a whole resource and refused as a PATCH path.
    ReadOnly,
    /// The client.
    ReadWrite,
    /// The client, once.
    Immutable,
}

impl Mutability {
    /// As `/Schemas` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "readOnly",
            Self::ReadWrite => "readWrite",
            Self::Immutable => "immutable",
        }
    }
}

/// When it is shown (RFC 7643 §2.2). Nothing is `never`: what must not be shown is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// Whatever a client asks for.
    Always,
    /// Unless a client asks for less.
    Default,
    /// If a client asks for it by its full name.
    Request,
}

impl Returned {
    /// As `/Schemas` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Default => "default",
            Self::Request => "request",
        }
    }
}

/// Among whom a value is unique (RFC 7643 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uniqueness {
    /// It need not be.
    None,
    /// Among the resources of this type that the same IdP provisioned.
    Server,
}

impl Uniqueness {
    /// As `/Schemas` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Server => "server",
        }
    }
}

/// What a value must also be, beyond its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Nothing more.
    Free,
    /// A name that ends up in logs, tables and RBAC subjects: short, without control characters.
    Name,
    /// A host's numeric account id, as a flat string. Anything else is kept, too, as what an IdP says of a string always
    /// is, but makes no Link: `Resource::misfit_accounts` finds it.
    Account,
}

/// An attribute.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Its canonical name.
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// Its type.
    pub ty: Type,
    /// Whether it is a list.
    pub multi: bool,
    /// Whether a resource must have it.
    pub required: bool,
    /// Whether case counts in comparisons.
    pub case_exact: bool,
    /// Who may change it.
    pub mutability: Mutability,
    /// When it is shown.
    pub returned: Returned,
    /// Among whom its value is unique.
    pub uniqueness: Uniqueness,
    /// Suggested values; others are taken in compat mode, too.
    pub canonical: &'static [&'static str],
    /// What else is checked.
    pub format: Format,
}

impl Attribute {
    const fn new(name: &'static str, ty: Type, description: &'static str) -> Self {
        Self {
            name,
            description,
            ty,
            multi: false,
            required: false,
            case_exact: false,
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            uniqueness: Uniqueness::None,
            canonical: &[],
            format: Format::Free,
        }
    }

    pub(super) const fn string(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Type::String, description)
    }

    pub(super) const fn boolean(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Type::Boolean, description)
    }

    pub(super) const fn integer(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Type::Integer, description)
    }

    pub(super) const fn date_time(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Type::DateTime, description)
    }

    pub(super) const fn reference(name: &'static str, to: &'static [&'static str], description: &'static str) -> Self {
        Self::new(name, Type::Reference(to), description).exact()
    }

    pub(super) const fn binary(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Type::Binary, description).exact()
    }

    pub(super) const fn complex(name: &'static str, subs: &'static [Attribute], description: &'static str) -> Self {
        Self::new(name, Type::Complex(subs), description)
    }

    pub(super) const fn multi(mut self) -> Self {
        self.multi = true;
        self
    }

    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) const fn exact(mut self) -> Self {
        self.case_exact = true;
        self
    }

    pub(super) const fn read_only(mut self) -> Self {
        self.mutability = Mutability::ReadOnly;
        self
    }

    pub(super) const fn immutable(mut self) -> Self {
        self.mutability = Mutability::Immutable;
        self
    }

    pub(super) const fn always(mut self) -> Self {
        self.returned = Returned::Always;
        self
    }

    pub(super) const fn on_request(mut self) -> Self {
        self.returned = Returned::Request;
        self
    }

    pub(super) const fn unique(mut self) -> Self {
        self.uniqueness = Uniqueness::Server;
        self
    }

    pub(super) const fn canonical(mut self, values: &'static [&'static str]) -> Self {
        self.canonical = values;
        self
    }

    pub(super) const fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Sub-attributes; none unless it is complex.
    pub fn subs(&self) -> &'static [Attribute] {
        match self.ty {
            Type::Complex(subs) => subs,
            _ => &[],
        }
    }

    /// A sub-attribute by name, without case.
    pub fn sub(&self, name: &str) -> Option<&'static Attribute> {
        super::find(self.subs(), name)
    }

    /// Whether its values are texts of any form.
    pub fn is_text(&self) -> bool {
        matches!(self.ty, Type::String | Type::Binary | Type::Reference(_))
    }

    /// Whether clients may not set it.
    pub fn read_only_attribute(&self) -> bool {
        self.mutability == Mutability::ReadOnly
    }

    /// What a comparison of this attribute compares: itself, or the `value` of a complex one (RFC 7643 §2.4).
    pub fn comparable(&'static self) -> Option<&'static Attribute> {
        match self.ty {
            Type::Complex(_) => self.sub("value"),
            _ => Some(self),
        }
    }
}
