//! A service that runs its migrations when it starts. With `SERVICE_MAY_MIGRATE=no` it only checks that they were run, and
//! refuses to start if they were not.
//!
//! ```console
//! $ MONGO_URI=mongodb://127.0.0.1:27017 MONGO_DATABASE=blog cargo run -p service-example
//! ```

use std::process::ExitCode;
use std::time::Duration;

use cargo_migrations::prelude::*;
use cargo_migrations::{Error, Runner};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

cargo_migrations::embedded!(mod migrations);

/// Runs the migrations that are not registered yet, or checks that there are none.
async fn migrate() -> Result<(), Error> {
    let runner = Runner::new(Config::from_env(), migrations::embedded())
        // When several instances start at the same time, one runs the migrations and the others wait for it.
        .wait(Duration::from_secs(60))
        .on_message(|message| log_with_hint(&message.text, message.hint.as_deref()));
    if std::env::var("SERVICE_MAY_MIGRATE").is_ok_and(|may| may == "no") {
        // In production, `cargo migrations production execute` runs before the deployment.
        return runner.check().await;
    }
    let executed = runner.execute().await?;
    log(&format!("{} migrations executed", executed.len()));
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    if let Err(error) = migrate().await {
        log_with_hint(&format!("not started: {error}"), error.hint());
        return ExitCode::from(error.exit_code());
    }
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(&format!("ended: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    log(&format!("ready on {}", listener.local_addr()?));
    loop {
        let (mut client, _) = listener.accept().await?;
        client.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
    }
}

fn log_with_hint(text: &str, hint: Option<&str>) {
    log(text);
    for line in hint.into_iter().flat_map(str::lines) {
        log(&format!("hint: {line}"));
    }
}

#[expect(clippy::print_stderr, reason = "stands in for the log of a real service")]
fn log(text: &str) {
    eprintln!("service: {text}");
}
