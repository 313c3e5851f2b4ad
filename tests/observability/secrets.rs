//! Passwords and redacted values appear nowhere.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use emr::prelude::*;
use emr::{PrepareMode, QueryLog};
use futures_util::TryStreamExt;

use crate::capture::lines_with;
use crate::harness::{Backend, Db};
use crate::{Account, accounts};

db_cases![redacted_values_appear_nowhere, passwords_appear_nowhere];

/// What a person could read that was not told to a listener.
#[derive(Default, Clone)]
struct Shown(Arc<Mutex<Vec<String>>>);

impl Shown {
    fn add(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    fn debug(&self, value: &impl Debug) {
        self.add(format!("{value:?} {value:#?}"));
    }

    fn error<T>(&self, result: Result<T>) {
        let error = result.err().expect("an error");
        self.add(format!("{error} {error:?}"));
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            self.add(format!("{cause} {cause:?}"));
            source = cause.source();
        }
    }

    /// Nobody said the secret, and somebody said the other text: the listeners listen.
    #[track_caller]
    fn hides(&self, secret: &str, but_shows: &str) {
        let shown = self.0.lock().unwrap();
        let leaks: Vec<_> = shown.iter().filter(|line| line.contains(secret)).collect();
        assert!(leaks.is_empty(), "{leaks:#?}");
        assert!(shown.iter().any(|line| line.contains(but_shows)), "{shown:#?}");
        let leaks = lines_with(secret);
        assert!(leaks.is_empty(), "{leaks:#?}");
        assert!(!lines_with(but_shows).is_empty());
    }
}

async fn redacted_values_appear_nowhere(db: &Db) {
    let mut modes = vec![PrepareMode::Named];
    if db.backend == Backend::Postgres {
        modes.push(PrepareMode::Unnamed);
    }
    for mode in modes {
        let shown = Shown::default();
        let hook = QueryLog::new({
            let shown = shown.clone();
            move |event| {
                shown.debug(event);
                shown.add(event.params().collect());
            }
        });
        let mut options = db.options().log(hook);
        if mode == PrepareMode::Unnamed {
            options = options.prepare(mode);
        }
        let repo = emr::open(options).await.unwrap();
        let secret = format!("t0ken-{}-{mode:?}", repo.id());
        every_use_of(&repo, &secret, &shown).await;
        repo.drop_table::<Account>().await.unwrap();
        shown.hides(&secret, "accounts");
        shown.hides("98765432109876", "accounts");
        if db.backend == Backend::Postgres {
            assert!(!lines_with("log DEBUG tokio_postgres").is_empty(), "the driver logs what it sends");
        }
    }
}

/// The same table, read into a type that its values do not fit.
#[derive(Syncable, Debug)]
#[emr(table = "accounts")]
struct Numbered {
    #[allow(dead_code)]
    id: i64,
    #[emr(redact)]
    #[allow(dead_code)]
    token: i64,
}

