//! Settings: URLs, options, the environment, and what is wrong with them.

use std::time::Duration;

use emr::prelude::*;
use emr::{PrepareMode, Secret, TlsMode};

use super::Tenants;

/// The option that a configuration error names, and its text.
pub(crate) fn wrong(result: Result<impl std::fmt::Debug>) -> (String, String) {
    match result {
        Err(error) => match error.kind() {
            ErrorKind::Config { option, .. } => (option.clone(), error.to_string()),
            other => panic!("no configuration error: {other:?}"),
        },
        Ok(value) => panic!("this should not work: {value:?}"),
    }
}

#[test]
fn a_full_url_is_read() {
    let options = RepoOptions::from_url(
        "postgresql://ada:s3cr%65t@db.example:6543/acme?pool_size=7&timeout=2s&idle_timeout=infinite&tls=verify-full\
         &tls_ca=/ca.pem&prepare=unnamed&application_name=my%20app&read_only=true&eager=1&connect_timeout=900ms&prefix=crm&keepalives_idle=5",
    )
    .unwrap();
    assert_eq!(options.database_type.as_deref(), Some("postgres"));
    assert_eq!(options.host.as_deref(), Some("db.example"));
    assert_eq!(options.port, Some(6543));
    assert_eq!(options.database.as_deref(), Some("acme"));
    assert_eq!(options.user.as_deref(), Some("ada"));
    assert_eq!(options.password, Some(Secret::new("s3cret")));
    assert_eq!(options.pool_size, Some(7));
    assert_eq!(options.timeout, Some(Timeout::After(Duration::from_secs(2))));
    assert_eq!(options.idle_timeout, Some(Timeout::Infinite));
    assert_eq!(options.tls, Some(TlsMode::VerifyFull));
    assert_eq!(options.prepare, Some(PrepareMode::Unnamed));
    assert_eq!(options.application_name.as_deref(), Some("my app"));
    assert_eq!((options.read_only, options.eager), (Some(true), Some(true)));
    assert_eq!(options.connect_timeout, Some(Duration::from_millis(900)));
    assert_eq!(options.prefix.as_deref(), Some("crm"));
    assert_eq!(options.extra["keepalives_idle"], "5");
}

#[test]
fn passwords_with_every_awkward_character_are_read_and_never_shown() {
    let cases = [
        ("postgres://u:p%40ss%3Aw%2Frd%25%20%C3%BC%E6%97%A5@h/d", "p@ss:w/rd% ü日"),
        ("postgres://u:p@ss:word@h/d", "p@ss:word"),
        ("postgres://u::@h/d", ":"),
        ("postgres://u:%00@h/d", "\0"),
    ];
    for (url, password) in cases {
        let options = RepoOptions::from_url(url).unwrap();
        assert_eq!(options.password, Some(Secret::new(password)), "{url}");
        assert_eq!(options.host.as_deref(), Some("h"), "{url}");
        assert_eq!(options.user.as_deref(), Some("u"), "{url}");
        let shown = format!("{options:?} {options:#?}");
        assert!(!shown.contains("ss:w"), "{shown}");
    }
    let options = RepoOptions::from_url("postgres://u@h").unwrap();
    assert_eq!((options.password, options.database), (None, None));
    let options = RepoOptions::from_url("postgres://[::1]:5433/d").unwrap();
    assert_eq!((options.host.as_deref(), options.port), (Some("::1"), Some(5433)));
    let options = RepoOptions::from_url("postgres://%2Fvar%2Frun/d").unwrap();
    assert_eq!(options.host.as_deref(), Some("/var/run"));
}

#[test]
fn malformed_urls_say_which_part_is_wrong() {
    let cases = [
        ("", "url", "scheme"),
        ("nonsense", "url", "scheme"),
        ("//host/db", "url", "scheme"),
        ("postgres:host/db", "url", "//host"),
        ("postgres://", "host", "no host"),
        ("postgres:///db", "host", "no host"),
        ("postgres://u:topsecret@/db", "host", "no host"),
        ("postgres://u:tops/ecret@h/db", "url", "%2F"),
        ("postgres://u:12/topsecret@h/db", "url", "%2F"),
        ("postgres://u:tops?ecret@h/db", "url", "%2F"),
        ("postgres://u:topsecret@h:0/db", "port", "port"),
        ("postgres://u:topsecret@h:99999/db", "port", "port"),
        ("postgres://u:topsecret@h:x/db", "port", "port"),
        // A host was forgotten: what stands there is a password.
        ("postgres://u:topsecret/db", "port", "port"),
        ("postgres://u:topsecret", "port", "port"),
        ("postgres:u:topsecret@h/db", "url", "//host"),
        ("postgres://u:topsecret%zz@h/db", "password", "%25"),
        ("postgres://u:topsecret%ff@h/db", "password", "UTF-8"),
        ("postgres://u:top#secret@h/db", "url", "%23"),
        ("postgres://[::1/db", "url", "]"),
        ("postgres://h/d?pool_size=many", "pool_size", "number"),
        ("postgres://h/d?timeout=0s", "timeout", "zero"),
        ("postgres://h/d?timeout=5", "timeout", "duration"),
        ("postgres://h/d?idle_timeout=0ms", "idle_timeout", "zero"),
        ("postgres://h/d?connect_timeout=infinite", "connect_timeout", "end"),
        ("postgres://h/d?tls=maybe", "tls", "verify-full"),
        ("postgres://h/d?eager=perhaps", "eager", "true"),
        ("oracle://h/d", "url", "no adapter"),
        ("mysql://", "host", "no host"),
        ("mariadb://u:topsecret@h:x/db", "port", "port"),
        ("sqlserver://h/d", "url", "feature `mssql`"),
    ];
    for (url, option, text) in cases {
        let (found, message) = wrong(RepoOptions::from_url(url));
        assert_eq!(found, option, "{url}: {message}");
        assert!(message.contains(text), "{url}: {message}");
        assert!(!message.contains("topsecret"), "{message}");
    }
}

