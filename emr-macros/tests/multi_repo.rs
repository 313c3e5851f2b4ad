//! What the derive makes of definitions.

#![allow(missing_docs)]

use emr_core::RepoOptions;
use emr_macros::MultiRepo;

/// The part of the core that the generated code names.
mod core {
    pub(crate) use emr_core::{RepoOptions, Result};

    pub(crate) trait MultiRepo {
        fn definition() -> &'static Definition;

        fn conf(environment: &str) -> Result<RepoOptions> {
            RepoOptions::from_vars("", environment, |_| None)
        }
    }

    #[derive(Debug, PartialEq)]
    pub(crate) struct Definition {
        pub(crate) name: &'static str,
        pub(crate) environment: &'static str,
        pub(crate) settings: &'static [(&'static str, &'static str)],
    }

    impl Definition {
        pub(crate) const fn new(
            name: &'static str,
            environment: &'static str,
            settings: &'static [(&'static str, &'static str)],
        ) -> Self {
            Definition { name, environment, settings }
        }
    }
}

use core::{Definition, MultiRepo as _};

#[derive(MultiRepo)]
#[repo(crate = "crate::core")]
struct TenantRepo;

#[derive(MultiRepo)]
#[repo(crate = "self::core", database = "postgres", timeout = "15s", idle_timeout = "10m", pool_size = 4)]
#[repo(connect_timeout = "500ms", eager, read_only = false, env = "ACME")]
struct FullRepo;

#[derive(MultiRepo)]
#[repo(
    crate = "crate::core",
    database = "sqlite",
    timeout = "infinite",
    connection_idle_timeout = "2h",
    host = "db.example",
    port = 5433,
    user = "app",
    tls = "verify-full",
    tls_ca = "ca.pem",
    prepare = "unnamed",
    application_name = "tests",
    after_connect = "set role app",
    prefix = "crm",
    eager = true
)]
struct EverySetting {}

#[test]
fn a_bare_definition_has_a_name_and_an_environment() {
    let expected = Definition { name: "TenantRepo", environment: "TENANT_REPO", settings: &[] };

    assert_eq!(TenantRepo::definition(), &expected);
    assert!(std::ptr::eq(TenantRepo::definition(), TenantRepo::definition()));
}

#[test]
fn settings_become_text_for_the_options() {
    let definition = FullRepo::definition();

    assert_eq!(definition.environment, "ACME");
    let expected = [
        ("database_type", "postgres"),
        ("timeout", "15s"),
        ("idle_timeout", "10m"),
        ("connect_timeout", "500ms"),
        ("pool_size", "4"),
        ("eager", "true"),
        ("read_only", "false"),
    ];
    assert_eq!(definition.settings, expected);
}

#[test]
fn the_options_accept_every_setting() {
    let mut options = RepoOptions::new();
    for (name, value) in EverySetting::definition().settings.iter().chain(FullRepo::definition().settings) {
        options.set(name, value).unwrap();
    }

    assert!(options.extra.is_empty(), "unknown to the options: {:?}", options.extra);
    assert_eq!(options.port, Some(5433));
    assert_eq!(options.pool_size, Some(4));
    assert_eq!(EverySetting::definition().settings.len() + FullRepo::definition().settings.len(), 20);
}

#[derive(MultiRepo)]
#[repo(crate = "crate::core", conf = by_name::settings)]
struct ByHand;

mod by_name {
    pub(crate) fn settings(name: &str) -> emr_core::Result<emr_core::RepoOptions> {
        let mut options = emr_core::RepoOptions::new();
        options.set("database", name)?;
        Ok(options)
    }
}

#[test]
fn a_function_for_the_settings_is_called() {
    assert_eq!(ByHand::conf("a.db").unwrap().database.as_deref(), Some("a.db"));
    assert!(TenantRepo::conf("a.db").is_err());
    assert!(ByHand::definition().settings.is_empty());
}
