//! A client that costs little: on two cores a whole one would take more of them than the server that it measures. It
//! knows what the three servers answer: HTTP/1.1 with a length, or in chunks, and HTTP/1.0 of a server that hangs up.

use std::time::Duration;

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::world::Outcome;

/// Longer than any peer takes for one request.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection, kept alive as long as the server likes.
pub struct Wire {
    port: u16,
    stream: Option<BufReader<TcpStream>>,
    head: String,
}

/// What was answered.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Wire {
    pub fn to(port: u16, token: &str) -> Self {
        let head = format!(
            " HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/scim+json\r\n"
        );
        Self { port, stream: None, head }
    }

    /// One request, to the end of its answer.
    pub async fn call(&mut self, method: &str, path: &str, body: &str) -> Outcome<Answer> {
        let request = format!("{method} {path}{}Content-Length: {}\r\n\r\n{body}", self.head, body.len());
        let mut stream = if let Some(stream) = self.stream.take() {
            stream
        } else {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            stream.set_nodelay(true)?;
            BufReader::new(stream)
        };
        stream.get_mut().write_all(request.as_bytes()).await?;
        let (answer, goes_on) = timeout(PATIENCE, answer(&mut stream))
            .await
            .map_err(|_| format!("{method} {path}: no answer in {PATIENCE:?}"))??;
        self.stream = goes_on.then_some(stream);
        Ok(answer)
    }
}

type Stream = BufReader<TcpStream>;

/// An answer, and whether the connection takes another request.
async fn answer(stream: &mut Stream) -> Outcome<(Answer, bool)> {
    let first = line(stream).await?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no HTTP answer")?;
    let mut goes_on = first.starts_with("HTTP/1.1");
    let (mut length, mut chunked) = (0, false);
    loop {
        let header = line(stream).await?.to_ascii_lowercase();
        match header.split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse()?,
            Some(("transfer-encoding", value)) => chunked = value.trim() == "chunked",
            Some(("connection", value)) => goes_on &= value.trim() != "close",
            Some(_) => {}
            None => break,
        }
    }
    let mut body = Vec::new();
    if chunked {
        while let size @ 1.. = usize::from_str_radix(&line(stream).await?, 16)? {
            take(stream, size, &mut body).await?;
            line(stream).await?;
        }
        line(stream).await?;
    } else {
        take(stream, length, &mut body).await?;
    }
    Ok((Answer { status, body }, goes_on))
}

async fn line(stream: &mut Stream) -> Outcome<String> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Err("the server hung up".into());
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}

async fn take(stream: &mut Stream, size: usize, body: &mut Vec<u8>) -> Outcome {
    let begin = body.len();
    body.resize(begin + size, 0);
    stream.read_exact(&mut body[begin..]).await?;
    Ok(())
}
