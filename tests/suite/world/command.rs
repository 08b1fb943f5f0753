//! Programs that a person would use: kubectl, and our own.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use super::{Failure, Outcome};

/// The program under test.
pub fn release_binary() -> String {
    std::env::var("SUITE_BIN").unwrap_or_else(|_| "target/release/scim-tekton".into())
}

/// A port that nobody has now.
pub fn free_port() -> Outcome<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The same with failpoints.
pub fn failpoints_binary() -> Outcome<String> {
    Ok(std::env::var("SUITE_FAILPOINTS_BIN").map_err(|_| "SUITE_FAILPOINTS_BIN is not set: `make test` builds it")?)
}

/// Runs a program and gives its standard output; a failure tells what it said.
pub async fn run(program: &str, args: &[&str], input: Option<&str>) -> Outcome<String> {
    let (ok, out, err) = attempt(program, args, input).await?;
    if ok { Ok(out) } else { Err(format!("{program} {}: {err}{out}", args.join(" ")).into()) }
}

/// Runs a program: whether it succeeded, its standard output and its standard error.
pub async fn attempt(program: &str, args: &[&str], input: Option<&str>) -> Outcome<(bool, String, String)> {
    let mut command = Command::new(program);
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let (program, input) = (program.to_owned(), input.map(str::to_owned));
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn()?;
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            stdin.write_all(input.as_bytes())?;
        }
        child.wait_with_output()
    })
    .await?
    .map_err(|error| -> Failure { format!("{program}: {error}").into() })?;
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}

/// `kubectl`, as the cluster's admin.
pub async fn kubectl(args: &[&str]) -> Outcome<String> {
    run("kubectl", args, None).await
}

/// `kubectl apply -f -`; a webhook that is still being born is given time.
pub async fn apply(yaml: &str) -> Outcome {
    let args = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    let (mut ok, mut out, mut err) = attempt("kubectl", &args, Some(yaml)).await?;
    for _ in 0..20 {
        if ok || !(err.contains("failed calling webhook") || err.contains("no matches for kind")) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        (ok, out, err) = attempt("kubectl", &args, Some(yaml)).await?;
    }
    if ok { Ok(()) } else { Err(format!("kubectl apply: {err}{out}\n{yaml}").into()) }
}
