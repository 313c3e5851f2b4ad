//! Servers of MariaDB that stop, crash, hang, fill up and refuse: on servers of their own, which these tests start. Where
//! there are no programs to start they are reported as ignored, or fail where `EMR_REQUIRE` names `mariadb`.

#[path = "../../emr-mysql/tests/support/server.rs"]
mod server;

mod full;
mod limits;
mod lost;

use std::future::Future;
use std::path::Path;
use std::process::ExitCode;

use emr::prelude::*;
use libtest_mimic::{Arguments, Failed, Trial};
use server::{Product, Server};

#[derive(Syncable, Debug, Clone, PartialEq)]
#[emr(table = "notes")]
struct Note {
    id: i64,
    text: String,
}

fn note(text: impl Into<String>) -> Changeset<Note> {
    Note::build().set(Note::TEXT, text.into())
}

/// A server with these settings, and a repo on a database of it that has the table of the notes.
async fn server(settings: &[&str], options: impl FnOnce(RepoOptions) -> RepoOptions) -> (Server, RepoHandle) {
    let server = Server::start(Product::MariaDb, Path::new(env!("CARGO_TARGET_TMPDIR")), settings);
    assert!(options_of(&server, "root").create_database().await.unwrap());
    let admin = administrator(&server).await;
    admin.create_table::<Note>().await.unwrap();
    // One that is bound by what the administrator is free of.
    admin.script("CREATE USER app; GRANT ALL ON faults.* TO app").await.unwrap();
    admin.stop(std::time::Duration::from_secs(1)).await;
    let repo = emr::open(options(options_of(&server, "app"))).await.unwrap();
    (server, repo)
}

fn options_of(server: &Server, user: &str) -> RepoOptions {
    RepoOptions::from_url(&format!("mariadb://{user}@127.0.0.1:{}/faults", server.port)).unwrap()
}

/// The number of the session that the repo's next call runs on.
async fn session(repo: &impl Repo) -> i64 {
    repo.query("select connection_id()", &[]).await.unwrap().scalar().unwrap()
}

/// The administrator of the server.
async fn administrator(server: &Server) -> RepoHandle {
    emr::open(options_of(server, "root")).await.unwrap()
}

async fn texts(repo: &impl Repo) -> Vec<String> {
    repo.all(Note::query().order_by(Note::ID.asc()).select(Note::TEXT)).await.unwrap()
}

fn trial<F: Future<Output = ()> + 'static>(name: &str, case: fn() -> F) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(case());
        Ok(())
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let required = std::env::var("EMR_REQUIRE").unwrap_or_default();
    let required = required.split(',').any(|name| name.trim() == "mariadb");
    let mut trials = vec![
        trial("a_server_that_starts_again_is_found", lost::a_server_that_starts_again_is_found),
        trial("a_crash_undoes_what_was_not_committed", lost::a_crash_undoes_what_was_not_committed),
        trial("killed_sessions_and_statements", lost::killed_sessions_and_statements),
        trial("sessions_thrown_out_for_idling", lost::sessions_thrown_out_for_idling),
        trial("a_server_that_hangs", lost::a_server_that_hangs),
        trial("no_connection_is_left", full::no_connection_is_left),
        trial("messages_that_are_too_large", limits::messages_that_are_too_large),
        trial("a_server_that_only_reads", limits::a_server_that_only_reads),
    ];
    if let Err(missing) = Product::MariaDb.programs() {
        eprintln!("faults of mariadb not run: {missing}");
        trials = trials
            .into_iter()
            .map(|trial| {
                let missing = missing.clone();
                let failed = move || Err(Failed::from(format!("EMR_REQUIRE names mariadb, but {missing}")));
                Trial::test(trial.name().to_owned(), failed).with_ignored_flag(!required)
            })
            .collect();
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
