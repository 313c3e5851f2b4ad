//! What EMR is, in one screen: a repo opened at run time, a table, rows, a nested transaction.
//!
//! `cargo run --example quickstart` runs it on SQLite in memory;
//! `EMR_URL=postgres://… cargo run --example quickstart --features postgres` on a real PostgreSQL, and
//! `EMR_URL=mysql://… cargo run --example quickstart --features mysql` on MariaDB or MySQL.

use emr::prelude::*;

#[derive(Syncable, Debug, Clone)]
#[emr(table = "quickstart_posts")]
struct Post {
    id: i64,
    title: String,
    #[emr(default = "0")]
    views: i32,
}

#[derive(MultiRepo)]
#[repo(timeout = "5s", idle_timeout = "10m")]
struct TenantRepo;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = std::env::var("EMR_URL").unwrap_or_else(|_| "sqlite::memory:".to_owned());

    // The repo's kind, place and credentials are data: nothing about them is compiled in.
    let repo = TenantRepo::start_url(&url).await?;
    let sum = repo.query("select 4 + 5", &[]).await?;
    println!("opened a repo on {}: 4 + 5 = {:?}", repo.backend(), sum.rows().next());

    repo.drop_table_if_exists::<Post>().await?;
    repo.create_table::<Post>().await?;
    println!("created the table {}", Post::schema().table);

    // Unset columns take the database's defaults, and the stored row comes back.
    let post = repo.insert(Post::build().set(Post::TITLE, "Hello")).await?;
    println!("inserted {post:?}");
    let rows = ["Hi", "Bonjour", "Habari"].map(|title| Post::build().set(Post::TITLE, title));
    println!("inserted {} more in one call", repo.insert_all(rows).await?);

    let with_h = Post::query().filter(Post::TITLE.like("H%")).order_by(Post::ID.desc()).limit(10);
    for found in repo.all(&with_h).await? {
        println!("found {} {:?}", found.id, found.title);
    }

    repo.transaction(async |tx| {
        let post = tx.update(post.change().set(Post::TITLE, "Hello, world")).await?;
        // A nested transaction is a savepoint: its failure undoes only what was done inside it.
        let nested: Result<()> = tx
            .transaction(async |inner| {
                inner.delete_all(Post::query()).await?;
                Err(Error::invalid("changed my mind"))
            })
            .await;
        println!("the nested transaction failed ({}), the outer one goes on", nested.unwrap_err());
        tx.update_all(Post::query().filter(Post::ID.eq(post.id)).inc(Post::VIEWS, 1)).await?;
        Ok(())
    })
    .await?;

    let post: Post = repo.fetch(post.id).await?;
    println!("after the commit there are {} rows; the first is {post:?}", repo.count(Post::query()).await?);

    let missing = repo.fetch::<Post>(4711).await;
    println!("asking for a row that is not there gives an error: {}", missing.unwrap_err());

    repo.drop_table::<Post>().await?;
    repo.stop(std::time::Duration::from_secs(1)).await;
    println!("stopped; another call gives: {}", repo.count(Post::query()).await.unwrap_err());
    Ok(())
}
