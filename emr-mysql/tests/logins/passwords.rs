//! Passwords, and who may log in.

use std::time::Duration;

use emr_core::{Adapter, ConnectFailure, Repo, RepoHandle, RepoOptions, Role, TlsMode};
use emr_mysql::MySqlAdapter;

use super::server::{Product, Server};
use super::{administrator, connect, is_encrypted, login, refused, scratch, why, with_tls, without_tls};

/// What has to be quoted everywhere, and is of more than one byte.
const PASSWORD: &str = "p@ss:/% 'wörd\"\\";

/// The ways of a product to check a password.
fn plugins(product: Product) -> &'static [&'static str] {
    match product {
        Product::MariaDb => &["mysql_native_password", "ed25519"],
        Product::MySql => &["caching_sha2_password"],
    }
}

/// Creates a user whose password is checked in this way.
async fn create_user(admin: &RepoHandle, product: Product, name: &str, plugin: &str, password: &str) {
    let password = password.replace('\\', "\\\\").replace('\'', "''");
    let word = match product {
        Product::MariaDb => format!("VIA {plugin} USING PASSWORD('{password}')"),
        Product::MySql => format!("WITH {plugin} BY '{password}'"),
    };
    admin.script(&format!("CREATE USER {name} IDENTIFIED {word}")).await.unwrap();
}

async fn install_ed25519(admin: &RepoHandle, product: Product) {
    if product == Product::MariaDb {
        admin.script("INSTALL SONAME 'auth_ed25519'").await.unwrap();
    }
}

/// Logs in by the right password, which MariaDB may refuse once: see [`every_nonce_will_do`].
async fn led_in(options: RepoOptions) -> RepoHandle {
    match connect(options.clone()).await {
        Err(error) if why(&error).1 == ConnectFailure::Authentication => connect(options).await.unwrap(),
        result => result.unwrap(),
    }
}

pub(crate) async fn are_checked_and_never_shown(product: Product) {
    let server = with_tls(product, &[]);
    let admin = administrator(&server).await;
    install_ed25519(&admin, product).await;
    for (n, plugin) in plugins(product).iter().enumerate() {
        let user = format!("user_{n}");
        create_user(&admin, product, &user, plugin, PASSWORD).await;
        for tls in [TlsMode::Disable, TlsMode::Prefer, TlsMode::Require] {
            // What the server remembers of earlier logins must not stand in.
            admin.script("FLUSH PRIVILEGES").await.unwrap();
            let repo = led_in(login(&server, &user, PASSWORD, tls)).await;
            let name: String = repo.query("select current_user()", &[]).await.unwrap().scalar().unwrap();
            assert_eq!(name, format!("{user}@%"), "{plugin} {tls:?}");
            assert_eq!(is_encrypted(&repo).await, tls != TlsMode::Disable, "{plugin} {tls:?}");

            for wrong in ["wrong-geheim", "", &format!("{PASSWORD} "), "p@ss"] {
                let error = refused(login(&server, &user, wrong, tls)).await;
                let (reason, cause) = why(&error);
                assert_eq!(cause, ConnectFailure::Authentication, "{plugin} {tls:?}: {error}");
                assert!(reason.starts_with("Access denied for user"), "{plugin} {tls:?}: {error}");
                assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
            }
        }
        let socket = login(&server, &user, PASSWORD, TlsMode::Require).host(server.path("socket").to_str().unwrap());
        admin.script("FLUSH PRIVILEGES").await.unwrap();
        led_in(socket).await;
    }
    let error = refused(login(&server, "nobody_of_that_name", "geheim", TlsMode::Disable)).await;
    assert_eq!(why(&error).1, ConnectFailure::Authentication, "{error}");
    assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
    // One who has no password shows none.
    let error = refused(login(&server, "root", "geheim", TlsMode::Disable)).await;
    assert_eq!(why(&error).1, ConnectFailure::Authentication, "{error}");
}

pub(crate) async fn databases_that_one_may_not_enter(product: Product) {
    let server = without_tls(product);
    let admin = administrator(&server).await;
    admin.script("CREATE DATABASE theirs; CREATE USER visitor").await.unwrap();

    let error = refused(login(&server, "root", "", TlsMode::Disable).database("no_such_db")).await;
    assert_eq!(why(&error), ("Unknown database 'no_such_db'", ConnectFailure::UnknownDatabase));
    assert!(error.to_string().contains(&format!("localhost:{}/no_such_db", server.port)), "{error}");

    let error = refused(login(&server, "visitor", "", TlsMode::Disable).database("theirs")).await;
    let (reason, cause) = why(&error);
    assert_eq!(cause, ConnectFailure::Authentication, "{error}");
    assert!(reason.contains("to database 'theirs'"), "{error}");
}

pub(crate) async fn users_who_may_not_log_in(product: Product) {
    let server = without_tls(product);
    let admin = administrator(&server).await;
    admin
        .script("CREATE USER locked ACCOUNT LOCK; CREATE USER elsewhere@'10.1.2.3'; CREATE USER old PASSWORD EXPIRE")
        .await
        .unwrap();
    for user in ["locked", "elsewhere"] {
        let error = refused(login(&server, user, "", TlsMode::Disable)).await;
        assert_eq!(why(&error).1, ConnectFailure::Authentication, "{user}: {error}");
    }
    // It may log in to change its password, and do nothing else.
    let error = refused(login(&server, "old", "", TlsMode::Disable)).await;
    assert_eq!(why(&error).1, ConnectFailure::Authentication, "{error}");
    assert!(why(&error).0.to_lowercase().contains("password"), "{error}");
}

