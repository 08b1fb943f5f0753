//! The command line: parse, load the configuration, call.

fn main() -> std::process::ExitCode {
    scim_tekton::cli::run()
}
