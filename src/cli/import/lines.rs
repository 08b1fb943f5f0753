//! Files of Links: CSV with a header, or JSON lines; `host`, `id`, `user`, and for people's eyes a `login`, which is not
//! kept: it can be changed and reused.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::reader::in_line;
use crate::server::control::wire::NewLink;

/// A line, by its number, from 1.
pub(super) type Line<T> = (usize, T);

const HEADER: &str = "expected a first line of host,id,user or host,id,login,user, or JSON lines of these";

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) links: Vec<Line<NewLink>>,
    /// Lines that are none, and what was expected of each.
    pub(super) bad: Vec<Line<String>>,
}

/// Reads a file. `Err` where it is none of this kind.
pub(super) fn read(text: &str) -> Result<Lines, String> {
    let text = text.trim_start_matches('\u{feff}');
    let mut lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()).peekable();
    let is_json = lines.peek().is_some_and(|(line, _)| line.trim_start().starts_with('{'));
    let columns = match lines.next_if(|_| !is_json) {
        Some((header, _)) => Columns::read(header)?,
        None => Columns::default(),
    };
    let mut read = Lines::default();
    let mut accounts = HashMap::new();
    for (line, number) in lines {
        let link = if is_json { json(line) } else { columns.link(line) };
        let link = link.and_then(|link| match accounts.insert((link.host.clone(), link.account), number) {
            Some(before) => Err(format!("expected account {} once, and it stands on line {before}", link.account)),
            None => Ok(link),
        });
        match link {
            Ok(link) => read.links.push((number, link)),
            Err(why) => read.bad.push((number, why)),
        }
    }
    Ok(read)
}

/// Where in a line of CSV each field stands.
#[derive(Default)]
struct Columns {
    count: usize,
    host: usize,
    id: usize,
    user: usize,
}

impl Columns {
    fn read(header: &str) -> Result<Self, String> {
        let names: Vec<_> = fields(header)?.into_iter().map(|name| name.trim().to_ascii_lowercase()).collect();
        let place = |name: &str| names.iter().position(|one| one == name).ok_or(HEADER);
        if names.iter().any(|name| !["host", "id", "login", "user"].contains(&name.as_str())) {
            return Err(HEADER.into());
        }
        Ok(Self { count: names.len(), host: place("host")?, id: place("id")?, user: place("user")? })
    }

    fn link(&self, line: &str) -> Result<NewLink, String> {
        let fields = fields(line)?;
        if fields.len() != self.count {
            return Err(format!("expected {} fields, found {}", self.count, fields.len()));
        }
        let field = |place: usize| fields.get(place).map(|field| field.trim()).unwrap_or_default();
        link(field(self.host), field(self.id), field(self.user))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    host: String,
    id: Value,
    user: String,
    #[serde(default)]
    #[expect(dead_code, reason = "for people's eyes: it is known, and not kept")]
    login: Option<String>,
}

fn json(line: &str) -> Result<NewLink, String> {
    let expected = r#"expected an object as {"host": "github.com", "id": 583231, "user": "alice@example.com"}"#;
    let row: Row = serde_json::from_str(line).map_err(|error| format!("{expected}: {}", in_line(&error)))?;
    match &row.id {
        Value::String(id) => link(&row.host, id, &row.user),
        id => link(&row.host, &id.to_string(), &row.user),
    }
}

fn link(host: &str, id: &str, user: &str) -> Result<NewLink, String> {
    if host.is_empty() {
        return Err("expected a host, as github.com".into());
    }
    let Some(account) = id.parse().ok().filter(|id| *id > 0) else {
        return Err(format!("expected id to be the account's number, not {id:?}: api.github.com/users/LOGIN tells it"));
    };
    if user.is_empty() {
        return Err("expected a user, by userName or SCIM id".into());
    }
    Ok(NewLink { host: host.to_owned(), account, user: user.to_owned() })
}

/// The fields of a line of CSV (RFC 4180, without line breaks within fields).
fn fields(line: &str) -> Result<Vec<String>, String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(next) = chars.next() {
        match next {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            next => field.push(next),
        }
    }
    if quoted {
        return Err("expected a closing quote on the same line".into());
    }
    fields.push(field);
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(text: &str) -> Vec<(usize, u64, String)> {
        let Lines { links, bad } = read(text).unwrap();
        assert_eq!(bad, []);
        links.into_iter().map(|(line, link)| (line, link.account, link.user)).collect()
    }

    fn bad(text: &str) -> Vec<Line<String>> {
        read(text).unwrap().bad
    }

    #[test]
    fn csv_has_its_columns_in_any_order_and_quotes() {
        let links = good("host,id,user\r\ngithub.com,7,alice\r\n\r\ngithub.com, 8 ,\"b,\"\"ob\"\"\"\r\n");
        assert_eq!(links, [(2, 7, "alice".into()), (4, 8, "b,\"ob\"".into())]);
        assert_eq!(good("\u{feff}User,Login,ID,Host\nalice,octocat,7,github.com"), [(2, 7, "alice".into())]);
        assert_eq!(good("host,id,user\n"), []);
        assert_eq!(good(""), []);
    }

    #[test]
    fn json_lines_have_the_number_as_a_number_or_as_text() {
        let text = "{\"host\": \"github.com\", \"id\": 7, \"user\": \"alice\", \"login\": \"octocat\"}
{\"host\": \"github.com\", \"id\": \"8\", \"user\": \"bob\"}";
        assert_eq!(good(text), [(1, 7, "alice".into()), (2, 8, "bob".into())]);
    }

    #[test]
    fn each_bad_line_is_named_with_what_was_expected_of_it() {
        let lines = bad("host,id,user\n,7,a\ng,octocat,a\ng,0,a\ng,-1,a\ng,7,\ng,7\ng,7,\"a\ng,1,a\ng,1,b");
        let expected = ["a host", "number", "number", "number", "a user", "3 fields, found 2", "quote", "once"];
        assert_eq!(lines.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8, 10]);
        for ((_, why), expected) in lines.iter().zip(expected) {
            assert!(why.contains(expected), "{why}: {expected}");
        }
        assert!(bad("{\"host\": \"g\", \"id\": 7, \"user\": \"a\", \"usr\": 1}")[0].1.contains("usr"));
        assert!(bad("{\"host\": \"g\", \"id\": 7.5, \"user\": \"a\"}")[0].1.contains("number"));
    }

    #[test]
    fn a_file_of_another_kind_is_refused_whole() {
        for text in ["github.com,7,alice\n", "host,id\n", "host,id,user,team\n", "[]\n"] {
            assert!(read(text).unwrap_err().contains("host,id,user"), "{text}");
        }
    }
}
