//! Files of SCIM resources: JSON lines, one resource each, or a `ListResponse` as `GET /Users` answers it. Lines are read
//! as they are needed.

use std::{
    collections::VecDeque,
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use serde_json::Value;

/// Where something stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Line(usize),
    /// The n-th resource of the list on this line, or that begins there.
    Listed(usize, usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Listed(line, resource) => write!(f, "line {line}, resource {resource}"),
        }
    }
}

/// A resource, or why it is none.
pub(super) type Item = (Place, Result<Value, String>);

/// A file that is read.
pub(super) struct Reader {
    input: Box<dyn BufRead>,
    size: Option<u64>,
    read: u64,
    line: usize,
    /// Whether something other than empty lines has been read.
    begun: bool,
    /// What the last line held that is not asked for yet.
    queue: VecDeque<Item>,
}

impl Reader {
    /// Opens a file; `-` is stdin.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::new(Box::new(BufReader::new(io::stdin())), None));
        }
        let file = File::open(path)?;
        let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
        Ok(Self::new(Box::new(BufReader::new(file)), size))
    }

    fn new(input: Box<dyn BufRead>, size: Option<u64>) -> Self {
        Self { input, size, read: 0, line: 0, begun: false, queue: VecDeque::new() }
    }

    /// The next resource. An error is one of the whole file.
    pub(super) fn next(&mut self) -> io::Result<Option<Item>> {
        loop {
            if let Some(item) = self.queue.pop_front() {
                return Ok(Some(item));
            }
            let mut line = Vec::new();
            let read = self.input.read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            self.read += read as u64;
            self.line += 1;
            self.take(line)?;
        }
    }

    /// Which share of the file has been read, where its size is known.
    #[expect(clippy::cast_precision_loss, reason = "a number to look at")]
    pub(super) fn share(&self) -> Option<f64> {
        self.size.filter(|size| *size > 0).map(|size| self.read as f64 / size as f64)
    }

    fn take(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        let mark = "\u{feff}".as_bytes();
        if self.line == 1 && line.starts_with(mark) {
            line.drain(..mark.len());
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let first = !std::mem::replace(&mut self.begun, true);
        match serde_json::from_slice(line.trim_ascii_end()) {
            Ok(value) => self.spread(value),
            // A list that is written over many lines: it is one value, and is read whole.
            Err(error) if error.is_eof() && first => {
                self.read += self.input.read_to_end(&mut line)? as u64;
                let value = serde_json::from_slice(&line).map_err(|error| not_json(&error))?;
                self.spread(value);
            }
            // A file of another kind is said to be one, not each of its lines.
            Err(error) if first => return Err(not_json(&error)),
            Err(error) => {
                let why = format!("expected a SCIM resource as JSON: {}", in_line(&error));
                self.queue.push_back((Place::Line(self.line), Err(why)));
            }
        }
        Ok(())
    }

    fn spread(&mut self, value: Value) {
        let line = self.line;
        let listed = match value {
            Value::Array(listed) => listed,
            Value::Object(mut object) if object.get("Resources").is_some_and(Value::is_array) => {
                match object.remove("Resources") {
                    Some(Value::Array(listed)) => listed,
                    _ => Vec::new(),
                }
            }
            one => return self.queue.push_back((Place::Line(line), Ok(one))),
        };
        self.queue.extend(listed.into_iter().zip(1..).map(|(one, place)| (Place::Listed(line, place), Ok(one))));
    }
}

/// What is wrong with a line, which knows its own number.
pub(super) fn in_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why);
    format!("{why} at column {}", error.column())
}

fn not_json(error: &serde_json::Error) -> io::Error {
    let expected = "expected SCIM resources as JSON lines, or a ListResponse";
    io::Error::new(io::ErrorKind::InvalidData, format!("{expected}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> io::Result<Vec<String>> {
        let mut reader = Reader::new(Box::new(text.as_bytes()), Some(text.len() as u64));
        let mut all = Vec::new();
        while let Some((place, value)) = reader.next()? {
            let value = value.map_or_else(|why| why, |value| value["userName"].to_string());
            all.push(format!("{place}: {value}"));
        }
        assert!((reader.share().unwrap() - 1.0).abs() < f64::EPSILON);
        Ok(all)
    }

    #[test]
    fn lines_are_resources_and_empty_ones_count() {
        let lines = read("\u{feff}{\"userName\": \"a\"}\r\n\n{\"userName\": \"b\"}").unwrap();
        assert_eq!(lines, ["line 1: \"a\"", "line 3: \"b\""]);
    }

    #[test]
    fn a_line_that_is_no_json_is_named_and_the_others_are_read() {
        let lines = read("{\"userName\": \"a\"}\n{\"userName\": \n{\"userName\": \"c\"}\n").unwrap();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].starts_with("line 2: expected a SCIM resource as JSON: EOF"), "{}", lines[1]);
        assert!(lines[1].ends_with(" at column 12"), "{}", lines[1]);
        assert_eq!(lines[2], "line 3: \"c\"");
    }

    #[test]
    fn a_list_response_is_read_on_one_line_or_on_many() {
        let expected = ["line 1, resource 1: \"a\"", "line 1, resource 2: \"b\""];
        assert_eq!(read(r#"{"Resources": [{"userName": "a"}, {"userName": "b"}]}"#).unwrap(), expected);
        assert_eq!(read("{\n\"Resources\": [\n{\"userName\": \"a\"},\n{\"userName\": \"b\"}]\n}\n").unwrap(), expected);
        let pages =
            read("{\"Resources\": [{\"userName\": \"a\"}]}\n{\"Resources\": [{\"userName\": \"b\"}]}\n").unwrap();
        assert_eq!(pages, ["line 1, resource 1: \"a\"", "line 2, resource 1: \"b\""]);
    }

    #[test]
    fn a_file_of_another_kind_is_refused_whole() {
        for text in ["userName,displayName\na,b\n", "{\n\"Resources\": [\n{\"userName\": \"a\"},\n"] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("JSON lines, or a ListResponse"), "{error}");
        }
    }
}
