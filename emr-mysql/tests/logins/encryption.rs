//! TLS: who is encrypted, and whom one trusts.

use std::time::{Duration, Instant};

use emr_core::{ConnectFailure, Repo, TlsMode};

use super::server::Product;
use super::{administrator, connect, is_encrypted, login, refused, why, with_tls, without_tls};

pub(crate) async fn without_tls_at_the_server(product: Product) {
    let server = without_tls(product);
    for mode in [TlsMode::Disable, TlsMode::Prefer] {
        let repo = connect(login(&server, "root", "", mode)).await.unwrap();
        assert!(!is_encrypted(&repo).await, "{mode:?}");
    }
    for mode in [TlsMode::Require, TlsMode::VerifyFull] {
        let error = refused(login(&server, "root", "", mode)).await;
        assert_eq!(why(&error).1, ConnectFailure::Tls, "{mode:?}: {error}");
    }
    // Its socket needs none: it does not leave the machine.
    let socket = login(&server, "root", "", TlsMode::Require).host(server.path("socket").to_str().unwrap());
    assert!(!is_encrypted(&connect(socket).await.unwrap()).await);
}

pub(crate) async fn each_mode_checks_what_it_promises(product: Product) {
    let server = with_tls(product, &[]);
    let root = |mode| login(&server, "root", "", mode);
    for (mode, encrypted) in [(TlsMode::Disable, false), (TlsMode::Prefer, true), (TlsMode::Require, true)] {
        let repo = connect(root(mode)).await.unwrap();
        assert_eq!(is_encrypted(&repo).await, encrypted, "{mode:?}");
    }
    let checked = root(TlsMode::VerifyFull).tls_ca(server.path("ca.crt"));
    assert!(is_encrypted(&connect(checked.clone()).await.unwrap()).await);
    for (wrong, whose) in [
        (root(TlsMode::VerifyFull).tls_ca(server.path("other.crt")), "another authority"),
        (root(TlsMode::VerifyFull), "the system's authorities"),
        (checked.host("127.0.0.1"), "another name"),
    ] {
        let error = refused(wrong).await;
        assert_eq!(why(&error).1, ConnectFailure::Tls, "{whose}: {error}");
        assert!(why(&error).0.contains("certificate"), "{whose}: {error}");
    }
}

pub(crate) async fn servers_and_users_that_insist_on_tls(product: Product) {
    let server = with_tls(product, &[]);
    let admin = administrator(&server).await;
    admin.script("CREATE USER careful REQUIRE SSL; CREATE USER carefree").await.unwrap();
    let error = refused(login(&server, "careful", "", TlsMode::Disable)).await;
    assert_eq!(why(&error).1, ConnectFailure::Authentication, "{error}");
    for mode in [TlsMode::Prefer, TlsMode::Require] {
        connect(login(&server, "careful", "", mode)).await.unwrap();
    }
    connect(login(&server, "carefree", "", TlsMode::Disable)).await.unwrap();
    admin.script("SET GLOBAL require_secure_transport = ON").await.unwrap();
    let error = refused(login(&server, "carefree", "", TlsMode::Disable)).await;
    let (reason, cause) = why(&error);
    if reason.contains("require_secure_transport") {
        assert_eq!(cause, ConnectFailure::Tls, "{error}");
    } else {
        // MariaDB 10.11 says no more than that the user may not; newer ones say why.
        assert_eq!((product, cause), (Product::MariaDb, ConnectFailure::Authentication), "{error}");
    }
    connect(login(&server, "carefree", "", TlsMode::Prefer)).await.unwrap();
}

/// The connection that ends the statement is as good as the first: it knows the password and the authority.
pub(crate) async fn calls_are_cancelled_over_tls(product: Product) {
    let server = with_tls(product, &[]);
    let admin = administrator(&server).await;
    admin.script("CREATE USER ada IDENTIFIED BY 'geheim' REQUIRE SSL").await.unwrap();
    let checked = login(&server, "ada", "geheim", TlsMode::VerifyFull).tls_ca(server.path("ca.crt"));
    let repo = connect(checked).await.unwrap();
    let started = Instant::now();
    let call = repo.query("select sleep(30)", &[]);
    assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    let sleeping = "select count(*) from information_schema.processlist where info like 'select sleep%'";
    loop {
        let left: i64 = admin.query(sleeping, &[]).await.unwrap().scalar().unwrap();
        if left == 0 {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(5), "it still sleeps");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    repo.query("select 1", &[]).await.unwrap();
}
