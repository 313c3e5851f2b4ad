//! How often the network is crossed: counted between the repo and the server, where drivers cannot tell tales.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use emr::prelude::*;
use emr::test::TestRepo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::blog::{self, Comment, User};
use crate::harness::{Backend, Db, assert_unsupported, not_here};

db_cases![
    sibling_preloads_share_a_round_trip,
    a_begin_travels_with_the_first_statement,
    a_statement_of_a_test_repo_is_one_round_trip,
];

/// When a side has sent nothing for so long, it waits for the other one.
const QUIET: Duration = Duration::from_millis(40);

/// Stands between the repo and its server, and counts how often the repo spoke before it waited for an answer.
struct Wire {
    port: u16,
    turns: Arc<AtomicUsize>,
}

impl Wire {
    async fn to(db: &Db) -> Wire {
        let options = db.options();
        let server = (options.host.unwrap(), options.port.unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let turns = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&turns);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect((server.0.as_str(), server.1)).await.unwrap();
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    let _ = carry(client, server, &counter).await;
                });
            }
        });
        Wire { port, turns }
    }

    /// A repo with one connection, over the wire.
    fn options(&self, db: &Db) -> RepoOptions {
        db.options().host("127.0.0.1").port(self.port).pool_size(1)
    }

    /// The round trips since the last look.
    fn trips(&self) -> usize {
        self.turns.swap(0, Ordering::SeqCst)
    }
}

/// The server hears nothing before the client is quiet: what needed no answer is one turn.
async fn carry(mut client: TcpStream, mut server: TcpStream, turns: &AtomicUsize) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let mut said = asked[..read?].to_vec();
                if said.is_empty() {
                    return Ok(());
                }
                turns.fetch_add(1, Ordering::SeqCst);
                while let Ok(more) = tokio::time::timeout(QUIET, client.read(&mut asked)).await {
                    let more = more?;
                    if more == 0 {
                        return Ok(());
                    }
                    said.extend_from_slice(&asked[..more]);
                }
                server.write_all(&said).await?;
            }
            read = server.read(&mut answered) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                client.write_all(&answered[..read]).await?;
            }
        }
    }
}

fn no_wire(db: &Db) -> bool {
    if db.backend == Backend::Sqlite {
        not_here("there is no network");
    }
    db.backend == Backend::Sqlite
}

async fn sibling_preloads_share_a_round_trip(db: &Db) {
    if no_wire(db) {
        return;
    }
    blog::create(&db.repo).await;
    let author = blog::user(&db.repo, "Ada").await;
    for n in 0..2 {
        let post = blog::post(&db.repo, &format!("{n}"), Some(&author)).await;
        blog::comment(&db.repo, "first", Some(&post), Some(&author)).await;
        blog::permalink(&db.repo, &format!("url {n}"), Some(&post), None).await;
    }
    let wire = Wire::to(db).await;
    let instrument = emr::test::Instrument::new();
    let repo = emr::open(wire.options(db).layer(instrument.clone())).await.unwrap();
    let posts = || {
        blog::Post::query().order_by(blog::Post::ID.asc()).preload((
            blog::Post::AUTHOR,
            blog::Post::COMMENTS.then(Comment::AUTHOR.then(User::PERMALINK)),
            blog::Post::PERMALINK,
            blog::Post::TAGS,
        ))
    };
    // The first time, the statements are prepared.
    repo.all(posts()).await.unwrap();
    wire.trips();
    instrument.clear();
    let found = repo.all(posts()).await.unwrap();
    // The posts; their four associations together; the comments' author; the author's permalink.
    // MySQL's driver sends one statement after the other.
    let trips = if db.backend.is_mysql_family() { 7 } else { 4 };
    assert_eq!((wire.trips(), instrument.calls(), instrument.statements().len()), (trips, 4, 7), "{instrument:?}");
    assert_eq!(found.len(), 2);
    for (n, post) in found.iter().enumerate() {
        assert_eq!(post.author.get().unwrap().unwrap().name, "Ada");
        assert_eq!(post.permalink.get().unwrap().unwrap().url, format!("url {n}"));
        assert_eq!(post.comments.get().unwrap()[0].author.get().unwrap().unwrap().id, author.id);
        assert_eq!(post.tags.get().unwrap().len(), 0);
    }
}

async fn a_begin_travels_with_the_first_statement(db: &Db) {
    if no_wire(db) {
        return;
    }
    blog::create(&db.repo).await;
    let wire = Wire::to(db).await;
    let repo = emr::open(wire.options(db)).await.unwrap();
    for round in 0..2 {
        wire.trips();
        let tx = repo.begin().await.unwrap();
        blog::tag(&tx, "one").await;
        let first = wire.trips();
        let inner = tx.begin().await.unwrap();
        blog::tag(&inner, "two").await;
        inner.commit().await.unwrap();
        tx.commit().await.unwrap();
        let then = wire.trips();
        let expected = match db.backend {
            // There a control is a message of its own.
            Backend::Mariadb => (2, 3),
            // And so is what selects the inserted row again.
            Backend::Mysql => (3, 4),
            _ => (1, 2),
        };
        assert!(round == 0 || (first, then) == expected, "{first} {then}");
    }
    assert_eq!(db.repo.count(blog::Tag::query()).await.unwrap(), 4);
}

async fn a_statement_of_a_test_repo_is_one_round_trip(db: &Db) {
    if no_wire(db) {
        return;
    }
    blog::create(&db.repo).await;
    let wire = Wire::to(db).await;
    if db.backend.is_mysql_family() {
        assert_unsupported(&TestRepo::start(wire.options(db)).await.unwrap_err());
        return;
    }
    let test = TestRepo::start(wire.options(db)).await.unwrap();
    for round in 0..2 {
        wire.trips();
        blog::tag(&test, "one").await;
        blog::tag(&test, "two").await;
        assert_eq!(test.count(blog::Tag::query()).await.unwrap(), 2 * (round + 1));
        let trips = wire.trips();
        assert!(round == 0 || trips == 3, "{trips}");
        let tx = test.begin().await.unwrap();
        blog::tag(&tx, "undone").await;
        tx.rollback().await.unwrap();
        let trips = wire.trips();
        assert!(round == 0 || trips == 2, "{trips}");
    }
    test.stop().await.unwrap();
    assert_eq!(db.repo.count(blog::Tag::query()).await.unwrap(), 0);
}
