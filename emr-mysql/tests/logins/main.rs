//! Logging in to MariaDB and MySQL: every way to show a password, TLS, and every refusal, on servers of their own, which
//! these tests start. A product without programs to start is named, its tests are reported as ignored, and they fail where
//! `EMR_REQUIRE` names the program.

#[path = "../../../emr-postgres/tests/support/certificates.rs"]
mod certificates;
#[path = "../support/server.rs"]
mod server;

mod encryption;
mod impostors;
mod passwords;

use std::future::Future;
use std::path::Path;
use std::process::ExitCode;

use emr_core::{ConnectFailure, Error, ErrorKind, Repo, RepoHandle, RepoOptions, Result, TlsMode};
use libtest_mimic::{Arguments, Failed, Trial};
use server::{Product, Server};

/// What is kept between runs.
fn scratch() -> &'static Path {
    assert_eq!(emr_core::Adapter::name(&emr_mysql::MySqlAdapter), "mysql");
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// A server that offers TLS with a certificate for `localhost`, and with these settings.
fn with_tls(product: Product, settings: &[&str]) -> Server {
    let certificates = ["--ssl-ca=../ca.crt", "--ssl-cert=../server.crt", "--ssl-key=../server.key"];
    Server::prepared(product, scratch(), &[&certificates, settings].concat(), |directory| {
        certificates::write(directory);
    })
}

/// A server that offers no TLS.
fn without_tls(product: Product) -> Server {
    let setting = match product {
        Product::MariaDb => "--skip-ssl",
        Product::MySql => "--tls-version=",
    };
    Server::start(product, scratch(), &[setting])
}

/// A login over TCP, in a database that everybody may enter.
fn login(server: &Server, user: &str, password: &str, tls: TlsMode) -> RepoOptions {
    RepoOptions::server("mysql", "localhost", server.port, "information_schema", user, password).tls(tls)
}

async fn connect(options: RepoOptions) -> Result<RepoHandle> {
    let repo = emr_core::open(options.pool_size(1)).await?;
    repo.query("select 1", &[]).await?;
    Ok(repo)
}

/// The server's administrator.
async fn administrator(server: &Server) -> RepoHandle {
    connect(login(server, "root", "", TlsMode::Disable)).await.unwrap()
}

async fn refused(options: RepoOptions) -> Error {
    match connect(options).await {
        Ok(_) => panic!("it connected"),
        Err(error) => error,
    }
}

/// Reason and cause of a failed connect.
fn why(error: &Error) -> (&str, ConnectFailure) {
    match error.kind() {
        ErrorKind::ConnectFailed { reason, cause, .. } => (reason, *cause),
        _ => panic!("{error}"),
    }
}

/// Whether the session is encrypted.
async fn is_encrypted(repo: &RepoHandle) -> bool {
    let cipher: String = repo.query("show session status like 'Ssl_cipher'", &[]).await.unwrap().get(0, 1).unwrap();
    !cipher.is_empty()
}

fn trial<F: Future<Output = ()> + 'static>(product: Product, name: &str, case: fn(Product) -> F) -> Trial {
    let missing = product.programs().err();
    let program = product.program();
    let required = std::env::var("EMR_REQUIRE").unwrap_or_default().split(',').any(|name| name.trim() == program);
    let ignored = missing.is_some() && !required;
    let trial = Trial::test(format!("{}::{name}", product.name()), move || {
        if let Some(missing) = missing {
            return Err(Failed::from(format!("EMR_REQUIRE names {program}, but {missing}")));
        }
        run(case(product))
    });
    trial.with_ignored_flag(ignored)
}

fn run(case: impl Future<Output = ()>) -> std::result::Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(case);
    Ok(())
}

fn main() -> ExitCode {
    let mut trials = impostors::trials();
    for product in Product::BOTH {
        if let Err(missing) = product.programs() {
            eprintln!("logins of {} not run: {missing}", product.name());
        }
        trials.extend([
            trial(product, "passwords_are_checked_and_never_shown", passwords::are_checked_and_never_shown),
            trial(product, "databases_that_one_may_not_enter", passwords::databases_that_one_may_not_enter),
            trial(product, "users_who_may_not_log_in", passwords::users_who_may_not_log_in),
            trial(product, "without_tls_at_the_server", encryption::without_tls_at_the_server),
            trial(product, "each_mode_checks_what_it_promises", encryption::each_mode_checks_what_it_promises),
            trial(product, "servers_and_users_that_insist_on_tls", encryption::servers_and_users_that_insist_on_tls),
            trial(product, "calls_are_cancelled_over_tls", encryption::calls_are_cancelled_over_tls),
        ]);
    }
    trials.push(trial(Product::MariaDb, "every_nonce_will_do", passwords::every_nonce_will_do));
    trials.push(trial(Product::MySql, "a_plugin_that_is_not_spoken", passwords::a_plugin_that_is_not_spoken));
    trials.push(trial(Product::MySql, "a_full_login_without_tls", passwords::a_full_login_without_tls));
    trials.push(trial(Product::MySql, "passwords_longer_than_the_key", passwords::longer_than_the_key));
    trials.push(trial(Product::MySql, "a_server_without_a_key", passwords::a_server_without_a_key));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
