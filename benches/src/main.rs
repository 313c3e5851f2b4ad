//! Measures EMR beside hand-written code on the bare drivers. `benches/README.md` says how to read it.

mod args;
mod cases;
mod contender;
mod contenders;
mod ground;
mod idle;
mod measure;
mod pin;
mod sum;
mod syncing;
mod watching;
mod weigh;

use std::process::ExitCode;

use args::{Args, Backend};
use cases::Case;
use contender::Result;
use ground::Ground;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(problem) => {
            eprintln!("{problem}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    // Before the first thread starts: threads take the place of the one that made them.
    let pinned = pin::client().map_err(|why| why.to_string());
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(&args, pinned)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args, pinned: Result<(), String>) -> Result<()> {
    if let Some(what) = &args.weigh {
        return weigh::run(args, what).await;
    }
    let mut ground: Box<dyn Ground> = match args.backend {
        Backend::Postgres => Box::new(ground::postgres::PostgresGround::create(&args.url).await?),
        Backend::Mariadb | Backend::Mysql => {
            Box::new(ground::mysql::MySqlGround::create(args.backend, &args.url).await?)
        }
        Backend::Sqlite => Box::new(ground::sqlite::SqliteGround::create()?),
    };
    println!("# {} pool={} rounds={}", ground.describe().await?, contender::POOL, args.rounds);
    let mut result = Ok(());
    for &case in &args.cases {
        result = match case {
            Case::IdleRepos => idle::run(args.backend, &ground.options()).await,
            Case::Syncing => syncing::run(args).await,
            Case::Writers(_) | Case::CommitToEvent | Case::CommitToEventBusy | Case::CatchUp | Case::IdleReaders => {
                watching::run(args, case, &*ground).await
            }
            _ => measure::run(args, case, &mut *ground, pinned.as_ref()).await,
        };
        if result.is_err() {
            break;
        }
    }
    ground.remove().await?;
    result
}
