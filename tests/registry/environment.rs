//! Settings from the environment, by environment name.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use emr::prelude::*;
use emr::{PrepareMode, Secret, TlsMode};

use super::settings::wrong;

/// Options from these variables alone.
fn read(environment: &str, variables: &[(&str, &str)]) -> Result<RepoOptions> {
    let all: BTreeMap<_, _> = variables.iter().copied().collect();
    RepoOptions::from_vars("ACME", environment, |name| all.get(name).map(OsString::from))
}

#[test]
fn every_setting_has_its_variable() {
    let options = read(
        "prod",
        &[
            ("ACME_PROD_DATABASE_TYPE", "postgres"),
            ("ACME_PROD_HOST", "db.example"),
            ("ACME_PROD_PORT", "6543"),
            ("ACME_PROD_DATABASE", "acme"),
            ("ACME_PROD_USER", "ada"),
            ("ACME_PROD_PASSWORD", "p@ss:w/rd% ü"),
            ("ACME_PROD_POOL_SIZE", "7"),
            ("ACME_PROD_EAGER", "yes"),
            ("ACME_PROD_TIMEOUT", "2s"),
            ("ACME_PROD_IDLE_TIMEOUT", "infinite"),
            ("ACME_PROD_CONNECT_TIMEOUT", "900ms"),
            ("ACME_PROD_CONNECTION_IDLE_TIMEOUT", "3m"),
            ("ACME_PROD_TLS", "verify-full"),
            ("ACME_PROD_TLS_CA", "/ca.pem"),
            ("ACME_PROD_PREPARE", "unnamed"),
            ("ACME_PROD_APPLICATION_NAME", "my app"),
            ("ACME_PROD_AFTER_CONNECT", "set role app"),
            ("ACME_PROD_READ_ONLY", "on"),
            ("ACME_PROD_PREFIX", "crm"),
            ("ACME_PROD_OPTIONS", "-c work_mem=8MB"),
            ("ACME_PROD_TARGET_SESSION_ATTRS", "read-only"),
            ("ACME_PROD_KEEPALIVES_IDLE", "5"),
            // Another program's business.
            ("ACME_PROD_API_KEY", "k"),
            // A setting of another backend, and of another environment name.
            ("ACME_PROD_JOURNAL_MODE", "wal"),
            ("ACME_TEST_POOL_SIZE", "99"),
        ],
    )
    .unwrap();
    let expected = RepoOptions::server("postgres", "db.example", 6543, "acme", "ada", "p@ss:w/rd% ü")
        .pool_size(7)
        .eager(true)
        .timeout(Duration::from_secs(2))
        .idle_timeout(Timeout::Infinite)
        .connect_timeout(Duration::from_millis(900))
        .connection_idle_timeout(Duration::from_mins(3))
        .tls(TlsMode::VerifyFull)
        .tls_ca("/ca.pem")
        .prepare(PrepareMode::Unnamed)
        .application_name("my app")
        .after_connect("set role app")
        .read_only(true)
        .prefix("crm")
        .extra("options", "-c work_mem=8MB")
        .extra("target_session_attrs", "read-only")
        .extra("keepalives_idle", "5");
    assert_eq!(shown(&options), shown(&expected));
    assert_eq!((options.password, options.after_connect), (expected.password, expected.after_connect));
    assert_eq!(options.extra, expected.extra);
    // Whoever adds a setting adds its variable: 19 that all have, 3 of the adapter's own.
    assert_eq!(options.variables.len(), 22);
}

/// All settings as text.
fn shown(options: &RepoOptions) -> String {
    format!("{options:#?}")
}

#[test]
fn settings_that_only_one_adapter_has_are_read_once_it_is_known() {
    let options = read("", &[("ACME_URL", "sqlite:a.db"), ("ACME_JOURNAL_MODE", "delete"), ("ACME_CREATE", "false")]);
    let extra = options.unwrap().extra;
    assert_eq!((extra["journal_mode"].as_str(), extra["create"].as_str()), ("delete", "false"));
    let options = read("", &[("ACME_HOST", "h"), ("ACME_JOURNAL_MODE", "delete")]).unwrap();
    assert!(options.extra.is_empty());
}

