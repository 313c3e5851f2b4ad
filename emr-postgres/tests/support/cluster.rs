//! A PostgreSQL server of the test's own, with settings that the shared one may not have.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::certificates;

/// Stopped and removed when dropped.
pub struct Cluster {
    directory: PathBuf,
    pub port: u16,
}

impl Cluster {
    /// `password` is asked of the user `secret`, `hidden` may not log in at all, TLS is offered if `tls`.
    pub fn start(tls: bool) -> Self {
        Self::with(tls, "")
    }

    /// The same, with these lines in its settings as well.
    pub fn with(tls: bool, more: &str) -> Self {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let directory = std::env::temp_dir().join(format!("emr-pg-{}-{port}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let cluster = Cluster { directory, port };
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&cluster.directory));
        }
        let data = cluster.data();
        cluster.program("initdb", &["--no-sync", "-A", "trust", "-U", "postgres", "-D", &data]);
        if tls {
            cluster.certificates();
        }
        cluster.write(
            "data/pg_hba.conf",
            "host all secret all scram-sha-256\nhost all hidden all reject\nlocal all all trust\nhost all all all trust\n",
        );
        let settings = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nfsync = off\n\
             password_encryption = 'scram-sha-256'\nmax_connections = 8\nsuperuser_reserved_connections = 1\n{}{more}",
            cluster.directory.display(),
            if tls {
                "ssl = on\nssl_cert_file = '../server.crt'\nssl_key_file = '../server.key'\n"
            } else {
                "ssl = off\n"
            }
        );
        cluster.write("data/postgresql.auto.conf", &settings);
        cluster.restart();
        cluster
    }

    /// Starts the server, as it was when it was stopped.
    pub fn restart(&self) {
        self.program("pg_ctl", &["start", "-w", "-D", &self.data(), "-l", &self.path("log")]);
    }

    /// Stops it in good order.
    pub fn shut_down(&self) {
        self.program("pg_ctl", &["stop", "-m", "fast", "-D", &self.data()]);
    }

    /// Keeps its files as they are, under this name. It must be stopped.
    pub fn keep_copy(&self, name: &str) {
        run(Command::new("cp").arg("-a").arg(self.data()).arg(self.path(name)));
    }

    /// Puts the files back that were kept under this name. It must be stopped.
    pub fn put_back(&self, name: &str) {
        std::fs::remove_dir_all(self.data()).unwrap();
        std::fs::rename(self.path(name), self.data()).unwrap();
    }

    /// Where the certificate of the authority is, and the socket.
    pub fn path(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    pub fn stop(&self) {
        self.program("pg_ctl", &["stop", "-m", "immediate", "-D", &self.data()]);
    }

    fn data(&self) -> String {
        self.path("data")
    }

    fn write(&self, name: &str, contents: &str) {
        std::fs::write(self.directory.join(name), contents).unwrap();
    }

    fn certificates(&self) {
        certificates::write(&self.directory);
        if is_root() {
            run(Command::new("chown").args(["postgres", "server.key", "server.crt"]).current_dir(&self.directory));
        }
    }

    /// Runs one of PostgreSQL's programs, which refuse to run as root.
    fn program(&self, name: &str, arguments: &[&str]) {
        let path = programs().join(name);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        run(command.args(arguments).current_dir(&self.directory));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if Path::new(&self.path("data/postmaster.pid")).exists() {
            self.stop();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn is_root() -> bool {
    String::from_utf8_lossy(&run(Command::new("id").arg("-u")).stdout).trim() == "0"
}

/// The folder of the newest server that is installed, or the one that `EMR_POSTGRES_BIN` names.
fn programs() -> PathBuf {
    if let Ok(folder) = std::env::var("EMR_POSTGRES_BIN") {
        return folder.into();
    }
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = installed.map(|version| version.path().join("bin")).max();
    newest.expect("these tests start a server: install PostgreSQL, or name its programs' folder in EMR_POSTGRES_BIN")
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