/// Every way in which a value gets into a statement, an error or a `Debug`.
async fn every_use_of(repo: &RepoHandle, secret: &str, shown: &Shown) {
    const PIN: i64 = 98_765_432_109_876;
    repo.create_table::<Account>().await.unwrap();
    let changes = Account::build().set(Account::NAME, "ada").set(Account::TOKEN, secret).set(Account::PIN, PIN);
    shown.debug(&changes);
    let account = repo.insert(changes).await.unwrap();
    repo.insert_all(accounts(1_001..=1_003, secret)).await.unwrap();
    repo.insert_all_returning(accounts(1_011..=1_013, secret)).await.unwrap();
    repo.insert_all(accounts(2_001..=4_500, secret)).await.unwrap();

    let queries = [
        Account::query().filter(Account::TOKEN.eq(secret)),
        Account::query().filter_eq(Account::TOKEN, secret),
        Account::query().filter(Account::TOKEN.ne(secret).and(Account::PIN.lt(PIN))),
        Account::query().filter(Account::TOKEN.between(secret, secret)),
        Account::query().filter(Account::TOKEN.in_list([secret])),
        Account::query().filter(Account::TOKEN.not_in(vec![secret; 400])),
        Account::query().filter(Account::TOKEN.contains(secret)),
        Account::query().filter(!Account::TOKEN.ilike(secret)),
        Account::query().filter((Account::PIN + 1).gt(PIN)),
        Account::query().filter(fragment("lower(?) = lower(?)").arg(Account::TOKEN).arg(secret)),
        Account::query().filter(fragment("lower(?)").arg(Account::TOKEN).typed::<String>().eq(secret)),
        Account::query().filter(fragment("lower(?)").arg(Account::TOKEN).typed::<String>().in_list([secret])),
    ];
    for query in queries {
        shown.debug(&query);
        repo.all(query.clone().limit(3)).await.unwrap();
        repo.count(&query).await.unwrap();
        let _: Vec<Account> = repo.stream(query.limit(3)).try_collect().await.unwrap();
    }
    let id = account.id;
    let ada = || Account::query().filter(Account::ID.eq(id));
    let updates = [
        ada().set(Account::TOKEN, secret),
        ada().set(Account::NAME, "bob").set_expr(Account::TOKEN, secret),
        ada().set_expr(Account::TOKEN, fragment("lower(?)").arg(secret).typed::<String>()),
        ada().inc(Account::PIN, PIN),
    ];
    for update in updates {
        shown.debug(&update);
        repo.update_all(update).await.unwrap();
    }
    repo.update(account.change().set(Account::TOKEN, format!("{secret} too"))).await.unwrap();

    // What goes wrong with it.
    let taken = format!("{secret}-1001");
    shown.error(repo.insert(Account::build().set(Account::NAME, "eve").set(Account::TOKEN, taken.clone())).await);
    shown.error(repo.insert_all(accounts(1_001..=1_003, secret)).await);
    shown.error(repo.insert_all(accounts(1_001..=4_500, secret)).await);
    shown.error(repo.update(account.change().set(Account::TOKEN, taken)).await);
    let dividing = fragment("cast(? as integer) / 0 = 1 and ? = 'x'").arg(Account::TOKEN).arg(secret);
    // An error on PostgreSQL, NULL on SQLite.
    if let Err(error) = repo.all(Account::query().filter(dividing)).await {
        shown.error::<()>(Err(error));
    }
    let nul = format!("{secret}\0");
    // SQLite would keep such a text, but the key is taken.
    let row = Account { token: nul, ..account };
    shown.error(repo.insert(row.clone()).await);
    shown.error(repo.insert_all([row.clone(), row.clone()]).await);
    shown.error(repo.insert_all(vec![row; 2_500]).await);

    shown.error(repo.fetch::<Numbered>(id).await);
    shown.error(repo.query_as::<Numbered>("select id, token from accounts", &[]).await);
    shown.error(repo.stream(Numbered::query()).try_collect::<Vec<_>>().await);
    let raw = repo.query("select id, token from accounts", &[]).await.unwrap();
    shown.error(repo.load::<Numbered>(&raw));
    shown.debug(&repo);
    shown.debug(&repo.stats());
}

async fn passwords_appear_nowhere(db: &Db) {
    let shown = Shown::default();
    let secret = format!("pa55-{}", db.repo.id());
    if db.backend == Backend::Sqlite {
        // The engine has no passwords: one is refused, and not repeated.
        let options = db.options().password(secret.clone());
        shown.debug(&options);
        shown.error(emr::open(options).await);
        assert!(lines_with(&secret).is_empty());
        let texts = shown.0.lock().unwrap();
        assert!(texts.iter().all(|text| !text.contains(&secret)), "{texts:#?}");
        return;
    }
    let options = db.options().password(secret.clone()).application_name("emr passwords");
    shown.debug(&options);
    if db.backend.is_mysql_family() {
        // The server asks for none, and lets nobody in who gives one.
        let repo = emr::open(options).await.unwrap();
        shown.debug(&repo);
        shown.error(repo.query("select 1", &[]).await);
        assert!(lines_with(&secret).is_empty());
        let texts = shown.0.lock().unwrap();
        assert!(texts.iter().all(|text| !text.contains(&secret)), "{texts:#?}");
        return;
    }
    shown.add(format!("{:?} {:?}", options.clone().pool_size(2), options.password));
    let repo = emr::open(options).await.unwrap();
    repo.query("select 1", &[]).await.unwrap();
    shown.debug(&repo);
    shown.debug(repo.config());
    shown.debug(&repo.default_options());
    let tx = repo.begin().await.unwrap();
    shown.debug(&tx);
    shown.error(tx.query("selec 1", &[]).await);
    tx.rollback().await.unwrap();

    let wrong = [
        format!("postgres://postgres:{secret}@127.0.0.1:1/postgres"),
        format!("postgres://postgres:{secret}@127.0.0.1:0/postgres"),
        format!("postgres://postgres:{secret}@127.0.0.1:5432x/postgres"),
        format!("postgres://postgres:{secret}@/postgres?pool_size=0"),
        format!("postgres://postgres:{secret}@127.0.0.1/postgres?no_such_option=1"),
        format!("postgres://no_such_role:{secret}@127.0.0.1/no_such_database"),
        format!("nosuch://user:{secret}@host/db"),
        format!("postgres:/user:{secret}@host"),
        secret.clone(),
    ];
    for url in wrong {
        match emr::open(url.as_str()).await {
            Ok(repo) => shown.error(repo.query("select 1", &[]).await),
            Err(error) => shown.error::<()>(Err(error)),
        }
    }
    shown.hides(&secret, "postgres");
}