#[test]
fn single_variables_go_before_the_url_and_both_before_the_definition() {
    let options = read(
        "prod",
        &[
            ("ACME_PROD_URL", "postgres://u:pw@h/d?pool_size=2&timeout=9s&keepalives_idle=3"),
            ("ACME_PROD_POOL_SIZE", "5"),
            ("ACME_PROD_PASSWORD", "better"),
            ("ACME_PROD_KEEPALIVES_IDLE", "4"),
            ("ACME_PROD_SSLMODE", "disable"),
            ("ACME_PROD_SSLROOTCERT", "/old.pem"),
            ("ACME_PROD_TLS_CA", "/new.pem"),
        ],
    )
    .unwrap();
    assert_eq!((options.pool_size, options.timeout), (Some(5), Some(Duration::from_secs(9).into())));
    assert_eq!((options.password.as_ref(), options.user.as_deref()), (Some(&Secret::new("better")), Some("u")));
    assert_eq!(options.extra["keepalives_idle"], "4");
    assert_eq!((options.tls, options.tls_ca.as_deref()), (Some(TlsMode::Disable), Some("/new.pem".as_ref())));
    let merged = options.or(&RepoOptions::new().pool_size(9).prefix("crm"));
    assert_eq!((merged.pool_size, merged.prefix.as_deref()), (Some(5), Some("crm")));
}

#[test]
fn names_become_names_of_variables() {
    let options = |prefix: &str, environment: &str, variable: &'static str| {
        RepoOptions::from_vars(prefix, environment, |name| (name == variable).then(|| "sqlite:x.db".into())).unwrap()
    };
    for (prefix, environment, variable) in [
        ("ACME", "eu-west.1", "ACME_EU_WEST_1_URL"),
        ("acme", "Prod", "ACME_PROD_URL"),
        ("ACME", "", "ACME_URL"),
        ("", "prod", "PROD_URL"),
        ("", "", "URL"),
        ("ACME", "ü", "ACME___URL"),
        ("ACME", "a=b\0c", "ACME_A_B_C_URL"),
    ] {
        assert_eq!(options(prefix, environment, variable).database.as_deref(), Some("x.db"), "{variable}");
    }
}

#[test]
fn what_a_setting_does_not_take_is_an_error_that_names_the_variable() {
    let cases = [
        ("DATABASE_TYPE", "oracle", "oracle"),
        ("DATABASE_TYPE", "postgresql", "write \"postgres\""),
        ("HOST", "", "empty"),
        ("PORT", "0", "port"),
        ("PORT", "many", "many"),
        ("USER", "", "empty"),
        ("POOL_SIZE", "0", "at least one"),
        ("POOL_SIZE", "-1", "number"),
        ("POOL_SIZE", "", "number"),
        ("EAGER", "perhaps", "true"),
        ("TIMEOUT", "0s", "zero"),
        ("TIMEOUT", "15", "duration"),
        ("IDLE_TIMEOUT", "99999999999999999999h", "duration"),
        ("CONNECT_TIMEOUT", "infinite", "end"),
        ("CONNECTION_IDLE_TIMEOUT", "soon", "duration"),
        ("TLS", "maybe", "verify-full"),
        ("SSLMODE", "maybe", "verify-full"),
        ("TLS_CA", "/no/such/file.pem", "/no/such/file.pem"),
        ("SSLROOTCERT", "/no/such/file.pem", "/no/such/file.pem"),
        ("PREPARE", "sometimes", "unnamed"),
        ("READ_ONLY", "2", "true"),
        ("TARGET_SESSION_ATTRS", "primary", "read-write"),
        ("KEEPALIVES_IDLE", "0", "seconds"),
    ];
    for (name, value, text) in cases {
        let variable = format!("ACME_BAD_{name}");
        let url = ("ACME_BAD_URL", "postgres://u:topsecret@h/d?tls=verify-full");
        let (option, message) = wrong(read("bad", &[url, (&variable, value)]).and_then(started));
        assert_eq!(option, variable, "{message}");
        assert!(message.contains(text) && !message.contains("topsecret"), "{message}");
    }
}

/// What starting a repo with these options finds.
fn started(options: RepoOptions) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { emr::open(options).await.map(drop) })
}