#[tokio::test]
async fn wrong_options_are_refused_by_name() {
    let server = || RepoOptions::server("postgres", "h", 5432, "d", "u", "p");
    let cases = [
        (server().pool_size(0), "pool_size"),
        (server().port(0), "port"),
        (server().host(""), "host"),
        (server().timeout(Duration::ZERO), "timeout"),
        (server().idle_timeout(Duration::ZERO), "idle_timeout"),
        (server().connect_timeout(Duration::ZERO), "connect_timeout"),
        (server().extra("no_such_option", "x"), "no_such_option"),
        (server().database_type("postgers"), "database"),
        (server().database_type("mssql"), "database"),
        (server().database_type("postgresql"), "database"),
        (server().tls_ca("ca.pem"), "tls_ca"),
        (server().tls(TlsMode::Require).tls_ca("ca.pem"), "tls_ca"),
        (server().tls(TlsMode::Disable).tls_ca("ca.pem"), "tls_ca"),
        (server().database_type("mysql").tls_ca("ca.pem"), "tls_ca"),
        (server().database_type("mysql").pool_size(0), "pool_size"),
        (server().database_type("mysql").host(""), "host"),
        (server().database_type("mysql").extra("no_such_option", "x"), "no_such_option"),
        (RepoOptions::new(), "database"),
        (RepoOptions::sqlite(""), "database"),
        (RepoOptions::sqlite("x.db").host("h"), "host"),
        (RepoOptions::sqlite("x.db").port(1), "port"),
        (RepoOptions::sqlite("x.db").user("u"), "user"),
        (RepoOptions::sqlite("x.db").extra("no_such_option", "x"), "no_such_option"),
    ];
    for (options, option) in cases {
        let (found, message) = wrong(emr::open(options).await);
        assert_eq!(found, option, "{message}");
    }
    let (_, message) = wrong(emr::open(server().database_type("mariadb")).await);
    assert!(message.contains("write \"mysql\"") == cfg!(feature = "mysql"), "{message}");
    let (option, message) = wrong(emr::open(server().tls(TlsMode::VerifyFull).tls_ca("/no/such/file.pem")).await);
    assert!(option == "tls_ca" && message.contains("/no/such/file.pem"), "{message}");
}

#[tokio::test]
async fn a_definition_for_one_backend_refuses_another() {
    #[derive(MultiRepo)]
    #[repo(database = "postgres")]
    struct OnlyPostgres;
    let (option, message) = wrong(OnlyPostgres::start_url("sqlite::memory:").await);
    assert!(option == "database" && message.contains("OnlyPostgres"), "{message}");
    let options = OnlyPostgres::definition().defaults().unwrap();
    assert_eq!(options.database_type.as_deref(), Some("postgres"));
}

#[tokio::test]
async fn settings_of_the_caller_go_before_those_of_the_definition() {
    #[derive(MultiRepo)]
    #[repo(timeout = "3s", pool_size = 9)]
    struct Defaults;
    let repo = Defaults::start(super::fake("defaults")).await.unwrap();
    assert_eq!(repo.default_options().timeout, Timeout::After(Duration::from_secs(3)));
    assert_eq!(repo.config().pool_size, Some(9));
    let repo = Defaults::start(super::fake("defaults").timeout(Duration::from_secs(1)).pool_size(2)).await.unwrap();
    assert_eq!(repo.default_options().timeout, Timeout::After(Duration::from_secs(1)));
    assert_eq!(repo.config().pool_size, Some(2));
    assert_eq!(Tenants::start(super::fake("x")).await.unwrap().default_options().timeout, Timeout::Infinite);
}

proptest::proptest! {
    #[test]
    fn no_url_makes_the_parser_panic_or_show_a_password(url in r"[a-z]{0,9}:?/{0,3}[ -~äß日]{0,60}") {
        if let Ok(options) = RepoOptions::from_url(&url) {
            let shown = format!("{options:?}");
            if let Some(password) = options.password.filter(|password| password.expose().len() > 6) {
                proptest::prop_assert!(!shown.contains(password.expose()));
            }
        }
    }

    #[test]
    fn every_password_survives_a_url(password in "\\PC{1,40}", user in "[a-z]{1,8}") {
        let encoded = password.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"));
        let options = RepoOptions::from_url(&format!("postgres://{user}:{encoded}@h/d")).unwrap();
        proptest::prop_assert_eq!(options.password, Some(Secret::new(password)));
        proptest::prop_assert_eq!(options.host.as_deref(), Some("h"));
    }
}
