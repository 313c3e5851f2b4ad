//! What a server does not take.

use emr::prelude::*;

use crate::{Note, administrator, note, server, session, texts};

pub(crate) async fn messages_that_are_too_large() {
    let (_server, repo) = server(&["--max-allowed-packet=1M"], |options| options.pool_size(1)).await;
    let id = session(&repo).await;
    let large = "x".repeat(2 << 20);
    let literal = format!("select length('{large}')");
    let refused = [
        repo.insert(note(large.clone())).await.map(drop),
        repo.insert_all([note("small"), note(large.clone())]).await.map(drop),
        repo.update_all(Note::query().set(Note::TEXT, large.clone())).await.map(drop),
        repo.query("select length(?)", &[&large]).await.map(drop),
        repo.query(&literal, &[]).await.map(drop),
        repo.script(&literal).await,
        repo.query_many(&literal).await.map(drop),
    ];
    for (n, result) in refused.into_iter().enumerate() {
        let error = result.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidCall { .. }), "{n}: {error:?}");
        assert!(error.to_string().contains("max_allowed_packet is 1048576"), "{n}: {error}");
    }
    assert_eq!(texts(&repo).await, [] as [&str; 0], "all or none");
    // Nothing of it was sent: the session is the same.
    assert_eq!(session(&repo).await, id);
    // Many rows go in as many messages as they need.
    let rows: Vec<_> = (0..100).map(|n| note(format!("{n}{}", "y".repeat(50_000)))).collect();
    assert_eq!(repo.insert_all(rows).await.unwrap(), 100);
    let stored = texts(&repo).await;
    assert!(stored.len() == 100 && stored[99].starts_with("99y") && stored[99].len() == 50_002);
    assert_eq!(session(&repo).await, id);
}

pub(crate) async fn a_server_that_only_reads() {
    let (server, repo) = server(&[], |options| options.pool_size(1)).await;
    let kept = repo.insert(note("kept")).await.unwrap();
    let admin = administrator(&server).await;
    admin.script("SET GLOBAL read_only = 1").await.unwrap();
    let refused = [
        repo.insert(note("refused")).await.map(drop),
        repo.insert_all([note("refused"), note("refused")]).await.map(drop),
        repo.update(kept.change().set(Note::TEXT, "refused")).await.map(drop),
        repo.delete(&kept).await,
        repo.transaction(async |tx| tx.insert(note("refused")).await.map(drop)).await,
    ];
    for (n, result) in refused.into_iter().enumerate() {
        let error = result.unwrap_err();
        let ErrorKind::Database { code, message } = error.kind() else { panic!("{n}: {error:?}") };
        assert!(code == "1290" && message.contains("read-only"), "{n}: {error:?}");
    }
    assert_eq!(texts(&repo).await, ["kept"]);
    admin.script("SET GLOBAL read_only = 0").await.unwrap();
    repo.update(kept.change().set(Note::TEXT, "changed")).await.unwrap();
    assert_eq!(texts(&repo).await, ["changed"]);
}