#[test]
fn a_wrong_url_is_an_error_that_names_its_variable_and_no_credential() {
    let cases = [
        ("", "scheme"),
        ("oracle://u:topsecret@h/d", "no adapter"),
        ("postgres://u:topsecret@:5432/d", "host in it"),
        ("postgres://u:topsecret@h:x/d", "port in it"),
        ("postgres://u:topsecret@h/d?pool_size=0", "pool_size in it"),
        ("postgres://u:topsecret@h/d?timeout=never", "timeout in it"),
        // Found when the repo is started.
        ("postgres://u:topsecret@h/d?no_such_option=1", "no_such_option in it"),
        ("postgres://u:topsecret@h/d?tls=verify-full&tls_ca=/no/such/file.pem", "tls_ca in it"),
        ("postgres://u:topsecret@h/d?tls=require&tls_ca=/ca.pem", "verify-full"),
        ("sqlite:", "database in it"),
    ];
    for (url, text) in cases {
        let (option, message) = wrong(read("prod", &[("ACME_PROD_URL", url)]).and_then(started));
        assert_eq!(option, "ACME_PROD_URL", "{message}");
        assert!(message.contains(text) && !message.contains("topsecret"), "{url}: {message}");
    }
}

#[test]
fn what_the_program_sets_afterwards_is_not_blamed_on_the_environment() {
    let variables = [("ACME_URL", "postgres://u@h/d"), ("ACME_POOL_SIZE", "4"), ("ACME_KEEPALIVES_IDLE", "5")];
    let options = read("", &variables).unwrap();
    let (option, _) = wrong(started(options.clone().pool_size(0)));
    assert_eq!(option, "pool_size");
    let (option, _) = wrong(started(options.clone().extra("keepalives_idle", "x")));
    assert_eq!(option, "keepalives_idle");
    let (option, _) = wrong(started(RepoOptions::new().host("").or(&options)));
    assert_eq!(option, "host");
    let (option, _) = wrong(started(RepoOptions::new().or(&RepoOptions { host: Some(String::new()), ..options })));
    assert_eq!(option, "ACME_URL");
}

#[cfg(unix)]
#[test]
fn text_that_is_not_unicode_is_an_error_that_names_the_variable() {
    use std::os::unix::ffi::OsStringExt;
    for bad in ["ACME_URL", "ACME_PASSWORD", "ACME_POOL_SIZE"] {
        let (option, message) = wrong(RepoOptions::from_vars("ACME", "", |name| {
            (name == bad).then(|| OsString::from_vec(b"topsecret\xff".to_vec()))
        }));
        assert!(option == bad && message.contains("Unicode") && !message.contains("topsecret"), "{message}");
    }
}

#[test]
fn nothing_in_the_environment_is_an_error_that_says_what_is_looked_for() {
    let (option, message) = wrong(read("missing", &[("ACME_URL", "sqlite:x.db")]));
    assert!(option == "ACME_MISSING_URL" && message.contains("ACME_MISSING_*"), "{message}");
}

#[tokio::test]
async fn a_definition_may_bring_a_function_for_its_settings() {
    #[derive(MultiRepo)]
    #[repo(database = "sqlite", conf = by_hand, pool_size = 3)]
    struct ByHand;

    fn by_hand(environment: &str) -> Result<RepoOptions> {
        match environment {
            "test" => RepoOptions::from_url("sqlite::memory:?timeout=4s"),
            other => Err(Error::config("environment", format!("there is no {other}"))),
        }
    }

    let repo = ByHand::start_env("test").await.unwrap();
    assert_eq!((repo.id(), repo.config().pool_size), ("test", Some(3)));
    assert_eq!(repo.default_options().timeout, Duration::from_secs(4).into());
    assert_eq!(repo.query("select 4 + 5", &[]).await.unwrap().scalar::<i64>().unwrap(), 9);
    let (option, message) = wrong(ByHand::start_env("prod").await);
    assert!(option == "environment" && message.contains("no prod"), "{message}");
}

