//! The private ClickHouse's process for tests and other programs than `tally`, which has the same behind a command.

use std::process::ExitCode;

use embedded::clickhouse::launcher::{COMMAND, Launch, LaunchError, serve};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let launched = match arguments.next() {
        Some(command) if command == COMMAND => Launch::parse(arguments).and_then(|launch| serve(&launch)),
        Some(_) | None => Err(LaunchError::Usage),
    };
    match launched {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "{error}{}",
                std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"))
            );
            ExitCode::FAILURE
        }
    }
}
