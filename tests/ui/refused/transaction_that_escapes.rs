use emr::prelude::*;

async fn kept(repo: RepoHandle) -> Result<()> {
    let mut outside: Option<&Tx> = None;
    repo.transaction(async |tx| {
        outside = Some(tx);
        Ok(())
    })
    .await
}

fn main() {}
