//! A server of the test's own, which may be stopped, killed and filled up.
#![allow(dead_code)] // each suite uses a part

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to start or to stop, on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(2);

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    MariaDb,
    MySql,
}

impl Product {
    pub(crate) const BOTH: [Product; 2] = [Product::MariaDb, Product::MySql];

    /// As backends are named.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Product::MariaDb => "mariadb",
            Product::MySql => "mysql",
        }
    }

    /// The server, and what makes its data, where that is a program of its own.
    fn program_names(self) -> (&'static str, Option<&'static str>) {
        match self {
            Product::MariaDb => ("mariadbd", Some("mariadb-install-db")),
            Product::MySql => ("mysqld", None),
        }
    }

    /// What to install.
    fn package(self) -> &'static str {
        match self {
            Product::MariaDb => "MariaDB's server (Debian's package mariadb-server-core)",
            Product::MySql => "MySQL's server (Debian has mysql-server in unstable alone)",
        }
    }

    /// Its server program.
    pub(crate) fn program(self) -> &'static str {
        self.program_names().0
    }

    /// The programs of a server: those in the folder that `EMR_MARIADB_BIN` or `EMR_MYSQL_BIN` names, else those that are
    /// installed.
    ///
    /// # Errors
    /// Says which of them is missing.
    pub(crate) fn programs(self) -> Result<Programs, String> {
        let variable = format!("EMR_{}_BIN", self.name().to_uppercase());
        let named = std::env::var_os(&variable).map(PathBuf::from);
        let installed = ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
        let folders: Vec<PathBuf> = named.into_iter().chain(installed).collect();
        let find = |name: &str| {
            let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.exists());
            found.ok_or_else(|| {
                let package = self.package();
                format!("there is no {name}: install {package}, or name the folder of its programs in {variable}")
            })
        };
        let (server, install) = self.program_names();
        let server = find(server)?;
        let install = install.map(find).transpose()?;
        // MariaDB's packages call their server by both names.
        let version = run(Command::new(&server).args(["--no-defaults", "--version"]));
        if version.contains("MariaDB") != (self == Product::MariaDb) {
            return Err(format!("{} is no server of {self:?}: set {variable}", server.display()));
        }
        let version = version.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
        Ok(Programs { product: self, server, install, version })
    }
}

/// The programs of one version.
pub(crate) struct Programs {
    product: Product,
    server: PathBuf,
    install: Option<PathBuf>,
    version: String,
}

/// Killed and removed when dropped.
pub(crate) struct Server {
    programs: Programs,
    directory: PathBuf,
    settings: Vec<String>,
    child: Option<Child>,
    pub(crate) port: u16,
}

impl Server {
    /// A server on a free port, with nothing in it but `root` without a password. The settings are as on the command line.
    /// What is kept for the next server lies in `scratch`.
    pub(crate) fn start(product: Product, scratch: &Path, settings: &[&str]) -> Self {
        Self::prepared(product, scratch, settings, |_| {})
    }

    /// The same, with more in its directory, from where settings find it as `../name`.
    pub(crate) fn prepared(product: Product, scratch: &Path, settings: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let programs = product.programs().unwrap();
        let fresh = programs.fresh_data(scratch);
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let directory = std::env::temp_dir().join(format!("emr-{}-{}-{port}", product.name(), std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        run(Command::new("cp").arg("-a").arg(&fresh).arg(directory.join("data")));
        prepare(&directory);
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Server { programs, directory, settings, child: None, port };
        server.begin();
        server
    }

    /// Starts it again, on the port and the data that it had.
    pub(crate) fn begin(&mut self) {
        let log = File::create(self.path("log")).unwrap();
        let child = Command::new(&self.programs.server)
            .args(self.programs.common())
            .arg(format!("--datadir={}", self.path("data").display()))
            .arg(format!("--socket={}", self.path("socket").display()))
            .arg(format!("--pid-file={}", self.path("pid").display()))
            .arg(format!("--port={}", self.port))
            .args(["--bind-address=127.0.0.1", "--innodb-buffer-pool-size=16M"])
            .args(self.programs.product.running())
            .args(&self.settings)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let deadline = Instant::now() + PATIENCE;
        while !std::fs::read_to_string(self.path("log")).unwrap().contains("ready for connections") {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            let log = || std::fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < deadline, "it does not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it as its administrator does.
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        self.wait();
    }

    /// Ends it as a power cut does.
    pub(crate) fn crash(&mut self) {
        self.signal("KILL");
        self.wait();
    }

    /// Sends a signal: `STOP` lets it hang, `CONT` lets it go on.
    pub(crate) fn signal(&self, name: &str) {
        if let Some(child) = &self.child {
            run(Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()));
        }
    }

    fn wait(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    /// Where something in its directory is: its `socket`, its `data`, what was put there.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Product {
    /// Settings of servers of which nothing is kept.
    fn running(self) -> &'static [&'static str] {
        match self {
            Product::MariaDb => &["--skip-name-resolve"],
            // There `root` is at `localhost` alone, which is a name.
            Product::MySql => {
                &["--mysqlx=OFF", "--skip-log-bin", "--innodb-doublewrite=OFF", "--secure-file-priv=NULL"]
            }
        }
    }
}

impl Programs {
    /// The data of a server that never ran. Making it takes long, so it is made once.
    fn fresh_data(&self, scratch: &Path) -> PathBuf {
        std::fs::create_dir_all(scratch).unwrap();
        let lock = File::create(scratch.join(format!("{}.lock", self.product.name()))).unwrap();
        lock.lock().unwrap();
        let data = scratch.join(format!("data-{}", self.version));
        let whole = data.join("whole");
        if !whole.exists() {
            let _ = std::fs::remove_dir_all(&data);
            let mut command = Command::new(self.install.as_ref().unwrap_or(&self.server));
            command.args(self.common()).args(match self.product {
                Product::MariaDb => &["--auth-root-authentication-method=normal", "--skip-test-db"][..],
                Product::MySql => &["--initialize-insecure"],
            });
            run(command.arg(format!("--datadir={}", data.display())));
            File::create(whole).unwrap();
        }
        data
    }

    fn common(&self) -> Vec<&'static str> {
        let mut settings = vec!["--no-defaults"];
        settings.push(match self.product {
            Product::MariaDb => "--innodb-log-file-size=4M",
            Product::MySql => "--innodb-redo-log-capacity=8M",
        });
        if run(Command::new("id").arg("-u")).trim() == "0" {
            // It runs as root only where it is told to.
            settings.push("--user=root");
        }
        settings
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