proptest::proptest! {
    #[test]
    fn no_environment_makes_the_reader_panic_or_show_a_credential(
        values in proptest::collection::btree_map(
            proptest::sample::select(&["URL", "HOST", "PORT", "USER", "DATABASE_TYPE", "TIMEOUT", "POOL_SIZE", "TLS", "EAGER", "PREFIX"][..]),
            "[ -~äß日\n]{0,24}|postgres://[ -~]{0,24}|[0-9]{1,25}(ms|s|h)?",
            0..6,
        ),
        environment in ".{0,6}",
    ) {
        let password = "hunter2-is-a-secret";
        let result = RepoOptions::from_vars("ACME", &environment, |name| {
            if name.ends_with("_PASSWORD") {
                return Some(password.into());
            }
            values.iter().find(|(key, _)| name.ends_with(&format!("_{key}"))).map(|(_, value)| value.into())
        });
        match result {
            Ok(options) => {
                let shown = shown(&options);
                proptest::prop_assert!(!shown.contains(password), "{}", shown);
                if let Err(error) = started(options.eager(false)) {
                    let shown = format!("{error} {error:?}");
                    proptest::prop_assert!(!shown.contains(password), "{}", shown);
                }
            }
            Err(error) => {
                let shown = format!("{error} {error:?}");
                proptest::prop_assert!(!shown.contains(password), "{}", shown);
                let named = matches!(error.kind(), ErrorKind::Config { option, .. } if option.starts_with("ACME_"));
                proptest::prop_assert!(named, "{}", shown);
            }
        }
    }
}

/// Runs itself again with an environment, which a running program may not change safely.
#[test]
fn the_environment_is_read_by_environment_name() {
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new(program)
        .args(["--exact", "environment::child_reads_the_environment", "--ignored", "--nocapture"])
        .env("ACME_PROD_URL", "postgres://u:pw@h/prod?pool_size=2")
        .env("ACME_PROD_POOL_SIZE", "5")
        .env("ACME_TEST_HOST", "test.example")
        .env("ACME_TEST_DATABASE_TYPE", "postgres")
        .env("ACME_BROKEN_URL", "postgres://h/d")
        .env("ACME_BROKEN_POOL_SIZE", "lots")
        .env("ACME_URL", "sqlite:plain.db")
        .env("FILES_TEST_DATABASE", ":memory:")
        .env("FILES_TEST_CACHE_SIZE", "-100")
        .env("FILES_BROKEN_DATABASE", ":memory:")
        .env("FILES_BROKEN_CACHE_SIZE", "much")
        .env("FILES_OTHER_URL", "postgres://h/d")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
#[ignore = "run by the_environment_is_read_by_environment_name, which sets its environment"]
async fn child_reads_the_environment() {
    #[derive(MultiRepo)]
    #[repo(env = "ACME")]
    struct Acme;
    #[derive(MultiRepo)]
    #[repo(database = "sqlite")]
    struct Files;
    let prod = Acme::conf("prod").unwrap();
    assert_eq!((prod.database.as_deref(), prod.pool_size), (Some("prod"), Some(5)));
    assert_eq!(prod.password, Some(Secret::new("pw")));
    let test = Acme::conf("test").unwrap();
    assert_eq!(test.host.as_deref(), Some("test.example"));
    let plain = Acme::conf("").unwrap();
    assert_eq!(plain.database.as_deref(), Some("plain.db"));
    let (option, message) = wrong(Acme::conf("broken"));
    assert!(option == "ACME_BROKEN_POOL_SIZE" && message.contains("lots"), "{message}");
    let (option, message) = wrong(Acme::conf("missing"));
    assert!(option == "ACME_MISSING_URL" && message.contains("ACME_MISSING"), "{message}");

    // The definition says which backend it is, and so which settings there are.
    let repo = Files::start_env("test").await.unwrap();
    assert_eq!(repo.query("pragma cache_size", &[]).await.unwrap().scalar::<i64>().unwrap(), -100);
    let (option, message) = wrong(Files::start_env("broken").await);
    assert!(option == "FILES_BROKEN_CACHE_SIZE" && message.contains("much"), "{message}");
    let (option, message) = wrong(Files::start_env("other").await);
    assert!(option == "FILES_OTHER_URL" && message.contains("Files is for sqlite"), "{message}");
}