pub(crate) async fn a_plugin_that_is_not_spoken(product: Product) {
    let server = without_tls(product);
    let admin = administrator(&server).await;
    create_user(&admin, product, "other", "sha256_password", "geheim").await;
    let error = refused(login(&server, "other", "geheim", TlsMode::Disable)).await;
    let (reason, cause) = why(&error);
    assert_eq!(cause, ConnectFailure::Authentication, "{error}");
    assert!(reason.contains("sha256_password"), "{error}");
    assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
}

/// The nonce of one login in 256 ends with a zero, which the driver loses.
pub(crate) async fn every_nonce_will_do(product: Product) {
    let server = without_tls(product);
    let admin = administrator(&server).await;
    install_ed25519(&admin, product).await;
    create_user(&admin, product, "ada", "ed25519", PASSWORD).await;
    let connector = MySqlAdapter.connector(&login(&server, "ada", PASSWORD, TlsMode::Disable)).unwrap();
    // The first login has no earlier one to show that the password is right.
    while connector.connect(Role::Write).await.is_err() {}
    for n in 0..600 {
        let refused = connector.connect(Role::Write).await.err();
        assert!(refused.is_none(), "login {n}: {refused:?}");
    }
    admin.script("DROP USER ada").await.unwrap();
    let error = connector.connect(Role::Write).await.map(|_| ()).unwrap_err();
    assert_eq!(why(&error).1, ConnectFailure::Authentication, "{error}");
}

/// Without TLS the password goes to the server encrypted for its key; from then on the server knows it.
pub(crate) async fn a_full_login_without_tls(product: Product) {
    let server = without_tls(product);
    let admin = administrator(&server).await;
    create_user(&admin, product, "ada", "caching_sha2_password", PASSWORD).await;
    // What the server sends for one login and one question. Its key takes some 450 bytes.
    let taken = async || -> i64 {
        let before = bytes_sent(&admin).await;
        connect(login(&server, "ada", PASSWORD, TlsMode::Disable)).await.unwrap().stop(Duration::ZERO).await;
        // A session that ends is counted a moment later. To look for it would be counted as well.
        tokio::time::sleep(Duration::from_millis(500)).await;
        bytes_sent(&admin).await - before
    };
    let with_key = taken().await;
    let remembered = taken().await;
    admin.script("FLUSH PRIVILEGES").await.unwrap();
    let forgotten = taken().await;
    assert!(with_key > remembered + 300, "{with_key} {remembered}");
    assert!(forgotten > remembered + 300, "{forgotten} {remembered}");
}

async fn bytes_sent(admin: &RepoHandle) -> i64 {
    let result = admin.query("show global status like 'Bytes_sent'", &[]).await.unwrap();
    result.get::<String>(0, 1).unwrap().parse().unwrap()
}

/// A key of 2,048 bits takes 214 bytes, one of which ends the password.
pub(crate) async fn longer_than_the_key(product: Product) {
    let server = with_tls(product, &[]);
    let admin = administrator(&server).await;
    for (user, length) in [("fits", 213), ("too_long", 214)] {
        let password = "x".repeat(length);
        create_user(&admin, product, user, "caching_sha2_password", &password).await;
        let plain = connect(login(&server, user, &password, TlsMode::Disable)).await;
        if user == "fits" {
            plain.unwrap();
            continue;
        }
        let error = plain.map(|_| ()).unwrap_err();
        assert_eq!(why(&error).1, ConnectFailure::Authentication, "{error}");
        assert!(why(&error).0.contains("TLS"), "{error}");
        assert!(!format!("{error} {error:?}").contains("xxx"), "{error:?}");
        connect(login(&server, user, &password, TlsMode::Require)).await.unwrap();
    }
}

pub(crate) async fn a_server_without_a_key(product: Product) {
    let settings =
        ["--caching-sha2-password-auto-generate-rsa-keys=OFF", "--sha256-password-auto-generate-rsa-keys=OFF"];
    let certificates = ["--ssl-ca=../ca.crt", "--ssl-cert=../server.crt", "--ssl-key=../server.key"];
    let server = Server::prepared(product, scratch(), &[&certificates[..], &settings].concat(), |directory| {
        super::certificates::write(directory);
        for key in ["private_key.pem", "public_key.pem"] {
            std::fs::remove_file(directory.join("data").join(key)).unwrap();
        }
    });
    let admin = administrator(&server).await;
    create_user(&admin, product, "ada", "caching_sha2_password", PASSWORD).await;
    let plain = || login(&server, "ada", PASSWORD, TlsMode::Disable);
    let error = refused(plain()).await;
    assert_eq!(why(&error).1, ConnectFailure::Authentication, "{error}");
    connect(login(&server, "ada", PASSWORD, TlsMode::Require)).await.unwrap();
    // From then on it knows the password.
    connect(plain()).await.unwrap();
}
